"""What a customer may see of his messages on their way, and do about them: lists, attempts, replays, servers that said 410."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from aywa.core.webhooks import State, endpoint_key
from aywa.ports.outbox import AttemptRow, DeliveryQuery, DeliveryRow, Outbox
from aywa.ports.store import JsonObject, Span
from aywa.service.clock import Clock, iso, now_ms, parse_iso
from aywa.service.documents import list_query
from aywa.service.errors import NotFound, Rejected
from aywa.service.rules import Also, Choice, ListOf, Needs, Obj, Problems, Text, check

REPLAY_MAX = 1000
"""So many at most by one request: who wants more asks again."""
STATES = tuple(state.value for state in State)
OVER = (State.DELIVERED.value, State.FAILED.value)
ID_MAX = 200
_BOUNDS = ("Gt", "Lt", "Ge", "Le")


def _check_date(value: str, path: str, problems: Problems) -> None:
    try:
        parse_iso(value)
    except (ValueError, OverflowError):
        problems.add(path, "must be a valid ISO 8601 date string", value)


class _Moment(Also):
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


_MOMENT = _Moment(Text(40), _check_date)
_CHOSEN = ("ids", "callId", "failedSince", *(f"createdAt{bound}" for bound in _BOUNDS))
REPLAY = Needs(
    Obj(
        {
            "ids": ListOf(Text(ID_MAX, 1), REPLAY_MAX, 1),
            "callId": Text(ID_MAX, 1),
            "failedSince": _MOMENT,
            **{f"createdAt{bound}": _MOMENT for bound in _BOUNDS},
            "status": Choice(OVER),
            "type": Text(100, 1),
        },
        example={"failedSince": "2026-01-01T00:00:00.000Z"},
    ),
    _CHOSEN,
    exactly=False,
)
ENABLE = Obj({"url": Text(2_000, 1)}, ("url",), example={"url": "https://example.com/webhooks"})


class Deliveries:
    """The outbox for who has a private key."""

    def __init__(self, outbox: Outbox, clock: Clock = now_ms) -> None:
        self._outbox = outbox
        self._clock = clock

    async def list(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A JSON array, newest first. Raises Rejected."""
        asked = list_query(parameters)
        state = parameters.get("status")
        if state is not None and state not in STATES:
            raise Rejected([f"status must be one of the following values: {', '.join(STATES)}"])
        query = DeliveryQuery(
            limit=asked.limit,
            created=asked.created,
            states=(State(state),) if state else (),
            kind=parameters.get("type") or None,
            call_id=parameters.get("callId") or None,
        )
        return _dumped([delivery_document(row) for row in await self._outbox.list(org_id, query)])

    async def get(self, org_id: str, delivery_id: str) -> str:
        """With its message, its servers and its attempts. Raises NotFound."""
        found = await self._outbox.list(org_id, DeliveryQuery(limit=1, ids=(delivery_id,)))
        if not found:
            raise NotFound(f"Webhook delivery {delivery_id[:80]} does not exist.")
        tried = await self._outbox.attempts(org_id, [delivery_id])
        return _dumped(whole_document(found[0], tried))

    async def replay(self, org_id: str, body: Any) -> str:
        """Begins deliveries anew that are over; each keeps its id. Raises Rejected."""
        if problems := check(REPLAY, body):
            raise Rejected(problems)
        since = body.get("failedSince")
        status = State.FAILED.value if since is not None else body.get("status")
        query = DeliveryQuery(
            limit=REPLAY_MAX,
            created=_span(body, since),
            states=(State(status),) if status else (State.DELIVERED, State.FAILED),
            kind=body.get("type"),
            call_id=body.get("callId"),
            ids=tuple(body.get("ids") or ()),
        )
        replayed = await self._outbox.replay(org_id, query, self._clock())
        return _dumped({"replayed": list(replayed), "hasMore": len(replayed) == REPLAY_MAX})

    async def disabled(self, org_id: str) -> str:
        """The servers that answered 410."""
        found = await self._outbox.disabled(org_id)
        return _dumped([{"url": one.endpoint, "disabledAt": iso(one.disabled_ms)} for one in found])

    async def enable(self, org_id: str, body: Any) -> str:
        """Sends to a server again that answered 410. Raises Rejected, NotFound."""
        if problems := check(ENABLE, body):
            raise Rejected(problems)
        key = endpoint_key(body["url"])
        if not await self._outbox.enable(org_id, key):
            raise NotFound("No webhook endpoint with this url is disabled.")
        return _dumped({"url": key, "enabled": True})


