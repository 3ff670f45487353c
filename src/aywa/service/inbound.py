"""Whom a call that comes in is for: the trunk or account it may come by, its phone number, and who answers there.

What is not for anybody, not from where it may come, or not proven, is refused all alike: a scanner learns nothing.
What is for somebody and cannot be answered is put on record, and goes to the number's fallbackDestination if it has one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from aywa.core.numbers import variables_of
from aywa.ports.calls import CallRefused
from aywa.ports.errors import ProviderError
from aywa.ports.journal import StoreUnavailable
from aywa.ports.media import AudioFormat
from aywa.ports.server_questions import (
    ASSISTANT_REQUEST,
    ASSISTANT_REQUEST_S,
    ServerChain,
    ServerQuestions,
)
from aywa.ports.store import Document, JsonObject
from aywa.ports.telephony import (
    Account,
    Answer,
    Forward,
    InboundInvite,
    OutboundCall,
    Refusal,
    Trunk,
)
from aywa.service.assistants import INLINE, Resolved, inline_of, split_inline
from aywa.service.brain_secrets import split_brain
from aywa.service.brains import Brains
from aywa.service.call_bodies import first_body
from aywa.service.call_request import INBOUND_CALL, CallRequest
from aywa.service.calls import Calls
from aywa.service.clock import Clock, now_ms
from aywa.service.customer_servers import CustomerServers
from aywa.service.documents import load, new_document
from aywa.service.errors import NotFound, Rejected
from aywa.service.number_hooks import hooked, parting
from aywa.service.outbound import Outbound
from aywa.service.phone_numbers import NumberInUse, PhoneNumbers, shown_number
from aywa.service.phone_rules import DESTINATION, ENDING, RINGING, SAY_MAX_CHARACTERS, is_plain
from aywa.service.rules import check
from aywa.service.trunks import Trunks
from aywa.service.validate import assistant_problems, call_problems

_log = structlog.get_logger("aywa.service.inbound")

RETRY_AFTER_S = 5.0
NOBODY = Refusal(404, "Not Found")
"""What everyone hears who is not let in, whatever the reason."""
_NO_STORE = Refusal(503, "Service Unavailable", RETRY_AFTER_S, message="the store does not answer")

NO_BRAIN = "call-start-error-neither-assistant-nor-server-set"
NO_ASSISTANT = "call.start.error-get-assistant"
NO_RESOURCES = "call.start.error-get-resources-validation"
FAILED = "assistant-request-failed"
FORWARDED = "assistant-request-returned-forwarding-phone-number"
INVALID = "assistant-request-returned-invalid-assistant"
NO_ANSWER = "assistant-request-returned-no-assistant"
SAID = "assistant-request-returned-error"
UNSPEAKABLE = "assistant-request-returned-unspeakable-error"
TEXT_LENGTH_MAX = 200


class _NotAnswered(Exception):
    """Nobody answers for the number. destination: where the customer's server, or a hook, sends the caller instead. words: what
    he is told before the line is hung up."""

    def __init__(
        self, reason: str, message: str, destination: JsonObject | None = None, words: str = ""
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.destination = destination
        self.words = words

    def spoken(self) -> _Brain | None:
        """Who tells him."""
        return _speaker(self.words, self.reason) if self.words else None


@dataclass(frozen=True, slots=True)
class Brought:
    """A call that a carrier, or a customer's own equipment, brings by itself. caller: a number or a SIP URI, empty when nobody
    said. provider_id: what they call it. parameters: they become variables. carrier: the vendor, empty for own equipment.
    format, rate_hz: of its audio."""

    caller: str = ""
    called: str = ""
    caller_name: str = ""
    provider_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    carrier: str = ""
    format: AudioFormat = AudioFormat.MULAW
    rate_hz: int = 8_000


@dataclass(frozen=True, slots=True)
class _Brain:
    resolved: Resolved
    assistant_id: str | None = None
    assistant: JsonObject | None = None
    overrides: JsonObject | None = None
    inline: Sequence[JsonObject] | None = None
    squad_id: str | None = None
    squad: JsonObject | None = None
    squad_overrides: JsonObject | None = None


class Inbound:
    """ports.telephony.Router. requests: None where no customer's server can be asked. base_url: where this API is reached
    from outside, empty when nobody said."""

    def __init__(
        self,
        numbers: PhoneNumbers,
        trunks: Trunks,
        outbound: Outbound,
        calls: Calls,
        brains: Brains,
        servers: CustomerServers,
        requests: ServerQuestions | None = None,
        base_url: str = "",
        clock: Clock = now_ms,
    ) -> None:
        self._numbers = numbers
        self._trunks = trunks
        self._outbound = outbound
        self._calls = calls
        self._brains = brains
        self._servers = servers
        self._requests = requests
        self._base_url = base_url
        self._clock = clock

    # --- ports.telephony.Router ----------------------------------------------------------------------------------

    async def trunks(self) -> Sequence[Trunk]:
        """As the port says."""
        return await self._trunks.all()

    async def accounts(self) -> Sequence[Account]:
        """As the port says."""
        return await self._numbers.accounts()

    def on_change(self, tell: Callable[[], None]) -> None:
        """As the port says."""
        self._trunks.on_change(tell)

    async def route(self, invite: InboundInvite) -> Answer:
        """As the port says."""
        try:
            number, from_trunk = await self._number(invite)
            if number is None:
                return NOBODY
            return await self._answer(invite, number, from_trunk=from_trunk)
        except StoreUnavailable:
            return _NO_STORE
        except Exception as error:  # noqa: BLE001 - the caller must hear something
            _log.exception("invite_not_routed")
            return Refusal(500, "Server Internal Error", message=type(error).__name__)

    # --- which number --------------------------------------------------------------------------------------------

    async def _number(self, invite: InboundInvite) -> tuple[NumberInUse | None, bool]:
        """The number that was called, if the caller may call it; and whether a trunk brought him."""
        trunks = await self._trunks.at(invite.source)
        # sip:{number}@<credentialId>.sip.<host> names the trunk (contract 14.2), where an address is several trunks'.
        named = [trunk for trunk in trunks if invite.called_host.lower().startswith(f"{trunk.id.lower()}.")]
        number = await self._numbers.of_trunks([trunk.id for trunk in named or trunks], invite.called)
        if number is not None:
            return (None if number.body.get("status") == "blocked" else number), True
        number = await self._numbers.of_uri(invite.called) if invite.called else None
        if number is None or number.body.get("status") == "blocked":
            return None, False
        if number.account is None or invite.trusted:
            return number, False
        proven = bool(number.account.password) and invite.account == number.account.username
        return (number if proven else None), False

    # --- who answers ---------------------------------------------------------------------------------------------

    async def _answer(self, invite: InboundInvite, number: NumberInUse, *, from_trunk: bool) -> Answer:
        customer = _customer(invite, from_trunk=from_trunk)
        brought = Brought(provider_id=invite.sip_call_id)
        return await self._receive(number, customer, variables_of(invite.headers), brought)

    async def _receive(
        self, number: NumberInUse, customer: JsonObject, variables: Mapping[str, str], brought: Brought
    ) -> Answer:
        created_ms = self._clock()
        call_id = str(uuid.uuid4())
        body = {"customer": customer, "phoneNumberId": number.id} | _provider_id(brought)
        bare = CallRequest(
            INBOUND_CALL, body, None, None, {}, brought.format, brought.rate_hz, carrier=brought.carrier
        )
        envelope = new_document(number.org_id, created_ms, first_body(bare), call_id)
        caller = str(customer.get("number", ""))
        action = hooked(number.body, RINGING, caller)
        brain: _Brain | None
        try:
            brain = self._as_hooked(RINGING, action) or await self._brain(number, envelope)
        except _NotAnswered as reason:
            try:
                brain = self._as_hooked(ENDING, hooked(number.body, ENDING, reason.reason)) or reason.spoken()
            except _NotAnswered as hook:
                return await self._unanswered(number, envelope, hook, caller)
            if brain is None:
                return await self._unanswered(number, envelope, reason, caller)
        request = _request(brain, body, variables, brought)
        document = new_document(number.org_id, created_ms, first_body(request), call_id)
        try:
            return await self._begun(document, request, brain.resolved, number)
        except Rejected as rejection:
            # What it refers to is not there (contract 5): nothing of the call has begun.
            missing = _NotAnswered(NO_RESOURCES, "; ".join(rejection.problems[:5]))
            return await self._unanswered(number, envelope, missing, customer.get("number", ""))

    async def _begun(
        self, document: Document, request: CallRequest, resolved: Resolved, number: NumberInUse | None
    ) -> Answer:
        try:
            return await self._calls.receive(document, request, resolved, number, self._base_url)
        except CallRefused as refusal:
            return Refusal(
                503, "Service Unavailable", RETRY_AFTER_S, refusal.ended_reason, str(refusal), document.id
            )

    # --- a call that is brought ----------------------------------------------------------------------------------

    async def take(self, number: NumberInUse, brought: Brought) -> Answer:
        """A call for a phone number, from somebody who may bring it. Never raises."""
        if number.body.get("status") == "blocked":
            return NOBODY
        try:
            return await self._receive(number, _brought_by(brought), _variables(brought), brought)
        except StoreUnavailable:
            return _NO_STORE
        except Exception as error:  # noqa: BLE001 - whoever brings it must hear something
            _log.exception("call_not_taken")
            return Refusal(500, "Server Internal Error", message=type(error).__name__)

    async def take_for(self, org_id: str, assistant_id: str, brought: Brought) -> Answer:
        """A call for an assistant, from somebody who may bring it. Never raises."""
        try:
            brain = await self._stored(org_id, assistant_id, {}, NO_ASSISTANT)
            body = {"customer": _brought_by(brought)} | _provider_id(brought)
            request = _request(brain, body, _variables(brought), brought)
            document = new_document(org_id, self._clock(), first_body(request), str(uuid.uuid4()))
            return await self._begun(document, request, brain.resolved, None)
        except _NotAnswered as reason:
            return Refusal(404, "Not Found", None, reason.reason, str(reason))
        except Rejected as rejection:
            return Refusal(404, "Not Found", None, NO_RESOURCES, "; ".join(rejection.problems[:5]))
        except StoreUnavailable:
            return _NO_STORE
        except Exception as error:  # noqa: BLE001 - as above
            _log.exception("call_not_taken")
            return Refusal(500, "Server Internal Error", message=type(error).__name__)

    def _as_hooked(self, on: str, action: Mapping[str, Any] | None) -> _Brain | None:
        """Who speaks for the number's hook (contract 12.2); None where there is none. Raises _NotAnswered: it passes the caller
        on."""
        if action is None:
            return None
        if action.get("type") == "say":
            return _speaker(str(action.get("exact") or ""), f"{on}.hook-executed-say")
        destination = action.get("destination")
        known = not check(DESTINATION, destination, "destination")
        told = "a hook of the phone number passes the caller on"
        raise _NotAnswered(f"{on}.hook-executed-transfer", told, destination if known else None)

    async def _brain(self, number: NumberInUse, envelope: Document) -> _Brain:
        body = number.body
        if body.get("assistantId") is not None:
            return await self._stored(number.org_id, body["assistantId"], {}, NO_ASSISTANT)
        if body.get("squadId") is not None:
            return await self._stored_squad(number.org_id, body["squadId"], {}, NO_RESOURCES)
        if body.get("workflowId") is not None:
            raise _NotAnswered(
                NO_RESOURCES, "workflowId is not supported: give the number an assistantId or a squadId"
            )
        chain = await self._servers.number_chain(number.org_id, number.server)
        if not chain.servers:
            raise _NotAnswered(NO_BRAIN, "the phone number has neither an assistantId nor a server")
        return await self._asked(number, chain, envelope)

    async def _stored(self, org_id: str, assistant_id: Any, overrides: JsonObject, reason: str) -> _Brain:
        try:
            resolved = await self._brains.stored(org_id, str(assistant_id))
        except NotFound as missing:
            raise _NotAnswered(reason, str(missing)) from None
        inline = inline_of(overrides) if INLINE in overrides else None
        return _Brain(resolved, str(assistant_id), overrides=split_inline(overrides)[0], inline=inline)

    async def _stored_squad(self, org_id: str, squad_id: Any, overrides: JsonObject, reason: str) -> _Brain:
        try:
            resolved = await self._brains.squad(org_id, str(squad_id))
        except NotFound as missing:
            raise _NotAnswered(reason, str(missing)) from None
        return _Brain(resolved, squad_id=str(squad_id), squad_overrides=overrides)

    async def _asked(self, number: NumberInUse, chain: ServerChain, envelope: Document) -> _Brain:
        """As the customer's server says (contract 7.4)."""
        if self._requests is None:
            raise _NotAnswered(FAILED, "this runtime asks no servers")
        call = load(envelope)
        message = {
            "type": ASSISTANT_REQUEST,
            "timestamp": self._clock(),
            "call": call,
            "phoneNumber": shown_number(number.body),
            "customer": call["customer"],
        }
        _log.info("assistant_requested", call_id=envelope.id, phone_number_id=number.id)
        try:
            answer = await self._requests.ask(message, chain, deadline_s=ASSISTANT_REQUEST_S)
        except ProviderError as error:
            raise _NotAnswered(FAILED, str(error)) from None
        return await self._as_answered(number.org_id, answer.body)

    async def _as_answered(self, org_id: str, answer: Mapping[str, Any]) -> _Brain:
        given = {name: value for name, value in answer.items() if value is not None}
        overrides = given.get("assistantOverrides", {})
        squads = {name: given[name] for name in ("squad", "squadOverrides") if name in given}
        problems = call_problems({"assistantOverrides": overrides, **squads})
        if isinstance(given.get("error"), str):
            told = f"the server answered: {given['error'][:TEXT_LENGTH_MAX]}"
            speakable = given["error"].strip()[:SAY_MAX_CHARACTERS]
            raise _NotAnswered(SAID if speakable else UNSPEAKABLE, told, words=speakable)
        if "destination" in given:
            found = check(DESTINATION, given["destination"], "destination")
            destination = None if found else given["destination"]
            raise _NotAnswered(FORWARDED, "; ".join(found) or "the server forwards the caller", destination)
        if problems:
            raise _NotAnswered(INVALID, "; ".join(problems[:5]))
        if "assistantId" in given:
            return await self._stored(org_id, given["assistantId"], overrides, INVALID)
        if "assistant" in given:
            problems = assistant_problems(given["assistant"])
            if problems:
                raise _NotAnswered(INVALID, "; ".join(problems[:5]))
            assistant = {name: value for name, value in given["assistant"].items() if value is not None}
            merged = assistant | ({INLINE: overrides[INLINE]} if INLINE in overrides else {})
            public = split_inline(assistant)[0]
            return _Brain(
                Resolved(public, inline_of(merged)),
                None,
                public,
                split_inline(overrides)[0],
                inline_of(merged),
            )
        squad_overrides = given.get("squadOverrides", {})
        if "squadId" in given:
            return await self._stored_squad(org_id, given["squadId"], squad_overrides, INVALID)
        if "squad" in given:
            squad = given["squad"]
            return _Brain(Resolved({}, squad=squad), squad=squad, squad_overrides=squad_overrides)
        raise _NotAnswered(NO_ANSWER, "the server's answer names no assistant")

    # --- a caller sends us on ---------------------------------------------------------------------------------------

    async def refer(self, org_id: str, call_id: str, target: str) -> OutboundCall | Refusal:
        """As the port says: only where the toll guard has a list, and the target is on it."""
        try:
            call = json.loads(await self._calls.get(org_id, call_id))
            number = await self._numbers.use(org_id, str(call.get("phoneNumberId") or ""))
            placed = await self._outbound.referred(number, target)
        except (NotFound, Rejected, CallRefused) as refusal:
            _log.info("refer_refused", call_id=call_id, why=str(refusal))
            return Refusal(603, "Decline", message=str(refusal))
        except StoreUnavailable:
            return Refusal(503, "Service Unavailable", message="the store does not answer")
        return replace(placed, call_id=call_id)

    # --- a callee sends us on ---------------------------------------------------------------------------------------

    def redirect(self, call: OutboundCall, target: str) -> OutboundCall | Refusal:
        """As the port says."""
        try:
            return self._outbound.redirected(call, target)
        except Rejected as rejection:
            _log.info("redirect_refused", call_id=call.call_id, why=str(rejection))
            return Refusal(302, message="; ".join(rejection.problems))

    # --- nobody does -----------------------------------------------------------------------------------------------

    async def _unanswered(
        self, number: NumberInUse, envelope: Document, reason: _NotAnswered, caller: str
    ) -> Answer:
        message = str(reason)
        destination = reason.destination or number.body.get("fallbackDestination")
        forward: OutboundCall | None = None
        if isinstance(destination, Mapping):
            try:
                forward = await self._outbound.forwarded(number, destination, caller)
            except Rejected as rejection:
                message += f"; it is not forwarded: {'; '.join(rejection.problems)}"
            except CallRefused as refusal:
                message += f"; it is not forwarded: {refusal}"
        more = {} if forward is None else {"destination": dict(destination or {})}
        await self._calls.record_refused(envelope, number, reason.reason, message, more)
        if forward is None:
            return Refusal(480, "Temporarily Unavailable", None, reason.reason, message, envelope.id)
        return Forward(replace(forward, call_id=envelope.id), reason.reason, message)


