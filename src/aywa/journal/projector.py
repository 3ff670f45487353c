"""Writes the journal's batches into the store: event rows and call documents, in one transaction each, in order.

It may run behind or stop for a while; no call waits for it. What it has written is remembered in a checkpoint file, and
a record that is written twice changes nothing. While the store is gone only HELD_BYTES stay in memory; the rest is read
from the journal's files again.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TypeVar

from aywa.core.leases import Fence
from aywa.core.record import CallRecord
from aywa.core.retention import redacted
from aywa.core.server_messages import ServerMessage, ServerMessages, deliveries_of
from aywa.core.webhooks import Delivery
from aywa.journal.segment import JournalDamaged, Placed, body_of, decode, read_segment
from aywa.journal.writer import Written
from aywa.ports.journal import CallProjection, JournalRecord, ProjectionStore, StoreUnavailable

RETRY_FIRST_S = 0.1
RETRY_MAX_S = 10.0
# Ended calls whose state stays in memory, because a late record (an artifact) usually follows soon.
ENDED_KEPT = 50
HELD_BYTES = 16 * 1024 * 1024
# Records in one transaction.
CHUNK_RECORDS = 500
# After a write it rests for so many times as long, so that it takes a tenth of the time at most; but not longer than this.
REST_SHARE = 9.0
REST_MAX_S = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file and the byte up to which everything is in the store."""

    file: str = ""
    offset: int = 0


@dataclass(slots=True)
class _Batch:
    """A stretch of a file. records: as encoded, or None when they must be read from it. fence: the node's when it was written."""

    path: Path
    start: int
    end: int
    records: Sequence[bytes] | None
    fence: Fence | None


class _Call:
    """A call as far as its records were folded."""

    __slots__ = ("messages", "record")

    def __init__(self, call_id: str, org_id: str) -> None:
        self.record = CallRecord(call_id, org_id)
        self.messages = ServerMessages(self.record)

    def fold(self, record: JournalRecord) -> list[ServerMessage]:
        """Takes the next record; answers what is to be sent for it. Raises for one that cannot be understood."""
        if not self.record.apply(record.seq, record.at_s, record.kind, record.data):
            return []
        return self.messages.taken(record.seq, record.at_s, record.kind, record.data)


