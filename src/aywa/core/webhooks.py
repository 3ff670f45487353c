"""A message on its way to the servers that are to hear it: who is asked next, when, and when it is given up.

Contract 7.1 says what an answer means without a `backoffPlan` (200 to 499 are final) and with one (every answer but 2xx is tried
again, the excluded codes aside). Ours are: what happens to a connection that failed and to 5xx, the fallback to the next server,
and 410, which Standard Webhooks ("Operational considerations", disabling of endpoints) reads as "never again".
It refuses to send anything, and to know what a message says. Time goes out as seconds to wait; chance comes in as a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

DEFAULT_TIMEOUT_S: Final = 20.0
ORDER_BOUND_S: Final = 30.0
"""A call's message waits for the call's earlier ones at most so long."""
RETRY_AFTER_MAX_S: Final = 6 * 3600.0
GONE: Final = 410
TOO_MANY: Final = 429
KEY_MAX_CHARACTERS: Final = 600


class Policy(StrEnum):
    """FALLBACK: the servers are asked in order, until one accepts the message. PRECEDENCE: only the first is."""

    FALLBACK = "fallback"
    PRECEDENCE = "precedence"


@dataclass(frozen=True, slots=True)
class BackoffPlan:
    """A customer's own plan (contract 7.1). exponential: doubling, else always the same. excluded: codes that are final."""

    max_retries: int
    base_delay_s: float
    exponential: bool = False
    excluded: frozenset[int] = frozenset()

    def wait_s(self, retry: int) -> float:
        """Before the retry, from 1."""
        return self.base_delay_s * (2 ** (retry - 1) if self.exponential else 1)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server. auth: how its requests are signed, opaque, "" for not at all; it holds no secret."""

    url: str
    auth: str = ""
    timeout_s: float = DEFAULT_TIMEOUT_S
    backoff: BackoffPlan | None = None

    def document(self) -> dict[str, Any]:
        """JSON-able; `endpoint_of` reads it."""
        written: dict[str, Any] = {"url": self.url, "auth": self.auth, "timeoutSeconds": self.timeout_s}
        if (plan := self.backoff) is not None:
            written["backoffPlan"] = {
                "type": "exponential" if plan.exponential else "fixed",
                "maxRetries": plan.max_retries,
                "baseDelaySeconds": plan.base_delay_s,
                "excludedStatusCodes": sorted(plan.excluded),
            }
        return written


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message. id: stable, so that enqueueing it twice is enqueueing it once. call_id: whose order it keeps, by seq.
    kind: the message's type. body: the request's, JSON. endpoints: in the order of their levels, at least one.
    hold_s: it is not due sooner; until then another with the same id takes its place. private: once it is over its body is
    erased, and it cannot be sent again."""

    id: str
    org_id: str
    kind: str
    body: str = field(repr=False)
    endpoints: tuple[Endpoint, ...]
    created_ms: int
    call_id: str | None = None
    seq: int = 0
    policy: Policy = Policy.FALLBACK
    hold_s: float = 0.0
    private: bool = False

    @property
    def levels(self) -> tuple[Endpoint, ...]:
        """The endpoints that may be asked at all."""
        return self.endpoints if self.policy is Policy.FALLBACK else self.endpoints[:1]


class Cause(StrEnum):
    """What became of an attempt. The names are public: attempts are shown with them."""

    SENDING = "sending"
    ANSWERED = "answered"
    NAME_NOT_FOUND = "name_not_found"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    TIMED_OUT = "timed_out"
    CUT_SHORT = "cut_short"
    MALFORMED = "malformed"
    NOT_SIGNED = "not_signed"
    ORPHANED = "orphaned"
    UNSENT = "unsent"
    INTERNAL_ADDRESS = "internal_address"
    BAD_URL = "bad_url"
    CANNOT_SIGN = "cannot_sign"
    DISABLED = "disabled"


OURS: Final = frozenset((Cause.ORPHANED, Cause.UNSENT))
"""The process was killed or held up: it says nothing of the server."""
FINAL: Final = frozenset((Cause.INTERNAL_ADDRESS, Cause.BAD_URL, Cause.CANNOT_SIGN, Cause.DISABLED))
"""Another try gives the same."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. status: of the answer, if there was one. retry_after_s: what the server asked for."""

    cause: Cause
    status: int | None = None
    retry_after_s: float | None = None

    @property
    def accepted(self) -> bool:
        """The server has the message."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a message that nobody took is tried again: first_s, then `factor` times as long, at most most_s; each time off by
    up to `jitter` of it, so that those that failed together do not come back together."""

    first_s: float = 5.0
    factor: float = 4.0
    most_s: float = 6 * 3600.0
    retries: int = 10
    jitter: float = 0.2

    def wait_s(self, retry: int, chance: float) -> float:
        """Before the retry, from 0. chance: 0 to 1."""
        # 2 ** 40 times anything is past every limit; a float's power must not overflow.
        wait_s = min(self.first_s * self.factor ** min(retry, 20), self.most_s)
        return wait_s * (1 + self.jitter * (2 * chance - 1))


