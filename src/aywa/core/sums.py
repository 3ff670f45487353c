"""Sums over calls (contract 14.5): what is asked, and the gathering of figures into groups and steps of time.

Figures come call by call, or as sums that a database has made of many; both end in the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

COLUMNS: Final[Mapping[str, str]] = {
    "id": "id",
    "cost": "cost",
    "costBreakdown.llm": "costBreakdown.llm",
    "costBreakdown.stt": "costBreakdown.stt",
    "costBreakdown.tts": "costBreakdown.tts",
    "costBreakdown.vapi": "costBreakdown.vapi",
    "costBreakdown.transport": "costBreakdown.transport",
    "costBreakdown.analysisBreakdown.summary": "costBreakdown.analysisCostBreakdown.summary",
    "costBreakdown.transcriber": "costBreakdown.stt",
    "costBreakdown.ttsCharacters": "costBreakdown.ttsCharacters",
    "costBreakdown.llmPromptTokens": "costBreakdown.llmPromptTokens",
    "costBreakdown.llmCompletionTokens": "costBreakdown.llmCompletionTokens",
    "costBreakdown.llmCachedPromptTokens": "costBreakdown.llmCachedPromptTokens",
    "duration": "",
    "concurrency": "concurrency",
    "minutesUsed": "",
}
"""What can be summed, and where a call's document says it; empty: the minutes from its beginning to its end."""

GROUPS: Final = ("type", "assistantId", "endedReason", "analysis.successEvaluation", "status")
OPERATIONS: Final = ("sum", "avg", "count", "min", "max", "history")
YEARS: Final[Mapping[str, int]] = {"year": 1, "decade": 10, "century": 100, "millennium": 1000}
STEPS: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", *YEARS)
DIGITS: Final = 9
"""Of a sum: what adding up in another order changes is not shown."""


@dataclass(frozen=True, slots=True)
class Sum:
    """One operation over one column."""

    operation: str
    column: str
    alias: str


@dataclass(frozen=True, slots=True)
class SumsQuery:
    """Over the calls that an organisation made from start_ms to end_ms, both included. variables: of the calls, by which they
    are grouped too. step: of time, which begins as the zone's calendar says."""

    org_id: str
    start_ms: int
    end_ms: int
    zone: tzinfo
    sums: tuple[Sum, ...]
    groups: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    step: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(each.column for each in self.sums))


@dataclass(slots=True)
class Held:
    """What is known of one column in one group. told: how many calls say anything; numbers: how many a number. totals: to be
    added up. history: (when the call was made, its id, what it says)."""

    told: int = 0
    numbers: int = 0
    totals: list[float] = field(default_factory=list)
    least: float | None = None
    most: float | None = None
    history: list[tuple[int, str, Any]] = field(default_factory=list)

    def take(self, value: Any) -> None:
        """One call's; the history is for whoever wants one."""
        self.told += value is not None
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.numbers += 1
            self.totals.append(value)
            self._bound(value, value)

    def join(self, other: Held) -> None:
        """What somebody else has gathered of other calls."""
        self.told += other.told
        self.numbers += other.numbers
        self.totals += other.totals
        self.history += other.history
        if other.least is not None and other.most is not None:
            self._bound(other.least, other.most)

    def _bound(self, least: float, most: float) -> None:
        self.least = least if self.least is None else min(self.least, least)
        self.most = most if self.most is None else max(self.most, most)


class Gathering:
    """Takes figures in any order; `rows` is the answer."""

    def __init__(self, query: SumsQuery) -> None:
        self._query = query
        self._histories = {each.column for each in query.sums if each.operation == "history"}
        # A group is told apart by what it is called; to Python True is 1.
        self._held: dict[tuple[tuple[bool, Any], ...], dict[str, Held]] = {}
        if not query.groups and not query.variables and query.step is None:
            _ = self._of(())

    def take(self, created_ms: int, call_id: str, key: Sequence[Any], values: Mapping[str, Any]) -> None:
        """One call. key: what it says of the groups, then of the variables. values: by column."""
        held = self._of(self._key(created_ms, key))
        for column, value in values.items():
            held[column].take(value)
            if column in self._histories:
                held[column].history.append((created_ms, call_id, value))

    def join(self, created_ms: int, key: Sequence[Any], held: Mapping[str, Held]) -> None:
        """A group of calls. created_ms: when one of them was made, all being of the same step."""
        own = self._of(self._key(created_ms, key))
        for column, figures in held.items():
            own[column].join(figures)

    def rows(self) -> list[dict[str, Any]]:
        """One a group, in the order of what they are called."""
        query = self._query
        names = [*(["date"] if query.step else []), *query.groups, *query.variables]
        return [
            dict(zip(names, (value for _, value in key), strict=True))
            | {each.alias: _RUN[each.operation](held[each.column]) for each in query.sums}
            for key, held in sorted(self._held.items(), key=lambda item: [str(part) for _, part in item[0]])
        ]

    def _key(self, created_ms: int, key: Sequence[Any]) -> tuple[tuple[bool, Any], ...]:
        step = self._query.step
        begun = [] if step is None else [step_begun(created_ms, step, self._query.zone)]
        return tuple((isinstance(value, bool), _plain(value)) for value in (*begun, *key))

    def _of(self, key: tuple[tuple[bool, Any], ...]) -> dict[str, Held]:
        return self._held.setdefault(key, {column: Held() for column in self._query.columns})


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else None if value is None else str(value)


def _average(held: Held) -> float:
    return round(math.fsum(held.totals) / held.numbers, DIGITS) if held.numbers else 0


def _history(held: Held) -> list[Any]:
    return [value for _, _, value in sorted(held.history, key=lambda entry: entry[:2])]


_RUN: Final[Mapping[str, Callable[[Held], Any]]] = {
    "sum": lambda held: round(math.fsum(held.totals), DIGITS),
    "avg": _average,
    "count": lambda held: held.told,
    "min": lambda held: held.least or 0,
    "max": lambda held: held.most or 0,
    "history": _history,
}


def step_begun(at_ms: int, step: str, zone: tzinfo) -> str:
    """Where the step begins that this moment is in."""
    moment = datetime.fromtimestamp(at_ms / 1000, zone).replace(microsecond=0)
    if step == "second":
        return moment.isoformat()
    moment = moment.replace(second=0)
    if step == "minute":
        return moment.isoformat()
    moment = moment.replace(minute=0)
    if step == "hour":
        return moment.isoformat()
    day = moment.replace(hour=0)
    if step == "week":
        day -= timedelta(days=day.weekday())
    elif step == "month":
        day = day.replace(day=1)
    elif step == "quarter":
        day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    elif step != "day":
        day = day.replace(year=max(1, day.year // YEARS[step] * YEARS[step]), month=1, day=1)
    return day.isoformat()


def minutes_between(began: Any, ended: Any) -> float | None:
    """Of two dates as the contract writes them; None where one is none."""
    from_ms, to_ms = _milliseconds(began), _milliseconds(ended)
    return None if from_ms is None or to_ms is None else max(0.0, (to_ms - from_ms) / 60_000)


def moment_ms(date: Any) -> int | None:
    """Unix milliseconds of a date as the contract writes it; None of anything else."""
    ms = _milliseconds(date)
    return None if ms is None else round(ms)


def _milliseconds(date: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(date)
        # Without an offset it is UTC.
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000
    except (ValueError, TypeError, OverflowError):
        return None
