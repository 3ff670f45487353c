"""A round of tool calls: one after the other, what comes of each, and who speaks next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.handoff import HANDED_OVER, Context, ContextPlan
from aywa.core.history import History
from aywa.core.rtp.dtmf import dialling_s
from aywa.core.settings import read_settings
from aywa.core.stock import EXCUSE, Stock
from aywa.core.tool_asking import SENT
from aywa.core.tool_round import (
    BY_HOOK,
    CALLS_MAX,
    ENDED,
    HANDOFF_LATEST_S,
    HANDOFFS_MAX,
    KEYS_GRACE_S,
    LEFT_MESSAGE,
    ROUNDS_MAX,
    TRANSFER_FAILED,
    TRANSFER_LATEST_S,
    TRANSFERRING,
    Stage,
    ToolRound,
)
from aywa.core.tools import TOOLS_MAX
from aywa.core.turns.floor import AFTER_MESSAGE, Floor, Message
from tests.core.feed import LEG, decided, dropped, examples, finished, of, playing, ring, told, whole

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


def seeking(**assistant: Any) -> Tools:
    at = Tools({"type": "transferCall"}, **assistant)
    cmds = at.begin(("transferCall", {"destination": "the boss"}))
    assert of(do.StartTool, cmds) == [
        do.StartTool(1, "c0", "transferCall", {"destination": "the boss"}, 20.0)
    ]
    assert (at.round.stage, at.round.awaiting) == (Stage.SEEKING, True)
    return at


def test_where_a_transfer_goes_is_asked_where_nobody_has_said_it() -> None:
    at = seeking()
    assert at.round.settle(1.0) == []
    told_to = SALES | {"message": "One moment."}
    cmds = at.round.returned(back(1, destination=told_to), 2.0)
    assert of(do.SayText, cmds) == [do.SayText(1, "One moment.")]
    assert do.StartTransfer(LEG, "c0", told_to) in at.speak(2.0)


def test_a_destination_may_be_another_assistant_or_nobody() -> None:
    at = seeking()
    cmds = at.round.returned(
        back(1, destination={"type": "assistant", "assistantName": "Ann", "message": ""}), 2.0
    )
    assert of(do.StartHandoff, cmds)
    at = seeking()
    assert of(do.StartReply, at.round.returned(back(1, "failed", result="Nowhere."), 2.0))
    assert at.results == ["Nowhere."]
    at = seeking()
    cmds = at.round.wake(at.round.deadline or 0)
    assert of(do.StartReply, cmds)
    assert "did not answer" in at.results[0]
    at = seeking()
    at.round._handoffs = HANDOFFS_MAX
    at.round.returned(back(1, destination={"type": "assistant", "assistantName": "Ann"}), 2.0)
    assert "too often" in at.results[0]


def test_a_filler_is_said_while_it_is_asked_where_to() -> None:
    at = seeking(**FILLING)
    assert of(do.SayText, at.round.wake(1.8)) == [do.SayText(1, "One moment.")]


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
    assert [type(c) for c in cmds] == [do.RecordMessage, do.TellClient]
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


# --- those that ask ----------------------------------------------------------------------------------------------


def asking(name: str = "look", *messages: dict[str, Any], **written: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}, "messages": list(messages), **written}


def message(kind: str, content: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "content": content, **more}


def back(run: int, status: str = "done", **more: Any) -> ev.ToolReturned:
    return ev.ToolReturned(run, status, **{"result": "found", **more})


FILLING = {
    "fillerPlan": {"messages": ["One moment.", "Still here."], "afterSeconds": 1.8, "repeatAfterSeconds": 2.4}
}


def test_an_answer_enters_the_history_and_the_model_goes_on() -> None:
    at = Tools(asking())
    cmds = at.begin(("look", {"q": 1}))
    assert of(do.StartTool, cmds) == [do.StartTool(1, "c0", "look", {"q": 1}, 20.0)]
    assert (at.round.stage, at.floor.acting) == (Stage.ASKING, True)
    cmds = at.round.returned(back(1), 2.0)
    assert at.results == ["found"]
    cmds += at.round.settle(2.0)
    (asked,) = of(do.StartReply, cmds)
    assert asked.messages[-1]["content"] == "found"
    assert (at.round.stage, at.floor.acting) == (Stage.IDLE, False)
    assert told("tool-calls-result", cmds)[0]["toolCallResult"]["result"] == "found"
    assert at.round.returned(back(1), 3.0) == []


def test_all_that_ask_are_asked_at_once_and_what_acts_comes_after_them() -> None:
    at = Tools(asking("one"), asking("two"), KEYS)
    cmds = at.begin(("dtmf", {"dtmf": "1"}), ("one", {}), ("two", {}))
    assert [c.tool for c in of(do.StartTool, cmds)] == ["one", "two"]
    assert at.round.returned(back(2), 2.0) != []
    assert at.round.settle(2.0) == []
    at.round.returned(back(1, "failed"), 2.5)
    assert of(do.SendKeys, at.round.settle(2.5)) == [do.SendKeys(LEG, "1")]
    assert of(do.StartReply, at.round.wake(at.round.deadline or 0))


def test_what_acts_waits_until_nobody_speaks() -> None:
    at = Tools(asking("one", message("request-start", "Let me see.")), KEYS)
    at.begin(("one", {}), ("dtmf", {"dtmf": "1"}))
    at.round.returned(back(1), 1.5)
    assert at.round.settle(1.5) == []
    assert of(do.SendKeys, at.speak(2.0)) == [do.SendKeys(LEG, "1")]


def test_what_is_not_answered_in_time_has_failed() -> None:
    at = Tools(asking(server={"timeoutSeconds": 2}))
    at.begin(("look", {}))
    due_s = at.round.deadline
    assert due_s is not None
    cmds = at.round.wake(due_s)
    assert of(do.GiveUpTool, cmds) == [do.GiveUpTool(1)]
    assert of(do.StartReply, at.round.settle(due_s))
    assert "did not answer within 2" in at.results[0]


def test_a_filler_is_said_when_it_is_slow_and_again() -> None:
    at = Tools(asking(), **FILLING)
    at.begin(("look", {}), now=1.0)
    assert at.round.deadline == pytest.approx(1.8)
    cmds = at.round.wake(1.8)
    assert of(do.SayText, cmds) == [do.SayText(1, "One moment.")]
    assert at.round.deadline == pytest.approx(21.5)
    assert at.round.break_silence(2.0) == []
    at.speak(2.0)
    # It was heard until 3.0.
    assert at.round.deadline == pytest.approx(5.4)
    assert of(do.SayText, at.round.break_silence(5.0)) == [do.SayText(2, "Still here.")]


def test_whoever_speaks_is_not_spoken_over() -> None:
    at = Tools(asking(), **FILLING)
    at.begin(("look", {}), now=1.0)
    at.floor.caller.voice_started(1.2)
    assert at.round.deadline == pytest.approx(21.5)
    assert at.round.wake(3.0) == []


def test_without_fillers_nothing_is_said() -> None:
    at = Tools(asking())
    at.begin(("look", {}))
    assert at.round.break_silence(4.0) == []
    assert at.round.deadline == pytest.approx(21.5)


def test_messages_about_a_late_tool_take_the_place_of_fillers() -> None:
    late = message("request-response-delayed", "Still looking.", timingMilliseconds=2000)
    empty = message("request-response-delayed", "", timingMilliseconds=6000)
    at = Tools(asking("look", late, empty), **FILLING)
    at.begin(("look", {}), now=1.0)
    at.floor.connected(1.0)
    assert at.round.deadline == pytest.approx(3.0)
    assert of(do.SayText, at.round.wake(3.0)) == [do.SayText(1, "Still looking.")]
    at.speak(3.5)
    at.floor.connected(7.0)
    assert of(do.SayText, at.round.wake(7.0)) == []


def test_silence_on_purpose_is_known_as_such() -> None:
    at = Tools(asking("look", message("request-start", "")), **FILLING)
    at.begin(("look", {}))
    assert at.round.silenced
    assert at.round.deadline == pytest.approx(21.5)
    at.round.returned(back(1), 2.0)
    at.round.settle(2.0)
    assert not at.round.silenced


def test_a_request_start_that_blocks_is_waited_for() -> None:
    at = Tools(asking("look", message("request-start", "First.", blocking=True)))
    cmds = at.begin(("look", {}))
    assert not of(do.StartTool, cmds)
    assert of(do.SayText, cmds) == [do.SayText(1, "First.")]
    assert [c.tool for c in of(do.StartTool, at.speak(2.0))] == ["look"]


def test_a_detached_tool_is_sent_and_its_answer_is_nobodys() -> None:
    at = Tools(asking("look", **{"async": True}))
    cmds = at.begin(("look", {}))
    assert of(do.StartTool, cmds)[0].detached
    assert of(do.StartReply, cmds)
    assert at.results == [SENT]
    assert at.round.returned(back(1), 3.0) == []


@pytest.mark.parametrize(
    ("messages", "event", "said", "asks", "ends"),
    [
        ([message("request-complete", "Done.")], back(1), ["Done."], False, False),
        ([message("request-complete", "Hint.", role="system")], back(1), [], True, False),
        ([], back(1, said="Theirs."), ["Theirs."], False, False),
        (
            [message("request-failed", "Sorry.", endCallAfterSpokenEnabled=True)],
            back(1, "failed"),
            ["Sorry."],
            False,
            True,
        ),
        (
            [message("request-complete", "", endCallAfterSpokenEnabled=True)],
            back(1),
            [],
            False,
            True,
        ),
    ],
)
def test_what_is_said_when_it_is_done(
    messages: list[dict[str, Any]], event: ev.ToolReturned, said: list[str], asks: bool, ends: bool
) -> None:
    at = Tools(asking("look", *messages))
    at.begin(("look", {}))
    cmds = at.round.returned(event, 2.0) + at.round.settle(2.0)
    assert [c.text for c in of(do.SayText, cmds)] == said
    assert bool(of(do.StartReply, cmds)) is asks
    ended = [c.reason for c in of(do.EndCall, cmds)] + ([at.floor.leave_reason] if at.floor.leaving else [])
    assert ended == ([AFTER_MESSAGE] if ends else [])
    if asks:
        assert at.history.messages[-1]["message"] == "Hint."


# --- asked while the words are heard ---------------------------------------------------------------------------------


def heard(at: Tools, *calls: tuple[str, Any], now: float = 1.0) -> list[do.Command]:
    """A message of ours begins to be heard, whole, and these are wanted with it."""
    cmds = at.floor.announce("Let me look.", now)
    assert at.floor.reply is not None
    reply_id = at.floor.reply.reply_id
    made = tuple(ev.ToolCall(f"c{n}", name, json.dumps(given)) for n, (name, given) in enumerate(calls))
    at.floor.calls_received(ev.ToolCallsReceived(reply_id, made))
    for event in whole(reply_id, "Let me look."):
        if isinstance(event, ev.ClauseSynthesized):
            cmds += at.floor.clause_synthesized(event, now)
        elif isinstance(event, ev.ReplyCompleted):
            cmds += at.floor.reply_completed(event, now)
    assert at.round.ask_early(now) == []
    cmds += at.floor.playout_started(playing(reply_id, now), now)
    return cmds + at.round.ask_early(now)


def over(at: Tools, now: float) -> list[do.Command]:
    assert at.floor.reply is not None
    cmds = at.floor.playout_over(finished(at.floor.reply.reply_id, 3, now), now)
    calls, at.floor.calls = at.floor.calls, ()
    return cmds + at.round.begin(calls, now, spoke=at.floor.spoke)


def test_what_asks_is_asked_while_the_words_are_heard() -> None:
    at = Tools(
        asking("one"), asking("two"), asking("last", message("request-start", "First.", blocking=True)), KEYS
    )
    cmds = heard(at, ("one", {}), ("two", {}), ("last", {}), ("dtmf", {"dtmf": "1"}), ("nobody", {}))
    assert [c.tool for c in of(do.StartTool, cmds)] == ["one", "two"]
    assert at.round.ask_early(1.1) == []
    assert at.round.returned(back(1), 1.5) == []
    assert at.results == []
    cmds = over(at, 2.0)
    assert of(do.StartTool, cmds) == []
    assert at.results == ["found"]
    assert of(do.SayText, cmds) == [do.SayText(2, "First.")]
    assert [c.tool for c in of(do.StartTool, at.speak(3.0))] == ["last"]


def test_an_early_answer_makes_the_round_short() -> None:
    at = Tools(asking())
    heard(at, ("look", {}))
    at.round.returned(back(1), 1.5)
    assert of(do.StartReply, over(at, 2.0))
    assert at.round.stage is Stage.IDLE


def test_what_was_asked_early_and_is_never_waited_for_is_forgotten() -> None:
    at = Tools(asking())
    heard(at, ("look", {}))
    assert at.floor.reply is not None
    at.floor.reply = None
    assert at.round.deadline == pytest.approx(21.5)
    at.begin(("look", {"other": 1}), now=3.0)
    assert at.round.returned(back(1), 4.0) == []
    assert at.results == []


def test_an_early_one_may_fail_before_the_words_were_heard() -> None:
    at = Tools(asking(server={"timeoutSeconds": 1}))
    heard(at, ("look", {}))
    assert of(do.GiveUpTool, at.round.wake(2.5)) == [do.GiveUpTool(1)]
    over(at, 3.0)
    assert "did not answer" in at.results[0]


def test_tools_of_an_mcp_server_are_the_calls_own_from_then_on() -> None:
    at = Tools(KEYS)
    server = {"type": "mcp", "server": {"url": "https://x"}}
    at.round.found(ev.ToolsFound(server, ({"name": "remote"}, {"name": "dtmf"})))
    assert set(at.round.tools) == {"dtmf", "remote"}
    assert at.round.tools["dtmf"].kind == "dtmf"
    assert [c.tool for c in of(do.StartTool, at.begin(("remote", {})))] == ["remote"]
    at.round.found(ev.ToolsFound(server, tuple({"name": f"t{n}"} for n in range(TOOLS_MAX))))
    assert len(at.round.tools) == TOOLS_MAX


# --- hooks -----------------------------------------------------------------------------------------------------------


def test_a_hook_runs_a_tool_beside_the_conversation() -> None:
    at = Tools()
    written = asking("log", message("request-start", "One moment."), message("request-complete", "Noted."))
    cmds = at.round.run_hook(written, 1.0)
    assert of(do.StartTool, cmds) == [do.StartTool(1, "hook_1", "log", {}, 20.0)]
    assert of(do.SayText, cmds) == [do.SayText(1, "One moment.")]
    found = at.round.tool_of(1)
    assert found is not None
    assert (found.name, at.floor.acting) == ("log", False)
    at.floor.reply = None
    assert of(do.SayText, at.round.returned(back(1), 2.0)) == [do.SayText(2, "Noted.")]
    assert (at.round.tool_of(1), at.history.messages) == (None, ())


def test_a_hook_s_tool_may_fail_and_may_end_the_call() -> None:
    at = Tools()
    assert of(do.StartTool, at.round.run_hook(asking("log", server={"timeoutSeconds": 1}), 1.0))
    assert of(do.GiveUpTool, at.round.wake(9.0))
    at.round.run_hook(asking("log", message("request-complete", "", endCallAfterSpokenEnabled=True)), 9.0)
    assert at.round.returned(back(2), 10.0) == [do.EndCall(AFTER_MESSAGE)]
    at.round.run_hook(asking("log", message("request-complete", "Bye.", endCallAfterSpokenEnabled=True)), 9.0)
    at.round.returned(back(3), 10.0)
    assert (at.floor.leaving, at.floor.leave_reason) == (True, AFTER_MESSAGE)


def test_at_the_end_of_a_call_nobody_waits_for_a_hook_s_tool() -> None:
    at = Tools()
    cmds = at.round.run_hook(asking("log", message("request-start", "One moment.")), 1.0, ending=True)
    assert cmds == [do.StartTool(1, "hook_1", "log", {}, 20.0, detached=True)]
    assert at.round.returned(back(1), 2.0) == []


@pytest.mark.parametrize(
    ("tool", "assistant", "said"),
    [
        ({"type": "endCall"}, {}, None),
        ({"type": "endCall"}, {"endCallMessage": "Goodbye."}, "Goodbye."),
        ({"type": "endCall", "messages": [message("request-start", "So long.")]}, {}, "So long."),
    ],
)
def test_a_hook_may_hang_up(tool: dict[str, Any], assistant: dict[str, Any], said: str | None) -> None:
    at = Tools(**assistant)
    cmds = at.round.run_hook(tool, 1.0)
    assert [c.text for c in of(do.SayText, cmds)] == ([said] if said else [])
    assert (do.EndCall(BY_HOOK) in cmds) is (said is None)


@pytest.mark.parametrize("tool", [{"type": "dtmf"}, {"type": "code"}, {}, {"toolId": "x"}])
def test_what_a_hook_cannot_run_is_on_record(tool: dict[str, Any]) -> None:
    at = Tools()
    cmds = at.round.run_hook(tool, 1.0) + at.round.settle(1.0)
    assert ("tool_skipped", "not_runnable") in decided(cmds)
    assert not at.floor.acting
    assert ("tool_skipped", "not_runnable") in decided(
        Tools().round.run_hook({"type": "endCall"}, 1.0, ending=True)
    )


def test_what_acts_on_the_call_waits_until_nobody_speaks() -> None:
    at = Tools()
    at.floor.say(Message("One moment."), 1.0)
    assert at.round.run_hook(transfer(message=""), 1.0) == []
    assert at.round.settle(1.1) == []
    (begun,) = of(do.StartTransfer, at.speak(2.0))
    assert begun.destination == SALES | {"message": ""}
    assert at.round.stage is Stage.TRANSFERRING
    # Nobody's model asked for it, and none is told what came of it.
    cmds = at.round.transfer_changed(ev.TransferChanged("busy"), 4.0)
    assert not of(do.RecordMessage, cmds)
    assert not of(do.StartReply, cmds)
    assert not at.floor.acting


def test_a_hook_waits_for_a_round_of_the_model_s() -> None:
    at = Tools(KEYS)
    at.begin(("dtmf", {"dtmf": "1"}))
    at.round.run_hook(transfer(message=""), 1.0)
    assert at.round.settle(1.0) == []
    cmds = ring(at.round, 9.0)
    assert not of(do.StartTransfer, cmds)
    assert of(do.StartTransfer, at.round.settle(9.0))


def test_so_many_acts_of_hooks_wait_and_no_more() -> None:
    at = Tools()
    for _ in range(CALLS_MAX):
        assert at.round.run_hook(KEYS, 1.0) == []
    assert decided(at.round.run_hook(KEYS, 1.0)) == [("tool_skipped", "not_runnable")]


# --- a voicemail box -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assistant", "tool", "said"),
    [
        ({"voicemailMessage": "Call me."}, {"type": "voicemail"}, "Call me."),
        (
            {"voicemailMessage": "Call me."},
            {"type": "voicemail", "messages": [message("request-start", "Call us.")]},
            "Call us.",
        ),
        ({}, {"type": "voicemail"}, None),
    ],
)
def test_a_voicemail_box_is_left_a_message(
    assistant: dict[str, Any], tool: dict[str, Any], said: str | None
) -> None:
    at = Tools(tool, **assistant)
    cmds = at.begin(("voicemail", {}), spoke=True)
    assert [c.text for c in of(do.SayText, cmds)] == ([said] if said else [])
    assert (do.EndCall(LEFT_MESSAGE) in cmds) is (said is None)
    assert said is None or at.floor.leave_reason == LEFT_MESSAGE


names = st.sampled_from(["look", "dtmf", "endCall", "transferCall", "nothing"])
given_arguments = st.sampled_from(["", "{", '{"dtmf": "1w"}', '{"destination": "+4930111"}', "[]"])
steps = st.one_of(
    st.tuples(st.just("begin"), st.lists(st.tuples(names, given_arguments), max_size=4)),
    st.tuples(st.just("news"), st.sampled_from(["connected", "busy", "failed", "completed", "odd"])),
    st.tuples(st.just("warned"), st.just("")),
    st.tuples(st.just("heard"), st.just("")),
    st.tuples(
        st.just("answer"), st.tuples(st.integers(1, 9), st.sampled_from(["done", "failed", "refused"]))
    ),
    st.tuples(st.just("wait"), st.floats(0, 700)),
)


@examples(200)
@given(st.lists(steps, max_size=25))
def test_every_call_that_is_begun_comes_to_one_result_and_the_floor_is_free_again(
    script: list[tuple[str, Any]],
) -> None:
    at = Tools(
        KEYS,
        END,
        transfer(transferPlan={"fallbackPlan": {"message": "No.", "endCallEnabled": False}}),
        asking("look", message("request-response-delayed", "Wait.", timingMilliseconds=3000)),
        **FILLING,
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
        elif step == "answer":
            cmds += at.round.returned(back(*value), now) + at.round.settle(now)
        elif step == "wait":
            now += value
            due_s = at.round.deadline
            cmds += at.round.wake(now) + at.round.settle(now)
            assert due_s is None or due_s > now or at.round.deadline != due_s
        if any(isinstance(c, do.EndCall) for c in cmds) or at.floor.leaving:
            break
        assert len(at.results) <= begun
        # Whoever is not waiting for anything has given the floor back.
        assert at.floor.acting is (at.round.stage is not Stage.IDLE)
        assert (at.round.deadline is None) is (at.round.stage in (Stage.IDLE, Stage.SAYING))
        if at.round.stage is Stage.IDLE:
            assert len(at.results) == begun


# --- from outside --------------------------------------------------------------------------------------------------


def test_a_transfer_that_somebody_outside_asks_for_is_told_to_the_model_as_its_own() -> None:
    at = Tools()
    cmds = at.round.transfer(SALES, 1.0)
    assert told("tool-calls", cmds)[0]["toolCallList"][0]["arguments"] == {"destination": "+4930111"}
    assert (at.round.stage, at.floor.acting) == (Stage.ASKED, True)
    assert [c.text for c in of(do.SayText, at.round.settle(1.0))] == [TRANSFERRING]
    begun = at.speak(2.0)
    assert of(do.StartTransfer, begun) == [do.StartTransfer(LEG, "transfer-1", SALES)]
    failed = at.round.transfer_changed(ev.TransferChanged("busy"), 9.0)
    assert of(do.StartReply, failed)
    assert at.results[0].startswith("The transfer did not succeed: busy")


@pytest.mark.parametrize(
    ("before", "message", "said"),
    [("Wait.", None, ["Wait."]), ("", "To sales.", []), (None, "To sales.", ["To sales."])],
)
def test_what_is_said_before_it_is_as_was_asked_or_as_the_destination_has_it(
    before: str | None, message: str | None, said: list[str]
) -> None:
    at = Tools()
    at.round.transfer(SALES | ({} if message is None else {"message": message}), 1.0, before=before)
    cmds = at.round.settle(1.0)
    assert [c.text for c in of(do.SayText, cmds)] == said
    assert bool(of(do.StartTransfer, cmds)) is (not said)


def test_a_muted_agent_says_nothing_before_it() -> None:
    at = Tools()
    at.floor.mute(0.5)
    at.round.transfer(SALES, 1.0)
    assert of(do.StartTransfer, at.round.settle(1.0))


def test_it_waits_until_the_agent_has_ended() -> None:
    at = Tools()
    at.floor.open_with("Hello there.", 0.0)
    for event in whole(1, "Hello there."):
        if isinstance(event, ev.ClauseSynthesized):
            at.floor.clause_synthesized(event, 0.1)
    at.round.transfer(SALES, 1.0)
    assert at.round.settle(1.0) == []
    at.floor.playout_over(dropped(1, 0, 1.1), 1.1)
    assert [c.text for c in of(do.SayText, at.round.settle(1.1))] == [TRANSFERRING]


# --- handing over ------------------------------------------------------------------------------------------------

BOOKING: dict[str, Any] = {"type": "assistant", "assistantName": "Booking"}
BILLING: dict[str, Any] = {"type": "assistant", "assistantName": "Billing"}
HANDOFF: dict[str, Any] = {"type": "handoff", "destinations": [BOOKING]}


def ready(call_id: str = "c0", **more: Any) -> ev.HandoffPrepared:
    return ev.HandoffPrepared(call_id, {"name": "Booking"}, **more)


def plan_of(at: Tools) -> ContextPlan:
    assert at.round.handover is not None
    return at.round.handover.plan


def test_the_next_assistant_takes_over_when_it_is_ready() -> None:
    at = Tools(HANDOFF)
    cmds = at.begin(("handoff_to_Booking", {}))
    assert do.StartHandoff("c0", BOOKING) in cmds
    assert (at.round.stage, at.round.free) == (Stage.HANDING, False)
    assert at.round.handoff_prepared(ready("another"), 1.5) == []
    (returned,) = of(do.RecordMessage, at.round.handoff_prepared(ready(), 2.0))
    assert returned.message["result"] == HANDED_OVER
    assert at.round.handover is not None
    assert at.round.handover.event == ready()
    assert (at.round.stage, at.round.free, at.round.deadline) == (Stage.IDLE, True, None)
    # Told again, it changes nothing.
    assert at.round.handoff_prepared(ready(), 2.1) == []


def test_it_waits_until_what_is_being_said_is_over() -> None:
    at = Tools(HANDOFF | {"messages": [{"type": "request-start", "content": "One moment."}]})
    (said,) = of(do.SayText, at.begin(("handoff_to_Booking", {})))
    assert said.text == "One moment."
    assert do.StartHandoff("c0", BOOKING) in at.speak(2.0)
    at.floor.break_silence(4.0)
    at.round.handoff_prepared(ready(), 5.0)
    assert (at.round.stage, at.round.handover) == (Stage.READY, None)
    at.speak(6.0)
    assert at.round.handover is not None


def test_what_the_last_model_is_told_is_the_tools_or_the_servers_word() -> None:
    at = Tools(HANDOFF | {"defaultResult": "Sent on."})
    at.begin(("handoff_to_Booking", {}))
    at.round.handoff_prepared(ready(), 2.0)
    assert at.results == ["Sent on."]
    at.begin(("handoff_to_Booking", {}))
    at.round.handoff_prepared(ready(result="As you like."), 2.0)
    assert at.results[1:] == ["As you like."]


def test_calls_behind_a_handoff_are_not_run_and_have_their_results() -> None:
    at = Tools(HANDOFF, KEYS)
    at.begin(("handoff_to_Booking", {}), ("dtmf", {"dtmf": "1"}))
    cmds = at.round.handoff_prepared(ready(), 2.0)
    assert not of(do.SendKeys, cmds)
    assert [m.message["toolCallId"] for m in of(do.RecordMessage, cmds)] == ["c0", "c1"]
    assert "not run" in at.results[1]


def test_arguments_become_variables_where_the_tool_asks_for_them() -> None:
    arguments = {"destination": "Booking", "party": 4}
    function = {"name": "go", "parameters": {"type": "object", "properties": {}}}
    own = Tools(HANDOFF | {"function": function})
    assert do.StartHandoff("c0", BOOKING, {"party": 4}) in own.begin(("go", arguments))
    plain = Tools(HANDOFF)
    assert do.StartHandoff("c0", BOOKING) in plain.begin(("handoff_to_Booking", arguments))


def test_who_cannot_be_handed_to_is_told_to_the_model() -> None:
    at = Tools(HANDOFF | {"destinations": [BOOKING, BILLING]})
    cmds = at.begin(("handoff_to_group_0", {"destination": "qqq"}))
    assert of(do.StartReply, cmds)
    assert at.results == ["destination must be one of: Booking, Billing."]


def test_a_handoff_that_is_refused_leaves_the_call_where_it_is() -> None:
    at = Tools(HANDOFF)
    at.begin(("handoff_to_Booking", {}))
    assert at.round.handoff_refused(ev.HandoffRefused("x", "late"), 2.0) == []
    cmds = at.round.handoff_refused(ev.HandoffRefused("c0", "nobody is in"), 2.0)
    assert decided(cmds) == [("refused", "nobody is in")]
    assert at.results == ["The conversation was not handed over: nobody is in."]
    (asked,) = of(do.StartReply, cmds)
    assert asked.messages[-1]["role"] == "tool"
    at.begin(("handoff_to_Booking", {}))
    at.round.handoff_refused(ev.HandoffRefused("c0", "the server refused it", "Closed today."), 3.0)
    assert at.results[1:] == ["Closed today."]


def test_nobody_is_waited_for_for_ever() -> None:
    at = Tools(HANDOFF)
    at.begin(("handoff_to_Booking", {}))
    assert at.round.deadline == 1.0 + HANDOFF_LATEST_S
    cmds = at.round.wake(1.0 + HANDOFF_LATEST_S)
    assert of(do.StartReply, cmds)
    assert "in time" in at.results[0]


def test_an_older_transfer_to_an_assistant_is_a_handoff_with_its_announcement() -> None:
    at = Tools(
        {"type": "transferCall", "destinations": [SALES, BOOKING | {"transferMode": "delete-history"}]}
    )
    (said,) = of(do.SayText, at.begin(("transferCall", {"destination": "Booking"})))
    assert said.text == TRANSFERRING
    at.speak(2.0)
    at.round.handoff_prepared(ready(), 4.0)
    assert plan_of(at).context is Context.NONE


def test_who_says_where_to_says_also_what_goes_along() -> None:
    at = Tools(HANDOFF)
    at.begin(("handoff_to_Booking", {}))
    destination = BOOKING | {"contextEngineeringPlan": {"type": "lastNMessages", "maxMessages": 2}}
    at.round.handoff_prepared(ready(destination=destination), 2.0)
    assert plan_of(at) == ContextPlan(Context.LAST, 2)


def test_a_handoff_that_somebody_else_asks_for_is_not_the_models_business() -> None:
    at = Tools(HANDOFF)
    asked = do.StartHandoff("control-1", BOOKING)
    assert at.round.hand_over(asked, 1.0) == [asked]
    assert not at.round.free
    cmds = at.round.handoff_refused(ev.HandoffRefused("control-1", "nobody is in"), 2.0)
    assert not of(do.StartReply, cmds)
    assert at.round.free
    at.round.hand_over(asked, 3.0)
    assert of(do.RecordMessage, at.round.handoff_prepared(ready("control-1"), 4.0)) == []
    assert at.round.handover is not None
    assert at.history.messages == ()


def test_who_hands_over_for_ever_is_stopped_in_the_turn_and_in_the_call() -> None:
    at = Tools(HANDOFF)
    for _ in range(ROUNDS_MAX - 1):
        at.begin(("handoff_to_Booking", {}))
        at.round.handoff_prepared(ready(), 2.0)
        at.round.handover = None
    cmds = at.begin(("handoff_to_Booking", {}))
    assert ("rounds_over", "too_many_rounds") in decided(cmds)
    assert [each.text for each in of(do.SayText, cmds)] == [EXCUSE]
    assert "too often" in at.results[-1]
    again = Tools(HANDOFF)
    for turn in range(HANDOFFS_MAX):
        again.floor.caller.turn_id = turn + 2
        again.begin(("handoff_to_Booking", {}))
        again.round.handoff_prepared(ready(), 2.0)
    again.floor.caller.turn_id = 0
    assert not of(do.StartHandoff, again.begin(("handoff_to_Booking", {})))


def test_the_next_assistants_tools_count_from_then_on() -> None:
    at = Tools(HANDOFF)
    mcp = {"type": "mcp", "server": {"url": "https://m.example"}}
    document = {"model": {"tools": [KEYS, mcp]}}
    at.round.adopt(read_settings(document), document)
    assert of(do.SendKeys, at.begin(("dtmf", {"dtmf": "1"})))
    # What the last one's servers tell late is none of them.
    listed = ({"name": "look", "inputSchema": {"type": "object"}},)
    at.round.found(ev.ToolsFound({**mcp, "server": {"url": "https://last.example"}}, listed))
    assert set(at.round.tools) == {"dtmf"}
    at.round.found(ev.ToolsFound(mcp, listed))
    assert len(at.round.tools) == 2


_NEWS = st.sampled_from(
    [
        ready(),
        ready("c1"),
        ready("control-1"),
        ev.HandoffRefused("c0", "no"),
        ev.HandoffRefused("c1", "no"),
        ev.HandoffRefused("control-1", "no"),
    ]
)
_CALLS = st.lists(st.sampled_from(["handoff_to_Booking", "dtmf", "nothing"]), min_size=1, max_size=3)


@examples(200)
@given(st.lists(st.one_of(_NEWS, _CALLS, st.just("control"), st.just("time")), max_size=20))
def test_whatever_comes_every_call_has_one_result_and_nobody_waits_for_ever(steps: list[Any]) -> None:
    at = Tools(HANDOFF, KEYS)
    now, number, asked, taken = 1.0, 0, 0, 0
    for step in steps:
        now += 1.0
        if isinstance(step, list):
            if at.round.free:
                number += 1
                at.floor.caller.turn_id = number
                at.floor.reply = None
                at.begin(*[(name, {"dtmf": "1"}) for name in step], now=now)
                asked += len(step)
        elif isinstance(step, ev.HandoffPrepared):
            at.round.handoff_prepared(step, now)
        elif isinstance(step, ev.HandoffRefused):
            at.round.handoff_refused(step, now)
        elif step == "control":
            if at.round.free:
                at.round.hand_over(do.StartHandoff("control-1", BOOKING), now)
        elif at.round.deadline is not None:
            now = at.round.deadline
            at.round.wake(now)
        taken += at.round.handover is not None
        at.round.handover = None
    for _ in range(50):
        at.floor.reply = None
        at.round.settle(now)
        if at.round.deadline is None:
            break
        now = at.round.deadline
        at.round.wake(now)
    assert at.round.free
    assert len(at.results) == asked
