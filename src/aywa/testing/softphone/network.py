"""What a bad network does to datagrams between the softphone and its far side, both ways: loses, holds up, doubles, and so lets
them overtake each other. The same seed does the same. Refuses to look into them, and touches no stream.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Impairment:
    """Shares of datagrams that are lost, and that come twice. jitter_s: up to so much more than delay_s each takes, by chance and
    on its own: later ones overtake it."""

    loss: float = 0.0
    jitter_s: float = 0.0
    duplicates: float = 0.0
    delay_s: float = 0.0
    seed: int = 0


class Network:
    """One way; `carry` each datagram's delivery. Counts what it did."""

    def __init__(self, impairment: Impairment, way: str = "") -> None:
        self._impairment = impairment
        self._chance = random.Random(f"{impairment.seed} {way}")
        self.lost = self.doubled = self.carried = 0
        self._under_way: set[asyncio.TimerHandle] = set()

    def carry(self, deliver: Callable[[], None]) -> None:
        """Now, later, twice, or never."""
        impairment, chance = self._impairment, self._chance
        self.carried += 1
        # Drawn whether or not they are used: one share does not change what happens by another.
        lost, doubled = chance.random() < impairment.loss, chance.random() < impairment.duplicates
        delays_s = [impairment.delay_s + impairment.jitter_s * chance.random() for _ in range(2)]
        self.lost += lost
        self.doubled += doubled and not lost
        for delay_s in [] if lost else delays_s[: 1 + doubled]:
            self._later(delay_s, deliver)

    def close(self) -> None:
        """What is under way does not arrive."""
        for handle in self._under_way:
            handle.cancel()
        self._under_way.clear()

    def _later(self, delay_s: float, deliver: Callable[[], None]) -> None:
        if delay_s <= 0:
            deliver()
            return

        def arrive() -> None:
            self._under_way.discard(handle)
            deliver()

        handle = asyncio.get_running_loop().call_later(delay_s, arrive)
        self._under_way.add(handle)