def _speaker(text: str, reason: str) -> _Brain:
    assistant = parting(text, reason)
    return _Brain(Resolved(assistant), assistant=assistant)


def _request(brain: _Brain, body: JsonObject, given: Mapping[str, str], brought: Brought) -> CallRequest:
    """As if it had been asked for. What the customer's server says of a variable counts more than who brings the call."""
    overrides = dict(brain.overrides or {})
    variables = {**given, **(overrides.get("variableValues") or {})}
    if variables:
        overrides["variableValues"] = variables
    brains = {
        "assistantId": brain.assistant_id,
        "assistant": brain.assistant,
        "squadId": brain.squad_id,
        "squad": brain.squad,
        "squadOverrides": brain.squad_overrides or None,
    }
    body = body | {name: value for name, value in brains.items() if value is not None}
    if overrides:
        body["assistantOverrides"] = overrides
    return CallRequest(
        INBOUND_CALL,
        split_brain(body)[0],
        brain.assistant_id,
        brain.assistant,
        overrides,
        brought.format,
        brought.rate_hz,
        brain.inline,
        carrier=brought.carrier,
        squad_id=brain.squad_id,
        squad=brain.squad,
        squad_overrides=brain.squad_overrides or {},
    )


def _provider_id(brought: Brought) -> JsonObject:
    name = brought.provider_id
    return {"phoneCallProviderId": name[:TEXT_LENGTH_MAX]} if name and is_plain(name) else {}


