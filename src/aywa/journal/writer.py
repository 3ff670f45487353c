"""The process's journal: appended in memory, written by a thread of its own at most FLUSH_S later. A call never waits
for it. When the disk refuses, records are kept up to a limit and tried again; what is lost is counted and said."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aywa.journal.segment import encode

FLUSH_S = 0.1
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """segment_bytes: a file's size before the next one begins. kept_bytes: records held while the disk refuses."""

    segment_bytes: int = 64 * 1024 * 1024
    kept_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """A batch that is on disk: its records as encoded, the file, and the byte after the last."""

    records: Sequence[bytes]
    path: Path
    end: int


class JournalWriter:
    """`append` at any time from the loop's thread; `run` as a task; `close` writes what is left."""

    def __init__(
        self, folder: Path, written: Callable[[Written], None], settings: JournalSettings | None = None
    ) -> None:
        self._folder = folder
        self._written = written
        self._settings = settings or JournalSettings()
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._thread = ThreadPoolExecutor(1, "journal")
        self._file: BinaryIO | None = None
        self._path = folder
        self._number = _last_number(folder)
        self._ready = asyncio.Event()
        self._closing = False
        self.lost_records = 0
        self.lost_calls: set[tuple[str, str]] = set()
        self.refused: str | None = None

    def append(
        self, call_id: str, org_id: str, seq: int, at_s: float, role: str, kind: str, data: object
    ) -> None:
        """Puts a record down. Never raises: past the limit it is lost, and counted."""
        if self._buffered > self._settings.kept_bytes:
            self.lost_records += 1
            self.lost_calls.add((call_id, org_id))
            return
        framed = encode(call_id, org_id, seq, at_s, role, kind, data)
        self._buffer.append(framed)
        self._buffered += len(framed)
        if not self._ready.is_set():
            self._ready.set()

    async def run(self) -> None:
        """Writes until closed."""
        while not self._closing:
            await self._ready.wait()
            await asyncio.sleep(FLUSH_S if self.refused is None else RETRY_S)
            await self._flush()

    async def close(self) -> None:
        """Writes what is left, once, and ends the thread."""
        self._closing = True
        self._ready.set()
        await self._flush()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close_file)
        self._thread.shutdown(wait=True)

    async def _flush(self) -> None:
        batch, self._buffer = self._buffer, []
        self._ready.clear()
        if not batch:
            return
        loop = asyncio.get_running_loop()
        try:
            end = await loop.run_in_executor(self._thread, self._write, b"".join(batch))
        except OSError as error:
            self.refused = os.strerror(error.errno) if error.errno else error.__class__.__name__
            self._buffer = batch + self._buffer
            self._ready.set()
            return
        self._buffered -= sum(map(len, batch))
        self.refused = None
        self._written(Written(batch, self._path, end))

    # --- in the thread -------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> int:
        file = self._open()
        start = file.tell()
        try:
            file.write(data)
            file.flush()
        except OSError:
            # Half a batch must not stay: the next try would follow a cut record.
            self._reopen_at(start)
            raise
        return start + len(data)

    def _open(self) -> BinaryIO:
        if self._file is not None and self._file.tell() >= self._settings.segment_bytes:
            self._close_file()
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path = self._folder / f"{self._number + 1:08d}.journal"
            self._file = self._path.open("xb", buffering=0)
            self._number += 1
        return self._file

    def _reopen_at(self, start: int) -> None:
        assert self._file is not None
        try:
            self._file.truncate(start)
            self._file.seek(start)
        except OSError:
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _last_number(folder: Path) -> int:
    numbers = [int(p.stem) for p in folder.glob("*.journal") if p.stem.isdigit()] if folder.is_dir() else []
    return max(numbers, default=0)
