"""Figures of many calls: who sums them up, who keeps them apart from the store, and what the store knows of what that one has not
been told. Protocols and plain records, no behaviour."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aywa.core.sums import SumsQuery
from aywa.core.tally import Record, Tally
from aywa.ports.journal import StoreUnavailable


class AnalyticsUnavailable(StoreUnavailable):
    """They cannot be reached, asked or written right now. The text says why and, where somebody must act, what mends it."""


class AnalyticsRefused(Exception):
    """What was to be written can never be: it is not what the tables hold."""


class CallSums(Protocol):
    """Answers /analytics."""

    async def sums(self, query: SumsQuery) -> Sequence[dict[str, Any]]:
        """A row a group, in the order of what they are called. Raises StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """All organisations' calls from start_ms up to end_ms, in steps."""

    start_ms: int
    end_ms: int
    step_s: int


@dataclass(frozen=True, slots=True)
class ProviderStep:
    """How one provider fared in a step. kind: llm, tts, stt or tool. first_*: until its first text or sound, of those that gave
    one."""

    kind: str
    provider: str
    requests: int
    failures: int
    first_p50_ms: float | None
    first_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """The calls that were made in a step of time. ended: how many, by reason. wire_*: of their turns."""

    start_ms: int
    calls: int = 0
    ended: Mapping[str, int] | None = None
    minutes: float = 0.0
    dollars: float = 0.0
    turns: int = 0
    wire_p50_ms: float | None = None
    wire_p95_ms: float | None = None
    providers: tuple[ProviderStep, ...] = ()


class AnalyticsStore(CallSums, Protocol):
    """Keeps tallies. Every method may raise AnalyticsUnavailable."""

    async def write(self, tallies: Sequence[Tally]) -> None:
        """All of them, or whoever calls writes them again: what is there already, or newer, stays. Raises AnalyticsRefused."""

    async def history(self, query: HistoryQuery) -> Sequence[HistoryStep]:
        """Every step of it, also those without a call."""

    async def versions(self, call_ids: Collection[str]) -> Mapping[str, int]:
        """What is known of these calls, also of deleted ones: the version of each."""

    async def check(self) -> None:
        """Returns when it answers and its tables are there."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Notched:
    """A call that changed since it was told. document: None when it was deleted."""

    call_id: str
    org_id: str
    created_ms: int
    version: int
    document: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many calls changed since they were told, and when the first of them did."""

    calls: int
    since_ms: int | None


class Notches(Protocol):
    """Counts each call's changes, in the same transactions, and up to which of them it was told. Every method may raise
    StoreUnavailable."""

    async def claim(self, now_ms: int, until_ms: int, limit: int) -> Sequence[Notched]:
        """The longest waiting of those that nobody has claimed; they are the caller's until then."""

    async def settle(self, told: Sequence[Notched]) -> None:
        """They were told as they were claimed; what changed since is to be told anew."""

    async def release(self, claimed: Sequence[Notched]) -> None:
        """They were not told; somebody else may claim them."""

    async def records(self, call_id: str, kinds: Collection[str]) -> Sequence[Record]:
        """The call's, of these kinds, in their order."""

    async def backlog(self) -> Backlog: ...

    async def again(self) -> int:
        """All calls are to be told anew; answers how many."""

    async def page(self, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Calls and their versions in the order of their ids, after this one; also deleted ones."""
