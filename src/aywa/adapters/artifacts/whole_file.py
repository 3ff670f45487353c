"""Files that are written whole or not at all: what stops in the middle leaves what was there before, and no trace."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

DRAFT: Final = ".draft"
"""The end of the name under which a file lies beside its place; only of a process that was killed one stays."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file for this user alone. When the block ends it takes path's place, and is on the disk; when the block raises, it goes.
    Its folder must be there. Blocks; raises OSError."""
    descriptor, name = tempfile.mkstemp(DRAFT, f".{path.name}.", path.absolute().parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    _sync(path.absolute().parent)


def _sync(folder: Path) -> None:
    """A new name is on the disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
