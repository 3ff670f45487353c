"""A tool's documented fields, by its type (contract 5, 8, 11), inside an assistant or by itself.

What is not named here is kept and echoed. The types that nothing here runs are accepted too (service/inert.py).
"""

from __future__ import annotations

import re
from typing import Any

from aywa.core.sip.in_dialog import BODY_MAX_BYTES, VERBS
from aywa.service.rules import (
    Also,
    Anything,
    Choice,
    Flag,
    ListOf,
    Needs,
    Number,
    Obj,
    OneOf,
    Problems,
    Ref,
    Rule,
    Tagged,
    Text,
    check,
)
from aywa.service.server_rules import BACKOFF_PLAN, SERVER

TOOL_TYPES = (
    "function", "apiRequest", "transferCall", "handoff", "endCall", "dtmf", "voicemail", "sms", "sipRequest", "mcp",
    "query", "code", "bash", "computer", "textEditor", "google.calendar.event.create",
    "google.calendar.availability.check", "google.sheets.row.append", "slack.message.send",
    "gohighlevel.calendar.event.create", "gohighlevel.calendar.availability.check", "gohighlevel.contact.create",
    "gohighlevel.contact.get", "ghl", "make", "output", "knowledgeBase",
)  # fmt: skip
TRANSFER_MODES = (
    "rolling-history",
    "swap-system-message-in-history",
    "swap-system-message-in-history-and-remove-transfer-tool-messages",
    "delete-history",
)
CONTEXT_PLANS = ("all", "none", "lastNMessages", "userAndAssistantMessages", "previousAssistantMessages")
DESTINATIONS_MAX = 64
MESSAGES_MAX = 100
CODE_MAX = 50_000
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_REQUEST_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")


def _check_function_name(value: Any, path: str, problems: Problems) -> None:
    if _FUNCTION_NAME.match(value) is None:
        problems.add(path, "must consist of 1 to 64 letters, digits, _ or -", value)


def _check_request_name(value: Any, path: str, problems: Problems) -> None:
    if _REQUEST_NAME.match(value) is None:
        problems.add(path, "must consist of 1 to 40 letters, digits, _ or -", value)


FUNCTION = Obj(
    {
        "name": Also(Text(), _check_function_name, "^[A-Za-z0-9_-]{1,64}$"),
        "description": Text(1000),
        "parameters": Obj(),
        "strict": Flag(),
    },
    ("name",),
)
_ANY_FUNCTION = Obj(FUNCTION.rules)
_CONDITION = Obj(
    {
        "type": Text(),
        "operator": Choice(("eq", "neq", "gt", "gte", "lt", "lte")),
        "param": Text(),
        "value": Anything(),
    }
)
_SAID: dict[str, Rule] = {
    "content": Text(1000),
    "contents": ListOf(Obj({"type": Text(), "text": Text(1000), "language": Text()}), MESSAGES_MAX),
    "conditions": ListOf(_CONDITION, MESSAGES_MAX),
}
MESSAGES = ListOf(
    Tagged(
        "type",
        {
            "request-start": Obj({**_SAID, "blocking": Flag()}),
            "request-response-delayed": Obj({**_SAID, "timingMilliseconds": Number(100, 120_000)}),
            "request-complete": Obj(
                {**_SAID, "role": Choice(("assistant", "system")), "endCallAfterSpokenEnabled": Flag()}
            ),
            "request-failed": Obj({**_SAID, "endCallAfterSpokenEnabled": Flag()}),
        },
    ),
    MESSAGES_MAX,
)
EXTRACTION_PLAN = Obj(
    {
        "schema": Obj(),
        "aliases": ListOf(Obj({"key": Text(40, 1), "value": Text(10_000)}, ("key", "value")), MESSAGES_MAX),
    }
)
_REJECTION = Obj(
    {
        "type": Choice(("regex", "liquid", "group")),
        "regex": Text(),
        "target": Obj({"role": Choice(("user", "assistant")), "position": Number(whole=True)}),
        "negate": Flag(),
        "liquid": Text(),
        "operator": Choice(("AND", "OR")),
        "conditions": ListOf(Obj(), MESSAGES_MAX),
    },
    ("type",),
)
CONTEXT_PLAN = Obj({"type": Choice(CONTEXT_PLANS, "all"), "maxMessages": Number(0, whole=True)})
_COMMON: dict[str, Rule] = {
    "messages": MESSAGES,
    "rejectionPlan": Obj({"conditions": ListOf(_REJECTION, MESSAGES_MAX)}),
    "function": _ANY_FUNCTION,
}
_PARAMETERS = ListOf(Obj({"key": Text(), "value": Anything()}, ("key",)), MESSAGES_MAX)
_MESSAGE = OneOf((Text(1000), Obj()))
_TRANSFER_PLAN = Obj(
    {
        "mode": Text(),
        "message": _MESSAGE,
        "timeout": Number(1, 600),
        "dialTimeout": Number(1, 600),
        "sipVerb": Choice(("refer", "bye", "dial"), "refer"),
        "twiml": Text(4096),
    }
)
_TO: dict[str, Rule] = {
    "message": _MESSAGE,
    "description": Text(1000),
    "transferPlan": _TRANSFER_PLAN,
    "callerId": Text(),
}
TO_ASSISTANT = Obj(
    {
        "assistantName": Text(),
        "message": _MESSAGE,
        "description": Text(1000),
        "transferMode": Choice(TRANSFER_MODES, TRANSFER_MODES[0]),
    },
    ("assistantName",),
)
TRANSFER_DESTINATION = Tagged(
    "type",
    {
        "number": Obj(
            {
                **_TO,
                "number": Text(40, 3),
                "extension": Text(10),
                "numberE164CheckEnabled": Flag(),
            },
            ("number",),
        ),
        "sip": Obj({**_TO, "sipUri": Text(500, 1), "sipHeaders": Obj()}, ("sipUri",)),
        "assistant": TO_ASSISTANT,
    },
)
_HANDING: dict[str, Rule] = {
    "description": Text(1000),
    "contextEngineeringPlan": CONTEXT_PLAN,
    "variableExtractionPlan": EXTRACTION_PLAN,
}


