"""The outbox's records as rows, alike in every dialect: both read a row by position, and name what they write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aywa.core.webhooks import (
    ORDER_BOUND_S,
    Cause,
    Delivery,
    Endpoint,
    Policy,
    Progress,
    State,
    endpoint_key,
    endpoint_of,
)
from aywa.ports.outbox import (
    AttemptRow,
    Claimed,
    ClaimQuery,
    DeliveryQuery,
    DeliveryRow,
    DisabledEndpoint,
    Finished,
    Sent,
)

Values = dict[str, Any]
Row = Sequence[Any]

DELIVERY = (
    "d.id, d.org_id, d.call_id, d.seq, d.kind, d.policy, d.endpoints, d.body, d.created_ms,"
    " d.level, d.tries, d.rounds, d.orphaned, d.closed, d.private"
)
"""The columns that `delivery_of` and `progress_of` read, in their order."""
_DETAIL = {
    "dns_ms": "dnsMs",
    "connect_ms": "connectMs",
    "tls_ms": "tlsMs",
    "first_byte_ms": "firstByteMs",
    "total_ms": "totalMs",
}


def scoped(org_id: str, endpoint: str) -> str:
    """A server's key among all organisations'."""
    return f"{org_id} {endpoint}"


def written(delivery: Delivery, now_ms: int) -> Values:
    """A new row."""
    keys = [scoped(delivery.org_id, endpoint_key(endpoint.url)) for endpoint in delivery.levels]
    endpoints = [endpoint.document() for endpoint in delivery.endpoints]
    return {
        "id": delivery.id,
        "org_id": delivery.org_id,
        "call_id": delivery.call_id,
        "seq": delivery.seq,
        "kind": delivery.kind,
        "policy": delivery.policy.value,
        "endpoints": json.dumps(endpoints),
        "keys": json.dumps(keys),
        "endpoint": keys[0],
        "body": delivery.body,
        "due_ms": now_ms + round(delivery.hold_s * 1000),
        "free_ms": now_ms + round(ORDER_BOUND_S * 1000),
        "created_ms": delivery.created_ms,
        "private": delivery.private,
        "now_ms": now_ms,
    }


def claim_values(query: ClaimQuery) -> Values:
    """What a claim's statements ask for."""
    return {
        "owner": query.owner,
        "now_ms": query.now_ms,
        "lease_ms": query.lease_ms,
        "limit": query.limit,
        "each": query.each,
    }


def attempt_values(item: Finished) -> Values:
    """The end of an attempt's row."""
    sent = item.sent
    detail: Values = {
        "requestHeaders": dict(sent.request_headers),
        "headers": dict(sent.headers),
        "excerpt": sent.excerpt,
    }
    detail |= {wire: value for name, wire in _DETAIL.items() if (value := getattr(sent, name)) is not None}
    return {
        "id": item.claimed.delivery.id,
        "number": item.claimed.attempt,
        "ended_ms": item.ended_ms,
        "cause": sent.outcome.cause.value,
        "status": sent.outcome.status,
        "next_ms": item.due_ms,
        # PostgreSQL keeps no zero characters, and no halves of surrogate pairs.
        "detail": json.dumps(detail).replace("\\u0000", "\\ufffd"),
    }


def delivery_values(item: Finished, now_ms: int) -> Values:
    """What becomes of a claimed delivery."""
    progress = item.progress
    return {
        "id": item.claimed.delivery.id,
        "token": item.claimed.token,
        "state": item.state.value,
        "level": progress.level,
        "tries": progress.tries,
        "rounds": progress.rounds,
        "orphaned": progress.orphaned,
        "closed": progress.closed,
        "due_ms": item.due_ms,
        "now_ms": now_ms,
        "problem": problem_of(item.sent),
    }


def problem_of(sent: Sent) -> str:
    """Why an attempt failed, in a word; empty when it did not."""
    outcome = sent.outcome
    if outcome.accepted:
        return ""
    return f"status_{outcome.status}" if outcome.status is not None else outcome.cause.value


def endpoints_of(text: str) -> tuple[Endpoint, ...]:
    """As `written` wrote them."""
    return tuple(endpoint_of(document) for document in json.loads(text))


def delivery_of(row: Row) -> Delivery:
    """Of DELIVERY."""
    return Delivery(
        row[0],
        row[1],
        row[4],
        row[7],
        endpoints_of(row[6]),
        row[8],
        row[2],
        row[3],
        Policy(row[5]),
        private=bool(row[14]),
    )


def progress_of(row: Row) -> Progress:
    """Of DELIVERY."""
    return Progress(*row[9:14])


def claimed_of(row: Row) -> Claimed:
    """Of DELIVERY, attempts, token, lease_ms, disabled, replays."""
    return Claimed(delivery_of(row), progress_of(row), row[15], row[16], row[17], bool(row[18]), row[19] > 0)


def delivery_row(row: Row) -> DeliveryRow:
    """Of DELIVERY, state, attempts, replays, due_ms, updated_ms, problem."""
    return DeliveryRow(delivery_of(row), State(row[15]), progress_of(row), *row[16:21])


ATTEMPT = "a.delivery_id, a.number, a.level, a.started_ms, a.ended_ms, a.cause, a.status, a.next_ms, a.detail, d.endpoints"
"""The columns that `attempt_row` reads."""


def attempt_row(row: Row) -> AttemptRow:
    """Of ATTEMPT."""
    endpoints, detail = json.loads(row[9]), json.loads(row[8])
    return AttemptRow(
        row[0],
        row[1],
        endpoints[min(row[2], len(endpoints) - 1)]["url"],
        row[2],
        row[3],
        Cause(row[5]),
        row[4],
        row[6],
        row[7],
        detail.get("requestHeaders", {}),
        detail.get("headers", {}),
        detail.get("excerpt", ""),
        **{name: detail.get(wire) for name, wire in _DETAIL.items()},
    )


def with_attempts(
    deliveries: Sequence[DeliveryRow], attempts: Sequence[AttemptRow]
) -> list[tuple[DeliveryRow, Sequence[AttemptRow]]]:
    """In the call's order, each with its own."""
    own: dict[str, list[AttemptRow]] = {}
    for attempt in attempts:
        own.setdefault(attempt.delivery_id, []).append(attempt)
    ordered = sorted(deliveries, key=lambda row: (row.delivery.seq, row.delivery.id))
    return [(row, own.get(row.delivery.id, [])) for row in ordered]


def disabled_of(org_id: str, row: Row) -> DisabledEndpoint:
    """Of endpoint, disabled_ms."""
    return DisabledEndpoint(row[0].removeprefix(scoped(org_id, "")), row[1])


def conditions(org_id: str, query: DeliveryQuery, any_of: Mapping[str, str]) -> tuple[list[str], Values]:
    """What a query asks for, as conditions and their values. any_of: how the dialect writes "is one of" for these columns."""
    found, values = ["d.org_id = :org_id"], dict[str, Any](org_id=org_id)
    for bound, sign in (("gt", ">"), ("lt", "<"), ("ge", ">="), ("le", "<=")):
        if (limit := getattr(query.created, bound)) is not None:
            found.append(f"d.created_ms {sign} :{bound}")
            values[bound] = limit
    for name, wanted in (("kind", query.kind), ("call_id", query.call_id)):
        if wanted is not None:
            found.append(f"d.{name} = :{name}")
            values[name] = wanted
    for name, several in (("ids", query.ids), ("states", tuple(state.value for state in query.states))):
        if several:
            found.append(any_of[name])
            values[name] = several
    return found, values
