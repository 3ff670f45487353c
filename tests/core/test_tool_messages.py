"""What is said around a tool: which message fits, in which language, and what is left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.tool_messages import (
    COMPLETE,
    DELAYED,
    FAILED,
    KINDS,
    MESSAGES_MAX,
    START,
    TEXT_MAX,
    Condition,
    ToolMessage,
    delays,
    message_for,
    read_messages,
)
from tests.core.feed import examples


def only(**written: Any) -> ToolMessage:
    (message,) = read_messages([{"type": START, **written}])
    return message


def test_a_message_is_read_with_all_that_it_says() -> None:
    message = only(
        type=FAILED,
        content="No.",
        endCallAfterSpokenEnabled=True,
        role="system",
        blocking=True,
        conditions=[],
    )
    assert message == ToolMessage(
        FAILED, (("", "No."),), blocking=True, after_s=5.0, role="system", ends_call=True
    )
    assert only(content="x" * 2000).text("en") == "x" * TEXT_MAX


@pytest.mark.parametrize(
    ("written", "language", "text"),
    [
        ({"content": "So."}, "de", "So."),
        ({}, "en", ""),
        (
            {"contents": [{"text": "Also.", "language": "de"}, {"text": "So.", "language": "en"}]},
            "en-GB",
            "So.",
        ),
        ({"contents": [{"text": "Also.", "language": "de"}]}, "fr", "Also."),
        ({"content": "So.", "contents": [{"text": "Also.", "language": "de-AT"}, 5]}, "de", "Also."),
        ({"content": "So.", "contents": [{"text": "Also.", "language": 7}]}, "de", "So."),
    ],
)
def test_the_text_is_that_of_the_language(written: dict[str, Any], language: str, text: str) -> None:
    assert only(**written).text(language) == text


@pytest.mark.parametrize(
    ("ms", "after_s"), [(None, 5.0), (1500, 1.5), (1, 0.1), (10**9, 120.0), ("2000", 2.0), (True, 5.0)]
)
def test_how_late_a_tool_has_to_be(ms: Any, after_s: float) -> None:
    assert only(type=DELAYED, content="Wait.", timingMilliseconds=ms).after_s == after_s


@pytest.mark.parametrize(
    ("operator", "value", "given_value", "holds"),
    [
        ("eq", "rome", "rome", True),
        ("eq", "3", 3, True),
        ("eq", "true", True, True),
        ("eq", 1, True, False),
        ("eq", "rome", None, False),
        ("neq", "rome", "paris", True),
        ("neq", "rome", "rome", False),
        ("gt", 2, "3", True),
        ("gt", 3, 3, False),
        ("gte", 3, 3, True),
        ("lt", 3, 2.5, True),
        ("lte", 3, 4, False),
        ("gt", "x", 3, False),
        ("gt", 2, None, False),
        ("gt", 2, True, False),
        ("gt", 2, 10**400, False),
        ("gt", 2, 1e301, False),
        ("gt", 2, "1e999", False),
        ("like", 2, 3, False),
    ],
)
def test_a_condition_compares_an_argument(operator: str, value: Any, given_value: Any, holds: bool) -> None:
    condition = Condition(operator, "city", value)
    assert condition.holds({"city": given_value}) is holds


def test_the_first_that_fits_is_said() -> None:
    messages = read_messages(
        [
            {
                "type": COMPLETE,
                "content": "Rome!",
                "conditions": [{"operator": "eq", "param": "city", "value": "rome"}],
            },
            {"type": COMPLETE, "content": "Never.", "conditions": ["junk"]},
            {"type": COMPLETE, "content": "Done."},
            {"type": START, "content": "Go."},
        ]
    )
    rome = message_for(messages, COMPLETE, {"city": "rome"})
    paris = message_for(messages, COMPLETE, {"city": "paris"})
    assert rome is not None
    assert paris is not None
    assert (rome.text("en"), paris.text("en")) == ("Rome!", "Done.")
    assert message_for(messages, FAILED, {}) is None


def test_delays_come_in_their_order() -> None:
    messages = read_messages(
        [{"type": DELAYED, "content": str(ms), "timingMilliseconds": ms} for ms in (9000, 1000, 4000)]
    )
    assert [each.after_s for each in delays(messages, {})] == [1.0, 4.0, 9.0]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
fields = ("content", "contents", "blocking", "timingMilliseconds", "role", "endCallAfterSpokenEnabled")
written_messages = st.fixed_dictionaries(
    {"type": st.sampled_from([*KINDS, "other", 5])},
    optional=dict.fromkeys(fields, values)
    | {
        "conditions": st.lists(
            st.fixed_dictionaries(
                {
                    "operator": st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]),
                    "param": st.just("a"),
                    "value": values,
                }
            )
            | values,
            max_size=3,
        )
        | values
    },
)


@examples(200)
@given(st.lists(written_messages | values, max_size=40) | values, values, st.text(max_size=6))
def test_whatever_is_written_is_read_or_left_out(written: Any, argument: Any, language: str) -> None:
    messages = read_messages(written)
    assert len(messages) <= MESSAGES_MAX
    for kind in KINDS:
        found = message_for(messages, kind, {"a": argument})
        assert found is None or (found.kind == kind and len(found.text(language)) <= TEXT_MAX)