DEFAULT_SCHEDULE: Final = Schedule()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a delivery is. level: whom to ask next. tries: failures at this level that its plan or a 429 counts.
    rounds: how often all levels were asked in vain. orphaned: attempts that were lost with their process.
    closed: a bit for each level that is not asked any more."""

    level: int = 0
    tries: int = 0
    rounds: int = 0
    orphaned: int = 0
    closed: int = 0


class State(StrEnum):
    """Of a delivery. WAITING: for its time, or its turn. SENDING: claimed."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of a delivery after an attempt: WAITING (from wait_s on), DELIVERED or FAILED.
    disables: the endpoint that was asked never wants anything again."""

    state: State
    progress: Progress
    wait_s: float = 0.0
    disables: bool = False


def after(
    levels: Sequence[Endpoint],
    progress: Progress,
    outcome: Outcome,
    chance: float,
    schedule: Schedule = DEFAULT_SCHEDULE,
) -> Next:
    """What follows an attempt at the progress's level."""
    if outcome.accepted:
        return Next(State.DELIVERED, progress)
    if outcome.cause in OURS:
        return _again_for_us(progress, chance, schedule)
    disables = outcome.status == GONE
    wait_s = None if disables else _again_here_s(levels[progress.level], progress.tries, outcome, schedule)
    if wait_s is not None:
        stays = _with(progress, tries=progress.tries + 1)
        return Next(State.WAITING, stays, wait_s)
    closed = progress.closed
    if disables or levels[progress.level].backoff is not None or _is_final(outcome):
        closed |= 1 << progress.level
    return _elsewhere(len(levels), _with(progress, closed=closed), outcome, chance, schedule, disables)


def _again_for_us(progress: Progress, chance: float, schedule: Schedule) -> Next:
    """The same server again: it has done nothing wrong, and may not have heard of it."""
    if progress.orphaned >= schedule.retries:
        # A message that ends its process each time must end too.
        return Next(State.FAILED, progress)
    wait_s = schedule.wait_s(progress.orphaned - 1, chance) if progress.orphaned else 0.0
    return Next(State.WAITING, _with(progress, orphaned=progress.orphaned + 1), wait_s)


def _again_here_s(endpoint: Endpoint, tries: int, outcome: Outcome, schedule: Schedule) -> float | None:
    """How long until the same server is tried again, whatever others there are; None: it is not."""
    asked_s = min(outcome.retry_after_s or 0.0, RETRY_AFTER_MAX_S)
    plan = endpoint.backoff
    if plan is not None:
        if tries >= plan.max_retries or outcome.cause in FINAL or outcome.status in plan.excluded:
            return None
        return max(plan.wait_s(tries + 1), asked_s)
    if outcome.status == TOO_MANY and outcome.retry_after_s is not None and tries < schedule.retries:
        return asked_s
    return None


def _is_final(outcome: Outcome) -> bool:
    """Without a plan: this server is not asked again."""
    if outcome.status is None:
        return outcome.cause in FINAL
    return outcome.status < 500


def _elsewhere(
    levels: int, progress: Progress, outcome: Outcome, chance: float, schedule: Schedule, disables: bool
) -> Next:
    """The next server at once; behind the last one all of them again, later."""
    opened = [level for level in range(levels) if not progress.closed >> level & 1]
    below = [level for level in opened if level > progress.level]
    if below:
        return Next(State.WAITING, _with(progress, level=below[0], tries=0), 0.0, disables)
    if not opened or progress.rounds >= schedule.retries:
        return Next(State.FAILED, progress, 0.0, disables)
    asked_s = min(outcome.retry_after_s or 0.0, RETRY_AFTER_MAX_S)
    wait_s = max(schedule.wait_s(progress.rounds, chance), asked_s)
    around = _with(progress, level=opened[0], tries=0, rounds=progress.rounds + 1)
    return Next(State.WAITING, around, wait_s, disables)


def _with(progress: Progress, **changes: int) -> Progress:
    values = {name: getattr(progress, name) for name in Progress.__slots__}
    return Progress(**(values | changes))


def endpoint_key(url: str) -> str:
    """By what a server's circuit, its share of the connections and its being disabled are kept: the address without what
    changes from call to call, the query."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError:
        return url[:KEY_MAX_CHARACTERS]
    port = port or (443 if scheme == "https" else 80)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}{parts.path or '/'}"[:KEY_MAX_CHARACTERS]


def endpoint_of(document: Mapping[str, Any]) -> Endpoint:
    """What `Endpoint.document` wrote."""
    plan = document.get("backoffPlan")
    return Endpoint(
        document["url"],
        document["auth"],
        document["timeoutSeconds"],
        None
        if plan is None
        else BackoffPlan(
            plan["maxRetries"],
            plan["baseDelaySeconds"],
            plan["type"] == "exponential",
            frozenset(plan["excludedStatusCodes"]),
        ),
    )


def backoff_plan(document: object) -> BackoffPlan | None:
    """A server's `backoffPlan` as a customer wrote it; what it leaves out has the contract's default. None: there is none."""
    if not isinstance(document, Mapping):
        return None
    codes = document.get("excludedStatusCodes")
    return BackoffPlan(
        int(_number(document.get("maxRetries"), 0, 10)),
        _number(document.get("baseDelaySeconds"), 0, 10),
        document.get("type") == "exponential",
        frozenset(code for code in codes if isinstance(code, int))
        if isinstance(codes, list)
        else frozenset(),
    )


def _number(value: object, least: float, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return least
    return min(max(float(value), least), most)
