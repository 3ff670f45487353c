"""How many calls a machine carries: which numbers of calls to try, and what is told of them. Refuses to measure anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST: Final = 8
MOST: Final = 2000
FINE: Final = 8
"""It is found out to an eighth of itself."""
GAP_MAX_MS: Final = 60.0
"""A frame is 20 ms: whoever hears them further apart than this may hear a hole."""
CPU_MAX: Final = 0.85
"""Of one processor, which is all that the process that runs the calls can use."""


@dataclass(frozen=True, slots=True)
class Trial:
    """So many calls at once. gap_ms: the 99th percentile of the time between two frames of a call, as heard. cpu: of a processor,
    by the process that runs the calls. failed: calls that did not come about, or broke off."""

    calls: int
    gap_ms: float
    cpu: float
    failed: int = 0

    @property
    def carried(self) -> bool:
        """Nobody notices that there are so many."""
        return not self.failed and self.gap_ms <= GAP_MAX_MS and self.cpu <= CPU_MAX


class Search:
    """`next` says how many calls to try, until it says None; then `found`."""

    def __init__(self, first: int = FIRST, most: int = MOST) -> None:
        self._most = most
        self._next: int | None = min(first, most)
        self._good = 0
        self._bad: int | None = None
        self.trials: list[Trial] = []

    @property
    def next(self) -> int | None:
        """To be tried now."""
        return self._next

    @property
    def found(self) -> int:
        """The most that were carried; 0: not even one."""
        return self._good

    def take(self, trial: Trial) -> None:
        """What came of it: twice as many while they are carried, then halfway between what was and what was not."""
        self.trials.append(trial)
        if trial.carried:
            self._good = max(self._good, trial.calls)
        elif self._bad is None or trial.calls < self._bad:
            self._bad = trial.calls
        self._next = self._after()

    def _after(self) -> int | None:
        if self._bad is None:
            return None if self._good >= self._most else min(2 * self._good, self._most)
        if self._bad - self._good <= max(1, self._good // FINE):
            return None
        return (self._good + self._bad) // 2
