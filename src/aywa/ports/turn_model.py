"""The acoustic end-of-turn model: does this audio sound finished?"""

from __future__ import annotations

from typing import Protocol


class TurnModel(Protocol):
    """A route to a turn model."""

    name: str

    async def score(self, pcm: bytes) -> float:
        """Takes the turn's last 8 s at most, PCM16 LE mono 16 kHz; answers the probability that it is complete.

        Raises ProviderError, with code `shed` when the model is too busy to answer in time.
        """
