"""How all routes of this process fare, and how a call tells of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aywa.core.route_health import Failure, RouteHealth, RouteStatus
from aywa.ports.errors import ProviderError

Tell = Callable[[str, Mapping[str, Any]], None]
"""Puts something on the call's record: its kind and its fields."""

MAX_ROUTES = 1000
"""How many routes are remembered; the one that was asked the longest ago goes first."""


class HealthBoard:
    """Route name -> health, shared by all calls. limits: requests at once, by route name."""

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self._limits = dict(limits or {})
        self._routes: dict[str, RouteHealth] = {}

    def of(self, name: str) -> RouteHealth:
        """The route's health; a new one is well."""
        health = self._routes.pop(name, None)
        if health is None:
            health = RouteHealth(name, self._limits.get(name))
            while len(self._routes) >= MAX_ROUTES:
                del self._routes[next(iter(self._routes))]
        self._routes[name] = health
        return health

    def statuses(self) -> list[RouteStatus]:
        """Every route, by name."""
        now = asyncio.get_running_loop().time()
        return [self._routes[name].status(now) for name in sorted(self._routes)]


def failure_of(error: BaseException) -> Failure:
    """What the health of its route makes of an error."""
    if isinstance(error, ProviderError):
        return Failure(error.code, error.retryable, error.retry_after_s)
    return Failure("deadline" if isinstance(error, TimeoutError) else type(error).__name__)


def silent(kind: str, fields: Mapping[str, Any]) -> None:
    """Tells nobody."""
