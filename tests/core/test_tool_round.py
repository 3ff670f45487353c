"""A round of tool calls: one after the other, what comes of each, and who speaks next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.history import History
from aywa.core.rtp.dtmf import dialling_s
from aywa.core.settings import read_settings
from aywa.core.stock import EXCUSE, Stock
from aywa.core.tool_round import (
    CALLS_MAX,
    ENDED,
    KEYS_GRACE_S,
    ROUNDS_MAX,
    TRANSFER_FAILED,
    TRANSFER_LATEST_S,
    TRANSFERRING,
    Stage,
    ToolRound,
)
from aywa.core.turns.floor import Floor
from tests.core.feed import LEG, decided, examples, finished, of, playing, ring, told, whole

SALES: dict[str, Any] = {"type": "number", "number": "+4930111"}
UNSUPPORTED = ev.MediaWarned(LEG, "dtmf_unsupported")


class Tools:
    """A round beside its floor. assistant: further fields of it."""

    def __init__(self, *tools: dict[str, Any], **assistant: Any) -> None:
        settings = read_settings(
            {"model": {"tools": list(tools)}, "fillerPlan": {"enabled": False}, **assistant}
        )
        self.history = History()
        self.floor = Floor(LEG, settings, self.history, Stock(()))
        self.round = ToolRound(LEG, settings, self.history, self.floor)

    def begin(self, *calls: tuple[str, Any], now: float = 1.0, spoke: bool = False) -> list[do.Command]:
        made = tuple(
            ev.ToolCall(f"c{n}", name, given if isinstance(given, str) else json.dumps(given))
            for n, (name, given) in enumerate(calls)
        )
        self.floor.acting = True
        return self.round.begin(made, now, spoke=spoke)

    @property
    def results(self) -> list[str]:
        return [m["result"] for m in self.history.messages if m["role"] == "tool_call_result"]

    def speak(self, now: float) -> list[do.Command]:
        """The reply that is being made is made, played and heard."""
        assert self.floor.reply is not None
        reply_id = self.floor.reply.reply_id
        cmds: list[do.Command] = []
        for event in whole(reply_id, "Some words."):
            if isinstance(event, ev.ClauseSynthesized):
                cmds += self.floor.clause_synthesized(event, now)
            elif isinstance(event, ev.ReplyCompleted):
                cmds += self.floor.reply_completed(event, now)
        cmds += self.floor.playout_started(playing(reply_id, now), now)
        cmds += self.floor.playout_over(finished(reply_id, 2, now + 1), now + 1)
        return cmds + self.round.settle(now + 1)


KEYS = {"type": "dtmf"}
END = {"type": "endCall"}


def transfer(**destination: Any) -> dict[str, Any]:
    return {"type": "transferCall", "destinations": [SALES | destination]}


# --- the record ------------------------------------------------------------------------------------------------


def test_calls_and_results_enter_the_history_as_the_contract_has_them() -> None:
    at = Tools(KEYS)
    cmds = at.begin(("dtmf", {"dtmf": "12"}))
    (called,) = of(do.RecordMessage, cmds)
    assert called.message["role"] == "tool_calls"
    assert told("tool-calls", cmds)[0]["toolCallList"][0]["arguments"] == {"dtmf": "12"}
    assert do.SendKeys(LEG, "12") in cmds
    (returned,) = of(do.RecordMessage, ring(at.round, 9.0))
    assert (returned.message["toolCallId"], returned.message["name"]) == ("c0", "dtmf")
    assert [m["role"] for m in at.history.chat()] == ["assistant", "tool"]


# --- keys ------------------------------------------------------------------------------------------------------


def test_nobody_speaks_while_keys_are_pressed_and_the_model_is_not_asked_after_them() -> None:
    at = Tools(KEYS)
    at.begin(("dtmf", {"dtmf": "1w2"}))
    assert (at.round.stage, at.floor.acting) == (Stage.PRESSING, True)
    assert at.round.deadline == 1.0 + dialling_s("1w2") + KEYS_GRACE_S
    assert at.round.wake(1.1) == []
    cmds = at.round.wake(at.round.deadline)
    assert not of(do.StartReply, cmds)
    assert (at.round.stage, at.floor.acting) == (Stage.IDLE, False)
    assert at.results == ["The keys were pressed."]


def test_a_line_without_keys_is_told_to_the_model_which_goes_on() -> None:
    at = Tools({**KEYS, "sipInfoDtmfEnabled": True})
    assert do.SendKeys(LEG, "1", signalled=True) in at.begin(("dtmf", {"dtmf": "1"}))
    assert at.round.warned(ev.MediaWarned(LEG, "unread"), 1.1) == []
    (asked,) = of(do.StartReply, at.round.warned(UNSUPPORTED, 1.1))
    assert "could not be pressed" in asked.messages[-1]["content"]
    assert at.round.warned(UNSUPPORTED, 1.2) == []


@pytest.mark.parametrize(
    ("name", "arguments", "told_why"),
    [
        ("dtmf", {"dtmf": "hello"}, "must name keys"),
        ("dtmf", "{", "not a JSON object"),
        ("nothing", {}, "no tool 'nothing'"),
        ("transferCall", {"destination": "+1"}, "must be one of: +4930111"),
    ],
)
def test_a_call_that_means_nothing_is_told_to_the_model(name: str, arguments: Any, told_why: str) -> None:
    at = Tools(KEYS, transfer())
    assert of(do.StartReply, at.begin((name, arguments)))
    assert told_why in at.results[0]


def test_a_transfer_to_anybody_says_what_a_destination_is() -> None:
    at = Tools({"type": "transferCall"})
    at.begin(("transferCall", {"destination": "the boss"}))
    assert "E.164" in at.results[0]


def test_calls_are_run_one_after_the_other() -> None:
    at = Tools(KEYS, END)
    cmds = at.begin(("dtmf", {"dtmf": "1"}), ("nothing", {}), ("dtmf", {"dtmf": "2"}), ("endCall", {}))
    assert [c.digits for c in of(do.SendKeys, cmds)] == ["1"]
    cmds = at.round.wake(at.round.deadline or 0)
    assert [c.digits for c in of(do.SendKeys, cmds)] == ["2"]
    assert do.EndCall(ENDED) in at.round.wake(at.round.deadline or 0)
    assert len(at.results) == 4


def test_what_is_said_first_is_heard_first() -> None:
    at = Tools({**KEYS, "messages": [{"type": "request-start", "content": "One moment."}]})
    assert of(do.SayText, at.begin(("dtmf", {"dtmf": "1"}))) == [do.SayText(1, "One moment.")]
    assert at.round.stage is Stage.SAYING
    assert at.round.settle(1.0) == []
    assert do.SendKeys(LEG, "1") in at.speak(1.5)


def test_more_calls_than_anybody_makes_are_left_out() -> None:
    at = Tools()
    at.begin(*[("x", {})] * (CALLS_MAX + 5))
    assert len(at.results) == CALLS_MAX


def test_a_model_that_goes_round_in_circles_is_not_asked_again() -> None:
    at = Tools()
    for number in range(ROUNDS_MAX - 1):
        assert of(do.StartReply, at.begin(("x", {}), now=number)), number
        at.floor.reply = None
    cmds = at.begin(("x", {}), now=9.0)
    assert ("rounds_over", "too_many_rounds") in decided(cmds)
    assert of(do.SayText, cmds) == [do.SayText(ROUNDS_MAX, EXCUSE)]
    at.floor.reply = None
    at.floor.caller.next_turn(10.0)
    assert of(do.StartReply, at.begin(("x", {}), now=10.0))


# --- the end of the call ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "assistant", "spoke", "said"),
    [
        (END, {}, False, None),
        (END, {"endCallMessage": "Goodbye."}, False, "Goodbye."),
        (END, {"endCallMessage": "Goodbye."}, True, None),
        ({**END, "messages": [{"type": "request-start", "content": "So long."}]}, {}, False, "So long."),
        (
            {**END, "messages": [{"type": "request-start", "content": ""}]},
            {"endCallMessage": "Goodbye."},
            False,
            None,
        ),
    ],
)
def test_the_call_ends_with_a_word_unless_there_was_one(
    tool: dict[str, Any], assistant: dict[str, Any], spoke: bool, said: str | None
) -> None:
    at = Tools(tool, **assistant)
    cmds = at.begin(("endCall", {}), ("dtmf", {"dtmf": "1"}), spoke=spoke)
    assert (do.EndCall(ENDED) in cmds) is (said is None)
    assert [c.text for c in of(do.SayText, cmds)] == ([said] if said else [])
    if said:
        assert (at.floor.leaving, at.floor.leave_reason) == (True, ENDED)


# --- transfers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "spoke", "said"),
    [
        ({}, False, TRANSFERRING),
        ({}, True, None),
        ({"message": ""}, False, None),
        ({"message": "Putting you through."}, True, "Putting you through."),
    ],
)
def test_a_transfer_is_announced_once(destination: dict[str, Any], spoke: bool, said: str | None) -> None:
    at = Tools(transfer(**destination))
    cmds = at.begin(("transferCall", {"destination": "+4930111"}), spoke=spoke)
    assert [c.text for c in of(do.SayText, cmds)] == ([said] if said else [])
    cmds = at.speak(2.0) if said else cmds
    assert do.StartTransfer(LEG, "c0", SALES | destination) in cmds
    assert told("transfer-update", cmds) == [{"destination": SALES | destination}]
    assert at.round.stage is Stage.TRANSFERRING


def transferring(**destination: Any) -> Tools:
    at = Tools(transfer(**destination))
    at.begin(("transferCall", {}), spoke=True)
    return at


@pytest.mark.parametrize("status", ["connected", "completed"])
def test_somebody_answers(status: str) -> None:
    at = transferring()
    cmds = at.round.transfer_changed(ev.TransferChanged(status, 200), 3.0)
    assert [type(c) for c in cmds] == [do.RecordMessage]
    assert (at.round.stage, at.floor.acting) == (Stage.GIVEN, True)
    assert at.round.transfer_changed(ev.TransferChanged("failed"), 4.0) == []


def test_nobody_answers_and_the_model_goes_on() -> None:
    at = transferring()
    (asked,) = of(do.StartReply, at.round.transfer_changed(ev.TransferChanged("busy", 486, "Busy Here"), 3.0))
    assert "busy (Busy Here)" in asked.messages[-1]["content"]
    assert at.round.stage is Stage.IDLE


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("busy", "call.forwarding.operator-busy"),
        ("no-answer", "call.forwarding.no-answer"),
        ("failed", TRANSFER_FAILED),
    ],
)
def test_nobody_answers_and_the_call_ends_with_what_was_set(status: str, reason: str) -> None:
    at = transferring(transferPlan={"fallbackPlan": {"message": "Nobody is there."}})
    cmds = at.round.transfer_changed(ev.TransferChanged(status), 3.0)
    assert of(do.SayText, cmds) == [do.SayText(1, "Nobody is there.")]
    assert (at.floor.leaving, at.floor.leave_reason) == (True, reason)


def test_nobody_answers_and_the_call_goes_on_with_what_was_set() -> None:
    plan = {"fallbackPlan": {"message": "Nobody is there.", "endCallEnabled": False}}
    at = transferring(transferPlan=plan)
    cmds = at.round.transfer_changed(ev.TransferChanged("no-answer"), 3.0)
    assert of(do.SayText, cmds) == [do.SayText(1, "Nobody is there.")]
    assert (at.floor.leaving, at.floor.acting, at.round.stage) == (False, False, Stage.IDLE)


@pytest.mark.parametrize("plan", ["x", {"fallbackPlan": 5}, {"fallbackPlan": {"message": 5}}])
def test_a_malformed_plan_is_none(plan: Any) -> None:
    at = transferring(transferPlan=plan)
    assert of(do.StartReply, at.round.transfer_changed(ev.TransferChanged("failed"), 3.0))


def test_nobody_waits_on_hold_for_ever() -> None:
    at = transferring()
    (ended,) = ring(at.round, 1.0 + TRANSFER_LATEST_S)
    assert isinstance(ended, do.EndCall)
    assert ended.reason == TRANSFER_FAILED


def test_the_last_words_are_said_and_no_tool_is_run_after_them() -> None:
    at = Tools(transfer())
    at.begin(("transferCall", {}))
    at.floor.take_leave("Time is up.", "exceeded-max-duration", 2.0)
    at.floor.reply = None
    assert at.round.settle(3.0) == []


names = st.sampled_from(["dtmf", "endCall", "transferCall", "nothing"])
given_arguments = st.sampled_from(["", "{", '{"dtmf": "1w"}', '{"destination": "+4930111"}', "[]"])
steps = st.one_of(
    st.tuples(st.just("begin"), st.lists(st.tuples(names, given_arguments), max_size=4)),
    st.tuples(st.just("news"), st.sampled_from(["connected", "busy", "failed", "completed", "odd"])),
    st.tuples(st.just("warned"), st.just("")),
    st.tuples(st.just("heard"), st.just("")),
    st.tuples(st.just("wait"), st.floats(0, 700)),
)


@examples(200)
@given(st.lists(steps, max_size=25))
def test_every_call_that_is_begun_comes_to_one_result_and_the_floor_is_free_again(
    script: list[tuple[str, Any]],
) -> None:
    at = Tools(
        KEYS, END, transfer(transferPlan={"fallbackPlan": {"message": "No.", "endCallEnabled": False}})
    )
    now, begun, cmds = 1.0, 0, list[do.Command]()
    for step, value in script:
        idle = at.round.stage is Stage.IDLE and at.floor.reply is None and not at.floor.leaving
        if step == "begin" and idle and value:
            begun += len(value)
            cmds += at.begin(*value, now=now)
        elif step == "news":
            cmds += at.round.transfer_changed(ev.TransferChanged(value), now)
        elif step == "warned":
            cmds += at.round.warned(UNSUPPORTED, now)
        elif step == "heard":
            at.floor.reply = None
            cmds += at.round.settle(now)
        elif step == "wait":
            now += value
            due_s = at.round.deadline
            cmds += at.round.wake(now)
            assert due_s is None or due_s > now or at.round.deadline != due_s
        if any(isinstance(c, do.EndCall) for c in cmds) or at.floor.leaving:
            break
        assert len(at.results) <= begun
        # Whoever is not waiting for anything has given the floor back.
        assert at.floor.acting is (at.round.stage is not Stage.IDLE)
        assert (at.round.deadline is None) is (at.round.stage in (Stage.IDLE, Stage.SAYING))
        if at.round.stage is Stage.IDLE:
            assert len(at.results) == begun
