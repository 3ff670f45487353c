"""What is kept of a call, and that nothing that was said is among it where that is forbidden."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.record import CallRecord
from aywa.core.retention import Retention, read_retention, redacted, redacted_document

SECRET = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    ("assistant", "kept"),
    [
        ({}, Retention()),
        ({"artifactPlan": {"recordingEnabled": False}}, Retention(recording=False)),
        ({"recordingEnabled": False}, Retention(recording=False)),
        ({"recordingEnabled": False, "artifactPlan": {"recordingEnabled": True}}, Retention()),
        ({"artifactPlan": {"loggingEnabled": False}}, Retention(log=False)),
        ({"compliancePlan": {"hipaaEnabled": True}}, Retention(recording=False, log=False, words=False)),
        ({"compliancePlan": {"pciEnabled": True}}, Retention(recording=False, log=False, words=False)),
        ({"hipaaEnabled": True}, Retention(recording=False, log=False, words=False)),
        ({"hipaaEnabled": True, "compliancePlan": {"hipaaEnabled": False}}, Retention()),
        ({"compliancePlan": "yes", "artifactPlan": 7}, Retention()),
        ({"artifactPlan": {"retentionDays": 0}}, Retention(days=0)),
        ({"artifactPlan": {"retentionDays": 30.0}}, Retention(days=30)),
        ({"artifactPlan": {"retentionDays": True}}, Retention()),
        ({"artifactPlan": {"retentionDays": -1}}, Retention()),
        ({"artifactPlan": {"retentionDays": "0"}}, Retention()),
    ],
)
def test_what_an_assistant_has_kept(assistant: dict[str, Any], kept: Retention) -> None:
    assert read_retention(assistant) == kept


KEPT = st.builds(Retention, st.booleans(), st.booleans(), st.booleans(), st.none() | st.integers(0, 5))


@given(KEPT, KEPT)
def test_of_two_assistants_of_a_call_the_stricter_counts(first: Retention, later: Retention) -> None:
    kept = first.joined(later)
    assert kept.words == (first.words and later.words)
    days = {each.days for each in (first, later)} - {None}
    assert kept.days == (min(days, key=lambda each: each or 0) if days else None)
    assert (kept.recording, kept.log) in {(each.recording, each.log) for each in (first, later)}


def test_of_events_and_commands_only_known_fields_keep_their_texts() -> None:
    kept = {
        field.name
        for kind in (*get_args(ev.Event), *get_args(do.Command))
        for field in fields(kind)
        if field.name not in ASKED and SECRET in str(redacted({field.name: SECRET}))
    }
    # Each is the runtime's own word or the assistant's, never a party's.
    assert kept <= OURS


# What the call was asked for with is no word of a party's either.
ASKED = ("call", "prices", "webhooks")
OURS = set(
    "call_id cause child code codec decision engine_version id kind leg_id machine name org_id reason role route source status"
    " step tool type who".split()
)


def test_a_message_keeps_its_times() -> None:
    message = {"role": "user", "message": SECRET, "time": 1, "secondsFromStart": 2.5, "duration": 3}
    assert redacted({"message": message, "words": ((SECRET, 0.0, 1.0),)}) == {
        "message": {**message, "message": ""},
        "words": [],
    }


def test_a_tool_call_keeps_its_name() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": SECRET}}
    assert redacted({"calls": (call,), "result": 7}) == {
        "calls": [{"id": "c1", "type": "function", "function": {"name": "pay", "arguments": ""}}],
        "result": None,
    }


def test_what_is_nested_without_end_is_emptied() -> None:
    deep: Any = SECRET
    for _ in range(200):
        deep = {"id": deep}
    assert SECRET not in str(redacted({"details": deep}))


_VALUES = st.recursive(
    st.just(SECRET) | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("text", "said", "words", "message", "result", "x")), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(("text", "message", "variables", "body", "anything")), _VALUES))
def test_whatever_shape_it_has_it_is_gone(data: dict[str, Any]) -> None:
    assert SECRET not in str(redacted(data))


@pytest.mark.parametrize(("days", "until_ms"), [(None, None), (0, 5), (2, 172_800_005)])
def test_a_call_is_kept_for_so_many_days_after_its_end(days: int | None, until_ms: int | None) -> None:
    assert Retention(days=days).expires_ms(5) == until_ms


def test_what_the_call_was_asked_for_with_stays() -> None:
    data = {"call": {"customer": {"number": "+1"}}, "prices": [{"usd": 1}], "webhooks": {"url": "https://x"}}
    assert redacted(data) == data


def test_a_document_keeps_when_and_why_and_what_it_cost() -> None:
    call = CallRecord("c1", "o1")
    message = {"role": "user", "message": SECRET, "time": 1, "secondsFromStart": 0.0}
    records: tuple[tuple[str, dict[str, Any]], ...] = (
        ("CallStarted", {"epoch_ms": 0, "assistant": {}, "variables": {"card": SECRET}}),
        ("LegConnected", {"rate_hz": 8000}),
        ("RecordMessage", {"message": message}),
        ("TemplateProblem", {"detail": SECRET}),
        ("AnalysisCompleted", {"analysis": {"summary": SECRET}}),
        ("EndCall", {"reason": "customer-ended-call"}),
    )
    for seq, (kind, data) in enumerate(records, 1):
        _ = call.apply(seq, float(seq), kind, data)
    whole = call.document()
    assert SECRET in str(whole)
    kept = redacted_document(whole)
    assert SECRET not in str(kept)
    assert (kept["endedReason"], kept["cost"], kept["messages"]) == ("customer-ended-call", whole["cost"], [])
    assert kept["artifact"]["performanceMetrics"] == whole["artifact"]["performanceMetrics"]
    assert redacted_document({})["artifact"]["transcript"] == ""
