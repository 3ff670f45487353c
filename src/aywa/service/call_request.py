"""Reads a request for a call: which brain, which transport, which audio. Decides only; says all that is wrong at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.ports.media import AudioFormat
from aywa.ports.store import JsonObject
from aywa.service.assistants import INLINE, inline_of, split_inline
from aywa.service.documents import without_own
from aywa.service.errors import Rejected
from aywa.service.rules import shown
from aywa.service.validate import call_problems

WEBSOCKET_CALL = "vapi.websocketCall"
WEB_CALL = "webCall"
FRAME_RATE_HZ = 50
"""20 ms frames: a rate must give a whole number of samples in each."""

DEFAULT_RATE_HZ = {AudioFormat.PCM16: 16_000, AudioFormat.MULAW: 8_000, AudioFormat.ALAW: 8_000}
JOIN_TIMEOUT_S = 15.0

RUNTIME_FIELDS = frozenset(
    (
        "type",
        "status",
        "startedAt",
        "endedAt",
        "endedReason",
        "endedMessage",
        "cost",
        "costs",
        "costBreakdown",
        "messages",
        "transcript",
        "summary",
        "analysis",
        "artifact",
        "monitor",
        "webCallUrl",
        "warnings",
    )
)
"""Fields of a call that say what became of it: a client's are dropped."""

_NOT_YET = (
    "squadId",
    "squad",
    "workflowId",
    "workflow",
    "squadOverrides",
    "customers",
    "customerId",
    "schedulePlan",
)


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What was asked for. body: as submitted, without secrets, to be kept. Exactly one of assistant_id and assistant is set.
    inline: the credentials that came with it, with their secrets; None when none did."""

    type: str
    body: JsonObject
    assistant_id: str | None
    assistant: JsonObject | None
    overrides: JsonObject
    format: AudioFormat
    rate_hz: int
    inline: Sequence[JsonObject] | None = field(default=None, repr=False)

    @property
    def variables(self) -> JsonObject:
        """The submitted values for {{names}}."""
        return dict(self.overrides.get("variableValues") or {})


def read_request(body: Any, *, web: bool) -> CallRequest:
    """Raises Rejected with every problem."""
    problems = call_problems(body)
    if not isinstance(body, dict):
        raise Rejected(problems)
    problems += _brain_problems(body) + _origin_problems(body, web=web)
    transport = body.get("transport")
    transport = transport if isinstance(transport, dict) else {}
    audio = transport.get("audioFormat")
    audio_format, rate_hz = _audio(audio if isinstance(audio, dict) else {}, problems)
    if problems:
        raise Rejected(problems)
    kept = {name: value for name, value in without_own(body).items() if name not in RUNTIME_FIELDS}
    inline: Sequence[JsonObject] | None = None
    for name in ("assistant", "assistantOverrides"):
        given = kept.get(name)
        if isinstance(given, dict):
            if INLINE in given:
                inline = inline_of(given)
            kept[name] = split_inline(given)[0]
    return CallRequest(
        WEB_CALL if web else WEBSOCKET_CALL,
        kept,
        kept.get("assistantId"),
        kept.get("assistant"),
        kept.get("assistantOverrides") or {},
        audio_format,
        rate_hz,
        inline,
    )


def join_timeout_s(assistant: Mapping[str, Any]) -> float:
    """How long a party has to connect."""
    value = assistant.get("customerJoinTimeoutSeconds")
    return float(value) if isinstance(value, int | float) else JOIN_TIMEOUT_S


def _brain_problems(body: Mapping[str, Any]) -> list[str]:
    problems = [
        f"{name} is not supported yet, got {shown(name, body[name])}"
        for name in _NOT_YET
        if body.get(name) is not None
    ]
    given = [name for name in ("assistantId", "assistant") if body.get(name) is not None]
    if len(given) == 2:
        problems.append(
            f"assistantId must not be given together with assistant, got {shown('', body[given[0]])}"
        )
    if not given and not problems:
        problems.append("assistantId or assistant is required: a call needs exactly one of them, got neither")
    return problems


def _origin_problems(body: Mapping[str, Any], *, web: bool) -> list[str]:
    if web:
        return []
    transport = body.get("transport")
    provider = transport.get("provider") if isinstance(transport, dict) else None
    phone = [name for name in ("phoneNumberId", "phoneNumber") if body.get(name) is not None]
    if provider == "vapi.websocket":
        return [
            f"{name} must be absent when transport.provider is vapi.websocket, got {shown(name, body[name])}"
            for name in phone
        ]
    if phone:
        return [f"{name} is not supported yet, got {shown(name, body[name])}" for name in phone]
    return [f'transport.provider must be "vapi.websocket", got {json.dumps(provider)[:80]}']


def _audio(audio: Mapping[str, Any], problems: list[str]) -> tuple[AudioFormat, int]:
    try:
        audio_format = AudioFormat(audio.get("format") or AudioFormat.PCM16)
    except (ValueError, TypeError):
        return AudioFormat.PCM16, DEFAULT_RATE_HZ[AudioFormat.PCM16]  # call_problems named it
    rate = audio.get("sampleRate")
    if not isinstance(rate, int | float) or isinstance(rate, bool):
        return audio_format, DEFAULT_RATE_HZ[audio_format]
    path = "transport.audioFormat.sampleRate"
    if audio_format is AudioFormat.MULAW and rate != DEFAULT_RATE_HZ[audio_format]:
        problems.append(f"{path} must be 8000 when format is mulaw, got {json.dumps(rate)}")
    elif rate % FRAME_RATE_HZ:
        problems.append(f"{path} must be a multiple of {FRAME_RATE_HZ}, got {json.dumps(rate)}")
    return audio_format, int(rate)
