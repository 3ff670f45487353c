"""Says when this process has no time left for another call, from the processor time it takes. Knows nothing of calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PERIOD_S = 1.0
# It opens again this much below where it closed, so that it does not flutter.
SLACK = 0.1


class Gate:
    """closes(True) when the process took more than `most` of a processor over the last two periods, closes(False) when it
    takes clearly less again. cpu_s: processor time of the process so far."""

    def __init__(
        self, most: float, closes: Callable[[bool], None], cpu_s: Callable[[], float] = time.process_time
    ) -> None:
        self._most = most
        self._closes = closes
        self._cpu_s = cpu_s
        self._timer: asyncio.TimerHandle | None = None
        self._before = (0.0, 0.0)
        self._share = 0.0
        self.closed = False

    def start(self) -> None:
        """Begins to look."""
        loop = asyncio.get_running_loop()
        self._before = (loop.time(), self._cpu_s())
        self._timer = loop.call_later(PERIOD_S, self._look)

    def stop(self) -> None:
        """Looks no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now_s, cpu_s = loop.time(), self._cpu_s()
        share = (cpu_s - self._before[1]) / max(now_s - self._before[0], 1e-6)
        self._before = (now_s, cpu_s)
        # One busy second may be a collection, or a burst; two are load.
        self._share, before = share, self._share
        if not self.closed and min(share, before) > self._most:
            self.closed = True
            self._closes(True)
        elif self.closed and max(share, before) < self._most - SLACK:
            self.closed = False
            self._closes(False)
        self._timer = loop.call_later(PERIOD_S, self._look)
