"""What a model is told of the built-in tools, and what it means by a call of one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import tools
from aywa.core.tools import (
    ARGUMENTS_MAX,
    TOOLS_MAX,
    Tool,
    arguments_in,
    destination_in,
    keys_in,
    message_of,
    read_tools,
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


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
written_tools = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([*tools.BUILT_IN, "function", None, 3]),
        "function": values,
        "destinations": st.lists(st.sampled_from([SALES, DESK]) | values, max_size=3) | values,
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
