"""A call's webhooks in its timeline: each message when it was written down, and every attempt to deliver it. Refuses to show
bodies: they are read by the delivery's id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from aywa.core.webhooks import Cause
from aywa.ports.outbox import AttemptRow, DeliveryRow
from aywa.ports.store import JsonObject
from aywa.service.clock import iso

Attempted = tuple[DeliveryRow, Sequence[AttemptRow]]
WebhookEntry = tuple[int, str, str, str, JsonObject]
"""Unix milliseconds, kind, reason, text, details."""


def webhook_entries(sent: Sequence[Attempted]) -> Iterator[WebhookEntry]:
    """What the timeline says of them."""
    for row, attempts in sent:
        yield _delivery(row)
        for attempt in attempts:
            yield _attempt(row, attempt)


def _delivery(row: DeliveryRow) -> WebhookEntry:
    delivery = row.delivery
    times = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
    details: JsonObject = {
        "deliveryId": delivery.id,
        "sequence": delivery.seq,
        "state": row.state.value,
        "attempts": row.attempts,
        "replays": row.replays,
        "servers": [_host(endpoint.url) for endpoint in delivery.levels],
        "problem": row.problem or None,
    }
    return delivery.created_ms, delivery.kind, row.state.value, f"{row.state.value}, {times}", details


def _attempt(row: DeliveryRow, attempt: AttemptRow) -> WebhookEntry:
    took = "" if attempt.total_ms is None else f" in {attempt.total_ms:.0f} ms"
    status = "" if attempt.status is None else f" {attempt.status}"
    answered = attempt.cause is Cause.ANSWERED
    said = f"answered{status}{took}" if answered else f"{attempt.cause.value.replace('_', ' ')}{status}{took}"
    details: JsonObject = {
        "deliveryId": row.delivery.id,
        "attempt": attempt.number,
        "url": attempt.url,
        "level": attempt.level,
        "status": attempt.status,
        "dnsMs": attempt.dns_ms,
        "connectMs": attempt.connect_ms,
        "tlsMs": attempt.tls_ms,
        "firstByteMs": attempt.first_byte_ms,
        "totalMs": attempt.total_ms,
        "endedAt": None if attempt.ended_ms is None else iso(attempt.ended_ms),
        "nextAt": None if attempt.next_ms is None else iso(attempt.next_ms),
        "requestHeaders": dict(attempt.request_headers),
        "headers": dict(attempt.headers),
        "excerpt": attempt.excerpt,
    }
    kind = f"{row.delivery.kind}-attempt"
    text = f"attempt {attempt.number} at {_host(attempt.url)}: {said}"
    return attempt.started_ms, kind, attempt.cause.value, text, details


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
