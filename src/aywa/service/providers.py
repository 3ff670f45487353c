"""Providers: how the routes of this process fare, and whether each that is configured answers. No secret ever leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aywa.core.route_health import RouteStatus
from aywa.ports.providers import ProviderRoutes, RouteCheck, WhatToCheck
from aywa.ports.store import JsonObject
from aywa.service.assistants import Assistants, Resolved, inline_of, split_inline
from aywa.service.clock import Clock, iso, now_ms
from aywa.service.credential_rules import KEYED
from aywa.service.credentials import Credentials
from aywa.service.errors import NotFound, Rejected
from aywa.service.rules import Number, Obj, Problems, Text, shown
from aywa.service.validate import assistant_problems

TIMEOUT_MAX_S = 60.0
CHECK = Obj(
    {
        "assistantId": Text(),
        "assistant": Obj(),
        "provider": Text(60),
        "model": Text(200),
        "voice": Text(200),
        "timeoutSeconds": Number(0.1, TIMEOUT_MAX_S, default=WhatToCheck().timeout_s),
    },
    example={"provider": "openai"},
)


class ProviderUse:
    """The use-cases. Documents leave as JSON text."""

    def __init__(
        self,
        routes: ProviderRoutes | None,
        assistants: Assistants,
        credentials: Credentials,
        clock: Clock = now_ms,
    ) -> None:
        self._routes = routes
        self._assistants = assistants
        self._credentials = credentials
        self._clock = clock

    def statuses(self, org_id: str) -> str:
        """Each route that the organisation's calls asked since the process began, as a JSON array."""
        routes = self._routes
        if routes is None:
            return "[]"
        now_s, now = routes.now_s(), self._clock()
        return json.dumps([_status(each, now, now_s) for each in routes.statuses(org_id)])

    async def check(self, org_id: str, body: Any) -> str:
        """Asks every route that is meant once, as a JSON array. Raises Rejected, StoreUnavailable."""
        problems = Problems()
        CHECK.check(body, "", problems)
        if problems.found:
            raise Rejected(problems.found)
        given = {name: value for name, value in body.items() if value is not None}
        brain = await self._brain(org_id, given)
        found = await self._credentials.keys(
            org_id,
            {} if brain is None else brain.body,
            () if brain is None else brain.inline,
            providers=KEYED if brain is None else (),
        )
        what = WhatToCheck(
            None if brain is None else brain.body,
            given.get("provider", ""),
            given.get("model", ""),
            given.get("voice", ""),
            given.get("timeoutSeconds", WhatToCheck().timeout_s),
        )
        rows = () if self._routes is None else await self._routes.check(what, found.keys)
        return json.dumps([as_json(row) for row in rows])

    async def _brain(self, org_id: str, given: Mapping[str, Any]) -> Resolved | None:
        if "assistantId" in given and "assistant" in given:
            raise Rejected(["one of assistantId and assistant is enough"])
        if "assistant" in given:
            whole = given["assistant"]
            if problems := assistant_problems(whole):
                raise Rejected(problems)
            return Resolved(split_inline(whole)[0], inline_of(whole))
        if "assistantId" not in given:
            return None
        try:
            return await self._assistants.resolve(org_id, given["assistantId"])
        except NotFound:
            value = shown("assistantId", given["assistantId"])
            raise Rejected([f"assistantId must be the id of an existing assistant, got {value}"]) from None


def _status(status: RouteStatus, now: int, now_s: float) -> JsonObject:
    return {
        "route": status.name,
        "circuit": status.circuit,
        # Null: as it has been from the beginning.
        "since": iso(round(now - (now_s - status.since_s) * 1000)) if status.since_s else None,
        "active": status.active,
        "requests": status.requests,
        "failures": status.failures,
        "lastCode": status.last_code,
        "firstP50Ms": _ms(status.first_p50_s),
        "firstP95Ms": _ms(status.first_p95_s),
    }


def as_json(row: RouteCheck) -> JsonObject:
    """As the API tells it."""
    return {
        "part": row.part,
        "provider": row.provider,
        "route": row.route,
        "ok": row.ok,
        "firstMs": _ms(row.first_s),
        "code": row.code,
        "message": row.message,
        "mend": row.mend,
        "source": row.source,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
