"""Keeps a stolen key, or a caller's idea, from placing calls that cost a fortune. Refuses to know what a call costs.

An organisation's destination must be on a list, or the organisation may place only so many calls in an hour; both may hold.
Without either nothing is placed at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aywa.core.numbers import is_listed

HOUR_S: Final = 3600.0
CALLS_PER_HOUR: Final = 60
ORGANISATIONS_MAX: Final = 10_000


class TollVerdict(StrEnum):
    """What becomes of the wish to place a call."""

    GRANTED = "granted"
    NOT_LISTED = "not_listed"
    TOO_MANY = "too_many"
    NO_RULE = "no_rule"


@dataclass(frozen=True, slots=True)
class TollRules:
    """listed: prefixes of numbers (+49) and hosts of SIP URIs (sip:pbx.example.com); empty: any. calls_per_hour: of an
    organisation, None for any number. Neither: none."""

    listed: tuple[str, ...] = ()
    calls_per_hour: int | None = CALLS_PER_HOUR


class TollGuard:
    """Counts each organisation's calls of the last hour, which slides."""

    def __init__(self, rules: TollRules) -> None:
        self.rules = rules
        self._placed: dict[str, deque[float]] = {}

    def judge(self, org_id: str, destination: str, now: float) -> TollVerdict:
        """Whether a call may be placed now. What is granted is counted."""
        rules = self.rules
        if not rules.listed and rules.calls_per_hour is None:
            return TollVerdict.NO_RULE
        if rules.listed and not is_listed(destination, rules.listed):
            return TollVerdict.NOT_LISTED
        if rules.calls_per_hour is None:
            return TollVerdict.GRANTED
        return self._counted(org_id, rules.calls_per_hour, now)

    def take_back(self, org_id: str) -> None:
        """The call that was granted last was not placed after all."""
        placed = self._placed.get(org_id)
        if placed:
            _ = placed.pop()

    def wait_s(self, org_id: str, now: float) -> float:
        """After how long the organisation's next call is granted, as far as the limit goes."""
        placed, most = self._placed.get(org_id), self.rules.calls_per_hour
        if most is None or placed is None or len(placed) < most:
            return 0.0
        return max(0.0, placed[0] + HOUR_S - now) if placed else HOUR_S

    @property
    def counted(self) -> Mapping[str, int]:
        """How many calls each organisation placed, as far as they are remembered."""
        return {org_id: len(placed) for org_id, placed in self._placed.items()}

    def _counted(self, org_id: str, most: int, now: float) -> TollVerdict:
        placed = self._placed.get(org_id)
        if placed is None:
            self._forget(now)
            placed = self._placed[org_id] = deque()
        while placed and placed[0] <= now - HOUR_S:
            _ = placed.popleft()
        if len(placed) >= most:
            return TollVerdict.TOO_MANY
        placed.append(now)
        return TollVerdict.GRANTED

    def _forget(self, now: float) -> None:
        """Those who have placed nothing for an hour. Nobody's count is dropped before that: he could start anew."""
        if len(self._placed) < ORGANISATIONS_MAX:
            return
        idle = [key for key, placed in self._placed.items() if not placed or placed[-1] <= now - HOUR_S]
        for org_id in idle:
            del self._placed[org_id]