def _assistant() -> Rule:
    from aywa.service.validate import ASSISTANT  # it names the tools

    return ASSISTANT


def _overrides() -> Rule:
    from aywa.service.validate import LOOSE_OVERRIDES

    return LOOSE_OVERRIDES


def _squad() -> Rule:
    from aywa.service.squad_rules import SQUAD

    return SQUAD


ASSISTANT = Ref("CreateAssistant", _assistant, "As POST /assistant takes it.")
OVERRIDES = Ref(
    "AssistantOverrides", _overrides, "Merged deeply over the assistant, as assistantOverrides of a call."
)
SQUAD_REF = Ref("CreateSquad", _squad, "As POST /squad takes it.")
HANDOFF_DESTINATION = Tagged(
    "type",
    {
        "assistant": Needs(
            Obj(
                {
                    **_HANDING,
                    "assistantName": Text(),
                    "assistantId": Text(),
                    "assistant": ASSISTANT,
                    "assistantOverrides": OVERRIDES,
                }
            ),
            ("assistantName", "assistantId", "assistant"),
            exactly=False,
        ),
        "squad": Needs(
            Obj(
                {
                    **_HANDING,
                    "squadId": Text(),
                    "squad": SQUAD_REF,
                    "entryAssistantName": Text(),
                    "squadOverrides": OVERRIDES,
                }
            ),
            ("squadId", "squad"),
        ),
        "dynamic": Obj({**_HANDING, "server": SERVER}),
    },
)
_BY_SERVER = Obj({**_COMMON, "server": SERVER, "async": Flag(), "name": Text(), "subType": Text()})
_REQUEST_MESSAGE = Obj({"content": Text(), "role": Text()})
_KINDS: dict[str, Obj] = {
    "function": Obj(
        {
            **_COMMON,
            "function": FUNCTION,
            "async": Flag(),
            "server": SERVER,
            "parameters": _PARAMETERS,
            "variableExtractionPlan": EXTRACTION_PLAN,
        },
        ("function",),
        example={
            "type": "function",
            "function": {
                "name": "opening_hours",
                "description": "When the shop is open on a day.",
                "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
            },
            "server": {"url": "https://example.com/tools"},
        },
    ),
    "apiRequest": Obj(
        {
            **_COMMON,
            "name": Also(Text(), _check_request_name, "^[A-Za-z0-9_-]{1,40}$"),
            "description": Text(1000),
            "method": Choice(("GET", "POST", "PUT", "PATCH", "DELETE")),
            "url": Text(8000, 1),
            "headers": Obj(),
            "body": Obj(),
            "timeoutSeconds": Number(1, 300, default=20),
            "backoffPlan": BACKOFF_PLAN,
            "credentialId": Text(),
            "encryptedPaths": ListOf(Text(), MESSAGES_MAX),
            "parameters": _PARAMETERS,
            "variableExtractionPlan": EXTRACTION_PLAN,
        },
        ("method", "url"),
    ),
    "transferCall": Obj({**_COMMON, "destinations": ListOf(TRANSFER_DESTINATION, DESTINATIONS_MAX)}),
    "handoff": Obj(
        {
            **_COMMON,
            "destinations": ListOf(HANDOFF_DESTINATION, DESTINATIONS_MAX),
            "defaultResult": Text(10_000),
        }
    ),
    "endCall": Obj(_COMMON),
    "dtmf": Obj({**_COMMON, "sipInfoDtmfEnabled": Flag()}),
    "voicemail": Obj({**_COMMON, "beepDetectionEnabled": Flag()}),
    "sms": Obj({**_COMMON, "metadata": Obj({"from": Text()})}),
    "sipRequest": Obj(
        {
            **_COMMON,
            "verb": Choice(VERBS),
            "headers": Obj(),
            "body": OneOf((Text(BODY_MAX_BYTES), Obj())),
            "timeoutSeconds": Number(1, 300, default=20),
            "parameters": _PARAMETERS,
            "variableExtractionPlan": EXTRACTION_PLAN,
        },
        ("verb",),
    ),
    "mcp": Obj(
        {
            **_COMMON,
            "server": SERVER,
            "metadata": Obj({"protocol": Choice(("shttp", "sse"), "shttp")}),
            "toolMessages": ListOf(Obj({"name": Text(), "messages": MESSAGES}, ("name",)), MESSAGES_MAX),
        }
    ),
    "query": Obj(
        {
            **_COMMON,
            "knowledgeBases": ListOf(
                Obj(
                    {
                        "provider": Text(),
                        "name": Text(),
                        "description": Text(),
                        "fileIds": ListOf(Text(), 1000),
                    },
                    ("name", "fileIds"),
                ),
                MESSAGES_MAX,
            ),
        }
    ),
    "code": Obj(
        {
            **_COMMON,
            "code": Text(CODE_MAX),
            "timeoutSeconds": Number(1, 30, default=10),
            "environmentVariables": ListOf(Obj({"name": Text(), "value": Text()}, ("name",)), MESSAGES_MAX),
            "credentialId": Text(),
        },
        ("code",),
    ),
}
TOOL = Tagged("type", {kind: _KINDS.get(kind, _BY_SERVER) for kind in TOOL_TYPES})
TOOL_REF = Ref("CreateTool", lambda: TOOL)


def tool_problems(body: Any) -> list[str]:
    """What is wrong with a tool."""
    return check(TOOL, body)
