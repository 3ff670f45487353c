"""What a call's document says before anything has happened, and what a client is told of it beside. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aywa.core.retention import read_retention
from aywa.ports.store import JsonObject
from aywa.service.call_request import (
    INBOUND_CALL,
    OUTBOUND_CALL,
    PUBLISHED_CARRIERS,
    SIP,
    WEB_CALL,
    CallRequest,
)
from aywa.service.clock import iso
from aywa.service.documents import dump

NO_COST: JsonObject = dict.fromkeys(
    (
        "transport",
        "stt",
        "llm",
        "tts",
        "vapi",
        "chat",
        "total",
        "llmPromptTokens",
        "llmCompletionTokens",
        "llmCachedPromptTokens",
        "ttsCharacters",
    ),
    0,
)
"""costBreakdown before anything has cost anything: numbers, never null (contract 6.3)."""

DEFAULT_VOICE_PROVIDER = "custom-voice"
"""What a client is told of an assistant without a voice of its own: ours, under a known discriminator."""


def first_body(request: CallRequest, status: str = "queued") -> JsonObject:
    """What a call's document says before anything has happened."""
    transport = request.body.get("transport")
    transport = dict(transport) if isinstance(transport, dict) else {}
    body = request.body | {
        "type": request.type,
        "status": status,
        "transport": transport | {"conversationType": "voice"},
        "cost": 0,
        "costs": [],
        "costBreakdown": dict(NO_COST),
        "messages": [],
    }
    if request.type in (OUTBOUND_CALL, INBOUND_CALL):
        return body | _by_phone(body["transport"], request.carrier)
    provider = {"provider": "daily", "callToken": ""} if request.type == WEB_CALL else {}
    audio = {"format": str(request.format), "container": "raw", "sampleRate": request.rate_hz}
    body["transport"] |= {"audioFormat": audio, **provider}
    if request.type == WEB_CALL:
        body["artifactPlan"] = _object(request.body.get("artifactPlan")) | {"videoRecordingEnabled": False}
    return body


def _by_phone(transport: JsonObject, carrier: str) -> JsonObject:
    """How a call with a telephone travels. What the contract has no name for stands beside one that it has."""
    if not carrier:
        return {
            "transport": transport | {"provider": SIP},
            "phoneCallProvider": "vapi",
            "phoneCallTransport": "sip",
        }
    known = carrier in PUBLISHED_CARRIERS
    transport = transport | {"provider": carrier if known else SIP} | ({} if known else {"carrier": carrier})
    provider = carrier if known else "vapi"
    return {"transport": transport, "phoneCallProvider": provider, "phoneCallTransport": "pstn"}


def ended_fields(
    now: int, reason: str, message: str, assistant: Mapping[str, Any] | None = None
) -> JsonObject:
    """What a call's document says that never began. assistant: whose it would have been."""
    ended = {"status": "ended", "endedAt": iso(now), "endedReason": reason, "endedMessage": message}
    until_ms = read_retention(assistant or {}).expires_ms(now)
    return ended if until_ms is None else ended | {"expiresAt": iso(until_ms)}


def blocked(body: JsonObject) -> JsonObject:
    """What a call's document says that waits for room (contract 6.2). Who may listen is said when it begins."""
    waits = {"status": "queued", "subscriptionLimits": {"concurrencyBlocked": True}}
    return {name: value for name, value in body.items() if name != "monitor"} | waits


def about_phone(body: Mapping[str, Any]) -> JsonObject:
    """What a template may ask of a call with a telephone (contract 13.6)."""
    return {
        "customer": _object(body.get("customer")),
        "phoneNumber": _object(body.get("phoneNumber")),
        "call": {"id": body["id"], "type": body["type"]},
        "transport": {"conversationType": "voice"} | _call_sid(body),
    }


def _call_sid(body: Mapping[str, Any]) -> JsonObject:
    provider_id = body.get("phoneCallProviderId")
    by_carrier = body.get("phoneCallTransport") == "pstn"
    return {"callSid": provider_id} if by_carrier and isinstance(provider_id, str) else {}


def web_answer(text: str, assistant: Mapping[str, Any]) -> str:
    """What the web SDK reads (contract 6.2, 16). A stored assistant's prompt is not for the browser's eyes."""
    body: JsonObject = json.loads(text)
    # Who talks on a page is not who listens to others, or steers.
    body.pop("monitor", None)
    voice = _object(assistant.get("voice"))
    provider = voice.get("provider") or DEFAULT_VOICE_PROVIDER
    told = _object(body.get("assistant"))
    body["assistant"] = told | {"voice": _object(told.get("voice")) | {"provider": provider}}
    return dump(body)


def artifact_base_url(base_url: str, call_id: str, guest_token: str) -> str:
    """Where the call's own party finds its artifacts: unguessable, for this call alone, and for a limited time."""
    return f"{base_url}/artifact/{call_id}/{guest_token}"


def talk_url(base_url: str, call_id: str, url: str) -> str:
    # The address of the audio comes after the #, so that it is not sent to a server or written to its log.
    return f"{base_url}/?{urlencode({'call': call_id})}#{urlencode({'ws': url})}"


def _object(value: Any) -> JsonObject:
    return dict(value) if isinstance(value, dict) else {}
