"""The local turn model behind the port: shed when the child is busy, so that it never holds up recognition."""

from __future__ import annotations

import asyncio

from aywa.adapters.local.process import ChildProcess
from aywa.ports.errors import Fault, ProviderError

_MOST_WAITING = 4
_IN_TIME_S = 0.25
_BYTES = 8 * 16000 * 2


class LocalTurnModel:
    """A route to the child's turn model."""

    name = "local-smart-turn"

    def __init__(self, child: ChildProcess) -> None:
        self._child = child
        self._waiting = 0

    async def score(self, pcm: bytes) -> float:
        """Takes the turn's last 8 s at most, PCM16 LE mono 16 kHz; answers the probability that it is complete.

        Raises ProviderError, with code `shed` when four wait already or the answer takes more than 250 ms.
        """
        if self._waiting >= _MOST_WAITING:
            raise self._shed(f"{self._waiting} scores wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(_IN_TIME_S):
                answer = await self._child.ask("turn", "turn", pcm=pcm[-_BYTES:])
        except TimeoutError:
            raise self._shed(f"no answer within {1000 * _IN_TIME_S:.0f} ms") from None
        finally:
            self._waiting -= 1
        return float(answer["score"])

    def _shed(self, why: str) -> ProviderError:
        return ProviderError(self.name, "shed", why, fault=Fault.RUNTIME, retryable=True)
