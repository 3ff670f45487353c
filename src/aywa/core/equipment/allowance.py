"""How many messages that mean nothing, or are wrong, a far side may send: so many a second, and so many in all."""

from __future__ import annotations


class Allowance:
    """per_s: let pass in any second. most: so many beyond that end the stream."""

    def __init__(self, per_s: int, most: int) -> None:
        self._per_s = per_s
        self._most = most
        self._since_s = float("-inf")
        self._count = 0
        self.excess = 0

    def takes(self, now: float) -> bool:
        """One more came; whether it is let pass."""
        if now - self._since_s >= 1.0:
            self._since_s = now
            self._count = 0
        self._count += 1
        if self._count <= self._per_s:
            return True
        self.excess += 1
        return False

    @property
    def spent(self) -> bool:
        """It was too much."""
        return self.excess >= self._most
