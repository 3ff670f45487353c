"""How all routes of this process fare, and how a call tells of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from aywa.core.route_health import Circuit, Failure, RouteHealth, RouteStatus
from aywa.ports.errors import ProviderError

Tell = Callable[[str, Mapping[str, Any]], None]
"""Puts something on the call's record: its kind and its fields."""

MAX_ROUTES = 1000
"""How many routes are remembered; the one that was asked the longest ago goes first."""


_WORST = (Circuit.CLOSED, Circuit.HALF_OPEN, Circuit.OPEN)


class HealthBoard:
    """Route -> health, shared by all calls. limits: requests at once, by route name.

    A route is known by its name and its adapter, which is another one for another key or address: what is wrong with an
    organisation's key must not keep the others from theirs.
    """

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self._limits = dict(limits or {})
        # With the adapter: another one must not get its number while it is here.
        self._routes: dict[tuple[str, int], tuple[RouteHealth, object]] = {}

    def of(self, name: str, adapter: object) -> RouteHealth:
        """The route's health; a new one is well."""
        known = self._routes.pop((name, id(adapter)), None)
        if known is None:
            known = RouteHealth(name, self._limits.get(name)), adapter
            while len(self._routes) >= MAX_ROUTES:
                del self._routes[next(iter(self._routes))]
        self._routes[name, id(adapter)] = known
        return known[0]

    def statuses(self) -> list[RouteStatus]:
        """Every name, once: what is asked with several keys is as ill as the worst of them."""
        now = asyncio.get_running_loop().time()
        known = sorted((health.status(now) for health, _ in self._routes.values()), key=lambda s: s.name)
        return [_joined(list(some)) for _, some in groupby(known, key=lambda s: s.name)]


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


def silent(kind: str, fields: Mapping[str, Any]) -> None:
    """Tells nobody."""
