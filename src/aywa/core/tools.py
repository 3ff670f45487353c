"""The tools that a model may ask for and that are run here: what it is told of them, and what it means by a call (contract 5).

Built in are endCall, dtmf and transferCall; others are not offered. Refuses to run anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aywa.core.numbers import is_e164, number_key, sip_address

END_CALL, DTMF, TRANSFER = "endCall", "dtmf", "transferCall"
BUILT_IN = (END_CALL, DTMF, TRANSFER)
TOOLS_MAX = 64
DESTINATIONS_MAX = 64
ARGUMENTS_MAX = 16_000
"""Characters of a call's arguments."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_DESCRIPTION_MAX = 1000
# 0.5 and 1 s of pause (contract 5).
_KEYS = re.compile(r"[0-9A-D*#wW]{1,256}\Z")
# As people write digits, and as modems wrote a pause.
_SEPARATORS = str.maketrans("abcdp,", "ABCDww", " ;-.()/")

_DESCRIPTIONS = {
    END_CALL: "Ends the call. Use it when the conversation is over, after saying goodbye.",
    DTMF: "Presses keys on the phone's keypad, to operate a phone menu.",
    TRANSFER: "Transfers the caller to somebody else, and leaves the call.",
}
_DIGITS = {
    "type": "string",
    "description": "the keys: 0-9, * and #, and w or W for a pause of half a second or a second",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """definition: as a model is told (OpenAI's function format). start: what is said before it is run; None: nothing is set,
    empty: nothing is said. destinations: of transferCall, as they are written. signalled: of dtmf, keys by signalling."""

    kind: str
    name: str
    definition: Mapping[str, Any]
    start: str | None = None
    destinations: tuple[Mapping[str, Any], ...] = ()
    signalled: bool = False


def read_tools(assistant: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Of a resolved assistant. Of two with one name the first counts."""
    tools: dict[str, Tool] = {}
    for written in _written(assistant):
        tool = _tool(written)
        if tool is not None and len(tools) < TOOLS_MAX:
            tools.setdefault(tool.name, tool)
    return tuple(tools.values())


def _written(assistant: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those of the model, and those that older fields stand for (contract 4.1)."""
    written = [_mapping(tool) for tool in _list(_mapping(assistant.get("model")).get("tools"))]
    numbers = [assistant.get("forwardingPhoneNumber"), *_list(assistant.get("forwardingPhoneNumbers"))]
    forwarded = [
        {"type": "number", "number": n} if isinstance(n, str) else dict(_mapping(n)) for n in numbers if n
    ]
    kinds = {tool.get("type") for tool in written}
    for tool in written:
        if tool.get("type") == TRANSFER and forwarded:
            yield {**tool, "destinations": [*_list(tool.get("destinations")), *forwarded]}
        else:
            yield tool
    if forwarded and TRANSFER not in kinds:
        yield {"type": TRANSFER, "destinations": forwarded}
    if assistant.get("endCallFunctionEnabled") is True and END_CALL not in kinds:
        yield {"type": END_CALL}
    if assistant.get("dialKeypadFunctionEnabled") is True and DTMF not in kinds:
        yield {"type": DTMF}


def _tool(written: Mapping[str, Any]) -> Tool | None:
    kind = written.get("type")
    if kind not in BUILT_IN:
        return None
    function = _mapping(written.get("function"))
    name = _text(function.get("name"))
    name = name if _NAME.match(name) else str(kind)
    found = [_mapping(each) for each in _list(written.get("destinations"))[:DESTINATIONS_MAX]]
    destinations = tuple(each for each in found if target_of(each))
    description = _text(function.get("description")) or _description(str(kind), destinations)
    definition = {
        "type": "function",
        "function": {
            "name": name,
            "description": description[:_DESCRIPTION_MAX],
            "parameters": _parameters(str(kind), destinations),
        },
    }
    signalled = written.get("sipInfoDtmfEnabled") is True
    return Tool(str(kind), name, definition, _start(written), destinations, signalled)


def _description(kind: str, destinations: Sequence[Mapping[str, Any]]) -> str:
    told = [
        f"{target_of(each)}: {each['description']}" for each in destinations if _text(each.get("description"))
    ]
    return " ".join([_DESCRIPTIONS[kind], *told])


def _parameters(kind: str, destinations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if kind == END_CALL:
        return {"type": "object", "properties": {}}
    if kind == DTMF:
        return {"type": "object", "properties": {"dtmf": _DIGITS}, "required": ["dtmf"]}
    wanted: dict[str, Any] = {"type": "string", "description": "whom to transfer to"}
    if destinations:
        wanted["enum"] = list(dict.fromkeys(target_of(each) for each in destinations))
    return {"type": "object", "properties": {"destination": wanted}, "required": ["destination"]}


def _start(written: Mapping[str, Any]) -> str | None:
    """Its request-start message (contract 5)."""
    for message in map(_mapping, _list(written.get("messages"))):
        if message.get("type") != "request-start":
            continue
        contents = [_mapping(each).get("text") for each in _list(message.get("contents"))]
        texts = (text for text in (message.get("content"), *contents) if isinstance(text, str))
        return next(texts, "")
    return None


def target_of(destination: Mapping[str, Any]) -> str:
    """The number or the SIP URI; empty where it has neither."""
    return _text(destination.get("number")) or _text(destination.get("sipUri"))


# --- a call of one -------------------------------------------------------------------------------------------------


def arguments_in(text: str) -> Mapping[str, Any] | None:
    """What the model wrote, if it is an object; nothing at all counts as an empty one."""
    if len(text) > ARGUMENTS_MAX:
        return None
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def told_of(calls: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    """The body of a tool-calls message: each call as every handler in the field reads it (contract 7.5)."""
    listed = []
    for call_id, name, text in calls:
        arguments = arguments_in(text) or {}
        function = {"name": name, "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function}
        listed.append(call | {"name": name, "arguments": arguments, "parameters": arguments})
    return {"toolCalls": listed, "toolCallList": listed}


def keys_in(arguments: Mapping[str, Any]) -> str:
    """The keys and pauses of a dtmf call; empty: it names none, or something else."""
    for name in ("dtmf", "digits", "keys"):
        value = arguments.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str):
            keys = value.translate(_SEPARATORS)
            return keys if _KEYS.match(keys) else ""
    return ""


def destination_in(tool: Tool, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Which destination a transferCall means; None: none of those there are."""
    wanted = _text(arguments.get("destination")).strip()
    if not tool.destinations:
        # Contract 11.1: without a list it is the model that names one.
        if is_e164(wanted):
            return {"type": "number", "number": wanted}
        return {"type": "sip", "sipUri": wanted} if sip_address(wanted) is not None else None
    for same in (lambda target: target == wanted, lambda target: number_key(target) == number_key(wanted)):
        for each in tool.destinations:
            if wanted and same(target_of(each)):
                return each
    # Where there is one, there is nothing to choose.
    return tool.destinations[0] if len(tool.destinations) == 1 and not wanted else None


def message_of(destination: Mapping[str, Any]) -> str | None:
    """What is said before a transfer there; None: nothing is set, empty: nothing is said (contract 11.1)."""
    message = destination.get("message")
    return message if isinstance(message, str) else _text(_mapping(message).get("content")) or None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
