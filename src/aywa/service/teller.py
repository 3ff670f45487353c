"""The teller: brings the tallies of calls that changed to analytics, in batches, and keeps at it while they are away.

The store counts the changes (ports.analytics.Notches), so nothing waits in memory, a call that changed a hundred times during an
outage is told once, and whoever dies in the middle is followed by somebody who tells it again. What is told twice is there once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import structlog

from aywa.core.tally import KINDS, Record, Tally, call_figures, costs, fold
from aywa.ports.analytics import (
    AnalyticsRefused,
    AnalyticsStore,
    AnalyticsUnavailable,
    Backlog,
    Notched,
    Notches,
)
from aywa.ports.journal import StoreUnavailable
from aywa.service.clock import Clock, now_ms

BATCH_CALLS: Final = 100
"""Calls in one batch; more of them are told at once, one batch after the other."""
REST_S: Final = 5.0
"""Between batches: what changes meanwhile goes together."""
LEASE_MS: Final = 120_000
"""So long is a batch its teller's; after it another may think him dead."""
RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 60.0

_log = structlog.get_logger("aywa.analytics")


@dataclass(slots=True)
class Told:
    """What a teller has done. problem: why it cannot go on now, and since_ms when that began. left_out: calls whose rows are not
    what the tables hold, and the last of them."""

    calls: int = 0
    rows: int = 0
    batches: int = 0
    problem: str | None = None
    since_ms: int | None = None
    left_out: int = 0
    last_left_out: str = ""


class Teller:
    """`run` as a task; `told` says how it fares."""

    def __init__(
        self,
        notches: Notches,
        analytics: AnalyticsStore,
        clock: Clock = now_ms,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._notches = notches
        self._analytics = analytics
        self._clock = clock
        self._sleep = sleep
        self.told = Told()

    async def run(self) -> None:
        """Until cancelled."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                if self.told.problem is not None:
                    # Nothing is made ready for somebody who is not there.
                    await self._analytics.check()
                more = await self.tell()
            except StoreUnavailable as error:
                self._trouble(str(error))
                await self._sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
                continue
            self._well()
            wait_s = RETRY_FIRST_S
            if not more:
                await self._sleep(REST_S)

    async def tell(self) -> bool:
        """One batch; whether there may be more to tell. Raises StoreUnavailable, AnalyticsUnavailable."""
        now = self._clock()
        claimed = await self._notches.claim(now, now + LEASE_MS, BATCH_CALLS)
        if not claimed:
            return False
        try:
            await self._write(claimed, [await self._tally(each) for each in claimed])
            await self._notches.settle(claimed)
        except BaseException as error:
            # Somebody else, or we ourselves in a moment; and if not even this can be written, when the lease is over.
            if not isinstance(error, StoreUnavailable) or isinstance(error, AnalyticsUnavailable):
                await self._let_go(claimed)
            raise
        self.told.calls += len(claimed)
        self.told.batches += 1
        return len(claimed) == BATCH_CALLS

    async def backlog(self) -> Backlog:
        """What is still to be told. Raises StoreUnavailable."""
        return await self._notches.backlog()

    async def _tally(self, notched: Notched) -> Tally:
        records: Sequence[Record] = ()
        if notched.document is not None and b'"ended"' in notched.document.encode():
            records = await self._notches.records(notched.call_id, KINDS)
        return await asyncio.to_thread(tally_of, notched, records)

    async def _write(self, claimed: Sequence[Notched], tallies: Sequence[Tally]) -> None:
        try:
            await self._analytics.write(tallies)
        except AnalyticsRefused as error:
            if len(tallies) > 1:
                # One call's figures must not keep the others from being told.
                for notched, tally in zip(claimed, tallies, strict=True):
                    await self._write([notched], [tally])
                return
            self.told.left_out += 1
            self.told.last_left_out = claimed[0].call_id
            _log.warning("tally_refused", call_id=claimed[0].call_id, error=str(error))
            return
        self.told.rows += sum(1 + len(t.turns) + len(t.timings) + len(t.costs) for t in tallies)

    async def _let_go(self, claimed: Sequence[Notched]) -> None:
        try:
            await asyncio.shield(self._notches.release(claimed))
        except StoreUnavailable:
            return

    def _trouble(self, problem: str) -> None:
        if self.told.problem is None:
            self.told.since_ms = self._clock()
            _log.warning("analytics_unavailable", problem=problem)
        self.told.problem = problem

    def _well(self) -> None:
        if self.told.problem is not None:
            _log.info("analytics_available")
        self.told.problem = self.told.since_ms = None


def tally_of(notched: Notched, records: Sequence[Record]) -> Tally:
    """A call's tally. records: of the kinds that it needs, once the call is over."""
    key = (notched.org_id, notched.call_id, notched.created_ms, notched.version)
    if notched.document is None:
        return Tally(*key)
    document = orjson.loads(notched.document)
    call = call_figures(document)
    if call.status != "ended":
        return Tally(*key, call)
    return Tally(*key, call, *fold(records, notched.created_ms), costs(document))
