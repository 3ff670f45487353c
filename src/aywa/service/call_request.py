"""Reads a request for a call: which brain, which transport or telephone, when. Decides only; says all that is wrong at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aywa.ports.media import AudioFormat
from aywa.ports.store import JsonObject
from aywa.ports.telephony import RING_S, Headers
from aywa.service.assistants import INLINE, inline_of, split_inline
from aywa.service.clock import iso, parse_iso
from aywa.service.documents import without_own
from aywa.service.errors import Rejected
from aywa.service.phone_rules import CUSTOMER, SIP_TRANSPORT, target_problems
from aywa.service.rules import check, shown
from aywa.service.validate import call_problems

WEBSOCKET_CALL = "vapi.websocketCall"
WEB_CALL = "webCall"
OUTBOUND_CALL = "outboundPhoneCall"
INBOUND_CALL = "inboundPhoneCall"
SIP = "vapi.sip"
PUBLISHED_CARRIERS = ("telnyx", "twilio", "vonage")
"""The carriers that the contract has a transport and a provider for."""
SCHEDULE_MAX_MS = 366 * 24 * 3600 * 1000
"""How far ahead a call may be scheduled."""

RING_MAX_S = 600.0
RING_MARGIN_S = 10.0
"""How much longer than the telephone rings its call waits for the answer: who rang in vain is told why by the telephone."""

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
        "phoneCallProvider",
        "phoneCallProviderId",
        "phoneCallTransport",
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
)


@dataclass(frozen=True, slots=True)
class PhoneTarget:
    """Who is to be called, and from which phone number. Either number or uri is set. digits: an extension."""

    phone_number_id: str
    number: str = ""
    uri: str = ""
    digits: str = ""
    caller_id: str = ""
    ring_s: float = RING_S
    headers: Headers = ()

    @property
    def destination(self) -> str:
        """The number, or the URI."""
        return self.number or self.uri


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a call may begin, in Unix milliseconds. latest_ms: None for no matter how late."""

    earliest_ms: int
    latest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What was asked for. body: as submitted, without secrets, to be kept. Exactly one of assistant_id and assistant is set.
    inline: the credentials that came with it, with their secrets; None when none did. carrier: the vendor by whom the call
    comes, or goes; empty for a trunk."""

    type: str
    body: JsonObject
    assistant_id: str | None
    assistant: JsonObject | None
    overrides: JsonObject
    format: AudioFormat
    rate_hz: int
    inline: Sequence[JsonObject] | None = field(default=None, repr=False)
    phone: PhoneTarget | None = None
    schedule: Schedule | None = None
    carrier: str = ""

    @property
    def variables(self) -> JsonObject:
        """The submitted values for {{names}}."""
        return dict(self.overrides.get("variableValues") or {})


def read_request(body: Any, *, web: bool) -> CallRequest:
    """Raises Rejected with every problem."""
    problems = call_problems(body)
    if not isinstance(body, dict):
        raise Rejected(problems)
    is_phone = not web and _is_phone(body)
    problems += _brain_problems(body)
    problems += _phone_problems(body) if is_phone else _origin_problems(body, web=web)
    schedule = _schedule(body.get("schedulePlan"), problems, is_phone=is_phone)
    problems = list(dict.fromkeys(problems))
    transport = body.get("transport")
    transport = transport if isinstance(transport, dict) else {}
    if is_phone:
        transport = {"audioFormat": {"format": AudioFormat.MULAW}}
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
    other = WEB_CALL if web else WEBSOCKET_CALL
    return CallRequest(
        OUTBOUND_CALL if is_phone else other,
        kept,
        kept.get("assistantId"),
        kept.get("assistant"),
        kept.get("assistantOverrides") or {},
        audio_format,
        rate_hz,
        inline,
        _phone_target(kept) if is_phone else None,
        schedule,
    )


def join_timeout_s(assistant: Mapping[str, Any], phone: PhoneTarget | None = None) -> float:
    """How long a party has to connect."""
    if phone is not None:
        return phone.ring_s + RING_MARGIN_S
    value = assistant.get("customerJoinTimeoutSeconds")
    return float(value) if isinstance(value, int | float) else JOIN_TIMEOUT_S


def with_ring(
    phone: PhoneTarget, body: Mapping[str, Any], assistant: Mapping[str, Any], carrier: str
) -> PhoneTarget:
    """Rings as long as the assistant says for this carrier (contract 14.3), unless the request says how long."""
    transport = body.get("transport")
    if isinstance(transport, Mapping) and transport.get("dialTimeout") is not None:
        return phone
    given = assistant.get("transportConfigurations")
    for each in given if isinstance(given, list) else []:
        timeout_s = (
            each.get("timeout") if isinstance(each, Mapping) and each.get("provider") == carrier else None
        )
        if isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool):
            return replace(phone, ring_s=min(max(float(timeout_s), 1.0), RING_MAX_S))
    return phone


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
        rule = "is not supported: make one with POST /phone-number and name it in phoneNumberId"
        return [f"phoneNumber {rule}, got {shown('phoneNumber', body['phoneNumber'])}"]
    rule = 'must be "vapi.websocket" unless phoneNumberId is given'
    return [f"transport.provider {rule}, got {json.dumps(provider)[:80]}"]


def _is_phone(body: Mapping[str, Any]) -> bool:
    transport = body.get("transport")
    provider = transport.get("provider") if isinstance(transport, dict) else None
    return body.get("phoneNumberId") is not None and provider != "vapi.websocket"


def _phone_problems(body: Mapping[str, Any]) -> list[str]:
    problems = []
    if not isinstance(body["phoneNumberId"], str):
        problems.append(f"phoneNumberId must be a string, got {shown('', body['phoneNumberId'])}")
    if body.get("phoneNumber") is not None:
        value = shown("phoneNumber", body["phoneNumber"])
        problems.append(f"phoneNumber must not be given together with phoneNumberId, got {value}")
    customer = body.get("customer")
    found = [] if customer is None else check(CUSTOMER, customer, "customer")
    problems += found or target_problems(customer)
    transport = body.get("transport")
    if transport is None:
        return problems
    problems += check(SIP_TRANSPORT, transport, "transport")
    provider = transport.get("provider") if isinstance(transport, dict) else None
    if provider not in (None, SIP, *PUBLISHED_CARRIERS):
        rule = f'must be "{SIP}", the phone number\'s own provider, or absent where phoneNumberId is given'
        problems.append(f"transport.provider {rule}, got {shown('', provider)}")
    return problems


def _phone_target(body: Mapping[str, Any]) -> PhoneTarget:
    """Of a body without problems."""
    customer, transport = body["customer"], body.get("transport") or {}
    return PhoneTarget(
        body["phoneNumberId"],
        customer.get("number") or "",
        customer.get("sipUri") or "",
        customer.get("extension") or "",
        customer.get("callerId") or "",
        float(transport.get("dialTimeout") or RING_S),
        tuple((transport.get("sipHeaders") or {}).items()),
    )


def _schedule(plan: Any, problems: list[str], *, is_phone: bool) -> Schedule | None:
    if plan is None:
        return None
    if not is_phone:
        value = shown("schedulePlan", plan)
        problems.append(
            f"schedulePlan must be absent unless a telephone is called (phoneNumberId), got {value}"
        )
        return None
    if not isinstance(plan, Mapping):
        problems.append(f"schedulePlan must be an object, got {shown('', plan)}")
        return None
    earliest, latest = (_date(plan, name, problems) for name in ("earliestAt", "latestAt"))
    if plan.get("earliestAt") is None:
        problems.append("schedulePlan.earliestAt is required, got null")
    if earliest is None:
        return None
    if latest is not None and latest < earliest:
        problems.append(f"schedulePlan.latestAt must not be before earliestAt, got {json.dumps(iso(latest))}")
    return Schedule(earliest, latest)


def _date(plan: Mapping[str, Any], name: str, problems: list[str]) -> int | None:
    value = plan.get(name)
    if value is None:
        return None
    try:
        return round(parse_iso(value))
    except (ValueError, OverflowError, TypeError, AttributeError):
        problems.append(f"schedulePlan.{name} must be a valid ISO 8601 date string, got {shown('', value)}")
        return None


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
