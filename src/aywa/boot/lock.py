"""One runtime to a data folder: two would write the same journal and end one another's calls. Guards nothing else."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from aywa.boot.errors import CannotStart

LOCK = "lock"


class FolderLock:
    """Held from the moment it is made until closed, or until the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Raises CannotStart: another process holds it, or the folder cannot be written."""
        path = folder / LOCK
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotStart(
                f"{folder} cannot be written: {error.strerror}; choose another folder with AYWA_HOME"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(self._file)
            os.close(self._file)
            raise CannotStart(
                f"{folder} is in use by another runtime{holder}; stop that one, or choose another folder with AYWA_HOME"
            ) from error
        # Only for the message above; a full disk must not keep the runtime from starting.
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Lets another process have it."""
        os.close(self._file)


def _holder(file: int) -> str:
    pid = os.pread(file, 20, 0).decode("ascii", "replace").strip()
    return f" (process {pid})" if pid.isdecimal() else ""
