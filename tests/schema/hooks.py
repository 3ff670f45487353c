"""For schemathesis: a document that is made up keeps the rules that a JSON Schema cannot say, as that of a customer's does who
read the guides: it refers to documents that are there, and its fields go together. What is made to be wrong stays wrong."""

from __future__ import annotations

import itertools
import json
import os
import uuid
from typing import Any

import schemathesis

_IDS: dict[str, str] = json.loads(os.environ["AYWA_SCHEMA_IDS"])
_COUNT = itertools.count(os.getpid() * 1_000_000)
_INTEGER_MAX = 2**63 - 1


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Mends what was made to be right."""
    if case.method.upper() in ("DELETE", "PATCH", "PUT"):
        # What documents refer to stays as it is.
        for name, value in (case.path_parameters or {}).items():
            if value in _IDS.values():
                case.path_parameters[name] = str(uuid.uuid4())
    if case.meta is not None and case.meta.generation.mode.value == "positive" and case.headers:
        for name in case.headers:
            if name.lower() == "idempotency-key":
                case.headers[name] = str(uuid.uuid4())  # asked again with another body, it is refused
    if case.meta is None or case.meta.generation.mode.value != "positive" or not isinstance(case.body, dict):
        return
    case.body = _referring(case.body)
    mend = _MENDS.get((case.method.upper(), case.path))
    if mend is not None:
        mend(case.body)


def _referring(value: Any) -> Any:
    if isinstance(value, list):
        return [_referring(item) for item in value]
    if isinstance(value, int) and abs(value) > _INTEGER_MAX:
        return _INTEGER_MAX  # more than 64 bits cannot be kept, wherever they stand
    if isinstance(value, float) and value.is_integer() and abs(value) > _INTEGER_MAX:
        return 0.5
    if not isinstance(value, dict):
        return value
    found = {name: _reference(name, item) for name, item in value.items()}
    for member in found["members"][1:] if isinstance(found.get("members"), list) else ():
        # No two members of a squad have one name.
        if isinstance(member, dict) and member.get("assistantId") is not None:
            member["assistantId"] = None
            member["assistant"] = {}
    if isinstance(found.get("squad"), dict):
        found["squad"].setdefault("members", [{"assistant": {}}])
    return found


def _reference(name: str, value: Any) -> Any:
    if isinstance(value, str) and name in _IDS:
        return _IDS[name]
    if isinstance(value, list) and name == "toolIds":
        return [_IDS["toolId"] for item in value if isinstance(item, str)]
    if isinstance(value, str) and name == "sipUri":
        return f"sip:n{next(_COUNT)}@example.com"
    return _referring(value)


def _number(body: dict[str, Any]) -> None:
    """One brain; a server that has an address; and what its provider wants, and nothing else's (contract 14.1)."""
    for name in ("squadId", "workflowId"):
        if body.get("assistantId") is not None:
            body.pop(name, None)
    if body.get("squadId") is not None:
        body.pop("workflowId", None)
    if isinstance(body.get("server"), dict):
        body["server"]["url"] = "https://example.com"
    for name in ("fallbackDestination", "carrier", "authentication", "apiUrl", "hooks"):
        body.pop(name, None)


def _new_number(body: dict[str, Any]) -> None:
    _number(body)
    for name in [name for name in body if name.startswith("twilio")]:
        del body[name]
    body.pop("credentialId", None)
    if body["provider"] == "twilio":
        body |= {"number": f"+49{next(_COUNT)}", "twilioAccountSid": "AC1", "twilioAuthToken": "secret"}
        body.pop("sipUri", None)
    else:
        body |= {"provider": "vapi", "sipUri": f"sip:n{next(_COUNT)}@example.com"}
        body.pop("number", None)


def _changed_number(body: dict[str, Any]) -> None:
    _number(body)
    for name in [name for name in body if name.startswith("twilio")]:
        del body[name]
    for name in ("provider", "credentialId", "number", "sipUri", "assistantId", "squadId", "workflowId"):
        body.pop(name, None)


def _credential(body: dict[str, Any]) -> None:
    """What each provider wants (contract 4.6)."""
    body["provider"] = "openai"
    body["apiKey"] = "sk-1"
    body.pop("authenticationPlan", None)


def _changed_credential(body: dict[str, Any]) -> None:
    for name in ("provider", "authenticationPlan", "apiKey"):
        body.pop(name, None)


def _call(body: dict[str, Any]) -> None:
    """One brain, one way: over WebSocket, or from a phone number to somebody who can be called (contract 6.1)."""
    for name in ("customers", "schedulePlan", "workflow", "workflowId", "customerId", "phoneNumber"):
        body.pop(name, None)
    if body.get("phoneNumberId") is not None:
        body["customer"] = {"number": "+493012345"}
        body.pop("transport", None)
    else:
        body["transport"] = {"provider": "vapi.websocket"}


def _assistant(body: dict[str, Any]) -> None:
    """A part without its provider is merged into the one that is stored, of which the description knows nothing."""
    for name, provider in (("model", "openai"), ("voice", "11labs"), ("transcriber", "deepgram")):
        if isinstance(body.get(name), dict):
            body[name].setdefault("provider", provider)


def _org(body: dict[str, Any]) -> None:
    """A server has an address."""
    if isinstance(body.get("server"), dict):
        body["server"]["url"] = "https://example.com"


def _check(body: dict[str, Any]) -> None:
    """An assistant that is stored or one that is brought along, or a provider."""
    given = [name for name in ("assistantId", "assistant", "provider") if body.get(name) is not None]
    for name in given[1:]:
        del body[name]


_MENDS = {
    ("POST", "/phone-number"): _new_number,
    ("PATCH", "/phone-number/{phone_number_id}"): _changed_number,
    ("POST", "/credential"): _credential,
    ("PATCH", "/credential/{credential_id}"): _changed_credential,
    ("POST", "/call"): _call,
    ("POST", "/call/web"): _call,
    ("PUT", "/assistant/{assistant_id}"): _assistant,
    ("PATCH", "/assistant/{assistant_id}"): _assistant,
    ("POST", "/providers/check"): _check,
    ("PATCH", "/org/{org_id}"): _org,
}
