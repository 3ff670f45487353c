"""Writes the journal's batches into the store: event rows and call documents, in one transaction each, in order.

It may run behind or stop for a while; no call waits for it. What it has written is remembered in a checkpoint file, and
a record that is written twice changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aywa.core.record import CallRecord
from aywa.journal.segment import JournalDamaged, body_of, decode, read_segment
from aywa.journal.writer import Written
from aywa.ports.journal import CallProjection, JournalRecord, ProjectionStore, StoreUnavailable

RETRY_FIRST_S = 0.1
RETRY_MAX_S = 10.0
ENDED_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file and the byte up to which everything is in the store."""

    file: str = ""
    offset: int = 0


class Projector:
    """`take` batches from the writer, `run` as a task; `drained` waits until nothing is left.

    ended: told of a call that has ended, after its records are in the store, each time that more of it came. Never raises.
    """

    def __init__(
        self,
        store: ProjectionStore,
        folder: Path,
        ended: Callable[[CallRecord], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._ended = ended
        self._folder = folder
        self._batches: deque[Written] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._calls: dict[str, CallRecord] = {}
        self.unavailable: str | None = None

    def take(self, written: Written) -> None:
        """A batch that is on disk."""
        self._batches.append(written)
        self._idle.clear()
        self._arrived.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._arrived.wait()
            while self._batches:
                written = self._batches[0]
                await self._apply([decode(body_of(framed)) for framed in written.records])
                self._batches.popleft()
                self._remember(Checkpoint(written.path.name, written.end))
            self._arrived.clear()
            self._idle.set()

    async def drained(self) -> None:
        """Returns when everything taken so far is in the store."""
        await self._idle.wait()

    async def recover(self) -> list[str]:
        """Projects what an earlier process left in its files; answers what could not be read. To be called once,
        before the first batch."""
        problems: list[str] = []
        checkpoint = self._checkpoint()
        for path in sorted(self._folder.glob("*.journal")):
            if path.name < checkpoint.file:
                continue
            await self._recover_file(path, checkpoint.offset if path.name == checkpoint.file else 0, problems)
        self._calls.clear()
        return problems

    async def call(self, call_id: str) -> CallRecord:
        """The call's state as the store has it: for a record that must be added after a crash."""
        record = CallRecord(call_id, "")
        for stored in await self._store.events(None, call_id):
            record.org_id = stored.org_id
            record.apply(stored.seq, stored.at_s, stored.kind, stored.data)
        return record

    # --- inside --------------------------------------------------------------------------------------------------

    async def _recover_file(self, path: Path, offset: int, problems: list[str]) -> None:
        records: list[JournalRecord] = []
        end = offset
        try:
            for placed in read_segment(path, offset):
                records.append(placed.record)
                end = placed.end
        except JournalDamaged as damage:
            problems.append(str(damage))
        if records:
            await self._restore(records)
            await self._apply(records)
        self._remember(Checkpoint(path.name, end))

    async def _restore(self, records: Iterable[JournalRecord]) -> None:
        for call_id in {r.call_id for r in records} - self._calls.keys():
            record = await self.call(call_id)
            if record.last_seq:
                self._calls[call_id] = record

    async def _apply(self, records: Sequence[JournalRecord]) -> None:
        touched: dict[str, CallRecord] = {}
        for record in records:
            call = self._calls.setdefault(record.call_id, CallRecord(record.call_id, record.org_id))
            call.apply(record.seq, record.at_s, record.kind, record.data)
            touched[record.call_id] = call
        projections = [
            CallProjection(c.call_id, c.org_id, c.last_seq, c.document()) for c in touched.values()
        ]
        await self._store_all(records, projections)
        if self._ended is not None:
            for call in touched.values():
                if call.status == "ended":
                    await self._ended(call)
        self._forget_ended()

    async def _store_all(
        self, records: Sequence[JournalRecord], projections: Sequence[CallProjection]
    ) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                await self._store.apply(records, projections)
            except StoreUnavailable as error:
                self.unavailable = str(error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
            else:
                self.unavailable = None
                return

    def _forget_ended(self) -> None:
        # A late record (an artifact) may still come for a call that has ended, so the last ones are kept.
        ended = [call_id for call_id, call in self._calls.items() if call.status == "ended"]
        for call_id in ended[:-ENDED_KEPT]:
            del self._calls[call_id]

    def _checkpoint(self) -> Checkpoint:
        try:
            stored = json.loads((self._folder / "projected.json").read_text())
            return Checkpoint(str(stored["file"]), int(stored["offset"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Checkpoint()

    def _remember(self, checkpoint: Checkpoint) -> None:
        target = self._folder / "projected.json"
        draft = target.with_suffix(".draft")
        try:
            draft.write_text(json.dumps({"file": checkpoint.file, "offset": checkpoint.offset}))
            draft.replace(target)
        except OSError:
            # Without it a restart projects again what is there already, which changes nothing.
            return
