"""Whom a handoff means, and what goes along."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import handoff
from aywa.core.handoff import Context, ContextPlan, choose, choose_name, is_destination, name_of, read_context
from tests.core.feed import examples

SALES = {"type": "assistant", "assistantName": "Sales Team", "description": "wants to buy"}
SUPPORT = {"type": "assistant", "assistantId": "support-1"}
SQUAD = {"type": "squad", "squadId": "squad-1", "entryAssistantName": "Greeter"}
DYNAMIC = {"type": "dynamic", "server": {"url": "https://x.example"}}


# --- what goes along -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "context", "most"),
    [
        ({"type": "all"}, Context.ALL, 0),
        ({"type": "none"}, Context.NONE, 0),
        ("none", Context.NONE, 0),
        ({"type": "lastNMessages", "maxMessages": 3}, Context.LAST, 3),
        ({"type": "lastNMessages", "maxMessages": 2.0}, Context.LAST, 2),
        ({"type": "userAndAssistantMessages"}, Context.SPOKEN, 0),
        ({"type": "previousAssistantMessages"}, Context.EARLIER, 0),
        # Without a number, or with one that is none, nothing is taken away.
        ({"type": "lastNMessages"}, Context.ALL, 0),
        ("lastNMessages", Context.ALL, 0),
        ({"type": "lastNMessages", "maxMessages": -1}, Context.ALL, 0),
        ({"type": "lastNMessages", "maxMessages": True}, Context.ALL, 0),
        ({"type": "lastNMessages", "maxMessages": float("nan")}, Context.ALL, 0),
        ({"type": ["all"]}, Context.ALL, 0),
        ({"type": "rolling-history"}, Context.ALL, 0),
        (None, Context.ALL, 0),
    ],
)
def test_the_plan_says_what_goes_along(plan: Any, context: Context, most: int) -> None:
    assert read_context({"contextEngineeringPlan": plan}) == ContextPlan(context, most)


@pytest.mark.parametrize(
    ("mode", "context"),
    [
        ("rolling-history", Context.ROLLING),
        ("swap-system-message-in-history", Context.ALL),
        ("swap-system-message-in-history-and-remove-transfer-tool-messages", Context.UNTRACED),
        ("delete-history", Context.NONE),
        ("unknown", Context.ROLLING),
        (None, Context.ROLLING),
    ],
)
def test_a_transfer_says_it_in_the_older_way(mode: Any, context: Context) -> None:
    assert read_context({"transferMode": mode}, transfer=True).context is context
    assert read_context({"transferMode": mode}).context is Context.ALL
    newer = {"transferMode": mode, "contextEngineeringPlan": {"type": "none"}}
    assert read_context(newer, transfer=True).context is Context.NONE


# --- whom a model may name ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        (SALES, "Sales Team"),
        (SUPPORT, "support-1"),
        ({"type": "assistant", "assistant": {"name": "Inline"}}, "Inline"),
        ({"type": "assistant", "assistant": {"model": {}}}, "assistant"),
        ({"type": "assistant"}, ""),
        (SQUAD, "Greeter"),
        ({"type": "squad", "squadId": "squad-1"}, "squad-1"),
        ({"type": "squad", "squad": {"name": "Hotel"}}, "Hotel"),
        ({"type": "squad", "squad": {"members": []}}, "squad"),
        ({"type": "squad"}, ""),
        (DYNAMIC, "dynamic"),
    ],
)
def test_what_a_model_calls_it(destination: dict[str, Any], name: str) -> None:
    assert name_of(destination) == name
    assert is_destination(destination) is bool(name)


def test_a_number_is_nobody_a_conversation_is_handed_to() -> None:
    assert not is_destination({"type": "number", "number": "+4930", "assistantName": "x"})


def test_a_tool_is_called_after_whom_it_leads_to() -> None:
    assert handoff.tool_name([SALES], 0) == "handoff_to_Sales_Team"
    assert handoff.tool_name([{"type": "assistant", "assistantName": "日本"}], 0) == "handoff_to_assistant"
    assert handoff.tool_name([SALES, SUPPORT], 2) == "handoff_to_group_2"
    assert len(handoff.tool_name([{"type": "assistant", "assistantName": "x" * 90}], 0)) == 64


def test_what_a_model_is_told_of_it() -> None:
    assert handoff.description_of([SALES]) == (
        "Hands the conversation over to Sales Team. Use it when: wants to buy"
    )
    assert handoff.description_of([SUPPORT]) == "Hands the conversation over to support-1."
    assert handoff.description_of([DYNAMIC]) == "Hands the conversation over to whoever is right for it."
    assert handoff.description_of([SALES, SUPPORT]).endswith("destinations. Sales Team: wants to buy")
    assert handoff.parameters_of([SALES]) == {"type": "object", "properties": {}}
    wanted = handoff.parameters_of([SALES, SUPPORT, SALES])["properties"]["destination"]
    assert wanted["enum"] == ["Sales Team", "support-1"]


# --- whom it means -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("Sales Team", SALES),
        ("sales-team", SALES),
        ("sales", SALES),
        ("the sales team please", SALES),
        ("Sails Team", SALES),
        ("handoff_to_Sales_Team", SALES),
        ("support-1", SUPPORT),
        ("greeter", SQUAD),
        ("SQUAD 1", SQUAD),
        ("zzz", None),
        ("", None),
        ("!?", None),
    ],
)
def test_a_name_is_understood_also_where_it_is_written_another_way(wanted: str, meant: Any) -> None:
    assert choose([SALES, SUPPORT, SQUAD], wanted) is meant


def test_a_name_that_could_be_two_is_neither_unless_one_is_nearer() -> None:
    both = [{"type": "assistant", "assistantName": name} for name in ("sales north", "sales south")]
    assert choose(both, "sales") is None or choose(both, "sales") in both
    assert choose(both, "qqq sales north") is both[0]


def test_where_there_is_one_there_is_nothing_to_choose() -> None:
    assert choose([SALES], "anything") is SALES


def test_the_first_of_two_with_one_name_is_meant() -> None:
    twin = dict(SALES)
    assert choose([SALES, twin], "Sales Team") is SALES


def test_names_of_a_squad() -> None:
    assert choose_name(["A B", "ab"], "ab") == "ab"
    assert choose_name(["A B", "C"], "a-b") == "A B"
    # Who is called nothing is not meant by nothing.
    assert choose_name(["A B", ""], "") is None
    assert choose_name(["A B"], "x") is None


def test_arguments_become_variables_all_but_the_destination() -> None:
    assert handoff.variables_in({"destination": "Sales", "city": "Bonn"}) == {"city": "Bonn"}
    many = {f"v{n}": n for n in range(500)}
    assert len(handoff.variables_in(many)) == handoff.VARIABLES_MAX


_NAMES = st.text(max_size=12)
_DESTINATIONS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["assistant", "squad", "dynamic"])},
        optional={
            "assistantName": _NAMES,
            "assistantId": st.one_of(_NAMES, st.none(), st.integers()),
            "squadId": _NAMES,
            "assistant": st.one_of(st.none(), st.fixed_dictionaries({"name": _NAMES})),
        },
    ),
    max_size=5,
)


@examples(200)
@given(_DESTINATIONS, st.text(max_size=40))
def test_whatever_is_written_somebody_of_the_list_is_meant_or_nobody(
    written: list[dict[str, Any]], wanted: str
) -> None:
    found = [each for each in written if is_destination(each)]
    meant = choose(found, wanted)
    assert meant is None or any(meant is each for each in found)
    for each in found:
        exact = choose(found, name_of(each))
        # Its own name leads to it, or to one before it that is called alike.
        assert exact is not None or not any(map(str.isalnum, name_of(each)))
    if found:
        assert len(handoff.tool_name(found, 0)) <= 64
