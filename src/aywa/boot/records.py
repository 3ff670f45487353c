"""What is put on record: the journal of this process's calls, what projects it into the store, and this runtime's place among
those that share the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack

import structlog

from aywa.boot.artifacts import Artifacts
from aywa.boot.deliveries import WakingStore
from aywa.boot.host import Host
from aywa.boot.node import Node, name_in, open_leases
from aywa.boot.orphans import WORKER_DIED, Begun, Orphans
from aywa.boot.settings import RuntimeSettings
from aywa.boot.shipping import Shipping
from aywa.boot.tasks import stopped
from aywa.core.leases import LeaseTimes
from aywa.core.record import CallRecord
from aywa.journal.projector import Projector
from aywa.journal.writer import JournalWriter
from aywa.ports.journal import Journal, StoreUnavailable
from aywa.ports.leases import OwnedCall
from aywa.ports.store import Store

_log = structlog.get_logger("aywa.boot.records")


class Records:
    """`open` once; then `journal` takes what calls put on record. `take_up` before the first call. host: who runs the calls, set
    when there is one.

    wake: is told that there may be something to deliver. tap: what is put before the journal, to count what goes by.
    """

    host: Host | None = None
    node: Node
    projector: Projector
    writer: JournalWriter
    journal: Journal

    def __init__(
        self,
        settings: RuntimeSettings,
        store: Store,
        artifacts: Artifacts,
        shipping: Shipping | None,
        wake: Callable[[], None],
        tap: Callable[[Journal], Journal],
    ) -> None:
        self._settings = settings
        self._store = store
        self._artifacts = artifacts
        self._shipping = shipping
        self._wake = wake
        self._tap = tap
        self._orphans: asyncio.Future[Orphans] = asyncio.get_running_loop().create_future()

    async def open(self, parts: AsyncExitStack) -> list[str]:
        """What earlier processes left is in the store when it returns. Answers what was damaged of it, for a person."""
        folder = self._settings.journal
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = WakingStore(self._store, self._wake)
        await self._join(parts)
        self.projector = Projector(told, folder, self._write_texts, lambda: self.node.fence, self._end_lost)
        problems = await self.projector.recover()
        self.writer = JournalWriter(folder, self.projector.take)
        self.journal = self._tap(self.writer)
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(self.writer.run(), name="journal"),
            loop.create_task(self.projector.run(), name="projector"),
        ]
        parts.push_async_callback(self._close, tasks)
        return list(problems)

    async def take_up(self, begun: Begun) -> None:
        """Ends what calls an earlier process of this node left. begun: what is known of one that has no record. Raises
        StoreUnavailable."""
        self._orphans.set_result(Orphans(self._store, self.projector, self.journal, begun))
        await self.node.take_own()

    async def store_ready(self) -> str | None:
        """For /readyz."""
        try:
            await self._store.check()
        except StoreUnavailable as error:
            return str(error)
        projector = self.projector
        if projector.unavailable is not None or projector.problem is None:
            return projector.unavailable
        return f"{projector.left_out} records could not be stored, the last: {projector.problem}"

    async def journal_ready(self) -> str | None:
        """For /readyz."""
        journal = self.writer
        if journal.refused is None:
            return None
        return (
            f"the journal cannot be written: {journal.refused} ({journal.lost_records} records lost so far)"
        )

    async def _join(self, parts: AsyncExitStack) -> None:
        """One of those that share the database, from now on."""
        settings = self._settings
        self.node = Node(
            name_in(settings.data),
            self._store.leases,
            open_leases(settings.node.redis_url),
            LeaseTimes(settings.node.dead_s),
            self._end_taken,
            self._end_lost,
            self._active,
        )
        parts.push_async_callback(self.node.close)
        await self.node.join()
        beating = asyncio.get_running_loop().create_task(self.node.run(), name="node")
        parts.push_async_callback(stopped, beating)

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        await self.writer.close()
        try:
            await asyncio.wait_for(self.projector.drained(), self._settings.drain_s)
        except TimeoutError:
            # Calls may be left that have not ended on record: silence will tell the others.
            self.node.leaves = False
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _active(self) -> Collection[str]:
        return () if self.host is None else self.host.active()

    async def _end_taken(self, calls: Sequence[OwnedCall], owner: str) -> None:
        # Another's may be taken while this runtime still starts.
        orphans = await asyncio.shield(self._orphans)
        if owner == self.node.name:
            await orphans.end(calls)
        else:
            await orphans.end_patiently(calls, owner)

    def _end_lost(self, calls: Collection[str]) -> None:
        """They are another node's by now, which has ended them on record: nothing that they still say counts."""
        if self.host is None:
            return
        for call_id in frozenset(calls) & frozenset(self.host.active()):
            _log.warning("call_lost", call_id=call_id)
            self.host.end(call_id, WORKER_DIED, "another runtime has taken the call over")

    async def _write_texts(self, record: CallRecord) -> None:
        try:
            events = await self._store.events(None, record.call_id)
            # A call that was deleted leaves no events, and must leave no files.
            if events and record.retention.words:
                await asyncio.to_thread(self._artifacts.write_texts, events, record)
            if events and record.closed and self._shipping is not None:
                await self._shipping.closed(record)
        except (OSError, StoreUnavailable) as error:
            _log.warning("call_texts_not_written", call_id=record.call_id, error=type(error).__name__)
