"""Wakes one who waits for news. asyncio's Event asks at each wait which loop runs, and that asks the kernel for our process."""

from __future__ import annotations

import asyncio


class Bell:
    """Of one loop, the one that runs when it is made, and for one who waits at a time."""

    __slots__ = ("_loop", "_rung", "_waiter")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._rung = False

    def ring(self) -> None:
        """Whoever waits goes on, and who waits next does not wait."""
        self._rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Until it rings, or has rung since the last wait. Raises RuntimeError when somebody waits already."""
        if self._waiter is not None:
            raise RuntimeError("somebody waits for this bell already")
        if not self._rung:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._rung = False
