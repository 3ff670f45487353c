"""How all routes of this process fare, and how a call tells of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from aywa.core.metrics.requests import ProviderRequest
from aywa.core.route_health import Circuit, Failure, RouteHealth, RouteStatus
from aywa.ports.errors import Fault, ProviderError

Tell = Callable[[str, Mapping[str, Any]], None]
"""Puts something on the call's record: its kind and its fields."""

Over = Callable[[float, float, float | None, str], None]
"""Is told of a request that is over: when it began and ended by the loop's clock, how long the first of its answer took, why it
failed."""

Watch = Callable[[ProviderRequest], None]
"""Is told of every request that a call made, when it is over. Never raises."""

MAX_ROUTES = 1000
"""How many routes are remembered; the one that was asked the longest ago goes first."""

_WORST = (Circuit.CLOSED, Circuit.HALF_OPEN, Circuit.OPEN)


@dataclass(slots=True)
class _Known:
    """adapter: another one must not get its number while it is here. orgs: whose calls asked."""

    health: RouteHealth
    adapter: object
    orgs: set[str] = field(default_factory=set)


class HealthBoard:
    """Route -> health, shared by all calls. limits: requests at once, by route name.

    A route is known by its name and its adapter, which is another one for another key or address: what is wrong with an
    organisation's key must not keep the others from theirs.
    """

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self._limits = dict(limits or {})
        self._routes: dict[tuple[str, int], _Known] = {}

    def for_org(self, org_id: str, watch: Watch | None = None) -> HealthBoard:
        """The same board, as a call of one organisation uses it: what it asks is shown to that one, and told to the watch."""
        return _OrgBoard(self, org_id, watch)

    def over(self, kind: str, route: str) -> Over:
        """Who is told of a request to a route, once it is over."""
        return nobody

    def of(self, name: str, adapter: object) -> RouteHealth:
        """The route's health; a new one is well."""
        return self._known(name, adapter).health

    def _known(self, name: str, adapter: object) -> _Known:
        known = self._routes.pop((name, id(adapter)), None)
        if known is None:
            known = _Known(RouteHealth(name, self._limits.get(name)), adapter)
            while len(self._routes) >= MAX_ROUTES:
                del self._routes[next(iter(self._routes))]
        self._routes[name, id(adapter)] = known
        return known

    def statuses(self, org_id: str | None = None) -> list[RouteStatus]:
        """Every name, once: what is asked with several keys is as ill as the worst of them. org_id: only what its calls have
        asked, for a name may hold an organisation's own voice or model."""
        now = asyncio.get_running_loop().time()
        some = [known for known in self._routes.values() if org_id is None or org_id in known.orgs]
        known = sorted((each.health.status(now) for each in some), key=lambda s: s.name)
        return [_joined(list(same)) for _, same in groupby(known, key=lambda s: s.name)]


class _OrgBoard(HealthBoard):
    """Remembers whose calls ask what."""

    def __init__(self, board: HealthBoard, org_id: str, watch: Watch | None = None) -> None:
        super().__init__()
        self._board = board
        self._org_id = org_id
        self._watch = watch

    def of(self, name: str, adapter: object) -> RouteHealth:
        known = self._board._known(name, adapter)
        known.orgs.add(self._org_id)
        return known.health

    def over(self, kind: str, route: str) -> Over:
        watch = self._watch
        if watch is None:
            return nobody

        def told(began_s: float, ended_s: float, first_s: float | None, code: str) -> None:
            watch(ProviderRequest(kind, route, began_s, ended_s, first_s, code))

        return told


def _joined(some: list[RouteStatus]) -> RouteStatus:
    worst = max(some, key=lambda status: (_WORST.index(status.circuit), status.since_s))
    return replace(
        worst,
        active=sum(status.active for status in some),
        requests=sum(status.requests for status in some),
        failures=sum(status.failures for status in some),
        first_p50_s=max((s.first_p50_s for s in some if s.first_p50_s is not None), default=None),
        first_p95_s=max((s.first_p95_s for s in some if s.first_p95_s is not None), default=None),
    )


def failure_of(error: BaseException) -> Failure:
    """What the health of its route makes of an error."""
    if isinstance(error, ProviderError):
        return Failure(error.code, error.retryable, error.retry_after_s)
    return Failure("deadline" if isinstance(error, TimeoutError) else type(error).__name__)


def as_provider_error(error: Exception, route: str) -> ProviderError:
    """The error as those who wait for the route are told it; never with the words of one that is not a provider's."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, TimeoutError):
        return ProviderError(
            route, "deadline", "it did not answer in time", fault=Fault.PROVIDER, retryable=True
        )
    return ProviderError(route, type(error).__name__, "it broke", fault=Fault.RUNTIME, retryable=True)


def silent(kind: str, fields: Mapping[str, Any]) -> None:
    """Tells nobody."""


def nobody(began_s: float, ended_s: float, first_s: float | None, code: str) -> None:
    """Is told, and does nothing."""
