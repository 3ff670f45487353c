"""The process's journal: appended in memory, written by a thread of its own at most FLUSH_S later. A call never waits
for it. When the disk refuses, records are kept up to a limit and tried again; what is lost is counted, and the call it
was lost from says so in a record of its own (JournalLost)."""

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
# What is written and told at once: after a long refusal there may be very much.
WRITE_BYTES = 1024 * 1024
# In the buffer, between records, none of which is empty: what follows goes into a file of its own.
_TURN = b""
# Without it a call would never have ended, so it may use the reserve past the limit.
_LAST_RECORD = "EndCall"


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """segment_bytes: a file's size before the next one begins. kept_bytes: records held while the disk refuses;
    reserve_bytes: on top of that, for the calls' ends."""

    segment_bytes: int = 64 * 1024 * 1024
    kept_bytes: int = 64 * 1024 * 1024
    reserve_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """A batch that is on disk: its records as encoded, the file, and the byte after the last."""

    records: Sequence[bytes]
    path: Path
    end: int


@dataclass(slots=True)
class _Loss:
    """What one call lost in a row: the first record's number and second, and how many."""

    org_id: str
    seq: int
    at_s: float
    records: int = 0


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
        self._losses: dict[str, _Loss] = {}
        self._thread = ThreadPoolExecutor(1, "journal")
        self._file: BinaryIO | None = None
        self._path = folder
        self._number = _last_number(folder)
        self._turning = False
        self._ready = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._closing = False
        self._closed = False
        self.lost_records = 0
        self.refused: str | None = None

    def append(
        self, call_id: str, org_id: str, seq: int, at_s: float, role: str, kind: str, data: object
    ) -> None:
        """Puts a record down. Never raises: past the limit it is lost, and counted."""
        reserve = self._settings.reserve_bytes if kind == _LAST_RECORD else 0
        if self._closed or self._buffered > self._settings.kept_bytes + reserve:
            self._lose(call_id, org_id, seq, at_s)
            return
        if call_id in self._losses:
            self._tell_loss(call_id)
        self._keep(encode(call_id, org_id, seq, at_s, role, kind, data))

    def turn_over(self) -> None:
        """What is put down from now on goes into a file of its own; those before it are removed when its first record is in the
        store."""
        if not self._closed:
            self._keep(_TURN)

    async def run(self) -> None:
        """Writes until closed."""
        while not self._closing:
            await self._ready.wait()
            await asyncio.sleep(FLUSH_S if self.refused is None else RETRY_S)
            # A flush that has begun is brought to its end: what is on disk must also be told.
            await asyncio.shield(self._flush())

    async def close(self) -> None:
        """Writes what is left, once, and ends the thread."""
        self._closing = True
        self._ready.set()
        async with self._flushing:
            while self._buffer and await self._write_some():
                pass
        self._closed = True
        self.lost_records += sum(map(bool, self._buffer))
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close_quietly)
        self._thread.shutdown(wait=True)

    def _keep(self, framed: bytes) -> None:
        self._buffer.append(framed)
        self._buffered += len(framed)
        if not self._ready.is_set():
            self._ready.set()

    def _lose(self, call_id: str, org_id: str, seq: int, at_s: float) -> None:
        self.lost_records += 1
        loss = self._losses.setdefault(call_id, _Loss(org_id, seq, at_s))
        loss.records += 1

    def _tell_loss(self, call_id: str) -> None:
        # It takes the number of the first record that it stands for, so it comes before all that follow.
        loss = self._losses.pop(call_id)
        lost = {"code": "journal_full", "records": loss.records}
        self._keep(encode(call_id, loss.org_id, loss.seq, loss.at_s, "note", "JournalLost", lost))

    async def _flush(self) -> None:
        async with self._flushing:
            self._ready.clear()
            if self._buffer and not self._closed:
                _ = await self._write_some()
            if self._buffer:
                self._ready.set()

    async def _write_some(self) -> bool:
        batch = self._take()
        if not batch:
            return True
        loop = asyncio.get_running_loop()
        try:
            path, end = await loop.run_in_executor(self._thread, self._write, batch, self._turning)
            self._turning = False
        except OSError as error:
            self.refused = os.strerror(error.errno) if error.errno else error.__class__.__name__
            self._buffer = batch + self._buffer
            return False
        self._buffered -= sum(map(len, batch))
        self.refused = None
        for call_id in list(self._losses):
            self._tell_loss(call_id)
        self._written(Written(batch, path, end))
        return True

    def _take(self) -> list[bytes]:
        taken = count = 0
        while self._buffer and not self._buffer[0]:
            self._turning = True
            del self._buffer[0]
        while count < len(self._buffer) and taken < WRITE_BYTES and self._buffer[count]:
            taken += len(self._buffer[count])
            count += 1
        batch, self._buffer = self._buffer[:count], self._buffer[count:]
        return batch

    # --- in the thread -------------------------------------------------------------------------------------------

    def _write(self, batch: Sequence[bytes], turn: bool = False) -> tuple[Path, int]:
        if turn:
            self._close_quietly()
        data = b"".join(batch)
        file = self._open()
        start = file.tell()
        try:
            rest = memoryview(data)
            while rest:
                # A disk with a little room left takes a part, and refuses only the next write.
                rest = rest[file.write(rest) :]
        except OSError:
            # Half a batch must not stay: the next try would follow a cut record.
            self._reopen_at(start)
            raise
        return self._path, start + len(data)

    def _open(self) -> BinaryIO:
        if self._file is not None and self._file.tell() >= self._settings.segment_bytes:
            self._close_quietly()
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Whatever has taken the number meanwhile keeps it.
            self._number = max(self._number, _last_number(self._folder)) + 1
            self._path = self._folder / f"{self._number:08d}.journal"
            self._file = self._path.open("xb", buffering=0)
        return self._file

    def _reopen_at(self, start: int) -> None:
        assert self._file is not None
        try:
            self._file.truncate(start)
            self._file.seek(start)
        except OSError:
            self._close_quietly()

    def _close_quietly(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                # Every write was answered, so there is nothing left that closing could lose.
                pass


def _last_number(folder: Path) -> int:
    numbers = [int(p.stem) for p in folder.glob("*.journal") if p.stem.isdecimal()] if folder.is_dir() else []
    return max(numbers, default=0)