def delivery_document(row: DeliveryRow) -> JsonObject:
    """One in a list."""
    delivery = row.delivery
    level = min(row.progress.level, len(delivery.levels) - 1)
    document: JsonObject = {
        "id": delivery.id,
        "orgId": delivery.org_id,
        "createdAt": iso(delivery.created_ms),
        "updatedAt": iso(row.updated_ms),
        "type": delivery.kind,
        "status": row.state.value,
        "url": shown_url(delivery.levels[level].url),
        "attemptCount": row.attempts,
        "replayCount": row.replays,
    }
    if delivery.call_id is not None:
        document["callId"] = delivery.call_id
    if row.state is State.WAITING:
        document["nextAttemptAt"] = iso(row.due_ms)
    if row.problem:
        document["problem"] = row.problem
    return document


def whole_document(row: DeliveryRow, attempts: Sequence[AttemptRow]) -> JsonObject:
    """One with all that is known of it."""
    delivery = row.delivery
    return delivery_document(row) | {
        "body": json.loads(delivery.body),
        "endpoints": [
            {
                "url": shown_url(one.url),
                "timeoutSeconds": one.timeout_s,
                **({"backoffPlan": one.document()["backoffPlan"]} if one.backoff is not None else {}),
            }
            for one in delivery.levels
        ],
        "attempts": [attempt_document(attempt) for attempt in attempts],
    }


def attempt_document(attempt: AttemptRow) -> JsonObject:
    """One attempt. Nothing in it is secret."""
    document: JsonObject = {
        "number": attempt.number,
        "url": shown_url(attempt.url),
        "startedAt": iso(attempt.started_ms),
        "cause": attempt.cause.value,
        "request": {"headers": dict(attempt.request_headers)},
    }
    if attempt.ended_ms is not None:
        document["endedAt"] = iso(attempt.ended_ms)
    if attempt.next_ms is not None:
        document["nextAttemptAt"] = iso(attempt.next_ms)
    if attempt.status is not None:
        document["response"] = {
            "status": attempt.status,
            "headers": dict(attempt.headers),
            "body": attempt.excerpt,
        }
    elif attempt.excerpt:
        document["detail"] = attempt.excerpt
    times = {
        "dnsMs": attempt.dns_ms,
        "connectMs": attempt.connect_ms,
        "tlsMs": attempt.tls_ms,
        "firstByteMs": attempt.first_byte_ms,
        "totalMs": attempt.total_ms,
    }
    document["times"] = {name: ms for name, ms in times.items() if ms is not None}
    return document


def shown_url(url: str) -> str:
    """The address without a user's name and password, and without the values of its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(no address)"
    query = "&".join(f"{one.partition('=')[0]}=…" for one in parts.query.split("&")) if parts.query else ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment=""))


def _span(body: Mapping[str, Any], since: str | None) -> Span:
    bounds: dict[str, int] = {}
    for bound in _BOUNDS:
        if (text := body.get(f"createdAt{bound}")) is not None:
            ms = parse_iso(text)
            bounds[bound.lower()] = math.floor(ms) if bound in ("Gt", "Le") else math.ceil(ms)
    if since is not None:
        bounds["ge"] = max(math.ceil(parse_iso(since)), bounds.get("ge", 0))
    return Span(**bounds)


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
