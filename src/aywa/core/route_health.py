"""How a route to a provider fares: what its first answers took, whether it is to be asked, and from when on again.

A circuit breaker: closed, open after failures in a row, then half open for one probe. Time comes in, nothing goes out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

# So many failures in a row, and the route is left alone.
BREAK_AFTER = 3
OPEN_S = 5.0
OPEN_MAX_S = 60.0
# What only a person can mend, a wrong key or an unknown voice, is not tried on every call.
REFUSED_S = 30.0
# A provider that says "too often" without saying for how long.
RATE_LIMITED_S = 2.0
RATE_LIMITED_MAX_S = 60.0
# What was wrong with one request says nothing of the next one.
OF_THE_REQUEST = frozenset(("bad_request",))
# The slowest of the last so many first answers; with fewer than the least nothing is said of them.
KEPT = 100
LEAST = 20


class Circuit(StrEnum):
    """CLOSED: asked. OPEN: left alone. HALF_OPEN: one request tries whether it works again."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed. mendable: another try may go well; retry_after_s: what the provider asked for."""

    code: str
    mendable: bool = True
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """What is told of a route. first_p50_s, first_p95_s: of the first answer, None while too few were seen. since_s: when the
    circuit took its state. failures: of requests in all; last_code: of the last one."""

    name: str
    circuit: str
    since_s: float
    active: int
    requests: int
    failures: int
    last_code: str
    first_p50_s: float | None
    first_p95_s: float | None


class RouteHealth:
    """One route. limit: how many requests may run at once, None for any number."""

    def __init__(self, name: str, limit: int | None = None) -> None:
        self.name = name
        self.limit = limit
        self.active = 0
        self.requests = 0
        self.failures = 0
        self.last_code = ""
        self._in_a_row = 0
        self._opened = 0
        self._circuit = Circuit.CLOSED
        self._since_s = 0.0
        self._open_until_s = 0.0
        self._limited_until_s = 0.0
        self._probing = False
        self._firsts: deque[float] = deque(maxlen=KEPT)

    def refuses(self, now: float) -> str:
        """Why the route is not to be asked now; empty when it may be."""
        if now < self._limited_until_s:
            return "rate_limited"
        if self.limit is not None and self.active >= self.limit:
            return "busy"
        if self._circuit is Circuit.OPEN and now < self._open_until_s:
            return self.last_code or "open"
        return "probing" if self._probing else ""

    def begin(self, now: float) -> None:
        """A request goes out, also one that was refused and is made all the same."""
        self.requests += 1
        self.active += 1
        if self._circuit is Circuit.OPEN and now >= self._open_until_s:
            self._turn(Circuit.HALF_OPEN, now)
        if self._circuit is Circuit.HALF_OPEN:
            self._probing = True

    def answered(self, first_s: float, now: float) -> None:
        """The first of the answer came after so long: the route works."""
        self._firsts.append(first_s)
        self._probing = False
        if self._circuit is not Circuit.CLOSED:
            self._turn(Circuit.CLOSED, now)

    def waited(self, seconds: float) -> None:
        """The first of an answer had not come after so long when it was not wanted any more."""
        self._firsts.append(seconds)

    def end(self, failure: Failure | None, now: float, *, answered: bool = True) -> None:
        """The request is over; None: well, or because nobody wanted it any more. answered: it had begun to answer."""
        self.active = max(0, self.active - 1)
        if failure is None:
            # Of a probe that was given up nothing is known.
            self._probing = False
            if answered and self._circuit is Circuit.CLOSED:
                # Not sooner: one that always breaks in the middle is to be left alone too.
                self._in_a_row = self._opened = 0
            return
        self.failures += 1
        self.last_code = failure.code
        self._probing = False
        if failure.code == "rate_limited":
            wait_s = RATE_LIMITED_S if failure.retry_after_s is None else failure.retry_after_s
            self._limited_until_s = now + min(max(wait_s, 0.0), RATE_LIMITED_MAX_S)
            return
        if failure.code in OF_THE_REQUEST:
            return
        self._in_a_row += 1
        if self._circuit is Circuit.OPEN:
            # It began before the circuit opened: the same trouble, not another.
            return
        if not failure.mendable:
            self._open(REFUSED_S, now)
        elif self._in_a_row >= BREAK_AFTER or self._circuit is Circuit.HALF_OPEN:
            self._open(OPEN_S * 2 ** min(self._opened, 10), now)

    def first_s(self, share: float) -> float | None:
        """How long the first answer took in the given share of the last requests at most; None: too few to say."""
        if len(self._firsts) < LEAST:
            return None
        return sorted(self._firsts)[min(int(share * len(self._firsts)), len(self._firsts) - 1)]

    def status(self, now: float) -> RouteStatus:
        """What is to be told of it."""
        circuit = self._circuit
        if circuit is Circuit.OPEN and now >= self._open_until_s:
            circuit = Circuit.HALF_OPEN
        return RouteStatus(
            self.name,
            circuit,
            self._since_s,
            self.active,
            self.requests,
            self.failures,
            self.last_code,
            self.first_s(0.5),
            self.first_s(0.95),
        )

    def _open(self, for_s: float, now: float) -> None:
        self._opened += 1
        self._open_until_s = now + min(for_s, OPEN_MAX_S)
        self._turn(Circuit.OPEN, now)

    def _turn(self, circuit: Circuit, now: float) -> None:
        self._circuit, self._since_s = circuit, now
