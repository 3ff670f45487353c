"""The tools that a model may ask for: what it is told of them, and what it means by a call (contract 5).

Built in are those that act on the call itself. Those that ask are run beside it, by the shell: functions, requests over HTTP and
SIP, searches, tools of MCP servers. Others are not offered. Refuses to run anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.core import handoff
from aywa.core.handoff import HANDED_OVER, HANDOFF
from aywa.core.numbers import is_e164, number_key, sip_address
from aywa.core.sip.in_dialog import VERBS
from aywa.core.tool_messages import START, ToolMessage, read_messages

END_CALL, DTMF, TRANSFER, VOICEMAIL = "endCall", "dtmf", "transferCall", "voicemail"
BUILT_IN = (END_CALL, DTMF, TRANSFER, HANDOFF, VOICEMAIL)
FUNCTION, API_REQUEST, QUERY, MCP = "function", "apiRequest", "query", "mcp"
SIP_REQUEST = "sipRequest"
ASKING = (FUNCTION, API_REQUEST, QUERY, MCP, SIP_REQUEST)
TOOLS_MAX = 64
DESTINATIONS_MAX = 64
ARGUMENTS_MAX = 16_000
"""Characters of a call's arguments."""
TIMEOUT_S = 20.0
TIMEOUTS_S = (1.0, 300.0)
"""server.timeoutSeconds, and apiRequest's own: the default and the range (contract 5, 7.1)."""
SCHEMA_MAX = 32_000
"""Characters of a tool's parameters as JSON; a longer schema is told as an open object."""
SCHEMA_DEPTH = 16
STATIC_MAX = 64
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_DESCRIPTION_MAX = 1000
_SAFE_INTEGER = 2**53
# 0.5 and 1 s of pause (contract 5).
_KEYS = re.compile(r"[0-9A-D*#wW]{1,256}\Z")
# As people write digits, and as modems wrote a pause.
_SEPARATORS = str.maketrans("abcdp,", "ABCDww", " ;-.()/")

