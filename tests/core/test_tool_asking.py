"""Runs of tools: what is awaited, what has failed for lack of an answer, what is said meanwhile, what follows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.tool_asking import (
    COOL_DOWN_S,
    CUT,
    DONE,
    FAILURE,
    GRACE_S,
    REFUSED,
    RESULT_MAX,
    Asking,
    Outcome,
    Run,
)
from aywa.core.tools import Tool, read_tools
from tests.core.feed import examples


def tool(*messages: dict[str, Any], **written: Any) -> Tool:
    function = {"type": "function", "function": {"name": "look"}, "messages": list(messages), **written}
    (found,) = read_tools({"model": {"tools": [function]}})
    return found


def ask(asking: Asking, *messages: dict[str, Any], now: float = 1.0, **written: Any) -> Run:
    run = asking.plan(ev.ToolCall("c1", "look", "{}"), tool(*messages, **written), {"a": 1})
    asking.begin(run, now)
    return run


def late(text: str, ms: int) -> dict[str, Any]:
    return {"type": "request-response-delayed", "content": text, "timingMilliseconds": ms}


def answer(status: str = DONE, **more: Any) -> ev.ToolReturned:
    return ev.ToolReturned(1, status, **{"result": "found", **more})


def test_a_run_is_begun_once_and_its_command_says_all() -> None:
    asking = Asking()
    run = asking.plan(ev.ToolCall("c1", "look", "{}"), tool(server={"timeoutSeconds": 3}), {"a": 1})
    assert asking.deadline is None
    assert asking.begin(run, 1.0) == do.StartTool(1, "c1", "look", {"a": 1}, 3.0)
    assert asking.deadline == 1.0 + 3.0 + GRACE_S
    assert asking.tool_of(1) is run.tool
    assert asking.returned(answer()) is run
    assert asking.tool_of(1) is None
    assert asking.returned(answer()) is None
    assert asking.deadline is None
    asking.forget([run])
    assert asking.runs == []


def test_an_answer_to_what_was_not_asked_is_nobodys() -> None:
    asking = Asking()
    asking.plan(ev.ToolCall("c1", "look", "{}"), tool(), {})
    assert asking.returned(answer()) is None
    detached = asking.plan(ev.ToolCall("c2", "look", "{}"), tool(**{"async": True}), {})
    assert detached.number == 2
    assert len(asking.runs) == 1
    assert asking.begin(detached, 1.0) == do.StartTool(2, "c2", "look", {}, 20.0, detached=True)


def test_what_is_not_answered_in_time_has_failed() -> None:
    asking = Asking()
    run = ask(asking)
    assert asking.overdue(20.0) == []
    assert asking.overdue(1.0 + 20.0 + GRACE_S) == [(run, do.GiveUpTool(1))]
    assert asking.overdue(99.0) == []
    assert asking.outcome(run) == Outcome("The tool did not answer within 20 seconds.")
    assert asking.returned(answer()) is None


def test_messages_about_a_late_tool_keep_their_distance() -> None:
    asking = Asking()
    run = ask(asking, late("One.", 1000), late("Two.", 1200), late("", 9000))
    assert asking.late_s([run]) == 2.0
    assert asking.say_late([run], 1.5) == ""
    assert asking.say_late([run], 2.0) == "One."
    assert asking.late_s([run]) == 2.0 + COOL_DOWN_S
    assert asking.say_late([run], 2.0 + COOL_DOWN_S) == "Two."
    assert asking.say_late([run], 10.0) == ""
    assert asking.late_s([run]) is None
    other = ask(asking, late("Three.", 1000))
    run.answer = answer()
    assert asking.late_s([run, other]) == 10.0 + COOL_DOWN_S


@pytest.mark.parametrize(
    ("messages", "silent", "blocked"),
    [
        ([], False, False),
        ([{"type": "request-start", "content": ""}], True, False),
        ([{"type": "request-start", "content": "", "blocking": True}], True, False),
        ([{"type": "request-start", "content": "Wait."}], False, False),
        ([{"type": "request-start", "content": "Wait.", "blocking": True}], False, True),
    ],
)
def test_what_is_said_as_it_begins(messages: list[dict[str, Any]], silent: bool, blocked: bool) -> None:
    run = ask(Asking(), *messages)
    assert (run.silent, run.blocked) == (silent, blocked)


COMPLETE = {"type": "request-complete", "content": "Done."}
FAILED = {"type": "request-failed", "content": "Sorry.", "endCallAfterSpokenEnabled": True}


@pytest.mark.parametrize(
    ("messages", "event", "outcome"),
    [
        ([], answer(), Outcome("found")),
        ([COMPLETE], answer(), Outcome("found", "Done.", asks=False)),
        ([COMPLETE | {"role": "system"}], answer(), Outcome("found", hint="Done.")),
        ([COMPLETE | {"content": ""}], answer(), Outcome("found")),
        (
            [COMPLETE | {"content": "", "endCallAfterSpokenEnabled": True}],
            answer(),
            Outcome("found", ends_call=True, asks=False),
        ),
        ([COMPLETE | {"content": "It is {{n}}."}], answer(), Outcome("found")),
        ([COMPLETE, FAILED], answer(FAILURE), Outcome("found", "Sorry.", ends_call=True, asks=False)),
        ([COMPLETE, FAILED], answer(REFUSED), Outcome("found")),
        ([COMPLETE], answer(said="Theirs."), Outcome("found", "Theirs.", asks=False)),
        ([], answer(said="Bye.", ends_call=True), Outcome("found", "Bye.", ends_call=True, asks=False)),
        ([], answer(result="x" * (RESULT_MAX + 1)), Outcome("x" * RESULT_MAX + CUT)),
    ],
)
def test_what_follows_from_an_answer(
    messages: list[dict[str, Any]], event: ev.ToolReturned, outcome: Outcome
) -> None:
    asking = Asking()
    run = ask(asking, *messages)
    assert asking.returned(event) is run
    assert asking.outcome(run) == outcome


steps = st.tuples(st.sampled_from(["ask", "answer", "late", "overdue"]), st.integers(0, 6), st.floats(0, 40))


@examples(200)
@given(st.lists(steps, max_size=30))
def test_every_run_that_is_begun_is_answered_once_or_fails(script: list[tuple[str, int, float]]) -> None:
    asking, now, done, asked = Asking(), 0.0, list[int](), 0
    for step, number, wait_s in script:
        if step == "ask":
            ask(asking, late("Wait.", 1000), now=now)
            asked += 1
        elif step == "answer":
            run = asking.returned(ev.ToolReturned(number, DONE, "found"))
            done += [] if run is None else [run.number]
        elif step == "late":
            asking.say_late(asking.runs, now)
        else:
            now += wait_s
            due_s = asking.deadline
            over = [run.number for run, _ in asking.overdue(now)]
            assert bool(over) is (due_s is not None and due_s <= now)
            done += over
        assert len(done) == len(set(done))
        assert {run.number for run in asking.runs if run.answer is not None} == set(done)
    assert len(asking.runs) == asked