def _variables(brought: Brought) -> dict[str, str]:
    """As those of an INVITE's headers: neither many, nor long, nor in the place of what the runtime itself says."""
    return variables_of((f"X-{name}", value) for name, value in brought.parameters.items())


def _brought_by(brought: Brought) -> JsonObject:
    """Who calls, as far as he who brings the call says."""
    caller = _text(brought.caller)
    customer: JsonObject = {}
    if caller.lower().startswith(("sip:", "sips:")):
        customer["sipUri"] = caller
    elif caller:
        customer["number"] = caller
    if brought.caller_name:
        customer["name"] = _text(brought.caller_name)[:40]
    return customer


def _customer(invite: InboundInvite, *, from_trunk: bool) -> JsonObject:
    """Who calls, as far as it can be said. Whom no trunk vouches for has a URI, not a number."""
    user = (invite.asserted if from_trunk else "") or invite.caller
    customer: JsonObject = {}
    if from_trunk and user:
        customer["number"] = _text(user)
    if invite.caller_host:
        user_part = f"{invite.caller}@" if invite.caller else ""
        customer["sipUri"] = _text(f"sip:{user_part}{invite.caller_host}")
    if invite.caller_name:
        customer["name"] = _text(invite.caller_name)[:40]
    return customer


def _text(value: str) -> str:
    """A stranger's text, short and in one line."""
    return "".join(
        each for each in value[:TEXT_LENGTH_MAX] if is_plain(each) and not "\ud800" <= each <= "\udfff"
    )
