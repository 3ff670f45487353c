"""Ends calls whose process is gone, in their record: whoever owns them now writes their last lines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from aywa.boot.engine_version import engine_version
from aywa.core.events import CallStarted
from aywa.journal.projector import Projector
from aywa.ports.journal import Journal, StoreUnavailable
from aywa.ports.leases import OwnedCall
from aywa.ports.store import Store

_log = structlog.get_logger("aywa.boot.orphans")

WORKER_DIED: Final = "call.in-progress.error-vapifault-worker-died"
RETRY_S: Final = 1.0

Begun = Callable[[str, str], Awaitable[Mapping[str, Any] | None]]
"""What an organisation's call began with, as CallStarted says it; None: there is no such call. May raise StoreUnavailable."""


class Orphans:
    """`end` for calls that an earlier process of this node left; `end_patiently` for another node's."""

    def __init__(self, store: Store, projector: Projector, journal: Journal, begun: Begun) -> None:
        self._store = store
        self._projector = projector
        self._journal = journal
        self._begun = begun

    async def end(self, calls: Sequence[OwnedCall]) -> None:
        """Raises StoreUnavailable."""
        for call in calls:
            await self._end(call, "the runtime's process ended during the call")

    async def end_patiently(self, calls: Sequence[OwnedCall], owner: str) -> None:
        """Waits for the store where it must."""
        for call in calls:
            while True:
                try:
                    await self._end(
                        call, f"the runtime that had the call ({owner}) was not heard of any more"
                    )
                except StoreUnavailable:
                    await asyncio.sleep(RETRY_S)
                else:
                    _log.info("orphan_ended", call_id=call.call_id, owner=owner)
                    break

    async def _end(self, call: OwnedCall, message: str) -> None:
        call_id, org_id = call.call_id, call.org_id
        record = await self._projector.call(call_id)
        events = await self._store.events(None, call_id)
        if not record.last_seq:
            await self._begin(call_id, org_id)
            record.last_seq = 1
        at_s = events[-1].at_s if events else 0.0
        end = {"reason": WORKER_DIED, "message": message}
        seq = record.last_seq + 1
        self._journal.append(call_id, org_id, seq, at_s, "command", "EndCall", end)
        self._journal.append(call_id, org_id, seq + 1, at_s, "note", "CallClosed", {})

    async def _begin(self, call_id: str, org_id: str) -> None:
        """None of it was on record yet: without a beginning its end would have no time, and nobody whom it is told."""
        begun = await self._begun(org_id, call_id) or {}
        began = CallStarted(
            call_id,
            org_id,
            begun.get("epoch_ms", 0),
            begun.get("assistant", {}),
            engine_version=engine_version(),
            call=begun.get("call", {}),
            webhooks=begun.get("webhooks", {}),
        )
        self._journal.append(call_id, org_id, 1, 0.0, "event", "CallStarted", began)
