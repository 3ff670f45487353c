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
from aywa.service.brain_secrets import split_brain
from aywa.service.clock import iso, parse_iso
from aywa.service.documents import without_own
from aywa.service.errors import Rejected
from aywa.service.overrides import laid_over
from aywa.service.phone_numbers import split_number
from aywa.service.phone_rules import (
    CUSTOMER,
    SIP_TRANSPORT,
    target_problems,
    transient_number,
    transient_problems,
)
from aywa.service.rules import check, shown
from aywa.service.secret_fields import Secrets
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
        "subscriptionLimits",
    )
)
"""Fields of a call that say what became of it: a client's are dropped."""

_NOT_YET = ("workflowId", "workflow", "customerId")
BRAINS = ("assistantId", "assistant", "squadId", "squad")


@dataclass(frozen=True, slots=True)
class PhoneTarget:
    """Who is to be called, and from which phone number. Either number or uri is set. digits: an extension. transient: the phone
    number itself, with its secrets, where it came with the call."""

    phone_number_id: str
    number: str = ""
    uri: str = ""
    digits: str = ""
    caller_id: str = ""
    ring_s: float = RING_S
    headers: Headers = ()
    transient: JsonObject | None = field(default=None, repr=False)

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
    """What was asked for. body: as submitted, without secrets, to be kept; secrets: what was taken out of it. Exactly one of
    assistant_id, assistant, squad_id and squad is set. overrides: of an assistant; squad_overrides: of each member of a squad.
    inline: the credentials that came with it, with their secrets; None when none did. carrier: the vendor by whom the call
    comes, or goes; empty for a trunk."""

    type: str
    body: JsonObject
    assistant_id: str | None
    assistant: JsonObject | None = field(repr=False)
    overrides: JsonObject = field(repr=False)
    format: AudioFormat
    rate_hz: int
    inline: Sequence[JsonObject] | None = field(default=None, repr=False)
    phone: PhoneTarget | None = None
    schedule: Schedule | None = None
    carrier: str = ""
    squad_id: str | None = None
    squad: JsonObject | None = field(default=None, repr=False)
    squad_overrides: JsonObject = field(default_factory=dict, repr=False)
    secrets: Secrets = field(default_factory=list, repr=False)

    @property
    def variables(self) -> JsonObject:
        """The submitted values for {{names}}."""
        values = (over.get("variableValues") or {} for over in (self.overrides, self.squad_overrides))
        return {name: value for each in values for name, value in each.items()}


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
    other = WEB_CALL if web else WEBSOCKET_CALL
    kept = without_own(body)
    return replace(
        _read(OUTBOUND_CALL if is_phone else other, kept, audio_format, rate_hz),
        phone=_phone_target(kept) if is_phone else None,
        schedule=schedule,
    )


def accepted_request(body: JsonObject) -> CallRequest:
    """Who thinks in a call, by its document: that was accepted before, and is not checked again."""
    return _read(
        str(body.get("type", "")), without_own(body), AudioFormat.MULAW, DEFAULT_RATE_HZ[AudioFormat.MULAW]
    )


def _read(kind: str, body: JsonObject, audio_format: AudioFormat, rate_hz: int) -> CallRequest:
    kept = {name: value for name, value in body.items() if name not in RUNTIME_FIELDS}
    inline: Sequence[JsonObject] | None = None
    brain = dict(kept)
    customer = kept.get("customer") or {}
    for name in ("assistantOverrides", "squadOverrides"):
        # What is said of one customer counts more than what is said of the call (contract 6.1).
        if isinstance(customer.get(name), dict):
            brain[name] = laid_over(kept.get(name) or {}, customer[name])
    for name in ("assistant", "assistantOverrides"):
        given = brain.get(name)
        if isinstance(given, dict):
            if INLINE in given:
                inline = inline_of(given)
            brain[name] = split_inline(given)[0]
    public, secrets = _split(kept)
    return CallRequest(
        kind,
        public,
        kept.get("assistantId"),
        brain.get("assistant"),
        brain.get("assistantOverrides") or {},
        audio_format,
        rate_hz,
        inline,
        squad_id=kept.get("squadId"),
        squad=kept.get("squad"),
        squad_overrides=brain.get("squadOverrides") or {},
        secrets=secrets,
    )


def _split(body: JsonObject) -> tuple[JsonObject, Secrets]:
    number = body.get("phoneNumber")
    if not isinstance(number, dict):
        return split_brain(body)
    shown_number, of_number = split_number(number)
    public, secrets = split_brain(body | {"phoneNumber": shown_number})
    return public, [*secrets, *((["phoneNumber", *path], secret) for path, secret in of_number)]


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
        f"{name} is not supported, got {shown(name, body[name])}"
        for name in _NOT_YET
        if body.get(name) is not None
    ]
    given = [name for name in BRAINS if body.get(name) is not None]
    if len(given) > 1:
        others = " and ".join(given[1:])
        problems.append(
            f"{given[0]} must not be given together with {others}, got {shown('', body[given[0]])}"
        )
    if not given and not problems:
        problems.append(
            "assistantId, assistant, squadId or squad is required: a call needs exactly one of them, got none"
        )
    return problems


def _origin_problems(body: Mapping[str, Any], *, web: bool) -> list[str]:
    if body.get("customers") is not None:
        value = shown("customers", body["customers"])
        return [f"customers must be absent unless telephones are called (POST /call), got {value}"]
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
    rule = 'must be "vapi.websocket" unless phoneNumberId or phoneNumber is given'
    return [f"transport.provider {rule}, got {json.dumps(provider)[:80]}"]


def _is_phone(body: Mapping[str, Any]) -> bool:
    transport = body.get("transport")
    provider = transport.get("provider") if isinstance(transport, dict) else None
    number = any(body.get(name) is not None for name in ("phoneNumberId", "phoneNumber"))
    return number and provider != "vapi.websocket"


def _phone_problems(body: Mapping[str, Any]) -> list[str]:
    problems = []
    number_id, number = body.get("phoneNumberId"), body.get("phoneNumber")
    if number_id is None:
        problems += transient_problems(number)
    elif not isinstance(number_id, str):
        problems.append(f"phoneNumberId must be a string, got {shown('', number_id)}")
    if number_id is not None and number is not None:
        value = shown("phoneNumber", number)
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
        rule = f'must be "{SIP}", the phone number\'s own provider, or absent where a telephone is called'
        problems.append(f"transport.provider {rule}, got {shown('', provider)}")
    return problems


def _phone_target(body: Mapping[str, Any]) -> PhoneTarget:
    """Of a body without problems."""
    customer, transport = body["customer"], body.get("transport") or {}
    number = body.get("phoneNumber")
    return PhoneTarget(
        body.get("phoneNumberId") or "",
        customer.get("number") or "",
        customer.get("sipUri") or "",
        customer.get("extension") or "",
        customer.get("callerId") or "",
        float(transport.get("dialTimeout") or RING_S),
        tuple((transport.get("sipHeaders") or {}).items()),
        None if number is None else transient_number(number),
    )


def _schedule(plan: Any, problems: list[str], *, is_phone: bool) -> Schedule | None:
    if plan is None:
        return None
    if not is_phone:
        value = shown("schedulePlan", plan)
        problems.append(
            f"schedulePlan must be absent unless a telephone is called (phoneNumberId, phoneNumber), got {value}"
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