_DESCRIPTIONS = {
    END_CALL: "Ends the call. Use it when the conversation is over, after saying goodbye.",
    DTMF: "Presses keys on the phone's keypad, to operate a phone menu.",
    TRANSFER: "Transfers the caller to somebody else, and leaves the call.",
    VOICEMAIL: "Leaves a message and hangs up. Use it when an answering machine or a voicemail box has answered.",
    QUERY: "Searches the knowledge base. Use it whenever the answer may be there.",
    SIP_REQUEST: "Sends a message to the telephone system at the other end of the call.",
}
_DIGITS = {
    "type": "string",
    "description": "the keys: 0-9, * and #, and w or W for a pause of half a second or a second",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """definition: as a model is told (OpenAI's function format). start: what is said before it is run; None: nothing is set,
    empty: nothing is said. destinations: of transferCall and handoff, as they are written. signalled: of dtmf, keys by
    signalling. result, keeps: of handoff, what the model is told when it was done, and whether its arguments become
    variables. messages: what is said around it. detached: it is not waited for (`async`). timeout_s: by when it has answered.
    written: as the assistant has it, for whoever runs it. remote: its name at an MCP server."""

    kind: str
    name: str
    definition: Mapping[str, Any]
    start: str | None = None
    destinations: tuple[Mapping[str, Any], ...] = ()
    signalled: bool = False
    result: str = HANDED_OVER
    keeps: bool = False
    messages: tuple[ToolMessage, ...] = ()
    detached: bool = False
    timeout_s: float = TIMEOUT_S
    written: Mapping[str, Any] = field(default_factory=dict, repr=False)
    remote: str = ""

    @property
    def asks(self) -> bool:
        """It is run outside of the call."""
        return self.kind in ASKING


def read_tools(assistant: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Of a resolved assistant. Of two with one name the first counts."""
    tools: dict[str, Tool] = {}
    groups = 0
    for written in _written(assistant):
        tool = _handoff(written, groups) if written.get("type") == HANDOFF else _tool(written)
        if tool is not None and len(tools) < TOOLS_MAX:
            tools.setdefault(tool.name, tool)
            groups += tool.kind == HANDOFF and len(tool.destinations) > 1
    return tuple(tools.values())


def written_in(assistant: Mapping[str, Any]) -> Sequence[Any]:
    """An assistant's tools as its document has them."""
    return _list(_mapping(assistant.get("model")).get("tools"))


def _written(assistant: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those of the model, and those that older fields stand for (contract 4.1)."""
    written = [_mapping(tool) for tool in written_in(assistant)]
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
    if kind in ASKING:
        return _asking(str(kind), written)
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
    messages = read_messages(written.get("messages"))
    return Tool(
        str(kind),
        name,
        definition,
        _start(messages),
        destinations,
        signalled,
        messages=messages,
        timeout_s=_timeout_s(written),
        # Whoever is asked where to (contract 11.1).
        written=written if kind == TRANSFER and not destinations else {},
    )


# --- those that ask --------------------------------------------------------------------------------------------------


def _asking(kind: str, written: Mapping[str, Any]) -> Tool | None:
    """None: it has no name or no verb, or what it can do is told later (mcp)."""
    function = _mapping(written.get("function"))
    name = _text(written.get("name") if kind == API_REQUEST else "") or _text(function.get("name"))
    if kind in (QUERY, SIP_REQUEST):
        name = name or kind
    if kind == MCP or not _NAME.match(name) or (kind == SIP_REQUEST and written.get("verb") not in VERBS):
        return None
    description = (
        _text(written.get("description")) or _text(function.get("description")) or _DESCRIPTIONS.get(kind, "")
    )
    parameters = _asked_for(kind, written, function)
    if kind == QUERY:
        description = " ".join([description, *_bases(written)])
    told: dict[str, Any] = {
        "name": name,
        "description": description[:_DESCRIPTION_MAX],
        "parameters": _without(parameters, static_names(written)),
    }
    if kind == FUNCTION and function.get("strict") is True:
        told["strict"] = True
    return Tool(
        kind=kind,
        name=name,
        definition={"type": "function", "function": told},
        messages=read_messages(written.get("messages")),
        detached=written.get("async") is True,
        timeout_s=_timeout_s(written),
        written=written,
    )


def found_at(written: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """The tools that the server of an mcp tool has, as it lists them (name, description, inputSchema)."""
    own = {
        _text(each.get("name")): each.get("messages")
        for each in map(_mapping, _list(written.get("toolMessages")))
    }
    tools = []
    for each in listed[:TOOLS_MAX]:
        remote = _text(each.get("name"))
        name = re.sub(r"[^A-Za-z0-9_-]", "_", remote)[:64]
        if not name:
            continue
        told = {
            "name": name,
            "description": _text(each.get("description"))[:_DESCRIPTION_MAX],
            "parameters": _schema(each.get("inputSchema")),
        }
        messages = read_messages(own.get(remote) if remote in own else written.get("messages"))
        tools.append(
            Tool(
                kind=MCP,
                name=name,
                definition={"type": "function", "function": told},
                messages=messages,
                timeout_s=_timeout_s(written),
                written=written,
                remote=remote,
            )
        )
    return tuple(tools)


def static_names(written: Mapping[str, Any]) -> frozenset[str]:
    """The arguments that the model is not asked for, because they are set (contract 5: static parameters)."""
    return frozenset(_text(each.get("key")) for each in static_parameters(written))


def static_parameters(written: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Each with a key and a value."""
    # In older documents of a function `parameters` is not a list.
    found = map(_mapping, _list(written.get("parameters"))[:STATIC_MAX])
    return tuple(each for each in found if _text(each.get("key")))


def is_constant(schema: Mapping[str, Any]) -> bool:
    """A part of an apiRequest's headers or body that is set, so that nobody is asked for it."""
    return "value" in schema or "const" in schema


def _asked_for(kind: str, written: Mapping[str, Any], function: Mapping[str, Any]) -> Mapping[str, Any]:
    if kind == QUERY:
        wanted = {"type": "string", "description": "what is looked for, in a few words"}
        return {"type": "object", "properties": {"query": wanted}, "required": ["query"]}
    if kind == FUNCTION:
        return _schema(function.get("parameters"))
    if kind == SIP_REQUEST:
        return _asked_by_sip(written, function)
    return _schema(_open(_mapping(written.get("body")), 0) or function.get("parameters"))


def _asked_by_sip(written: Mapping[str, Any], function: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of its headers and body is not set, beside what its function asks for, which its templates may name."""
    own = _schema(function.get("parameters"))
    properties, required = dict(own["properties"]), list(_list(own.get("required")))
    for place in ("headers", "body"):
        schema = _mapping(written.get(place))
        left = _open(schema, 0)
        if left and isinstance(schema.get("properties"), Mapping):
            properties |= left["properties"]
            required += left.get("required", ())
        elif left and place == "body":
            properties[place] = left
    return _schema({**own, "properties": properties, "required": required} if properties else own)


def _open(schema: Mapping[str, Any], depth: int) -> Mapping[str, Any] | None:
    """What of the schema is still to be said; None: nothing is."""
    if is_constant(schema) or depth > SCHEMA_DEPTH:
        return None
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return schema or None
    left = {str(name): _open(_mapping(part), depth + 1) for name, part in properties.items()}
    kept = {name: part for name, part in left.items() if part is not None}
    if not kept and left:
        return None
    required = [name for name in _list(schema.get("required")) if isinstance(name, str) and name in kept]
    rest = {name: part for name, part in schema.items() if name not in ("properties", "required")}
    return {**rest, "properties": kept, **({"required": required} if required else {})}


def _without(schema: Mapping[str, Any], names: frozenset[str]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    if not names or not isinstance(properties, Mapping):
        return schema
    required = [name for name in _list(schema.get("required")) if name not in names]
    kept = {name: part for name, part in properties.items() if name not in names}
    return {**schema, "properties": kept, "required": required}


def _schema(value: Any) -> Mapping[str, Any]:
    """As models take it: an object's, with properties, of a size that can be sent with every request."""
    empty = {"type": "object", "properties": {}}
    try:
        if not isinstance(value, Mapping) or len(json.dumps(value)) > SCHEMA_MAX:
            return empty
    except (TypeError, ValueError, RecursionError):
        return empty
    return {**value, "type": "object", "properties": _mapping(value.get("properties"))}


def _bases(written: Mapping[str, Any]) -> Iterator[str]:
    for base in map(_mapping, _list(written.get("knowledgeBases"))):
        if told := _text(base.get("description")) or _text(base.get("name")):
            yield told


def _timeout_s(written: Mapping[str, Any]) -> float:
    for value in (written.get("timeoutSeconds"), _mapping(written.get("server")).get("timeoutSeconds")):
        # Nothing that is no number (NaN) is equal to itself.
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
            return float(min(max(value, TIMEOUTS_S[0]), TIMEOUTS_S[1]))
    return TIMEOUT_S


def _handoff(written: Mapping[str, Any], groups: int) -> Tool | None:
    found = [_mapping(each) for each in _list(written.get("destinations"))[:DESTINATIONS_MAX]]
    destinations = tuple(each for each in found if handoff.is_destination(each))
    if not destinations:
        return None
    function = _mapping(written.get("function"))
    name = _text(function.get("name"))
    own = _mapping(function.get("parameters"))
    description = _text(function.get("description")) or handoff.description_of(destinations)
    name = name if _NAME.match(name) else handoff.tool_name(destinations, groups)
    told = {
        "name": name,
        "description": description[:_DESCRIPTION_MAX],
        "parameters": own or handoff.parameters_of(destinations),
    }
    definition = {"type": "function", "function": told}
    result = _text(written.get("defaultResult")) or HANDED_OVER
    messages = read_messages(written.get("messages"))
    return Tool(
        HANDOFF,
        name,
        definition,
        _start(messages),
        destinations,
        result=result,
        keeps=bool(own),
        messages=messages,
    )


def _description(kind: str, destinations: Sequence[Mapping[str, Any]]) -> str:
    told = [
        f"{target_of(each)}: {each['description']}" for each in destinations if _text(each.get("description"))
    ]
    return " ".join([_DESCRIPTIONS[kind], *told])


def _parameters(kind: str, destinations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if kind in (END_CALL, VOICEMAIL):
        return {"type": "object", "properties": {}}
    if kind == DTMF:
        return {"type": "object", "properties": {"dtmf": _DIGITS}, "required": ["dtmf"]}
    wanted: dict[str, Any] = {"type": "string", "description": "whom to transfer to"}
    if destinations:
        wanted["enum"] = list(dict.fromkeys(target_of(each) for each in destinations))
    return {"type": "object", "properties": {"destination": wanted}, "required": ["destination"]}


def _start(messages: Sequence[ToolMessage]) -> str | None:
    """Its request-start message (contract 5)."""
    return next((each.text("") for each in messages if each.kind == START), None)


def target_of(destination: Mapping[str, Any]) -> str:
    """The number, the SIP URI or the assistant's name; empty where it has none."""
    if destination.get("type") == handoff.ASSISTANT:
        return handoff.name_of(destination)
    return _text(destination.get("number")) or _text(destination.get("sipUri"))


# --- a call of one -------------------------------------------------------------------------------------------------


def arguments_in(text: str) -> Mapping[str, Any] | None:
    """What the model wrote, if it is an object; nothing at all counts as an empty one. Numbers are JavaScript's, and what no
    record could hold is no JSON."""
    if len(text) > ARGUMENTS_MAX:
        return None
    try:
        value = json.loads(text, parse_int=_whole, parse_constant=_refused) if text.strip() else {}
        # Half of a surrogate pair is no character (it can be written as an escape).
        _ = json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, OverflowError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _whole(text: str) -> int | float:
    number = int(text)
    return number if abs(number) < _SAFE_INTEGER else float(number)


def _refused(text: str) -> Any:
    raise ValueError(text)


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
    """Which destination a transferCall or a handoff means; None: none of those there are."""
    wanted = _text(arguments.get("destination")).strip()
    if tool.kind == HANDOFF:
        return handoff.choose(tool.destinations, wanted)
    if not tool.destinations:
        # Contract 11.1: without a list it is the model that names one.
        if is_e164(wanted):
            return {"type": "number", "number": wanted}
        return {"type": "sip", "sipUri": wanted} if sip_address(wanted) is not None else None
    for same in (lambda target: target == wanted, lambda target: number_key(target) == number_key(wanted)):
        for each in tool.destinations:
            if wanted and same(target_of(each)):
                return each
    assistants = [each for each in tool.destinations if each.get("type") == handoff.ASSISTANT]
    if wanted and len(assistants) > 1 and (meant := handoff.choose(assistants, wanted)) is not None:
        return meant
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
