"""Webhook deliveries as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

from aywa.core.webhooks import Cause
from aywa.service.deliveries import ENABLE, REPLAY, STATES

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}


def delivery_schemas(own: dict[str, Any]) -> dict[str, Any]:
    """own: the fields that only the runtime sets."""
    moment = own["createdAt"]
    headers = {"type": "object", "additionalProperties": _TEXT, "description": "Without secrets."}
    attempt = {
        "number": _COUNT,
        "url": _TEXT,
        "startedAt": moment,
        "endedAt": moment,
        "nextAttemptAt": moment,
        "cause": _TEXT | {"enum": [cause.value for cause in Cause]},
        "detail": _TEXT,
        "request": {"type": "object", "properties": {"headers": headers}},
        "response": {
            "type": "object",
            "properties": {
                "status": {"type": "integer"},
                "headers": headers,
                "body": _TEXT | {"description": "Its first 4 kB."},
            },
        },
        "times": {
            "type": "object",
            "properties": {
                name: {"type": "number"} for name in ("dnsMs", "connectMs", "tlsMs", "firstByteMs", "totalMs")
            },
        },
    }
    listed = {
        "id": _TEXT | {"description": "The webhook-id that its requests carry."},
        "orgId": own["orgId"],
        "createdAt": moment,
        "updatedAt": moment,
        "type": _TEXT | {"example": "end-of-call-report"},
        "status": _TEXT | {"enum": list(STATES)},
        "url": _TEXT,
        "attemptCount": _COUNT,
        "replayCount": _COUNT,
        "callId": _TEXT,
        "nextAttemptAt": moment,
        "problem": _TEXT | {"description": "Why the last attempt failed.", "example": "status_500"},
    }
    required = [*list(listed)[:9]]
    whole = listed | {
        "body": {"type": "object", "description": "What is sent."},
        "endpoints": {"type": "array", "items": {"type": "object"}},
        "attempts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["number", "url", "startedAt", "cause", "request", "times"],
                "properties": attempt,
            },
        },
    }
    replayed = {"replayed": {"type": "array", "items": _TEXT}, "hasMore": {"type": "boolean"}}
    return {
        "WebhookDelivery": {"type": "object", "required": required, "properties": listed},
        "WholeWebhookDelivery": {
            "type": "object",
            "required": [*required, "body", "endpoints", "attempts"],
            "properties": whole,
        },
        "ReplayWebhooks": REPLAY.schema(),
        "ReplayedWebhooks": {"type": "object", "required": list(replayed), "properties": replayed},
        "DisabledWebhookEndpoint": {
            "type": "object",
            "required": ["url", "disabledAt"],
            "properties": {"url": _TEXT, "disabledAt": moment},
        },
        "EnableWebhookEndpoint": ENABLE.schema(),
        "EnabledWebhookEndpoint": {
            "type": "object",
            "required": ["url", "enabled"],
            "properties": {"url": _TEXT, "enabled": {"type": "boolean"}},
        },
    }
