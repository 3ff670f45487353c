"""The end of a runtime that others go on without: no new calls, and those that run go on, for so long at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from aywa.service.clock import Clock, iso, now_ms

_log = structlog.get_logger("aywa.boot.draining")


class Drained(Protocol):
    """What takes calls."""

    def drain(self) -> None:
        """Takes no more; those that run go on."""

    async def idle(self) -> None:
        """Returns when none runs any more."""


class Draining:
    """`run` once. before: what is to be stopped first. parts: what takes calls; the first of them knows how many there are."""

    def __init__(
        self,
        parts: Callable[[], list[Drained]],
        calls: Callable[[], int],
        before: Callable[[], object] = lambda: None,
        clock: Clock = now_ms,
    ) -> None:
        self._parts = parts
        self._calls = calls
        self._before = before
        self._clock = clock
        self.since_ms: int | None = None

    async def run(self, within_s: float) -> int:
        """Returns when nobody is on a call any more, or when the time is over: how many there still are."""
        if self.since_ms is None:
            self.since_ms = self._clock()
            self._before()
        parts = self._parts()
        for part in parts:
            part.drain()
        _log.info("draining", calls=self._calls(), within_s=within_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for part in parts:
                    await part.idle()
        left = self._calls()
        if left:
            _log.warning("drained_too_late", calls=left, within_s=within_s)
        return left

    async def check(self) -> str | None:
        """For /readyz: nobody is to be sent here any more."""
        if self.since_ms is None:
            return None
        return f"draining since {iso(self.since_ms)}: {self._calls()} calls run on, new ones are refused"
