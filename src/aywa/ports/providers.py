"""What the service needs of the process that asks providers: how their routes fare, and one real request to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aywa.core.route_health import RouteStatus
from aywa.ports.calls import ProviderKey


@dataclass(frozen=True, slots=True)
class RouteCheck:
    """What one request to a route came to. part: of the assistant; provider: as it stands there; route: as record and metrics
    call it. first_s: until the first of its answer. code, message, mend: of the failure, never with a secret in it; code is one
    of ports.errors, or `missing` when there was nobody to ask. source: whose key it was."""

    part: str
    provider: str
    route: str
    ok: bool
    first_s: float | None = None
    code: str = ""
    message: str = ""
    mend: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class WhatToCheck:
    """assistant: whose routes, those that are asked instead included; None for every provider that has a key. provider: only
    this one's; empty for all. model, voice: what to ask for where no assistant says. timeout_s: for each route."""

    assistant: Mapping[str, Any] | None = None
    provider: str = ""
    model: str = ""
    voice: str = ""
    timeout_s: float = 10.0


class ProviderRoutes(Protocol):
    """The routes of this process."""

    def statuses(self, org_id: str) -> Sequence[RouteStatus]:
        """How each that the organisation's calls asked fares, by name."""

    def now_s(self) -> float:
        """The clock of the statuses."""

    async def check(self, what: WhatToCheck, keys: Mapping[str, ProviderKey]) -> Sequence[RouteCheck]:
        """One small request to each, which the vendor bills. Raises nothing."""
