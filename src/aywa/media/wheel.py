"""The process's one timer wheel: callbacks by slot, one loop timer for the next slot that holds any.

A callback never runs before its time and at most one slot after it (and the loop's own lateness). While nothing is
due the wheel stands still. Refuses to be awaited: these are callbacks, not tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil

log = logging.getLogger(__name__)

# Loops with a clock in milliseconds fire a timer up to half of one early.
EARLY_S = 0.0006


class Timer:
    """A callback that waits for its slot, until cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """The callback will not run. After it has run this does nothing."""
        self.callback = None


class Wheel:
    """Slots of slot_s seconds on the loop's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slot_s: float) -> None:
        self._loop = loop
        self._slot_s = slot_s
        self._slots: dict[int, list[Timer]] = {}
        self._order: list[int] = []
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = 0

    def at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Runs the callback at the first slot that is not before when_s (loop time); never inside this call."""
        slot = ceil((when_s - EARLY_S) / self._slot_s)
        timer = Timer(callback)
        waiting = self._slots.get(slot)
        if waiting is not None:
            waiting.append(timer)
            return timer
        self._slots[slot] = [timer]
        heappush(self._order, slot)
        if self._handle is None or slot < self._armed_for:
            self._arm()
        return timer

    def close(self) -> None:
        """Forgets every timer."""
        self._slots.clear()
        self._order.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = self._order[0]
        self._handle = self._loop.call_at(self._armed_for * self._slot_s, self._tick)

    def _tick(self) -> None:
        self._handle = None
        now = self._loop.time() + EARLY_S
        due: list[Timer] = []
        while self._order and self._order[0] * self._slot_s <= now:
            due += self._slots.pop(heappop(self._order))
        for timer in due:
            self._run(timer)
        # A callback may have armed it already.
        if self._order and self._handle is None:
            self._arm()

    def _run(self, timer: Timer) -> None:
        callback, timer.callback = timer.callback, None
        if callback is None:
            return
        try:
            callback()
        except Exception:
            log.exception("a timer's callback failed")