class Projector:
    """`take` batches from the writer, `run` as a task; `drained` waits until nothing is left.

    ended: told of a call that has ended, after its records are in the store, each time that more of it came. Never raises.
    fence: what this node's writes carry now, None where nobody else writes. lost: told of calls that are another node's by now;
    nothing more of theirs is written. unavailable: why the store cannot be written now. problem: the last thing that was left out
    for good, in how many records. late: how many records of calls that were another's already.
    """

    def __init__(
        self,
        store: ProjectionStore,
        folder: Path,
        ended: Callable[[CallRecord], Awaitable[None]] | None = None,
        fence: Callable[[], Fence | None] = lambda: None,
        lost: Callable[[Collection[str]], None] = lambda calls: None,
    ) -> None:
        self._store = store
        self._fence = fence
        self._lost = lost
        self._ended = ended
        self._folder = folder
        self._batches: deque[_Batch] = deque()
        # The first of them are being applied.
        self._working = 0
        self._waited_s = 0.0
        self._held = 0
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._calls: dict[str, _Call] = {}
        self.unavailable: str | None = None
        self.problem: str | None = None
        self.left_out = 0
        self.late = 0

    @property
    def waiting(self) -> int:
        """Batches that are not in the store yet."""
        return len(self._batches)

    @property
    def followed(self) -> int:
        """Calls that something is remembered of."""
        return len(self._calls)

    def take(self, written: Written) -> None:
        """A batch that is on disk."""
        size = sum(map(len, written.records))
        batch = _Batch(written.path, written.end - size, written.end, written.records, self._fence())
        if self._held + size > HELD_BYTES:
            batch.records = None
            self._join(batch)
        else:
            self._held += size
            self._batches.append(batch)
        self._idle.clear()
        self._arrived.set()

    async def run(self) -> None:
        """Until cancelled. Everything that waits goes into the store together, and then it has a rest: with many calls there is
        always more, and a transaction for each piece of it would take time that the calls' audio needs."""
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            batches = list(self._batches)
            if not batches:
                continue
            self._working = len(batches)
            began_s, self._waited_s = loop.time(), 0.0
            for fence, alike in groupby(batches, key=lambda batch: batch.fence):
                await self._apply_all(chain.from_iterable(map(self._records, alike)), fence)
            for batch in batches:
                _ = self._batches.popleft()
                self._held -= sum(map(len, batch.records or ()))
            self._working = 0
            last = batches[-1]
            await asyncio.to_thread(self._remember, Checkpoint(last.path.name, last.end))
            if not self._batches:
                self._idle.set()
            took_s = loop.time() - began_s - self._waited_s
            await asyncio.sleep(min(REST_MAX_S, REST_SHARE * took_s))

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
            offset = checkpoint.offset if path.name == checkpoint.file else 0
            await self._recover_file(path, offset, problems)
        self._calls.clear()
        return problems

    async def call(self, call_id: str) -> CallRecord:
        """The call's state as the store has it: for a record that must be added after a crash. Raises StoreUnavailable."""
        return (await self._read(call_id)).record

    async def _read(self, call_id: str) -> _Call:
        call = _Call(call_id, "")
        for stored in await self._store.events(None, call_id):
            call.record.org_id = stored.org_id
            # What these are told by is in the outbox already.
            _ = self._fold(call, stored)
        return call

    # --- inside --------------------------------------------------------------------------------------------------

    def _join(self, batch: _Batch) -> None:
        """Appends a stretch that is only in its file; to the last one, if that is not at work and ends where this begins."""
        last = self._batches[-1] if len(self._batches) > self._working else None
        if (
            last
            and last.records is None
            and (last.path, last.end, last.fence) == (batch.path, batch.start, batch.fence)
        ):
            last.end = batch.end
        else:
            self._batches.append(batch)

    def _records(self, batch: _Batch) -> Iterator[JournalRecord]:
        if batch.records is not None:
            return (decode(body_of(framed)) for framed in batch.records)
        return self._reread(batch.path, batch.start, batch.end)

    def _reread(self, path: Path, start: int, end: int) -> Iterator[JournalRecord]:
        problems: list[str] = []
        for placed in _read_on(path, start, problems):
            if placed.end > end:
                break
            yield placed.record
        for problem in problems:
            self._leave_out(problem)

    async def _recover_file(self, path: Path, offset: int, problems: list[str]) -> None:
        end = offset

        def records() -> Iterator[JournalRecord]:
            nonlocal end
            for placed in _read_on(path, offset, problems):
                end = placed.end
                yield placed.record

        # Whoever had this folder before had this node's name: what is not another's by now is still its own.
        await self._apply_all(records(), self._fence())
        self._remember(Checkpoint(path.name, end))

    async def _apply_all(self, records: Iterator[JournalRecord], fence: Fence | None) -> None:
        while chunk := list(islice(records, CHUNK_RECORDS)):
            unknown = await self._restore(chunk)
            await self._apply(chunk, fence)
            # One that was deleted: no record would ever say again that it has ended, and it would be followed for good.
            for call_id in unknown:
                self._calls.pop(call_id, None)

    async def _restore(self, records: Sequence[JournalRecord]) -> Collection[str]:
        """Answers the calls of which neither the store nor these records have the beginning."""
        # A record in the middle of a call that is not in memory: an artifact that came late, or an earlier process's.
        unknown: set[str] = set()
        for call_id in {r.call_id for r in records if r.seq > 1} - self._calls.keys():
            call = await self._patiently(self._read, call_id)
            if call.record.last_seq:
                self._calls[call_id] = call
            else:
                unknown.add(call_id)
        return unknown - {r.call_id for r in records if r.seq <= 1}

    async def _apply(self, records: Sequence[JournalRecord], fence: Fence | None) -> None:
        touched: dict[str, CallRecord] = {}
        told: list[ServerMessage] = []
        for record in records:
            followed = self._calls.get(record.call_id)
            if followed is None:
                followed = self._calls[record.call_id] = _Call(record.call_id, record.org_id)
            told += self._fold(followed, record)
            touched[record.call_id] = followed.record
        projections = [
            CallProjection(c.call_id, c.org_id, c.last_seq, c.kept_document())
            for c in touched.values()
            if c.changed
        ]
        kept = [_kept(touched[r.call_id], r) for r in records]
        refused = await self._store_all(kept, projections, await self._written(told), fence)
        if refused:
            self._forget_lost(refused, records)
            for call_id in refused:
                touched.pop(call_id, None)
        for call in touched.values():
            call.changed = False
        if self._ended is not None:
            for call in touched.values():
                if call.status == "ended":
                    await self._ended(call)
        self._forget_ended()

    async def _written(self, told: Sequence[ServerMessage]) -> list[Delivery]:
        """Whole histories are written out: not in the thread in which audio is waited for."""
        if not told:
            return []
        try:
            return await asyncio.to_thread(deliveries_of, told)
        except (TypeError, ValueError, KeyError, RecursionError) as error:
            if len(told) == 1:
                self._leave_out(f"call {told[0].record.call_id}, {told[0].kind}: {type(error).__name__}")
                return []
            return [delivery for one in told for delivery in await self._written([one])]

    def _fold(self, call: _Call, record: JournalRecord) -> list[ServerMessage]:
        try:
            return call.fold(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._leave_out(
                f"call {record.call_id}, record {record.seq} ({record.kind}): {type(error).__name__}"
            )
            return []

    async def _store_all(
        self,
        records: Sequence[JournalRecord],
        projections: Sequence[CallProjection],
        deliveries: Sequence[Delivery],
        fence: Fence | None,
    ) -> Collection[str]:
        """Answers the calls that are another's."""
        try:
            return await self._patiently(self._store.apply, records, projections, deliveries, fence)
        except Exception as error:  # noqa: BLE001 - what one call brought must not stop the record of all others
            calls = {r.call_id for r in records}
            if len(calls) == 1:
                self._leave_out(
                    f"call {records[0].call_id}: {type(error).__name__} from the store", len(records)
                )
                return ()
            refused: set[str] = set()
            for call_id in sorted(calls):
                own = [r for r in records if r.call_id == call_id]
                told = [d for d in deliveries if d.call_id == call_id]
                one = [p for p in projections if p.call_id == call_id]
                refused |= set(await self._store_all(own, one, told, fence))
            return refused

    async def _patiently(self, ask: Callable[..., Awaitable[T]], *args: object) -> T:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                answer = await ask(*args)
            except StoreUnavailable as error:
                self.unavailable = str(error)
                await asyncio.sleep(wait_s)
                self._waited_s += wait_s
                wait_s = min(wait_s * 2, RETRY_MAX_S)
            else:
                self.unavailable = None
                return answer

    def _leave_out(self, problem: str, records: int = 1) -> None:
        self.problem = problem
        self.left_out += records

    def _forget_lost(self, calls: Collection[str], records: Iterable[JournalRecord]) -> None:
        """What was folded here is not what the call became."""
        self.late += sum(record.call_id in calls for record in records)
        for call_id in calls:
            self._calls.pop(call_id, None)
        self._lost(calls)

    def _forget_ended(self) -> None:
        ended = [call_id for call_id, call in self._calls.items() if call.record.status == "ended"]
        for call_id in ended[:-ENDED_KEPT]:
            del self._calls[call_id]

    def _checkpoint(self) -> Checkpoint:
        """Where to begin. One that names a file that is not there counts for nothing: numbers may have begun anew."""
        try:
            stored = json.loads((self._folder / "projected.json").read_text())
            checkpoint = Checkpoint(str(stored["file"]), max(0, int(stored["offset"])))
        except (OSError, ValueError, KeyError, TypeError):
            return Checkpoint()
        return checkpoint if (self._folder / checkpoint.file).is_file() else Checkpoint()

    def _remember(self, checkpoint: Checkpoint) -> None:
        target = self._folder / "projected.json"
        draft = target.with_suffix(".draft")
        try:
            draft.write_text(json.dumps({"file": checkpoint.file, "offset": checkpoint.offset}))
            draft.replace(target)
            # What lies before it is in the store, event by event.
            for path in self._folder.glob("*.journal"):
                if path.name < checkpoint.file:
                    path.unlink()
        except OSError:
            # Without it a restart projects again what is there already, which changes nothing.
            return


def _kept(call: CallRecord, record: JournalRecord) -> JournalRecord:
    """As it may be stored: a compliance plan may forbid to keep what was said."""
    return record if call.retention.words else replace(record, data=redacted(record.data))


def _read_on(path: Path, offset: int, problems: list[str]) -> Iterator[Placed]:
    """The file's records, past a single bad one whose end is known. Two in a row: its lengths are not to be trusted."""
    resumed = False
    while True:
        try:
            for placed in read_segment(path, offset):
                offset, resumed = placed.end, False
                yield placed
        except JournalDamaged as damage:
            problems.append(str(damage))
            if resumed or damage.next is None:
                return
            offset, resumed = damage.next, True
        except OSError as error:
            problems.append(f"{path.name}: cannot be read: {error.strerror}")
            return
        else:
            return
