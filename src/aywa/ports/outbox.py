"""Where messages wait until their servers have them, and what carries them there. Protocols and plain records.

A delivery is claimed with a lease and a token that grows with each claim: who comes back after another has claimed it changes
nothing any more. **The attempt's row is written by the claim, before the request leaves.** Times are Unix milliseconds of the
caller's clock. Every method of Outbox may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aywa.core.webhooks import Cause, Delivery, Endpoint, Outcome, Progress, State
from aywa.ports.store import Span

EXCERPT_BYTES = 4096
"""So much of an answer is kept."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request brought. headers: of the answer; request_headers: as they went out; both without secrets, like the
    excerpt. Times in milliseconds, each of its part alone, None when it did not come to it."""

    outcome: Outcome
    request_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    excerpt: str = field(default="", repr=False)
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None


class DeliverySender(Protocol):
    """Carries one request."""

    async def send(self, endpoint: Endpoint, headers: Mapping[str, str], body: str) -> Sent:
        """A POST; an answer's body is read as far as it is kept. Never raises but when it is cancelled."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is somebody's until lease_ms. attempt: its number, from 1. disabled: its endpoint wants nothing.
    replayed: somebody wished for it by hand, which goes before that."""

    delivery: Delivery
    progress: Progress
    attempt: int
    token: int
    lease_ms: int
    disabled: bool = False
    replayed: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """Who is to be asked now."""
        return self.delivery.levels[min(self.progress.level, len(self.delivery.levels) - 1)]


@dataclass(frozen=True, slots=True)
class Finished:
    """A claimed delivery's attempt, and what becomes of the delivery. due_ms: of the next attempt, None without one."""

    claimed: Claimed
    sent: Sent
    ended_ms: int
    state: State
    progress: Progress
    due_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimQuery:
    """Whose lease, how long, how many. busy: servers' keys (org id, a space, `endpoint_key`) that are to get none, or only so
    many; all others get `each` at most."""

    owner: str
    now_ms: int
    lease_ms: int
    limit: int
    each: int
    busy: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries, newest first. ids: only these."""

    limit: int = 100
    created: Span = field(default_factory=Span)
    states: tuple[State, ...] = ()
    kind: str | None = None
    call_id: str | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt as it is kept. cause: SENDING while it is under way. next_ms: when the next one is due."""

    delivery_id: str
    number: int
    url: str
    level: int
    started_ms: int
    cause: Cause
    ended_ms: int | None = None
    status: int | None = None
    next_ms: int | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    excerpt: str = field(default="", repr=False)
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery as it is kept. attempts: how many there were; replays: how often it was begun anew by hand.
    problem: why the last attempt failed."""

    delivery: Delivery
    state: State
    progress: Progress
    attempts: int
    replays: int
    due_ms: int
    updated_ms: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DisabledEndpoint:
    """A server that answered 410."""

    endpoint: str
    disabled_ms: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """All organisations' deliveries that are not over. due_ms: when the first of those that wait was due, None when none wait."""

    deliveries: int
    due_ms: int | None = None


class Outbox(Protocol):
    """The jobs that were written down before anything was sent."""

    async def enqueue(self, deliveries: Sequence[Delivery], now_ms: int) -> None:
        """In a transaction of its own. One that is there already changes nothing; but as long as it has no attempt, its body,
        its endpoints and its time are replaced."""

    async def claim(self, query: ClaimQuery) -> Sequence[Claimed]:
        """Deliveries that are due, and whose call has no earlier one under way (or has had for ORDER_BOUND_S); with their
        attempts' rows, which are on the disk when this returns."""

    async def finish(self, finished: Sequence[Finished], now_ms: int) -> Sequence[str]:
        """Writes the attempts' rows to their end, and the deliveries' whose token is still theirs; answers their ids."""

    async def renew(self, owner: str, held: Mapping[str, int], lease_ms: int) -> None:
        """Lengthens the leases of these deliveries (id to token)."""

    async def expired(self, now_ms: int, limit: int) -> Sequence[Claimed]:
        """Deliveries whose lease has run out: their attempts are orphaned."""

    async def moved(self, by_ms: int, now_ms: int) -> None:
        """The clock was set back by so many milliseconds: what waits for a time that is far off now waits no longer for it."""

    async def newest_ms(self) -> int | None:
        """When anything last happened to a delivery that is still to be made, by the clock of then."""

    async def pass_on(self, endpoints: Collection[str], now_ms: int) -> int:
        """Deliveries that are due at these servers and have a next one go there; answers how many. endpoints: as in `busy`."""

    async def disable(self, org_id: str, endpoint: str, now_ms: int) -> None:
        """Nothing is sent there any more. endpoint: by `endpoint_key`."""

    async def enable(self, org_id: str, endpoint: str) -> bool:
        """As before; False when it was not disabled."""

    async def disabled(self, org_id: str) -> Sequence[DisabledEndpoint]: ...

    async def list(self, org_id: str, query: DeliveryQuery) -> Sequence[DeliveryRow]: ...

    async def attempts(self, org_id: str, delivery_ids: Collection[str]) -> Sequence[AttemptRow]:
        """In the order of their beginning."""

    async def of_call(self, org_id: str, call_id: str) -> Sequence[tuple[DeliveryRow, Sequence[AttemptRow]]]:
        """A call's deliveries in their order, each with its attempts."""

    async def replay(self, org_id: str, query: DeliveryQuery, now_ms: int) -> Sequence[str]:
        """Those of them that are over are due again, from the first server on, with their ids; answers the ids."""

    async def forget(self, before_ms: int, limit: int) -> int:
        """Removes so many of the oldest that are over and were last changed before then; answers how many."""

    async def backlog(self) -> Backlog:
        """What is still to be carried, for whoever watches."""
