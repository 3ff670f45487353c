"""One call's events, each to the machine whose business it is; the call's clocks; its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.conversation import CLOSE_TIMEOUT_S, Conversation
from aywa.core.cost import COMPLETION, LLM, SECOND, STT, Price
from aywa.core.lifecycle import LEG_REASONS, NEVER_CONNECTED, CallState
from aywa.core.reply import Purpose
from aywa.core.settings import IDLE_MESSAGES
from aywa.core.silence import ALARM_S, GAP_S
from aywa.core.stock import NOBODY_THERE, TIME_IS_UP
from aywa.core.turns.floor import LEAVE_TIMEOUT_S
from tests.core.feed import (
    LEG,
    RATE_HZ,
    acts,
    clause,
    confirmed,
    decided,
    dropped,
    examples,
    finished,
    of,
    partial,
    playing,
    prepared,
    ring,
    silence,
    told,
    voice,
    whole,
)
from tests.core.world import PUBLISHED, World

MUTE: dict[str, Any] = {"firstMessageMode": "assistant-waits-for-user"}
HELLO: dict[str, Any] = {"firstMessage": "Hello there."}
NOTED = {"type": "message.add", "message": {"role": "system", "content": "note hook"}}
HOOKS: list[dict[str, Any]] = [
    {"on": "call.timeElapsed", "options": {"seconds": 5}, "do": [{"type": "say", "exact": "Five."}, NOTED]},
    {"on": "call.ending", "do": [NOTED]},
    {
        "on": "customer.speech.timeout",
        "name": "silent",
        "options": {"timeoutSeconds": 2, "triggerMaxCount": 4, "triggerResetMode": "onUserSpeech"},
        "do": [{"type": "say", "prompt": "Ask."}, {"type": "tool", "toolId": "t"}],
    },
    {"on": "assistant.speech.interrupted", "do": [{"type": "say", "exact": "Sorry."}]},
    {"on": "customer.speech.interrupted", "do": [NOTED]},
    {"on": "model.response.timeout", "do": [NOTED | {"triggerResponseEnabled": False}]},
]


def call(assistant: dict[str, Any] = MUTE, *, connected: bool = True, stocked: bool = False) -> Conversation:
    """A call that is connected at 1.0. stocked: its stock phrases are there at once."""
    made = Conversation(LEG)
    assert made.handle(ev.CallStarted("c1", "o1", 0, assistant), 0.0) == []
    if connected:
        wanted = of(do.PreparePhrase, made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0))
        feed(made, *(prepared(p.phrase_id, p.text) for p in wanted if stocked), now=1.0)
    return made


def says(made: Conversation, *clauses: str, now: float) -> list[do.Command]:
    """The reply that is asked for is made, played and heard. Answers what comes of it."""
    assert made.floor.reply is not None
    reply_id = made.floor.reply.reply_id
    cmds = feed(made, *whole(reply_id, *clauses), playing(reply_id, now), now=now)
    words = len(" ".join(clauses).split())
    return cmds + feed(made, finished(reply_id, words, now + 1), now=now + 1)


def feed(made: Conversation, *events: ev.Event, now: float) -> list[do.Command]:
    return [command for event in events for command in made.handle(event, now)]


def client(**message: Any) -> ev.ClientMessageReceived:
    return ev.ClientMessageReceived(LEG, message)


# --- the beginning ---------------------------------------------------------------------------------------------


def test_the_client_is_told_that_the_call_began_and_with_whom() -> None:
    made = call(MUTE | {"id": "a1", "name": "Desk"}, connected=False)
    cmds = made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0)
    assert cmds[:2] == [
        do.TellClient("status-update", {"status": "in-progress"}),
        do.TellClient("assistant.started", {"newAssistant": {"id": "a1", "name": "Desk"}}),
    ]
    assert all(isinstance(command, do.PreparePhrase) for command in cmds[2:])
    assert (made.lifecycle.state, made.started_s) == (CallState.IN_PROGRESS, 1.0)


@pytest.mark.parametrize(
    ("assistant", "opening"),
    [
        (HELLO, [do.SayText(1, "Hello there.")]),
        ({}, []),
        ({"firstMessage": " ... "}, []),
        (HELLO | MUTE, []),
        (
            {
                "firstMessageMode": "assistant-speaks-first-with-model-generated-message",
                "model": {"systemPrompt": "x"},
            },
            [do.StartReply(1, 1, ({"role": "system", "content": "x"},))],
        ),
    ],
)
def test_who_opens_the_conversation(assistant: dict[str, Any], opening: list[do.Command]) -> None:
    made = call(assistant, connected=False)
    assert acts(made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0)) == opening


def test_a_party_that_does_not_come_is_not_awaited_for_ever() -> None:
    made = Conversation(LEG, join_timeout_s=5.0)
    assert made.deadline == 5.0
    assert made.wake(4.9) == []
    assert of(do.EndCall, made.wake(5.0)) == [do.EndCall(NEVER_CONNECTED, "nobody connected in time")]
    assert made.ended_s == 5.0
    assert made.deadline is None


def test_a_beginning_that_is_told_twice_is_one() -> None:
    made = call(HELLO)
    assert made.handle(ev.LegConnected(LEG, RATE_HZ), 2.0) == []
    assert made.handle(ev.CallStarted("c1", "o1", 0, {}), 2.0) == []
    assert (made.started_s, made.floor.reply is not None) == (1.0, True)
    made.handle(ev.LegEnded(LEG, "closed"), 3.0)
    assert made.handle(ev.LegConnected(LEG, RATE_HZ), 4.0) == []


# --- routing ---------------------------------------------------------------------------------------------------


def test_a_turn_from_its_first_voice_to_its_answers_last_word() -> None:
    made = call()
    feed(made, voice(2.0), partial("what time"), now=2.5)
    cmds = feed(made, silence(3.0), confirmed("what time is it"), now=3.1)
    [asked] = of(do.StartReply, cmds + ring(made, 3.2))
    assert asked.messages == ({"role": "user", "content": "what time is it"},)
    feed(made, ev.TurnScored(asked.turn_id, 1.0), *whole(1, "It is five."), now=3.3)
    assert of(do.PlayClause, ring(made, 5.0)) == [do.PlayClause(LEG, 1, 0)]
    feed(made, playing(1, 5.0), ev.PlayoutAdvanced(LEG, 1, 800, 5.1), now=5.1)
    feed(made, ev.PlayoutPaused(LEG, 1, 900, 5.2), ev.PlayoutResumed(LEG, 1, 900, 5.5), now=5.5)
    feed(made, finished(1, 3, 6.0), now=6.0)
    assert [m["message"] for m in made.history.messages] == ["what time is it", "It is five."]


def test_words_are_timed_by_the_legs_own_rate() -> None:
    made = call(HELLO, connected=False)
    made.handle(ev.LegConnected(LEG, 2 * RATE_HZ), 1.0)
    [record] = of(
        do.RecordMessage, feed(made, *whole(1, "Hello there."), playing(1, 2.0), finished(1, 2, 2.1), now=2.1)
    )
    assert record.words == (("Hello", 2.0, 2.05), ("there.", 2.05, 2.1))


def test_a_reply_that_fails_is_excused() -> None:
    made = call({"firstMessageMode": "assistant-speaks-first-with-model-generated-message"})
    assert of(do.SayText, made.handle(ev.ReplyFailed(1, "llm", "unavailable"), 2.0))


@pytest.mark.parametrize(
    "event",
    [
        ev.PlayoutStarved(LEG, 1, 0, 1.0),
        ev.VoiceScored(LEG, 0.0, 0.032, b"\x00"),
        ev.MediaWarned(LEG, "malformed"),
        ev.ChildFailed("stt", "lost"),
        ev.DtmfReceived(LEG, "5"),
    ],
)
def test_some_things_are_only_put_on_record(event: ev.Event) -> None:
    assert call().handle(event, 2.0) == []


# --- the client's messages (contract 15.1) -----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["content", "message"])
def test_a_message_is_said(key: str) -> None:
    cmds = call().handle(client(type="say", **{key: "One moment."}), 2.0)
    assert acts(cmds) == [do.SayText(1, "One moment.")]


def test_a_message_may_end_the_call_once_it_was_spoken() -> None:
    made = call()
    feed(
        made, client(type="say", content="Goodbye.", endCallAfterSpoken=True), *whole(1, "Goodbye."), now=2.0
    )
    cmds = feed(made, playing(1, 2.0), finished(1, 1, 2.5), now=2.5)
    assert of(do.HangUp, cmds) == [do.HangUp(LEG, "assistant-ended-call-after-message-spoken")]


def test_a_message_may_take_the_assistants_floor() -> None:
    made = call(HELLO)
    feed(made, *whole(1, "Hello there."), playing(1, 1.5), now=1.5)
    cmds = made.handle(client(type="say", content="News.", interruptAssistantEnabled=True), 2.0)
    assert do.DropPlayout(LEG) in cmds
    assert of(do.SayText, made.handle(dropped(1, 1, 2.0), 2.0)) == [do.SayText(2, "News.")]


@pytest.mark.parametrize("role", ["user", "assistant", "system", "tool", None])
def test_a_message_is_put_into_the_history(role: str | None) -> None:
    made = call()
    message = {"role": role, "content": "Note."}
    [command] = made.handle(client(type="add-message", message=message, triggerResponseEnabled=False), 2.0)
    assert isinstance(command, do.RecordMessage)
    known = {"user": "user", "assistant": "bot"}.get(role or "", "system")
    assert (command.message["role"], command.message["message"]) == (known, "Note.")
    assert list(made.history.messages) == [command.message]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "dance"},
        {},
        {"type": "say"},
        {"type": "say", "content": "  "},
        {"type": "say", "content": 5},
        {"type": "add-message", "message": "text"},
        {"type": "add-message", "message": {"role": "user"}},
    ],
)
def test_what_is_not_understood_is_said_so_and_changes_nothing(message: dict[str, Any]) -> None:
    made = call()
    cmds = made.handle(ev.ClientMessageReceived(LEG, message), 2.0)
    assert [c.type for c in of(do.TellClient, cmds)] == ["error"]
    assert acts(cmds) == []
    assert made.history.messages == ()


@pytest.mark.parametrize("kind", ["end-call", "hangup"])
def test_the_client_may_end_the_call(kind: str) -> None:
    made = call()
    cmds = made.handle(client(type=kind), 2.0)
    assert of(do.HangUp, cmds)
    assert made.lifecycle.over


# --- the end -----------------------------------------------------------------------------------------------------


def test_an_end_is_told_the_leg_is_closed_and_then_it_is_over() -> None:
    made = call()
    assert made.handle(ev.EndRequested("manually-canceled", "by the API"), 2.0) == [
        do.TellClient("status-update", {"status": "ended", "endedReason": "manually-canceled"}),
        do.HangUp(LEG, "manually-canceled"),
    ]
    assert made.deadline == 2.0 + CLOSE_TIMEOUT_S
    assert made.handle(ev.LegEnded(LEG, "local"), 2.1) == [do.EndCall("manually-canceled", "by the API")]
    assert made.ended_s == 2.1
    assert made.deadline is None


def test_a_far_side_that_does_not_close_is_not_awaited_for_ever() -> None:
    made = call()
    made.handle(ev.EndRequested("manually-canceled"), 2.0)
    assert made.wake(2.0 + CLOSE_TIMEOUT_S - 0.01) == []
    assert made.wake(2.0 + CLOSE_TIMEOUT_S) == [do.EndCall("manually-canceled")]
    assert made.wake(99.0) == []


@pytest.mark.parametrize(("cause", "reason"), list(LEG_REASONS.items()))
def test_a_leg_that_goes_away_ends_the_call_with_a_published_reason(cause: str, reason: str) -> None:
    assert reason in PUBLISHED
    assert call().handle(ev.LegEnded(LEG, cause, "detail"), 2.0) == [
        do.TellClient("status-update", {"status": "ended", "endedReason": reason}),
        do.EndCall(reason, f"{cause}: detail"),
    ]


@pytest.mark.parametrize("rings", [False, True])
def test_a_call_that_nobody_joined_can_be_ended(rings: bool) -> None:
    made = call(connected=False)
    if rings:
        made.handle(ev.RingingStarted(), 0.4)
    cmds = made.handle(ev.EndRequested("manually-canceled"), 0.5)
    assert of(do.EndCall, cmds) == [do.EndCall("manually-canceled")]
    assert of(do.HangUp, cmds) == []


def test_a_telephone_that_rings_is_told_once_and_waited_for_as_long() -> None:
    made = call(connected=False)
    due = made.deadline
    assert made.handle(ev.RingingStarted(), 0.5) == [do.TellClient("status-update", {"status": "ringing"})]
    assert made.handle(ev.RingingStarted(), 0.6) == []
    assert made.deadline == due
    made.handle(ev.LegConnected(LEG, RATE_HZ), 0.7)
    assert made.started_s == 0.7
    assert made.handle(ev.RingingStarted(), 0.8) == []
    other = call(connected=False)
    other.handle(ev.RingingStarted(), 0.5)
    assert due is not None
    assert of(do.EndCall, other.wake(due)) == [do.EndCall(NEVER_CONNECTED, "nobody connected in time")]


def test_the_first_reason_stands_and_is_told_once() -> None:
    made = call()
    made.handle(ev.EndRequested("manually-canceled"), 2.0)
    assert made.handle(ev.EndRequested("worker-shutdown"), 2.1) == []
    assert made.handle(ev.LegEnded(LEG, "lost"), 2.2) == [do.EndCall("manually-canceled")]


def test_after_the_end_there_is_nothing() -> None:
    made = call()
    made.handle(ev.LegEnded(LEG, "closed"), 2.0)
    late: list[ev.Event] = [
        ev.EndRequested("worker-shutdown"),
        ev.LegEnded(LEG, "lost"),
        voice(2.0),
        finished(1, 1, 2.0),
    ]
    assert feed(made, *late, client(type="say", content="Hello?"), now=3.0) == []


def test_what_was_heard_while_the_call_ended_is_kept_and_nothing_begins() -> None:
    made = call(HELLO)
    feed(made, *whole(1, "Hello there."), now=1.2)
    # The first frame has left, and the news of it comes after the wish to end.
    cmds = feed(made, ev.EndRequested("manually-canceled"), playing(1, 1.2), dropped(1, 1, 1.3), now=1.3)
    assert [m["message"] for m in made.history.messages] == ["Hello"]
    assert told("user-interrupted", cmds) == []


def test_a_turn_that_waits_for_its_answer_is_not_answered_while_the_call_ends() -> None:
    made = call(HELLO | {"firstMessageInterruptionsEnabled": True})
    feed(
        made, *whole(1, "Hello there you."), playing(1, 1.2), voice(1.3), partial("stop right there"), now=1.4
    )
    feed(made, silence(1.5), confirmed("stop right there"), now=1.6)
    made.handle(ev.EndRequested("manually-canceled"), 9.0)
    assert acts(feed(made, dropped(1, 1, 9.0), now=9.0)) == []


# --- the clocks ----------------------------------------------------------------------------------------------------


def test_silence_ends_the_call() -> None:
    made = call(MUTE | {"silenceTimeoutSeconds": 10, "messagePlan": {"idleMessages": []}})
    assert made.deadline == 11.0
    assert made.wake(10.9) == []
    assert acts(made.wake(11.0)) == [do.SayText(1, NOBODY_THERE)]
    assert of(do.HangUp, says(made, NOBODY_THERE, now=11.5)) == [do.HangUp(LEG, "silence-timed-out")]


def test_neither_a_voice_nor_a_reply_is_silence() -> None:
    made = call(MUTE | {"silenceTimeoutSeconds": 10})
    made.handle(voice(2.0), 2.0)
    for second in range(3, 60):
        # A voice that brings words; without any it would be taken for a hum.
        made.handle(partial("word " * second), float(second))
        assert (acts(ring(made, second + 1.0)), made.floor.leaving) == ([], False)
    made.handle(silence(60.0), 60.0)
    made.handle(confirmed("word " * 59), 60.1)
    ring(made, 62.0)
    assert made.floor.reply is not None
    cmds = ring(made, 90.0)
    assert (of(do.HangUp, cmds), made.floor.leaving) == ([], False)


@pytest.mark.parametrize("first", [voice(5.0), playing(1, 5.0)])
def test_the_longest_duration_counts_from_the_first_audio(first: ev.Event) -> None:
    # Contract 4.1.
    made = call(HELLO | {"maxDurationSeconds": 60})
    feed(made, *whole(1, "Hello there."), now=4.0)
    assert made.deadline is None
    feed(made, first, voice(9.0), now=9.0)
    made.wake(64.9)
    assert not made.floor.leaving
    assert do.DropPlayout(LEG) in made.wake(65.0)
    assert acts(made.handle(dropped(1, 0, 65.0), 65.0)) == [do.SayText(2, TIME_IS_UP)]
    assert of(do.HangUp, says(made, TIME_IS_UP, now=66.0)) == [do.HangUp(LEG, "exceeded-max-duration")]


PER_SECOND = (Price(STT, "t", "*", SECOND, 0.01),)
PER_TOKEN = (Price(LLM, "m", "*", COMPLETION, 0.01),)
BUDGET: dict[str, Any] = {
    "costPlan": {"maxDollars": 0.1},
    "model": {"provider": "m"},
    "transcriber": {"provider": "t"},
}


def budgeted(assistant: dict[str, Any], prices: tuple[Price, ...]) -> Conversation:
    made = Conversation(LEG)
    made.handle(ev.CallStarted("c1", "o1", 0, assistant, prices=prices), 0.0)
    wanted = of(do.PreparePhrase, made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0))
    feed(made, *(prepared(p.phrase_id, p.text) for p in wanted), now=1.0)
    return made


def test_a_budget_that_time_has_spent_ends_the_call_with_a_word() -> None:
    made = budgeted(
        MUTE | BUDGET | {"silenceTimeoutSeconds": 60, "messagePlan": {"idleMessages": []}}, PER_SECOND
    )
    assert ring(made, 10.9) == []
    assert made.deadline == pytest.approx(11.0)
    cmds = ring(made, 11.1)
    assert of(do.RecordDecision, cmds)[0] == do.RecordDecision(
        "budget", "budget_spent", "max_dollars", {"dollars": 0.1, "limit": 0.1}
    )
    assert len(of(do.PlayPhrase, cmds)) == 1
    assert made.floor.leaving
    cmds = feed(made, playing(1, 11.2), finished(1, len(TIME_IS_UP.split()), 14.0), now=14.0)
    assert of(do.HangUp, cmds) == [do.HangUp(LEG, "exceeded-max-duration")]
    (end,) = of(do.EndCall, feed(made, ev.LegEnded(LEG, "local"), now=14.2))
    assert end.reason == "exceeded-max-duration"
    assert end.message == "the call's budget is spent: 0.1000 of 0.1 dollars (costPlan.maxDollars)"


def test_a_budget_that_tokens_have_spent_cuts_what_is_being_made() -> None:
    own = {"costPlan": {"maxDollars": 0.1, "message": "That is all for today."}}
    made = budgeted(HELLO | BUDGET | own, PER_TOKEN)
    feed(made, *whole(1, "Hello there."), playing(1, 1.5), now=1.5)
    cmds = made.handle(ev.ReplyCompleted(7, "", 0, completion_tokens=10), 2.0)
    assert do.DropPlayout(LEG) in cmds
    assert "budget_spent" in [decision for decision, _ in decided(cmds)]
    assert "budget_spent" not in [
        d for d, _ in decided(made.handle(ev.ReplyCompleted(8, "", 0, completion_tokens=9), 2.1))
    ]
    cmds = made.handle(dropped(1, 0, 2.2), 2.2)
    assert len(of(do.PlayPhrase, cmds)) == 1
    assert made.floor.reply is not None
    late = made.wake(2.0 + LEAVE_TIMEOUT_S)
    assert of(do.HangUp, late) == [do.HangUp(LEG, "exceeded-max-duration")]
    (end,) = of(do.EndCall, feed(made, ev.LegEnded(LEG, "local"), now=9.0))
    assert end.message.startswith("the call's budget is spent")
    assert end.message.endswith("; the last message was not spoken in time")


def test_whoever_ends_the_call_in_the_same_moment_goes_first() -> None:
    made = budgeted(MUTE | BUDGET, PER_SECOND)
    cmds = made.handle(ev.EndRequested("manually-canceled"), 20.0)
    assert of(do.HangUp, cmds) == [do.HangUp(LEG, "manually-canceled")]
    assert "budget_spent" not in [decision for decision, _ in decided(cmds)]


def test_a_caller_who_has_just_spoken_is_not_told_that_nobody_hears_them() -> None:
    made = call(MUTE | {"silenceTimeoutSeconds": 10, "messagePlan": {"idleMessages": []}}, stocked=True)
    feed(made, voice(10.5), now=10.6)
    made.wake(11.2)
    feed(made, silence(11.3), now=11.4)
    made.wake(11.41)
    assert made.floor.reply is None
    feed(made, confirmed("yes I am here"), now=11.5)
    ring(made, 12.5)
    assert made.floor.reply is not None
    assert made.floor.reply.purpose is Purpose.ANSWER


def test_last_words_that_nobody_plays_end_the_call_all_the_same() -> None:
    made = call(HELLO | {"maxDurationSeconds": 60}, stocked=True)
    feed(made, *whole(1, "Hello there."), playing(1, 1.5), finished(1, 2, 2.0), now=2.0)
    cmds = made.handle(ev.EndRequested("pipeline-error-custom-transcriber-failed"), 3.0)
    assert len(of(do.PlayPhrase, cmds)) == 1
    assert made.handle(ev.EndRequested("pipeline-error-custom-transcriber-failed"), 3.1) == []
    due_s = 3.0 + LEAVE_TIMEOUT_S
    assert of(do.HangUp, ring(made, due_s - 0.01)) == []
    assert made.deadline == due_s
    cmds = made.wake(due_s)
    assert of(do.HangUp, cmds) == [do.HangUp(LEG, "pipeline-error-custom-transcriber-failed")]


def test_an_end_that_somebody_asked_for_is_not_talked_about() -> None:
    made = call(stocked=True)
    assert acts(made.handle(ev.EndRequested("manually-canceled"), 3.0)) == [
        do.HangUp(LEG, "manually-canceled")
    ]


def test_the_last_words_are_the_assistants_own_where_it_has_any() -> None:
    quiet = {"idleMessages": [], "silenceTimeoutMessage": "Nobody there?"}
    made = call(MUTE | {"messagePlan": quiet, "endCallMessage": "Bye.", "silenceTimeoutSeconds": 10})
    assert acts(ring(made, 11.0)) == [do.SayText(1, "Nobody there?")]
    made = call(MUTE | {"messagePlan": {"idleMessages": []}, "endCallMessage": "Bye."})
    assert acts(ring(made, 31.0)) == [do.SayText(1, "Bye.")]


# --- the agent's own initiative --------------------------------------------------------------------------------------


def test_a_silent_caller_is_asked_and_then_told_goodbye() -> None:
    made = call(MUTE | {"silenceTimeoutSeconds": 40}, stocked=True)
    texts, now = list[str](), 1.0
    cmds: list[do.Command] = []
    while made.lifecycle.state is CallState.IN_PROGRESS:
        assert made.deadline is not None
        now = made.deadline
        for phrase in of(do.PlayPhrase, made.wake(now)):
            assert made.floor.reply is not None
            texts.append(made.floor.reply.ledger.text)
            feed(made, playing(phrase.reply_id, now), now=now)
            cmds = feed(made, finished(phrase.reply_id, 99, now + 1), now=now + 1)
    assert texts == [*IDLE_MESSAGES * 2, NOBODY_THERE]
    assert of(do.HangUp, cmds) == [do.HangUp(LEG, "silence-timed-out")]
    assert made.silence.unexplained == 0


def test_what_hooks_say_and_add_is_done_and_on_record() -> None:
    made = call(MUTE | {"hooks": HOOKS, "silenceTimeoutSeconds": 99})
    feed(made, voice(2.0), now=2.0)
    feed(made, silence(2.1), confirmed(""), now=2.2)
    cmds = ring(made, 5.0)
    assert ("say", "silent") in decided(cmds)
    assert ("tool_skipped", "not_runnable") in decided(cmds)
    [asked] = of(do.StartReply, cmds)
    assert asked.messages[-1]["content"] == "Ask."
    cmds = ring(made, 7.0)
    assert ("message.add", "call.timeElapsed") in decided(cmds)
    assert [m["message"] for m in made.history.messages] == ["note hook"]
    cmds = says(made, "Are you there?", now=7.1)
    assert [c.text for c in of(do.SayText, cmds)] == ["Five."]


def test_an_interruption_is_answered_by_its_hook() -> None:
    made = call(MUTE | {"hooks": HOOKS})
    made.handle(client(type="say", content="One two three four."), 2.0)
    feed(made, *whole(1, "One two three four."), playing(1, 2.1), voice(2.2), partial("stop now"), now=2.4)
    feed(made, dropped(1, 2, 2.5), now=2.5)
    cmds = feed(made, silence(2.8), confirmed("stop now please"), now=3.0) + ring(made, 5.0)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == ["stop now please"]
    cmds = says(made, "Fine.", now=5.0)
    assert [c.text for c in of(do.SayText, cmds)] == ["Sorry."]


def test_the_end_is_told_to_the_hooks_that_wait_for_it() -> None:
    made = call(MUTE | {"hooks": HOOKS})
    cmds = made.handle(ev.EndRequested("manually-canceled"), 2.0)
    assert ("message.add", "call.ending") in decided(cmds)
    assert [m["message"] for m in made.history.messages] == ["note hook"]
    assert of(do.StartReply, cmds) == []


@pytest.mark.parametrize("reason", ["call.ringing.hook-executed-say", "assistant-request-returned-error"])
def test_who_is_only_there_to_say_something_says_it_and_hangs_up(reason: str) -> None:
    made = Conversation(LEG)
    made.handle(
        ev.CallStarted("c1", "o1", 0, {"firstMessage": "We are closed.", "partingReason": reason}), 0.0
    )
    cmds = made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0)
    assert [c.text for c in of(do.SayText, cmds)] == ["We are closed."]
    feed(made, voice(1.2), now=1.3)
    cmds = says(made, "We are closed.", now=1.4)
    assert of(do.HangUp, cmds) == [do.HangUp(LEG, reason)]


def test_nobody_hangs_up_for_a_reason_of_his_own() -> None:
    made = Conversation(LEG)
    made.handle(ev.CallStarted("c1", "o1", 0, {"firstMessage": "Hi.", "partingReason": "because"}), 0.0)
    made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0)
    assert of(do.HangUp, says(made, "Hi.", now=1.4)) == []


def test_the_beginning_is_told_to_the_hooks_once() -> None:
    hooks = [{"on": "session.created", "do": [{"type": "tool", "toolId": "t"}]}]
    made = Conversation(LEG)
    made.handle(ev.CallStarted("c1", "o1", 0, MUTE | {"hooks": hooks}), 0.0)
    cmds = made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0)
    assert ("tool_skipped", "not_runnable") in decided(cmds)
    assert made.handle(ev.LegConnected(LEG, RATE_HZ), 2.0) == []


@pytest.mark.parametrize(
    ("is_final", "confidence", "fires"),
    [(True, 0.3, True), (False, 0.3, False), (True, None, False), (True, 0.95, False)],
)
def test_what_the_recogniser_is_not_sure_of_is_told_to_the_hooks(
    is_final: bool, confidence: float | None, fires: bool
) -> None:
    on = "assistant.transcriber.endpointedSpeechLowConfidence"
    made = call(MUTE | {"hooks": [{"on": on, "do": [NOTED | {"triggerResponseEnabled": False}]}]})
    cmds = made.handle(ev.TranscriptReceived(LEG, "", is_final, confidence=confidence), 2.0)
    assert (("message.add", on) in decided(cmds)) is fires


def test_a_slow_model_is_told_to_the_hooks() -> None:
    made = call(MUTE | {"hooks": HOOKS}, stocked=True)
    feed(made, voice(2.0), partial("what time is it"), now=2.5)
    feed(made, silence(3.0), confirmed("what time is it"), now=3.1)
    cmds = ring(made, 4.8)
    assert ("filler_said", "no_audio") in decided(cmds)
    assert ("message.add", "model.response.timeout") in decided(cmds)


@pytest.mark.parametrize(("trigger", "replies"), [(True, 1), (False, 0), (None, 1)])
def test_a_message_that_is_added_is_answered_unless_it_is_not_to_be(
    trigger: bool | None, replies: int
) -> None:
    made = call()
    message = {"role": "system", "content": "The parcel is here."}
    wish = {} if trigger is None else {"triggerResponseEnabled": trigger}
    cmds = made.handle(client(type="add-message", message=message, **wish), 2.0)
    asked = of(do.StartReply, cmds)
    assert len(asked) == replies
    assert [r.messages[-1] for r in asked] == [message] * replies


def test_a_message_that_is_added_in_the_callers_turn_is_answered_with_it() -> None:
    made = call()
    feed(made, voice(2.0), partial("what time is it"), now=2.5)
    message = {"role": "system", "content": "It is five."}
    assert of(do.StartReply, made.handle(client(type="add-message", message=message), 2.6)) == []
    cmds = feed(made, silence(3.0), confirmed("what time is it"), now=3.1) + ring(made, 9.0)
    asked = of(do.StartReply, cmds)
    assert [r.messages[0] for r in asked] == [message]
    assert says(made, "It is five.", now=9.0)
    assert made.floor.reply is None


# --- never silent ----------------------------------------------------------------------------------------------------


def test_a_silence_without_a_reason_is_broken_before_it_breaks_the_promise() -> None:
    made = call(HELLO, stocked=True)
    # The greeting's voice is slow, and the filler is told to begin late.
    cmds = ring(made, 1.0 + ALARM_S)
    assert len(of(do.PlayPhrase, cmds)) == 1
    assert told("hang", cmds) == [{}]
    feed(made, playing(1, 1.0 + ALARM_S), now=1.0 + ALARM_S)
    assert (made.silence.unexplained, made.silence.deadline) == (0, None)


def test_a_silence_that_cannot_be_broken_is_on_record() -> None:
    made = call(HELLO)
    cmds = ring(made, 1.0 + GAP_S)
    assert ("promise_broken", "unexplained") in decided(cmds)
    cmds = made.handle(ev.LegEnded(LEG, "closed"), 5.0)
    assert of(do.RecordGap, cmds) == [do.RecordGap(1.0, 5.0, {"unexplained": 4.0})]


def test_a_long_silence_of_the_caller_has_its_reason() -> None:
    made = call(MUTE, stocked=True)
    feed(made, voice(5.0), now=5.0)
    cmds = made.handle(ev.LegEnded(LEG, "closed"), 7.0)
    reasons = {"awaiting_answer": 4.0, "caller_has_floor": 2.0}
    assert of(do.RecordGap, cmds) == [do.RecordGap(1.0, 7.0, reasons)]


def test_a_voice_that_is_suspected_and_a_recogniser_that_broke_are_the_floors_business() -> None:
    made = call(HELLO | {"firstMessageInterruptionsEnabled": True}, stocked=True)
    made.handle(ev.VoiceSuspected(LEG, 2.0), 2.0)
    assert of(do.PlayClause, feed(made, clause(1, 0, "Hello."), now=2.01)) == []
    assert of(do.PlayClause, ring(made, 2.1)) == [do.PlayClause(LEG, 1, 0)]
    feed(made, voice(2.2), partial("one two"), ev.ChildFailed("stt", "lost"), partial("three"), now=2.3)
    assert made.floor.caller.text == "one two three"


def test_a_voice_that_fades_is_the_floors_business() -> None:
    made = call(MUTE, stocked=True)
    feed(made, voice(2.0), partial("one two"), now=2.5)
    assert made.handle(ev.VoiceFaded(LEG, 3.0), 3.0) == [do.FinalizeTranscript(LEG)]


def test_what_the_client_did_not_ask_for_is_not_made() -> None:
    made = call(HELLO | {"clientMessages": ["transcript"]}, stocked=True)
    cmds = feed(made, voice(2.0), partial("one two"), now=2.1)
    assert [c.type for c in of(do.TellClient, cmds)] == ["floor", "transcript"]


def test_what_a_server_asked_for_is_made_though_the_client_did_not() -> None:
    webhooks = {"messages": ["speech-update", 'transcript[transcriptType="final"]']}
    made = Conversation(LEG)
    made.handle(ev.CallStarted("c", "o", 0, HELLO | {"clientMessages": []}, webhooks=webhooks), 0.0)
    made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0)
    cmds = feed(made, voice(2.0), partial("one two"), now=2.1)
    assert [c.type for c in of(do.TellClient, cmds)] == ["speech-update", "floor"]
    final = made._settle([do.TellClient("transcript", {"transcriptType": "final"})], 2.2)
    assert [c.type for c in of(do.TellClient, final)] == ["transcript"]


# --- any event at any time -----------------------------------------------------------------------------------------

ids = st.integers(0, 5)
positions = st.integers(0, 10_000)
at = st.floats(0, 60)
said = st.sampled_from(["", "yes", "mhm", "what time is it", "stop", "a b c d", "I want a"])
playouts = [ev.PlayoutStarted, ev.PlayoutAdvanced, ev.PlayoutStarved, ev.PlayoutPaused, ev.PlayoutResumed]
playouts += [ev.PlayoutDropped, ev.PlayoutFinished]
MESSAGES: list[dict[str, Any]] = [
    {"type": "say", "content": "hello"},
    {"type": "say", "content": "bye", "endCallAfterSpoken": True, "interruptAssistantEnabled": True},
    {"type": "add-message", "message": {"role": "user", "content": "note x"}},
    {"type": None},
    {"type": "end-call"},
]


def playout_event(kind: Callable[..., ev.Event], reply_id: int, position: int, at_s: float) -> ev.Event:
    return kind(LEG, reply_id, at_s) if kind is ev.PlayoutStarted else kind(LEG, reply_id, position, at_s)


anything: st.SearchStrategy[ev.Event] = st.one_of(
    st.builds(playout_event, st.sampled_from(playouts), ids, positions, at),
    st.builds(playout_event, st.sampled_from(playouts), ids, positions, at),
    st.builds(ev.VoiceStarted, st.just(LEG), at),
    st.builds(ev.VoiceStopped, st.just(LEG), at),
    st.builds(ev.VoiceLevelMeasured, st.just(LEG), at, st.floats(-60, 0)),
    st.builds(ev.TranscriptReceived, st.just(LEG), said, st.booleans(), st.booleans()),
    st.builds(ev.TurnScored, ids, st.floats(0, 1)),
    st.builds(ev.RulesMatched, ids, ids, st.none() | st.floats(0, 15), st.none() | st.just(0)),
    st.builds(ev.EndpointingAnswered, ids, ids, st.none() | st.floats(0, 15), st.just("deadline")),
    st.builds(ev.ReplyTextReceived, ids, said),
    st.builds(clause, ids, st.integers(0, 3), st.sampled_from(["a b", "c", ""])),
    st.builds(ev.ReplyCompleted, ids, said, st.integers(0, 2)),
    st.builds(ev.ReplyFailed, ids, st.sampled_from(["llm", "tts"]), st.just("x")),
    st.builds(ev.ClientMessageReceived, st.just(LEG), st.sampled_from(MESSAGES)),
    st.just(ev.LegConnected(LEG, RATE_HZ)),
    st.just(ev.CallStarted("c1", "o1", 0, HELLO)),
    st.builds(ev.ChildFailed, st.just("stt"), st.just("x")),
)
ASKED: dict[str, Any] = {
    "customEndpointingRules": [{"type": "customer", "regex": "a", "timeoutSeconds": 3}],
    "smartEndpointingPlan": {"provider": "custom-endpointing-model"},
}
endings = st.sampled_from([ev.EndRequested("manually-canceled"), ev.LegEnded(LEG, "closed")])


@examples(300)
@given(
    st.lists(st.tuples(st.floats(0, 2), anything | anything | anything | endings), max_size=60), st.booleans()
)
def test_any_event_at_any_time_is_answered(steps: Sequence[tuple[float, ev.Event]], connected: bool) -> None:
    assistant = HELLO | {"firstMessageInterruptionsEnabled": True, "startSpeakingPlan": ASKED}
    made = call(assistant, connected=connected)
    now, ends, ended_told = 1.0, 0, 0

    def check(cmds: Sequence[do.Command]) -> None:
        nonlocal ends, ended_told
        assert not (cmds and ends)
        ends += len(of(do.EndCall, cmds))
        ended_told += sum(1 for body in told("status-update", cmds) if body["status"] == "ended")
        assert ended_told <= 1
        assert (ends == 1) == (made.lifecycle.state is CallState.ENDED)

    for after_s, event in steps:
        now += after_s
        check(made.handle(event, now))
        for _ in range(3):
            if made.deadline is None or made.deadline > now:
                break
            check(made.wake(now))
        assert made.deadline is None or made.deadline > now
        assert (made.deadline is None) <= (
            made.lifecycle.state is CallState.ENDED
            or made.floor.reply is not None
            or made.floor.caller.state.name == "SPEAKING"
        )
    check(made.handle(ev.LegEnded(LEG, "closed"), now))
    assert (ends, ended_told, made.deadline) == (1, 1, None)


# --- any order of things in a world that is consistent ---------------------------------------------------------------

# How often a hook or a prompt may act, where something limits it.
MOST = {"idle": 3, "silent": 4, "call.timeElapsed": 2, "call.ending": 1}
ASSISTANTS: list[dict[str, Any]] = [
    HELLO,
    HELLO | {"firstMessageInterruptionsEnabled": True, "endCallPhrases": ["a2.0.0"]},
    MUTE
    | {"stopSpeakingPlan": {"numWords": 2, "backoffSeconds": 1}, "startSpeakingPlan": {"waitSeconds": 1}},
    MUTE | {"startSpeakingPlan": {"speculationEnabled": False, "transcriptionEndpointingPlan": {}}},
    {"firstMessageMode": "assistant-speaks-first-with-model-generated-message"},
    HELLO | {"messagePlan": {"idleMessages": ["Hm?", "Yes?"], "idleTimeoutSeconds": 3}, "hooks": HOOKS[:2]},
    MUTE | {"hooks": HOOKS, "silenceTimeoutSeconds": 20, "maxDurationSeconds": 40},
    MUTE | {"fillerPlan": {"messages": ["Hm."], "afterSeconds": 1, "repeatAfterSeconds": 0.5}},
]
SAY: list[dict[str, Any]] = [{"type": "say", "content": "News."}, {"type": "say", "content": "!?"}]
SAY += [
    {"type": "say", "content": "Now.", "interruptAssistantEnabled": True},
    {"type": "say", "content": "Bye.", "endCallAfterSpoken": True},
    {"type": "say", "content": "Listen.", "interruptionsEnabled": False},
    {"type": "add-message", "message": {"role": "system", "content": "note x"}},
    {
        "type": "add-message",
        "message": {"role": "user", "content": "note x"},
        "triggerResponseEnabled": False,
    },
]
Verb = tuple[Any, ...]
often: st.SearchStrategy[Verb] = st.one_of(
    st.tuples(st.just("let_pass"), st.sampled_from([0.01, 0.1, 0.3, 0.7, 2.0])),
    st.tuples(st.just("toggle_voice")),
    st.tuples(st.just("speak"), st.integers(1, 3)),
    st.tuples(st.just("confirm")),
    st.tuples(st.just("make"), st.sampled_from(["text", "clause", "clause", "complete"])),
    st.tuples(st.just("play"), st.sampled_from([1, 399, 400, 1200, 99_999])),
)
seldom: st.SearchStrategy[Verb] = st.one_of(
    st.tuples(st.just("final"), st.integers(0, 3)),
    st.tuples(st.just("mumble"), st.sampled_from(["mhm", "stop", "and"])),
    st.tuples(st.just("make"), st.sampled_from(["llm", "llm", "llm", "tts"])),
    st.tuples(st.just("ask"), st.sampled_from(SAY)),
    st.tuples(st.just("suspect")),
    st.tuples(st.just("stt_breaks")),
    st.tuples(st.just("hold")),
    st.tuples(st.just("again")),
)
last: st.SearchStrategy[Verb] = st.sampled_from(
    [("end",), ("leave", "closed"), ("leave", "lost"), ("ask", {"type": "hangup"})]
)
scenes: st.SearchStrategy[Verb] = st.one_of(
    st.tuples(st.just("utterance"), st.integers(1, 4), st.sampled_from(["", "mhm", "stop"])),
    st.tuples(st.just("answer"), st.integers(1, 3)),
    st.tuples(st.just("let_pass"), st.sampled_from([0.7, 2.0, 5.0])),
    st.tuples(st.just("play"), st.sampled_from([1200, 99_999])),
)
verbs = st.lists(often | often | scenes | scenes | seldom, min_size=10, max_size=70)


def perform(world: World, verb: Verb) -> None:
    name, *args = verb
    if name == "final":
        world.speak(args[0], final=True)
    elif name == "utterance":
        world.toggle_voice()
        world.speak(0 if args[1] else args[0], mumble=args[1])
        world.let_pass(0.2)
        world.toggle_voice()
        world.confirm()
    elif name == "answer":
        for _ in range(args[0]):
            world.make("clause")
        world.make("complete")
    elif name == "mumble":
        world.speak(0, mumble=args[0])
    elif name == "end":
        world.post(ev.EndRequested("manually-canceled"))
    elif name == "suspect":
        world.post(ev.VoiceSuspected(LEG, world.now))
    elif name == "stt_breaks":
        world.said.clear()
        world.post(ev.ChildFailed("stt", "lost"))
    elif name == "hold":
        world.held = True
    elif name == "again":
        world.repeat()
    else:
        getattr(world, name)(*args)


def counts(world: World) -> None:
    """Nothing is done for ever. Who counts anew when the caller speaks is limited by how often that was."""
    for name, most in MOST.items():
        limit = most * 2 * (world.transcripts + 1) if name == "silent" else most
        assert world.initiatives.count(name) <= limit, (name, world.initiatives)


@examples(500)
@given(st.sampled_from(ASSISTANTS), verbs, st.booleans(), st.booleans(), st.lists(last, max_size=1))
def test_whatever_happens_the_floor_keeps_its_word(
    assistant: dict[str, Any], script: list[Verb], lagging: bool, stocked: bool, ending: list[Verb]
) -> None:
    world = World(assistant, lagging=lagging, stocked=stocked)
    world.connect()
    for verb in [*script, *ending]:
        perform(world, verb)
    world.settle()
    counts(world)


@examples(500)
@given(st.sampled_from(ASSISTANTS), verbs, st.lists(last, max_size=1))
def test_whatever_happens_the_caller_is_not_left_in_silence(
    assistant: dict[str, Any], script: list[Verb], ending: list[Verb]
) -> None:
    """The phrases are there, and the media plane plays what it is given; everybody else does as they like."""
    world = World(assistant, live=True)
    world.connect()
    for verb in [*script, *ending]:
        if verb[0] not in ("play", "hold", "again"):
            perform(world, verb)
    world.settle()
    counts(world)
    assert world.conversation.silence.unexplained == 0


# --- keys and tools --------------------------------------------------------------------------------------------

PAD: dict[str, Any] = MUTE | {"keypadInputPlan": {"enabled": True, "timeoutSeconds": 2, "delimiters": ["#"]}}
TOOLS: dict[str, Any] = MUTE | {
    "endCallFunctionEnabled": True,
    "dialKeypadFunctionEnabled": True,
    "forwardingPhoneNumber": "+4930111",
}


def key(digit: str) -> ev.DtmfReceived:
    return ev.DtmfReceived(LEG, digit)


def test_an_entry_on_the_keypad_is_a_turn() -> None:
    made = call(PAD)
    assert acts(feed(made, key("1"), key("2"), now=2.0)) == []
    (asked,) = of(do.StartReply, feed(made, key("#"), now=2.5))
    assert asked.messages[-1] == {"role": "user", "content": "User's Keypad Entry: 12"}


def test_an_entry_is_whole_when_no_key_comes() -> None:
    made = call(PAD)
    feed(made, key("1"), now=2.0)
    (asked,) = of(do.StartReply, ring(made, 4.0))
    assert asked.messages[-1]["content"] == "User's Keypad Entry: 1"


def test_a_client_presses_keys_by_a_message() -> None:
    made = call(PAD)
    assert of(do.StartReply, feed(made, client(type="dtmf", digits="12#"), now=2.0))
    assert told("error", feed(call(PAD), client(type="dtmf", digits=12), now=2.0))


@pytest.mark.parametrize("assistant", [MUTE, MUTE | {"keypadInputPlan": {"enabled": False}}])
def test_keys_are_only_on_record_while_nobody_takes_them(assistant: dict[str, Any]) -> None:
    made = call(assistant)
    assert feed(made, key("1"), now=2.0) == []


def test_whoever_hangs_up_in_the_middle_of_an_entry_has_entered_it() -> None:
    made = call(PAD)
    feed(made, key("4"), key("2"), now=2.0)
    (recorded,) = of(do.RecordMessage, feed(made, ev.LegEnded(LEG, "closed"), now=2.5))
    assert recorded.message["message"] == "User's Keypad Entry: 42"


def test_nobody_is_asked_whether_he_is_there_while_he_presses_keys() -> None:
    made = call(PAD | {"silenceTimeoutSeconds": 10})
    for second in range(2, 40):
        feed(made, key("5"), now=second)
        assert not of(do.SayText, ring(made, second + 0.9))


def wants(made: Conversation, name: str, arguments: str = "{}", *, now: float = 2.0) -> list[do.Command]:
    """The caller asks for something, and the model wants a tool run for it."""
    feed(made, voice(now - 1), partial("please do that for me now"), now=now - 1)
    feed(made, silence(now), confirmed("please do that for me now"), now=now)
    ring(made, now + 3)
    assert made.floor.reply is not None
    reply_id = made.floor.reply.reply_id
    calls = (ev.ToolCall("c1", name, arguments),)
    return feed(made, ev.ToolCallsReceived(reply_id, calls), ev.ReplyCompleted(reply_id, "", 0), now=now + 3)


def test_the_model_ends_the_call() -> None:
    made = call(TOOLS)
    cmds = wants(made, "endCall")
    assert of(do.HangUp, cmds) == [do.HangUp(LEG, "assistant-ended-call")]
    assert made.lifecycle.reason == "assistant-ended-call"


def test_the_model_presses_keys_and_its_silence_meanwhile_has_a_reason() -> None:
    made = call(TOOLS)
    cmds = wants(made, "dtmf", '{"dtmf": "wwwwwwwwwwwwwwww1"}')
    assert of(do.SendKeys, cmds) == [do.SendKeys(LEG, "wwwwwwwwwwwwwwww1")]
    cmds = ring(made, 14.0)
    assert not of(do.SayText, cmds)
    cmds = feed(made, ev.LegEnded(LEG, "closed"), now=14.5)
    (gap,) = of(do.RecordGap, cmds)
    assert gap.reasons["pressing_keys"] == pytest.approx(8.5, abs=0.1)
    assert made.silence.unexplained == 0


def transferring() -> Conversation:
    made = call(TOOLS)
    cmds = wants(made, "transferCall", '{"destination": "+4930111"}')
    assert of(do.SayText, cmds)
    assert made.floor.reply is not None
    begun = says(made, "Transferring the call now.", now=5.5)
    assert of(do.StartTransfer, begun) == [
        do.StartTransfer(LEG, "c1", {"type": "number", "number": "+4930111"})
    ]
    return made


def test_silence_timers_rest_while_a_transfer_rings() -> None:
    made = transferring()
    cmds = ring(made, 120.0)
    assert not of(do.SayText, cmds)
    assert made.lifecycle.state is CallState.IN_PROGRESS
    cmds = feed(made, ev.TransferChanged("no-answer", 480), now=120.0)
    assert of(do.StartReply, cmds)
    cmds = says(made, "Nobody is there.", now=121.0)
    assert sum(gap.reasons.get("held", 0.0) for gap in of(do.RecordGap, cmds)) == pytest.approx(
        113.5, abs=0.2
    )
    assert made.silence.unexplained == 0
    # From here on they run again.
    assert of(do.SayText, ring(made, 140.0))


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("forwarded", "assistant-forwarded-call"),
        ("closed", "customer-ended-call-during-transfer"),
        ("lost", "customer-ended-call-during-transfer"),
        ("flooded", LEG_REASONS["flooded"]),
    ],
)
def test_how_a_call_ends_that_is_being_transferred(cause: str, reason: str) -> None:
    made = transferring()
    feed(made, ev.LegEnded(LEG, cause), now=8.0)
    assert (made.lifecycle.state, made.lifecycle.reason) == (CallState.ENDED, reason)


def test_tools_that_are_due_when_the_call_ends_are_not_run() -> None:
    made = call(TOOLS)
    feed(made, voice(1.0), partial("please do that for me now"), now=1.0)
    feed(made, silence(2.0), confirmed("please do that for me now"), now=2.0)
    ring(made, 5.0)
    assert made.floor.reply is not None
    reply_id = made.floor.reply.reply_id
    feed(made, ev.ToolCallsReceived(reply_id, (ev.ToolCall("c1", "dtmf", '{"dtmf": "1"}'),)), now=5.0)
    feed(made, *whole(reply_id, "One moment."), playing(reply_id, 5.1), now=5.1)
    feed(made, ev.EndRequested("manually-canceled"), now=5.5)
    assert not of(do.SendKeys, feed(made, finished(reply_id, 2, 6.0), now=6.0))


def test_a_line_that_carries_no_keys_is_told_to_the_model() -> None:
    made = call(TOOLS)
    wants(made, "dtmf", '{"dtmf": "1"}')
    warned = ev.MediaWarned(LEG, "dtmf_unsupported", "this transport carries no keys")
    (asked,) = of(do.StartReply, feed(made, warned, now=5.1))
    assert asked.messages[-1]["role"] == "tool"


ACTING: list[dict[str, Any]] = [
    PAD | TOOLS,
    PAD | TOOLS | {"firstMessageMode": "assistant-speaks-first", "firstMessage": "Hello there."},
    PAD | TOOLS | {"endCallMessage": "Bye.", "stopSpeakingPlan": {"backoffSeconds": 1}},
    TOOLS | {"hooks": HOOKS, "silenceTimeoutSeconds": 20, "maxDurationSeconds": 60},
]
CALLS = [
    ("endCall", "{}"),
    ("dtmf", '{"dtmf": "1w2"}'),
    ("dtmf", '{"dtmf": ""}'),
    ("transferCall", '{"destination": "+4930111"}'),
    ("nothing", "{"),
]
acting: st.SearchStrategy[Verb] = st.one_of(
    st.tuples(st.just("press"), st.sampled_from("12#*")),
    st.tuples(st.just("press"), st.sampled_from("12#*")),
    st.sampled_from(CALLS).map(lambda call: ("call_tool", *call)),
    st.sampled_from(CALLS).map(lambda call: ("call_tool", *call)),
    st.tuples(st.just("news"), st.sampled_from(["connected", "busy", "failed"])),
    st.tuples(st.just("post"), st.just(ev.MediaWarned(LEG, "dtmf_unsupported"))),
)
acting_verbs = st.lists(often | scenes | scenes | acting | acting | seldom, min_size=10, max_size=60)


@examples(400)
@given(st.sampled_from(ACTING), acting_verbs, st.booleans(), st.booleans(), st.lists(last, max_size=1))
def test_whatever_is_pressed_and_run_the_floor_keeps_its_word(
    assistant: dict[str, Any], script: list[Verb], lagging: bool, stocked: bool, ending: list[Verb]
) -> None:
    world = World(assistant, lagging=lagging, stocked=stocked)
    world.connect()
    for verb in [*script, *ending]:
        perform(world, verb)
    world.settle()
    counts(world)


@examples(400)
@given(st.sampled_from(ACTING), acting_verbs, st.lists(last, max_size=1))
def test_whatever_is_pressed_and_run_the_caller_is_not_left_in_silence(
    assistant: dict[str, Any], script: list[Verb], ending: list[Verb]
) -> None:
    world = World(assistant, live=True)
    world.connect()
    for verb in [*script, *ending]:
        if verb[0] not in ("play", "hold", "again"):
            perform(world, verb)
    world.settle()
    counts(world)
    assert world.conversation.silence.unexplained == 0


# --- those who steer -------------------------------------------------------------------------------------------------


def test_a_control_is_taken_and_silence_has_its_reason() -> None:
    made = call(HELLO, connected=False)
    muted = ev.ControlReceived({"type": "control", "control": "mute-assistant"})
    made.handle(muted, 0.5)
    assert not of(do.SayText, made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0))
    assert not acts(ring(made, 20.0))
    taken = made.handle(ev.ControlReceived({"type": "take-over"}, "listener"), 20.0)
    assert do.TakeOver(LEG) in taken
    (gap,) = of(do.RecordGap, made.handle(ev.EndRequested("manually-canceled"), 30.0))
    assert gap.reasons == {"muted": 19.0, "taken_over": 10.0}


def test_nothing_of_a_muted_caller_is_taken() -> None:
    made = call()
    made.handle(ev.ControlReceived({"type": "control", "control": "mute-customer"}), 2.0)
    assert made.handle(voice(3.0), 3.0) == []
    assert made.floor.caller.state.name == "SILENT"


def test_a_client_presses_keys_and_says_other_things() -> None:
    made = call(MUTE | {"keypadInputPlan": {"enabled": True, "delimiters": ["#"]}})
    cmds = made.handle(client(type="dtmf", digits="12#"), 2.0)
    assert "Keypad Entry: 12" in told("transcript", cmds)[0]["transcript"]
    assert told("error", made.handle(client(type="dtmf"), 3.0))


# --- another assistant takes over ----------------------------------------------------------------------------------

BOOKING: dict[str, Any] = {
    "name": "Booking",
    "id": "a2",
    "firstMessage": "Booking here.",
    "model": {"messages": [{"role": "system", "content": "You book."}]},
    "keypadInputPlan": {"enabled": True},
}
TO_BOOKING = {"type": "assistant", "assistantName": "Booking"}
FRONT: dict[str, Any] = {
    "name": "Front",
    "firstMessageMode": "assistant-waits-for-user",
    "maxDurationSeconds": 900,
    "model": {"tools": [{"type": "handoff", "destinations": [TO_BOOKING]}]},
    "keypadInputPlan": {"enabled": True},
}


def handed(
    made: Conversation, now: float, assistant: dict[str, Any] = BOOKING, **more: Any
) -> list[do.Command]:
    """The model wants a handoff, and whoever it wants is ready."""
    wants_booking(made, now)
    return feed(made, ev.HandoffPrepared("h1", assistant, **more), now=now + 3.5)


def wants_booking(made: Conversation, now: float) -> None:
    """By now + 3 the model wants a handoff."""
    feed(made, voice(now), silence(now + 0.5), confirmed("I want to book a table"), now=now + 0.6)
    ring(made, now + 3.0)
    assert made.floor.reply is not None
    reply_id = made.floor.reply.reply_id
    called = ev.ToolCallsReceived(reply_id, (ev.ToolCall("h1", "handoff_to_Booking", "{}"),))
    cmds = feed(made, called, ev.ReplyCompleted(reply_id, "", 0), now=now + 3.0)
    assert of(do.StartHandoff, cmds) == [do.StartHandoff("h1", TO_BOOKING)]


def test_the_next_assistant_greets_with_its_own_settings_and_is_told() -> None:
    made = call(FRONT)
    cmds = handed(made, 2.0, variables={"party": 4})
    assert of(do.ChangeAssistant, cmds) == [do.ChangeAssistant("h1")]
    assert [c.text for c in of(do.SayText, cmds)] == ["Booking here."]
    (update,) = told("transfer-update", cmds)
    assert (update["fromAssistant"]["name"], update["toAssistant"]) == (
        "Front",
        {"id": "a2", "name": "Booking"},
    )
    assert told("assistant.started", cmds) == [{"newAssistant": {"id": "a2", "name": "Booking"}}]
    assert ("taken_over", "") in decided(cmds)
    assert made.history.prompt == ({"role": "system", "content": "You book."},)
    assert made.history.speaker == {"assistantName": "Booking", "assistantId": "a2"}
    # Its stock of phrases is made anew, and the longest that either wants the call to last counts.
    assert min(c.phrase_id for c in of(do.PreparePhrase, cmds)) > 0
    assert made._settings.max_duration_s == 900
    assert made.variables == {"party": 4}


def test_whose_server_hears_of_it_is_told_what_that_server_wants() -> None:
    made = call(FRONT)
    server = {"url": "https://b.example", "auth": "", "timeoutSeconds": 20}
    handed(made, 2.0, webhooks={"policy": "fallback", "messages": ["model-output"], "servers": [server]})
    assert made._settings.server_messages == {"model-output"}


def test_one_without_a_greeting_goes_on_by_its_model_and_one_that_waits_waits() -> None:
    made = call(FRONT)
    (asked,) = of(do.StartReply, handed(made, 2.0, {"name": "Silent"}))
    assert asked.messages[-1]["role"] == "tool"
    waits = handed(call(FRONT), 2.0, {**BOOKING, "firstMessageMode": "assistant-waits-for-user"})
    assert of(do.ChangeAssistant, waits)
    assert not of(do.SayText, waits)
    assert not of(do.StartReply, waits)


def test_what_the_caller_says_meanwhile_is_answered_by_the_next_and_not_talked_over() -> None:
    made = call(FRONT)
    wants_booking(made, 2.0)
    feed(made, voice(5.2), silence(5.8), confirmed("for tonight please"), now=5.9)
    cmds = feed(made, ev.HandoffPrepared("h1", BOOKING), now=6.0) + ring(made, 9.0)
    answers = of(do.StartReply, cmds)
    assert answers
    assert answers[-1].messages[-1]["content"] == "for tonight please"
    assert not of(do.SayText, cmds)


def test_keys_that_were_pressed_count_for_the_next() -> None:
    made = call(FRONT)
    wants_booking(made, 2.0)
    feed(made, ev.DtmfReceived(LEG, "4"), now=5.2)
    cmds = feed(made, ev.HandoffPrepared("h1", BOOKING), now=5.4) + ring(made, 9.0)
    assert of(do.StartReply, cmds)[-1].messages[-1]["content"] == "User's Keypad Entry: 4"


def test_a_silent_wait_for_it_is_filled_and_not_taken_for_something_unheard() -> None:
    made = call(FRONT)
    wants_booking(made, 2.0)
    assert [c.text for c in of(do.SayText, ring(made, 5.0 + GAP_S))] == ["One moment, please."]


def test_a_squads_first_assistant_is_named_from_the_beginning() -> None:
    made = Conversation(LEG)
    made.handle(ev.CallStarted("c1", "o1", 0, FRONT, squad={"members": ["Front"]}), 0.0)
    assert made.history.speaker == {"assistantName": "Front"}


def test_somebody_from_outside_hands_the_call_over() -> None:
    made = call(MUTE)
    cmds = made.hand_over({"assistantName": "Booking"}, 2.0, said="One moment.", trusted=True)
    assert [c.text for c in of(do.SayText, cmds)] == ["One moment."]
    assert of(do.StartHandoff, cmds) == [do.StartHandoff("control-1", TO_BOOKING)]
    assert decided(made.hand_over(TO_BOOKING, 2.1)) == [("refused", "tools_are_run")]
    prepared_now = feed(made, ev.HandoffPrepared("control-1", BOOKING), now=3.0)
    # Not before it was said.
    assert not of(do.ChangeAssistant, prepared_now)
    cmds = says(made, "One moment.", now=3.1)
    assert of(do.ChangeAssistant, cmds) == [do.ChangeAssistant("control-1")]


def test_the_caller_s_own_client_may_ask_for_it_and_is_not_trusted() -> None:
    made = call(MUTE)
    cmds = feed(made, client(type="handoff", destination=TO_BOOKING, content=3), now=2.0)
    assert of(do.StartHandoff, cmds) == [do.StartHandoff("control-1", TO_BOOKING, trusted=False)]
    refused = feed(made, ev.HandoffRefused("control-1", "there is no such"), now=2.5)
    assert decided(refused) == [("refused", "there is no such")]
    assert told("error", feed(made, client(type="handoff", destination="x"), now=3.0))


def test_nobody_takes_over_a_call_that_is_not_connected_or_says_goodbye() -> None:
    waiting = call(MUTE, connected=False)
    assert decided(waiting.hand_over(TO_BOOKING, 1.0)) == [("refused", "tools_are_run")]
    leaving = call(MUTE)
    feed(leaving, client(type="say", content="Bye.", endCallAfterSpoken=True), now=2.0)
    leaving.floor.leaving = True
    assert decided(leaving.hand_over(TO_BOOKING, 2.1)) == [("refused", "tools_are_run")]


# --- tools that are asked outside ------------------------------------------------------------------------------------

ASKS: dict[str, Any] = MUTE | {
    "model": {
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "parameters": {}},
                "messages": [{"type": "request-start", "content": ""}],
            }
        ]
    },
    "fillerPlan": {"enabled": False},
}


def test_what_a_tool_answers_is_taken_with_its_variables() -> None:
    made = call(ASKS)
    assert "look" in made.tools
    feed(made, voice(2.0), silence(2.5), confirmed("please look it up"), now=2.6)
    ring(made, 5.0)
    assert made.floor.reply is not None
    reply_id = made.floor.reply.reply_id
    called = ev.ToolCallsReceived(reply_id, (ev.ToolCall("t1", "look", "{}"),))
    (started,) = of(
        do.StartTool, feed(made, called, ev.ReplyCompleted(reply_id, "", 0), now=5.0) + ring(made, 5.1)
    )
    tool = made.tool_of(started.run)
    assert tool is not None
    assert tool.name == "look"
    # It is to be silent meanwhile, and that is why it is.
    assert made.silence.unexplained == 0
    returned = ev.ToolReturned(started.run, "done", result="found", variables={"order": 7})
    assert of(do.StartReply, made.handle(returned, 6.0))
    assert made.variables["order"] == 7
    assert made.tool_of(started.run) is None
    (gap,) = of(do.RecordGap, made.handle(ev.EndRequested("manually-canceled"), 10.0))
    assert gap.reasons["tool_silenced"] > 0.9


def test_tools_that_a_server_lists_are_offered() -> None:
    server = {"type": "mcp", "name": "remote", "server": {"url": "https://mcp.example"}}
    made = call(MUTE | {"model": {"tools": [server]}})
    listed = ({"name": "weather", "inputSchema": {"type": "object"}},)
    assert made.handle(ev.ToolsFound(server, listed), 2.0) == []
    assert any("weather" in name for name in made.tools)
