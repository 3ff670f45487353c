"""A turn model that is told what to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class SimulatedTurnModel:
    """Answers `probability_at(second)`, delay_s later; None never answers. Seconds count from epoch_s (loop time)."""

    name = "simulated-turn-model"

    def __init__(
        self,
        probability_at: Callable[[float], float | None],
        delay_s: float = 0.02,
        epoch_s: float | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._probability_at = probability_at
        self._delay_s = delay_s
        self._epoch_s = loop.time() if epoch_s is None else epoch_s
        self.asked_s: list[float] = []

    async def score(self, pcm: bytes) -> float:
        """The probability for the moment of asking."""
        asked_s = self._loop.time() - self._epoch_s
        self.asked_s.append(asked_s)
        probability = self._probability_at(asked_s)
        if probability is None:
            await self._loop.create_future()
            raise AssertionError("it never answers")
        await asyncio.sleep(self._delay_s)
        return probability
