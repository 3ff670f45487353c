"""What a model is told of the built-in tools, and what it means by a call of one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import tools
from aywa.core.handoff import HANDED_OVER
from aywa.core.tools import (
    ARGUMENTS_MAX,
    SCHEMA_MAX,
    TOOLS_MAX,
    Tool,
    arguments_in,
    destination_in,
    found_at,
    keys_in,
    message_of,
    read_tools,
    static_parameters,
    told_of,
)
from tests.core.feed import examples

SALES = {"type": "number", "number": "+4930111", "description": "buying things"}
DESK = {"type": "sip", "sipUri": "sip:desk@pbx.example.com"}


def read(*written: Any, **more: Any) -> tuple[Tool, ...]:
    return read_tools({"model": {"tools": list(written)}, **more})


def only(*written: Any, **more: Any) -> Tool:
    (tool,) = read(*written, **more)
    return tool


def function(tool: Tool) -> Any:
    assert tool.definition["type"] == "function"
    return tool.definition["function"]


def test_a_model_is_told_in_openais_function_format() -> None:
    tool = only({"type": "endCall"})
    assert (tool.kind, tool.name, tool.start) == ("endCall", "endCall", None)
    assert function(tool)["name"] == "endCall"
    assert function(tool)["parameters"] == {"type": "object", "properties": {}}
    keys = only({"type": "dtmf", "sipInfoDtmfEnabled": True})
    assert (keys.signalled, function(keys)["parameters"]["required"]) == (True, ["dtmf"])


def test_a_transfer_names_its_destinations() -> None:
    tool = only({"type": "transferCall", "destinations": [SALES, DESK, {"type": "number"}, "junk", SALES]})
    assert tool.destinations == (SALES, DESK, SALES)
    wanted = function(tool)["parameters"]["properties"]["destination"]
    assert wanted["enum"] == ["+4930111", "sip:desk@pbx.example.com"]
    assert "+4930111: buying things" in function(tool)["description"]
    free = only({"type": "transferCall"})
    assert "enum" not in function(free)["parameters"]["properties"]["destination"]


@pytest.mark.parametrize(
    ("written", "name", "description"),
    [
        ({"name": "hang_up", "description": "Bye."}, "hang_up", "Bye."),
        ({"name": "not a name"}, "endCall", None),
        ("junk", "endCall", None),
    ],
)
def test_a_tool_may_have_a_name_and_a_description_of_its_own(
    written: Any, name: str, description: str | None
) -> None:
    tool = only({"type": "endCall", "function": written})
    assert tool.name == name
    assert description is None or function(tool)["description"] == description


def test_others_are_not_offered_and_of_two_with_one_name_the_first_counts() -> None:
    found = read({"type": "function"}, {"type": "dtmf", "sipInfoDtmfEnabled": True}, {"type": "dtmf"}, 5, {})
    assert [(tool.kind, tool.signalled) for tool in found] == [("dtmf", True)]
    many = [{"type": "endCall", "function": {"name": f"e{n}"}} for n in range(TOOLS_MAX + 9)]
    assert len(read(*many)) == TOOLS_MAX
    assert read_tools({}) == read_tools({"model": "x"}) == read_tools({"model": {"tools": "x"}}) == ()


def test_older_fields_stand_for_tools() -> None:
    older = {
        "endCallFunctionEnabled": True,
        "dialKeypadFunctionEnabled": True,
        "forwardingPhoneNumber": "+4930111",
        "forwardingPhoneNumbers": [DESK, None],
    }
    found = {tool.kind: tool for tool in read_tools(older)}
    assert set(found) == {"endCall", "dtmf", "transferCall"}
    assert found["transferCall"].destinations == ({"type": "number", "number": "+4930111"}, DESK)
    # Where there is a tool already it is the one that counts; numbers are added to it.
    both = read(
        {"type": "transferCall", "destinations": [SALES]}, {"type": "endCall"}, {"type": "dtmf"}, **older
    )
    assert [tool.kind for tool in both] == ["transferCall", "endCall", "dtmf"]
    assert len(both[0].destinations) == 3


@pytest.mark.parametrize(
    ("messages", "start"),
    [
        (None, None),
        ([{"type": "request-complete", "content": "Done."}], None),
        ([{"type": "request-start", "content": "One moment."}], "One moment."),
        ([{"type": "request-start", "content": ""}], ""),
        ([{"type": "request-start", "contents": [{"type": "text", "text": "So."}]}], "So."),
        ([{"type": "request-start"}], ""),
        (["junk"], None),
    ],
)
def test_what_is_said_before_a_tool_is_run(messages: Any, start: str | None) -> None:
    assert only({"type": "endCall", "messages": messages}).start == start


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("  ", {}),
        ("[]", None),
        ("{", None),
        ("[" * 5000, None),
        ('{"a": 9007199254740993}', {"a": 9007199254740992.0}),
        ('{"a": NaN}', None),
        ('{"a": 1' + "0" * 400 + "}", None),
        ('{"a": "\\ud800"}', None),
        ('{"a": "' + "x" * ARGUMENTS_MAX + '"}', None),
    ],
)
def test_arguments_are_an_object_or_nothing_is_understood(text: str, arguments: Any) -> None:
    assert arguments_in(text) == arguments


def test_a_message_of_tool_calls_has_them_as_every_handler_reads_them() -> None:
    (call,) = told_of([("c1", "dtmf", '{"dtmf": "1"}')])["toolCallList"]
    assert call["function"] == {"name": "dtmf", "arguments": {"dtmf": "1"}}
    assert (call["name"], call["arguments"], call["parameters"]) == ("dtmf", {"dtmf": "1"}, {"dtmf": "1"})
    assert told_of([("c1", "x", "{")])["toolCalls"][0]["arguments"] == {}


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ({"dtmf": "1w2W#*"}, "1w2W#*"),
        ({"digits": "12-34 56"}, "123456"),
        ({"keys": 42}, "42"),
        ({"dtmf": "1,2a"}, "1w2A"),
        ({"dtmf": "12x"}, ""),
        ({"dtmf": ""}, ""),
        ({"dtmf": "1" * 300}, ""),
        ({"dtmf": True}, ""),
        ({"other": "1"}, ""),
        ({}, ""),
    ],
)
def test_which_keys_a_call_means(arguments: Any, keys: str) -> None:
    assert keys_in(arguments) == keys


TWO = only({"type": "transferCall", "destinations": [SALES, DESK]})
ONE = only({"type": "transferCall", "destinations": [DESK]})
FREE = only({"type": "transferCall"})


@pytest.mark.parametrize(
    ("tool", "wanted", "found"),
    [
        (TWO, "+4930111", SALES),
        (TWO, "+49 (30) 111", SALES),
        (TWO, "0049-30-111", SALES),
        (TWO, "sip:desk@pbx.example.com", DESK),
        (TWO, "+4930112", None),
        (TWO, "", None),
        (TWO, 5, None),
        (ONE, "", DESK),
        (ONE, "sip:other@pbx.example.com", None),
        (FREE, "+4930999", {"type": "number", "number": "+4930999"}),
        (FREE, "sip:a@b.example", {"type": "sip", "sipUri": "sip:a@b.example"}),
        (FREE, "somebody", None),
    ],
)
def test_which_destination_a_call_means(tool: Tool, wanted: Any, found: Any) -> None:
    assert destination_in(tool, {"destination": wanted}) == found


@pytest.mark.parametrize(
    ("message", "said"),
    [("Moment.", "Moment."), ("", ""), (None, None), ({"content": "So."}, "So."), ({}, None), (5, None)],
)
def test_what_is_said_before_a_transfer(message: Any, said: str | None) -> None:
    assert message_of(SALES | {"message": message}) == said


# --- those that ask ----------------------------------------------------------------------------------------------

LOOK = {"name": "look_up", "description": "Looks.", "parameters": {"properties": {"q": {"type": "string"}}}}


def test_a_function_is_told_as_it_is_written() -> None:
    tool = only(
        {
            "type": "function",
            "async": True,
            "function": LOOK | {"strict": True},
            "server": {"url": "https://x", "timeoutSeconds": 7},
            "messages": [{"type": "request-start", "content": "One moment."}],
        }
    )
    assert (tool.asks, tool.detached, tool.timeout_s) == (True, True, 7.0)
    assert function(tool) == {
        "name": "look_up",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
        "strict": True,
    }
    assert tool.written["server"] == {"url": "https://x", "timeoutSeconds": 7}
    assert [message.text("en") for message in tool.messages] == ["One moment."]
    assert not only({"type": "endCall"}).asks


@pytest.mark.parametrize("name", [None, "", "not a name", 5, "x" * 65])
def test_a_function_without_a_name_is_not_offered(name: Any) -> None:
    assert read({"type": "function", "function": {"name": name}}) == ()


def test_static_parameters_are_hidden_from_the_model() -> None:
    parameters = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}
    written = {
        "type": "function",
        "function": {"name": "f", "parameters": parameters},
        "parameters": [{"key": "a", "value": "{{x}}"}, {"key": "", "value": 1}, "junk"],
    }
    assert function(only(written))["parameters"] == {
        "type": "object",
        "properties": {"b": {}},
        "required": ["b"],
    }
    assert [each["key"] for each in static_parameters(written)] == ["a"]


@pytest.mark.parametrize(
    "parameters",
    [None, "x", {"properties": {"a": {"description": "x" * SCHEMA_MAX}}}, {"properties": "x"}, {"a": {1}}],
)
def test_parameters_that_cannot_be_sent_are_told_as_an_open_object(parameters: Any) -> None:
    told = function(only({"type": "function", "function": {"name": "f", "parameters": parameters}}))
    assert told["parameters"]["type"] == "object"
    assert told["parameters"]["properties"] == {}


def test_an_api_request_asks_for_what_its_body_leaves_open() -> None:
    body = {
        "type": "object",
        "required": ["city", "key"],
        "properties": {
            "city": {"type": "string"},
            "key": {"type": "string", "value": "k"},
            "fixed": {"type": "object", "properties": {"v": {"const": 1}}},
            "when": {"type": "object", "properties": {"day": {"type": "string"}, "zone": {"value": "UTC"}}},
            "free": {"type": "object", "properties": {}},
        },
    }
    tool = only(
        {"type": "apiRequest", "name": "weather", "url": "https://x", "body": body, "timeoutSeconds": 900}
    )
    told = function(tool)["parameters"]
    assert set(told["properties"]) == {"city", "when", "free"}
    assert told["required"] == ["city"]
    assert set(told["properties"]["when"]["properties"]) == {"day"}
    assert (tool.name, tool.timeout_s) == ("weather", 300.0)
    plain = only({"type": "apiRequest", "function": LOOK, "url": "https://x", "timeoutSeconds": float("nan")})
    assert (plain.name, plain.timeout_s) == ("look_up", 20.0)
    assert set(function(plain)["parameters"]["properties"]) == {"q"}
    deep: Any = {"type": "string"}
    for _ in range(30):
        deep = {"type": "object", "properties": {"a": deep}}
    assert function(only({"type": "apiRequest", "name": "d", "body": deep}))["parameters"]["properties"] == {}


def test_a_query_searches_what_its_knowledge_bases_say_of_themselves() -> None:
    bases = [{"name": "prices", "description": "What things cost."}, {"name": "hours"}, {}, 5]
    tool = only({"type": "query", "knowledgeBases": bases})
    assert tool.name == "query"
    assert function(tool)["description"].endswith("What things cost. hours")
    assert function(tool)["parameters"]["required"] == ["query"]


def test_what_an_mcp_server_has_is_offered_when_it_has_told() -> None:
    written = {
        "type": "mcp",
        "server": {"url": "https://x"},
        "messages": [{"type": "request-start", "content": "All."}],
        "toolMessages": [
            {"name": "a.b", "messages": [{"type": "request-start", "content": "Own."}]},
            {"name": "silent"},
        ],
    }
    assert read(written) == ()
    listed: list[Any] = [
        {"name": "a.b", "description": "Does it.", "inputSchema": {"properties": {"q": {}}}},
        {"name": "other"},
        {"name": "silent"},
        {"name": 5},
    ]
    found = found_at(written, listed)
    assert [(tool.name, tool.remote, tool.kind) for tool in found] == [
        ("a_b", "a.b", "mcp"),
        ("other", "other", "mcp"),
        ("silent", "silent", "mcp"),
    ]
    assert [[m.text("en") for m in tool.messages] for tool in found] == [["Own."], ["All."], []]
    assert set(function(found[0])["parameters"]["properties"]) == {"q"}
    assert len(found_at(written, [{"name": f"t{n}"} for n in range(99)])) == TOOLS_MAX


def test_voicemail_needs_no_arguments() -> None:
    tool = only({"type": "voicemail"})
    assert (tool.kind, function(tool)["parameters"]) == ("voicemail", {"type": "object", "properties": {}})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
written_tools = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([*tools.BUILT_IN, *tools.ASKING, None, 3]),
        "name": values,
        "parameters": values,
        "body": values,
        "server": values,
        "knowledgeBases": values,
        "toolMessages": values,
        "timeoutSeconds": values,
        "function": values,
        "destinations": st.lists(st.sampled_from([SALES, DESK, {"type": "dynamic"}]) | values, max_size=3)
        | values,
        "messages": values,
        "sipInfoDtmfEnabled": values,
    },
)


@examples(150)
@given(st.lists(written_tools | values, max_size=4), values, values, st.text(max_size=30))
def test_whatever_is_written_and_called_is_read_or_left_out(
    written: list[Any], numbers: Any, arguments: Any, text: str
) -> None:
    found = read(*written, forwardingPhoneNumbers=numbers, forwardingPhoneNumber=numbers)
    assert len({tool.name for tool in found}) == len(found)
    assert json.dumps([tool.definition for tool in found])
    given_arguments = arguments if isinstance(arguments, dict) else {}
    arguments_in(text)
    for tool in found:
        destination = destination_in(tool, given_arguments)
        assert destination is None or not tool.destinations or destination in tool.destinations
    assert set(keys_in(given_arguments)) <= set("0123456789ABCD*#wW")


# --- handing over ----------------------------------------------------------------------------------------------------

BOOKING = {"type": "assistant", "assistantName": "Booking", "description": "wants a table"}
BILLING = {"type": "assistant", "assistantName": "Billing"}


def test_a_handoff_is_called_after_whom_it_leads_to() -> None:
    one, group, second = read(
        {"type": "handoff", "destinations": [BOOKING, "junk", SALES]},
        {"type": "handoff", "destinations": [BOOKING, BILLING]},
        {"type": "handoff", "destinations": [BILLING, BOOKING], "defaultResult": "Done."},
    )
    assert (one.name, one.kind, one.destinations) == ("handoff_to_Booking", "handoff", (BOOKING,))
    assert function(one)["parameters"] == {"type": "object", "properties": {}}
    assert (one.keeps, one.result) == (False, HANDED_OVER)
    assert group.name == "handoff_to_group_0"
    assert function(group)["parameters"]["properties"]["destination"]["enum"] == ["Booking", "Billing"]
    assert (second.name, second.result) == ("handoff_to_group_1", "Done.")


def test_a_handoff_may_have_a_name_and_questions_of_its_own() -> None:
    parameters = {"type": "object", "properties": {"why": {"type": "string"}}}
    own = {"name": "go", "description": "Goes.", "parameters": parameters}
    tool = only({"type": "handoff", "destinations": [BOOKING], "function": own})
    assert (tool.name, tool.keeps) == ("go", True)
    assert (function(tool)["description"], function(tool)["parameters"]) == ("Goes.", parameters)


def test_a_handoff_to_nobody_is_not_offered() -> None:
    assert read({"type": "handoff"}, {"type": "handoff", "destinations": [SALES]}) == ()


def test_whom_a_call_of_one_means() -> None:
    group = only({"type": "handoff", "destinations": [BOOKING, BILLING]})
    assert destination_in(group, {"destination": "the booking desk"}) is BOOKING
    assert destination_in(group, {"destination": "nobody"}) is None
    transfer = only({"type": "transferCall", "destinations": [SALES, BOOKING, BILLING]})
    assert function(transfer)["parameters"]["properties"]["destination"]["enum"][1:] == ["Booking", "Billing"]
    assert destination_in(transfer, {"destination": "Booking"}) is BOOKING
    assert destination_in(transfer, {"destination": "booking desk"}) is BOOKING
    assert destination_in(transfer, {"destination": "nobody"}) is None
    assert destination_in(transfer, {"destination": "+4930111"}) is SALES


# --- requests by SIP -------------------------------------------------------------------------------------------------


def test_a_request_by_sip_asks_for_what_is_not_set() -> None:
    tool = only(
        {
            "type": "sipRequest",
            "verb": "INFO",
            "headers": {
                "type": "object",
                "properties": {"X-Ward": {"type": "string"}, "X-House": {"type": "string", "value": "North"}},
                "required": ["X-Ward"],
            },
            "body": {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]},
            "function": {
                "name": "page",
                "parameters": {"properties": {"who": {"type": "string"}}, "required": ["who"]},
            },
            "timeoutSeconds": 5,
        }
    )
    assert (tool.kind, tool.name, tool.asks, tool.timeout_s) == ("sipRequest", "page", True, 5.0)
    asked = function(tool)["parameters"]
    assert list(asked["properties"]) == ["who", "X-Ward", "note"]
    assert asked["required"] == ["who", "X-Ward", "note"]


def test_a_request_by_sip_that_is_set_asks_for_nothing() -> None:
    tool = only({"type": "sipRequest", "verb": "NOTIFY", "headers": {"Event": "talk"}, "body": "{{now}}"})
    assert (tool.name, function(tool)["parameters"]["properties"]) == ("sipRequest", {})
    assert function(tool)["description"]
    text = only({"type": "sipRequest", "verb": "MESSAGE", "body": {"type": "string"}})
    assert function(text)["parameters"]["properties"] == {"body": {"type": "string"}}
    bare = only({"type": "sipRequest", "verb": "MESSAGE", "headers": {"properties": {}}})
    assert function(bare)["parameters"]["properties"] == {}


def test_a_request_by_sip_without_a_verb_is_not_offered() -> None:
    assert read({"type": "sipRequest"}, {"type": "sipRequest", "verb": "BYE"}) == ()
    assert read({"type": "sipRequest", "verb": ["INFO"]}) == ()
