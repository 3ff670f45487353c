"""A day of calls in an hour: a loop on a clock that passes quickly while nothing is to be done, and stands while something is.

Unlike aywa.testing.virtual_time it leaves threads and sockets their time: whatever waits for them waits for real, and the clock
passes `speed` times as fast meanwhile. Under load it passes as fast as the work is done, so that nothing is ever late.
`install` puts the process's clocks on it too: a store's dates, a courier's retries and a session's seconds stay in step.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable

SPEED = 50.0
CREDIT_S = 0.005
"""So much real time may be owed to the clock: short waits are paid together, for the kernel waits a millisecond at least."""

_real_monotonic: Callable[[], float] = time.monotonic
_real_time: Callable[[], float] = time.time


class CompressedLoop(asyncio.SelectorEventLoop):
    """asyncio on that clock, which begins at the system's own."""

    # Declared by BaseEventLoop, where typing does not show it: a heap with the next timer first.
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, speed: float = SPEED) -> None:
        self.speed = speed
        self._began_s = self._now_s = _real_monotonic()
        super().__init__(_PassingSelector(self))

    def time(self) -> float:
        return self._now_s

    @property
    def passed_s(self) -> float:
        """Since it began, on its own clock."""
        return self._now_s - self._began_s

    def pass_on(self, seconds: float) -> bool:
        """So much of the clock may pass; answers whether the next timer is due."""
        due_s = self._scheduled[0].when()
        self._now_s = min(max(self._now_s, due_s), self._now_s + seconds)
        return self._now_s >= due_s

    def until_due_s(self) -> float:
        """On its clock, to the next timer."""
        return max(0.0, self._scheduled[0].when() - self._now_s)

    def install(self) -> None:
        """Puts this process's clocks on it. Whoever has taken one of them by its name before keeps the old one."""
        wall_s = _real_time() - self._began_s
        time.monotonic = self.time
        time.time = lambda: wall_s + self._now_s
        time.time_ns = lambda: int((wall_s + self._now_s) * 1e9)


class _PassingSelector(selectors.DefaultSelector):
    """Looks; what it waits passes on the loop's clock."""

    def __init__(self, loop: CompressedLoop) -> None:
        super().__init__()
        self._loop = loop
        self._paid_s = _real_monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            # No timer is set: a thread or a socket is all that can go on.
            return super().select(None)
        if ready := super().select(0):
            return ready
        if timeout <= 0:
            return []
        loop = self._loop
        needed_s = loop.until_due_s() / loop.speed
        # What passed while there was work was not counted: it is time that threads have had.
        owned_s = min(CREDIT_S, _real_monotonic() - self._paid_s)
        if needed_s > owned_s:
            before_s = _real_monotonic()
            ready = super().select(needed_s - owned_s)
            owned_s += _real_monotonic() - before_s
        if ready:
            _ = loop.pass_on(owned_s * loop.speed)
            self._paid_s = _real_monotonic()
        else:
            _ = loop.pass_on(needed_s * loop.speed + 1e-9)
            self._paid_s = max(self._paid_s, _real_monotonic() - CREDIT_S) + min(needed_s, owned_s)
        return ready
