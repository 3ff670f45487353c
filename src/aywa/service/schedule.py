"""Begins the calls that wait, for their time or for room, in the order in which they were due; refuses to know how one begins."""

from __future__ import annotations

import asyncio

import structlog

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import CallDocuments, Document
from aywa.service.calls import Calls
from aywa.service.clock import Clock, now_ms

_log = structlog.get_logger("aywa.service.schedule")

AT_ONCE = 20
"""How many are begun before the store is asked again."""

LOOK_S = 5.0
"""How long it rests at most: another process may have written a call."""


class Schedule:
    """`run` as a task; `wake` when a call was scheduled, `room` when one has ended."""

    def __init__(self, documents: CallDocuments, calls: Calls, clock: Clock = now_ms) -> None:
        self._documents = documents
        self._calls = calls
        self._clock = clock
        self._woken = asyncio.Event()
        self._no_room = False

    def wake(self) -> None:
        """A call may be due sooner than was thought."""
        self._woken.set()

    def room(self) -> None:
        """A call has ended: one that waits for room may begin."""
        if self._no_room:
            self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            try:
                rest_s = await self.begin_due()
            except StoreUnavailable:
                rest_s = LOOK_S
            try:
                await asyncio.wait_for(self._woken.wait(), rest_s)
            except TimeoutError:
                pass

    async def begin_due(self) -> float:
        """Begins all that are due; answers in how many seconds to look again. Raises StoreUnavailable."""
        # Room that comes while it looks is not missed.
        self._no_room = True
        while documents := await self._documents.due(self._clock(), AT_ONCE):
            for document in documents:
                if not await self._begin(document):
                    return LOOK_S
        self._no_room = False
        due_ms = await self._documents.next_due_ms()
        return LOOK_S if due_ms is None else min(LOOK_S, max(0.0, (due_ms - self._clock()) / 1000))

    async def _begin(self, document: Document) -> bool:
        """False: there is no room for it now, nor for those behind it."""
        try:
            return await self._calls.begin_due(document)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - one broken call must not keep the others waiting
            _log.exception("scheduled_call_failed", call_id=document.id)
            await self._calls.abandon(document)
            return True
