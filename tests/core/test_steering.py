"""What somebody outside asks of a call while it goes on: who may ask what, and what follows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.conversation import Conversation
from aywa.core.silence import ALARM_S, GAP_S
from aywa.core.steering import GIVEN_NOTE, SWITCHES, TAKEN_NOTE, needs_caller
from aywa.core.tool_round import TRANSFERRING
from tests.core.feed import (
    LEG,
    RATE_HZ,
    acts,
    confirmed,
    decided,
    dropped,
    examples,
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
from tests.core.test_conversation import HELLO, MUTE, call, feed, says
from tests.core.world import World

SALES = {"type": "number", "number": "+4930111"}


def steer(made: Conversation, now: float, source: str = "control", **message: Any) -> list[do.Command]:
    return made.handle(ev.ControlReceived(message, source, "somebody"), now)


def switch(made: Conversation, control: str, now: float) -> list[do.Command]:
    return steer(made, now, type="control", control=control)


def says_to(made: Conversation, text: str, from_s: float) -> list[do.Command]:
    """The caller says it, and half a second later everybody has done their part."""
    cmds = feed(made, voice(from_s), partial(text), now=from_s)
    cmds += feed(made, silence(from_s + 1), confirmed(text), now=from_s + 1.1)
    return cmds + ring(made, from_s + 3)


def speaking(made: Conversation, now: float, text: str = "One two three four.") -> int:
    """The agent says something, and is in the middle of it."""
    steer(made, now, type="say", content=text)
    assert made.floor.reply is not None
    reply_id = made.floor.reply.reply_id
    feed(made, *whole(reply_id, text), playing(reply_id, now), now=now)
    return reply_id


# --- what is said and added ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["content", "message"])
def test_a_control_has_something_said_and_it_is_on_record_who_asked(field: str) -> None:
    made = call()
    cmds = steer(made, 2.0, type="say", **{field: "Good evening."})
    assert [c.text for c in of(do.SayText, cmds)] == ["Good evening."]
    assert ("say", "control") in decided(cmds)


def test_the_calls_end_may_follow_what_is_said() -> None:
    made = call()
    steer(made, 2.0, type="say", content="Bye now.", endCallAfterSpoken=True)
    assert of(do.HangUp, says(made, "Bye now.", now=2.0))


@pytest.mark.parametrize("answered", [True, False])
def test_a_message_is_added_and_answered_if_that_is_wanted(answered: bool) -> None:
    made = call()
    message = {"role": "system", "content": "The order has left."}
    cmds = steer(made, 2.0, type="add-message", message=message, triggerResponseEnabled=answered)
    assert [m["message"] for m in made.history.messages] == ["The order has left."]
    assert bool(of(do.StartReply, cmds)) is answered


def test_context_is_appended_and_nobody_answers_it() -> None:
    made = call()
    cmds = steer(made, 2.0, type="append-context", kind="commentary", content="Rain.")
    assert [(m["role"], m["message"]) for m in made.history.messages] == [("system", "Rain.")]
    assert acts(cmds) == []


@pytest.mark.parametrize("kind", ["end-call", "hangup"])
def test_a_control_ends_the_call_as_one_who_may(kind: str) -> None:
    made = call()
    assert of(do.HangUp, steer(made, 2.0, type=kind)) == [do.HangUp(LEG, "manually-canceled")]


# --- the agent is muted ----------------------------------------------------------------------------------------------


def test_a_muted_agent_stops_in_the_middle_of_a_word_and_what_was_heard_is_kept() -> None:
    made = call()
    reply_id = speaking(made, 2.0)
    cmds = switch(made, "mute-assistant", 2.5)
    assert do.DropPlayout(LEG) in cmds
    assert ("reply_dropped", "muted") in decided(cmds)
    feed(made, dropped(reply_id, 2, 2.6), now=2.6)
    assert [m["message"] for m in made.history.messages] == ["One two"]
    assert switch(made, "mute-assistant", 2.7)[1:] == []


def test_a_muted_agent_keeps_what_the_caller_says_in_mind_and_answers_nothing() -> None:
    made = call()
    switch(made, "mute-assistant", 2.0)
    cmds = says_to(made, "is anybody there", 3.0)
    assert not of(do.StartReply, cmds)
    assert ("turn_noted", "muted") in decided(cmds)
    assert [m["message"] for m in made.history.messages] == ["is anybody there"]
    assert told("transcript", cmds)[-1]["transcriptType"] == "final"


def test_a_voice_without_words_is_nothing_to_a_muted_agent() -> None:
    made = call()
    switch(made, "mute-assistant", 2.0)
    feed(made, voice(3.0), silence(4.0), now=4.0)
    cmds = feed(made, confirmed(""), now=4.1) + ring(made, 8.0)
    assert "turn_dropped" in [name for name, _ in decided(cmds)]
    assert not of(do.SayText, cmds)


def test_a_turn_that_was_being_answered_is_noted_when_the_agent_is_muted() -> None:
    made = call()
    assert of(do.StartReply, says_to(made, "what time is it", 2.0))
    cmds = switch(made, "mute-assistant", 5.0)
    assert ("reply_discarded", "muted") in decided(cmds)
    assert [m["message"] for m in made.history.messages] == ["what time is it"]


def test_silence_has_a_reason_while_the_agent_is_muted_and_the_caller_is_not_hung_up_on() -> None:
    made = call(MUTE | {"silenceTimeoutSeconds": 10, "messagePlan": {"idleMessages": ["Hm?"]}})
    switch(made, "mute-assistant", 2.0)
    assert not of(do.SayText, ring(made, 60.0))
    assert made.silence.unexplained == 0
    cmds = switch(made, "unmute-assistant", 60.0)
    (gap,) = of(do.RecordGap, made.handle(ev.EndRequested("manually-canceled"), 61.0) + cmds)
    assert gap.reasons["muted"] == pytest.approx(58.0)


def test_what_is_said_for_a_muted_agent_is_refused_and_so_is_an_answer() -> None:
    made = call()
    switch(made, "mute-assistant", 2.0)
    assert ("message_refused", "muted") in decided(steer(made, 3.0, type="say", content="Hello?"))
    message = {"role": "user", "content": "note"}
    assert not of(do.StartReply, steer(made, 3.0, type="add-message", message=message))


def test_an_agent_that_is_not_muted_any_more_answers_again() -> None:
    made = call()
    switch(made, "mute-assistant", 2.0)
    switch(made, "unmute-assistant", 3.0)
    assert of(do.StartReply, says_to(made, "hello again", 4.0))


def test_a_call_may_begin_with_a_muted_agent_and_its_first_message_come_later() -> None:
    made = call(HELLO, connected=False)
    switch(made, "mute-assistant", 0.5)
    assert not of(do.SayText, made.handle(ev.LegConnected(LEG, RATE_HZ), 1.0))
    switch(made, "unmute-assistant", 2.0)
    assert [c.text for c in of(do.SayText, switch(made, "say-first-message", 2.1))] == ["Hello there."]


def test_a_first_message_of_the_models_making_is_asked_of_the_model() -> None:
    made = call({"firstMessageMode": "assistant-speaks-first-with-model-generated-message"})
    feed(made, *whole(1, "Hi."), playing(1, 1.1), dropped(1, 1, 2.0), now=2.0)
    assert of(do.StartReply, switch(made, "say-first-message", 3.0))


def test_without_a_first_message_there_is_none_to_say() -> None:
    cmds = switch(call(), "say-first-message", 2.0)
    assert decided(cmds) == [("refused", "no_first_message")]


def test_last_words_are_heard_whoever_wanted_silence() -> None:
    made = call(MUTE | {"maxDurationSeconds": 10, "endCallMessage": "Time is up."}, stocked=True)
    feed(made, voice(1.5), now=1.5)
    switch(made, "mute-assistant", 2.0)
    assert of(do.PlayPhrase, ring(made, 13.0))
    assert not made.floor.muted
    assert decided(switch(made, "mute-assistant", 13.0)) == [("refused", "call_ending")]


# --- the caller is muted ---------------------------------------------------------------------------------------------


def test_nothing_of_a_muted_caller_is_heard() -> None:
    made = call()
    switch(made, "mute-customer", 2.0)
    assert switch(made, "mute-customer", 2.0)[1:] == []
    cmds = says_to(made, "can you hear me now", 3.0)
    assert not of(do.StartReply, cmds)
    assert made.history.messages == ()
    assert made.handle(ev.DtmfReceived(LEG, "1"), 7.0) == []
    assert made.silence.unexplained == 0


def test_a_caller_is_heard_again_from_then_on() -> None:
    made = call()
    switch(made, "mute-customer", 2.0)
    assert do.CommitTranscript(LEG) in switch(made, "unmute-customer", 9.0)
    assert switch(made, "unmute-customer", 9.0)[1:] == []
    assert of(do.StartReply, says_to(made, "can you hear me now", 10.0))


def test_what_was_said_before_is_answered() -> None:
    made = call()
    feed(made, voice(2.0), partial("what time is it"), now=3.0)
    cmds = switch(made, "mute-customer", 3.0) + ring(made, 9.0)
    assert of(do.StartReply, cmds)


def test_a_muted_caller_stops_nobody() -> None:
    made = call(MUTE)
    reply_id = speaking(made, 2.0)
    cmds = switch(made, "mute-customer", 2.1)
    assert do.ArmPause(LEG, armed=False) in [do.ArmPause(c.leg_id, c.armed) for c in of(do.ArmPause, cmds)]
    paused = made.handle(ev.PlayoutPaused(LEG, reply_id, 800, 2.2), 2.2)
    assert of(do.ResumePlayout, paused) == [do.ResumePlayout(LEG, 800)]


# --- a person takes over ---------------------------------------------------------------------------------------------


def take_over(made: Conversation, now: float) -> list[do.Command]:
    return steer(made, now, "listener", type="take-over")


def test_a_person_speaks_in_the_agents_place_and_the_model_knows_of_it() -> None:
    made = call()
    speaking(made, 2.0)
    cmds = take_over(made, 2.5)
    assert [type(c) for c in acts(cmds)][:1] == [do.DropPlayout]
    assert acts(cmds)[-1] == do.TakeOver(LEG)
    assert made.history.messages[-1]["message"] == TAKEN_NOTE
    feed(made, dropped(1, 2, 2.6), now=2.6)
    assert not of(do.StartReply, says_to(made, "who are you then", 3.0))
    ring(made, 30.0)
    assert made.silence.unexplained == 0


def test_the_agent_has_the_caller_again_and_goes_on() -> None:
    made = call()
    take_over(made, 2.0)
    cmds = steer(made, 9.0, "listener", type="give-back", content="He gets a refund.")
    assert acts(cmds)[0] == do.GiveBack(LEG)
    assert of(do.StartReply, cmds)
    assert made.history.messages[-1]["message"] == f"{GIVEN_NOTE} He gets a refund."
    (gap,) = of(do.RecordGap, made.handle(ev.EndRequested("manually-canceled"), 10.0))
    assert gap.reasons["taken_over"] == pytest.approx(7.0)


def test_the_agent_may_wait_for_the_caller_to_speak() -> None:
    made = call()
    take_over(made, 2.0)
    cmds = steer(made, 9.0, type="give-back", triggerResponseEnabled=False)
    assert not of(do.StartReply, cmds)
    assert made.history.messages[-1]["message"] == GIVEN_NOTE


def test_only_one_person_speaks_and_only_one_with_a_voice() -> None:
    made = call()
    refused = steer(made, 2.0, type="take-over")
    assert (decided(refused), acts(refused)) == ([("refused", "no_audio")], [do.GiveBack(LEG)])
    take_over(made, 3.0)
    second = take_over(made, 4.0)
    assert (decided(second), acts(second)) == ([("refused", "taken_over")], [])
    assert decided(switch(made, "unmute-assistant", 5.0)) == [("refused", "taken_over")]


def test_nothing_is_given_back_that_nobody_took() -> None:
    assert decided(steer(call(), 2.0, type="give-back")) == [("refused", "not_taken_over")]


def test_nobody_takes_over_a_call_that_ends() -> None:
    made = call()
    steer(made, 2.0, type="say", content="Bye now.", endCallAfterSpoken=True)
    made.handle(ev.EndRequested("pipeline-error-custom-voice-failed"), 2.1)
    assert decided(take_over(made, 2.2)) == [("refused", "busy")]


def test_the_calls_own_client_is_no_person_who_takes_over() -> None:
    made = call()
    cmds = made.handle(ev.ClientMessageReceived(LEG, {"type": "take-over"}), 2.0)
    assert told("error", cmds) == [
        {"code": "unknown_message", "message": "unknown or incomplete type: take-over"}
    ]


# --- transfers -------------------------------------------------------------------------------------------------------


def test_a_control_passes_the_caller_on_and_the_model_knows_of_it() -> None:
    made = call()
    cmds = steer(made, 2.0, type="transfer", destination=SALES)
    assert [c.text for c in of(do.SayText, cmds)] == [TRANSFERRING]
    assert made.history.messages[-1]["toolCalls"][0]["function"]["name"] == "transferCall"
    begun = says(made, TRANSFERRING, now=2.1)
    assert of(do.StartTransfer, begun) == [do.StartTransfer(LEG, "transfer-1", SALES)]
    made.handle(ev.TransferChanged("connected"), 5.0)
    assert made.history.messages[-1]["result"] == "The caller was transferred."


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": "One moment.", "destination": SALES}, ["One moment."]),
        ({"content": "", "destination": SALES}, []),
        ({"destination": SALES | {"message": "To sales."}}, ["To sales."]),
    ],
)
def test_what_is_said_before_is_as_it_was_asked(message: dict[str, Any], said: list[str]) -> None:
    cmds = steer(call(), 2.0, type="transfer", **message)
    assert [c.text for c in of(do.SayText, cmds)] == said
    assert bool(of(do.StartTransfer, cmds)) is (not said)


def test_what_the_agent_was_saying_ends_first() -> None:
    made = call()
    reply_id = speaking(made, 2.0)
    cmds = steer(made, 2.5, type="transfer", destination=SALES)
    assert of(do.DropPlayout, cmds)
    assert not of(do.SayText, cmds)
    after = feed(made, dropped(reply_id, 2, 2.6), now=2.6)
    assert [c.text for c in of(do.SayText, after)] == [TRANSFERRING]


def test_a_transfer_that_fails_is_told_by_the_model() -> None:
    made = call()
    steer(made, 2.0, type="transfer", content="", destination=SALES)
    cmds = made.handle(ev.TransferChanged("busy"), 5.0)
    assert of(do.StartReply, cmds)


def test_a_muted_agent_says_nothing_before_it() -> None:
    made = call()
    switch(made, "mute-assistant", 2.0)
    assert of(do.StartTransfer, steer(made, 3.0, type="transfer", destination=SALES))


def test_a_person_who_has_the_caller_may_pass_them_on() -> None:
    made = call()
    take_over(made, 2.0)
    cmds = steer(made, 3.0, type="transfer", destination=SALES)
    assert acts(cmds)[0] == do.GiveBack(LEG)
    assert [c.text for c in of(do.SayText, cmds)] == [TRANSFERRING]


def test_one_transfer_at_a_time_and_only_to_somebody() -> None:
    made = call()
    assert decided(steer(made, 2.0, type="transfer", destination="sales")) == [("refused", "bad_destination")]
    steer(made, 2.0, type="transfer", content="", destination=SALES)
    assert decided(steer(made, 3.0, type="transfer", destination=SALES)) == [("refused", "busy")]
    assert decided(take_over(made, 3.0)) == [("refused", "busy")]


# --- handoffs --------------------------------------------------------------------------------------------------------

SALES_TEAM = {"type": "assistant", "assistantName": "Sales"}


def test_a_control_has_another_assistant_take_the_call_and_greet_if_it_is_not_muted() -> None:
    made = call()
    cmds = steer(made, 2.0, type="handoff", destination=SALES_TEAM, content="")
    assert of(do.StartHandoff, cmds) == [do.StartHandoff("control-1", SALES_TEAM, trusted=True)]
    next_one = {"name": "Sales", "firstMessage": "Sales here."}
    taken = made.handle(ev.HandoffPrepared("control-1", next_one), 3.0)
    assert [c.text for c in of(do.SayText, taken)] == ["Sales here."]
    feed(made, *whole(1, "Sales here."), playing(1, 3.1), dropped(1, 1, 4.0), now=4.0)
    assert [c.text for c in of(do.SayText, switch(made, "say-first-message", 5.0))] == ["Sales here."]


def test_a_client_hands_over_only_to_whom_the_call_knows() -> None:
    message = {"type": "handoff", "destination": SALES_TEAM}
    (asked,) = of(do.StartHandoff, call().handle(ev.ClientMessageReceived(LEG, message), 2.0))
    assert not asked.trusted


def test_nobody_is_handed_over_to_nobody_or_while_a_person_speaks() -> None:
    made = call()
    assert decided(steer(made, 2.0, type="handoff", destination="x")) == [("refused", "bad_destination")]
    told_client = made.handle(ev.ClientMessageReceived(LEG, {"type": "handoff"}), 2.0)
    assert told("error", told_client)[0]["code"] == "unknown_message"
    take_over(made, 3.0)
    assert decided(steer(made, 4.0, type="handoff", destination=SALES_TEAM)) == [("refused", "taken_over")]


# --- what is not understood ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": 5},
        {"type": "dance"},
        {"type": "say"},
        {"type": "control", "control": "dance"},
        {"type": "x" * 99},
    ],
)
def test_what_is_not_understood_is_on_record_and_changes_nothing(message: dict[str, Any]) -> None:
    made = call()
    cmds = steer(made, 2.0, **message)
    assert (decided(cmds), acts(cmds)) == ([("refused", "unknown_message")], [])
    assert len(of(do.RecordDecision, cmds)[0].details["type"]) <= 64


def test_before_the_caller_is_there_not_everything_makes_sense() -> None:
    made = call(connected=False)
    assert decided(steer(made, 0.5, type="say", content="Hello.")) == [("refused", "not_connected")]
    added = steer(made, 0.5, type="add-message", message={"role": "system", "content": "note"})
    assert not of(do.StartReply, added)
    assert len(made.history.messages) == 1
    assert [needs_caller(kind) for kind in ("say", "control", "transfer")] == [True, False, True]
    assert of(do.EndCall, steer(made, 0.6, type="end-call"))


def test_the_client_is_told_why_nothing_came_of_it() -> None:
    cmds = call().handle(
        ev.ClientMessageReceived(LEG, {"type": "control", "control": "say-first-message"}), 2.0
    )
    assert told("error", cmds) == [{"code": "no_first_message", "message": "control: no_first_message"}]


def test_an_end_that_the_client_asks_for_is_the_customers() -> None:
    cmds = call().handle(ev.ClientMessageReceived(LEG, {"type": "end-call"}), 2.0)
    assert of(do.HangUp, cmds) == [do.HangUp(LEG, "customer-ended-call")]


def test_the_client_may_do_what_a_control_may() -> None:
    made = call()
    cmds = made.handle(ev.ClientMessageReceived(LEG, {"type": "control", "control": "mute-assistant"}), 2.0)
    assert (cmds, made.floor.muted) == ([], True)


# --- in any order ----------------------------------------------------------------------------------------------------

CONTROLS: list[dict[str, Any]] = [{"type": "control", "control": control} for control in SWITCHES]
CONTROLS += [
    {"type": "take-over"},
    {"type": "give-back"},
    {"type": "give-back", "triggerResponseEnabled": False},
    {"type": "say", "content": "News."},
    {"type": "say", "content": "Now.", "interruptAssistantEnabled": True},
    {"type": "transfer", "destination": SALES},
    {"type": "add-message", "message": {"role": "system", "content": "note x"}},
]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("steer"), st.sampled_from(CONTROLS), st.sampled_from(["control", "listener"])),
        st.tuples(st.just("utterance"), st.integers(1, 4)),
        st.tuples(st.just("answer")),
        st.tuples(st.just("let_pass"), st.sampled_from([0.1, 0.7, 2.0, 5.0])),
        st.tuples(st.just("play"), st.sampled_from([400, 1200, 99_999])),
        st.tuples(st.just("news"), st.sampled_from(["busy", "connected"])),
    ),
    min_size=4,
    max_size=40,
)


@examples(250)
@given(steps, st.sampled_from([MUTE, HELLO | {"firstMessageInterruptionsEnabled": True}]), st.booleans())
def test_whatever_is_asked_whenever_the_call_is_sound(
    script: list[tuple[Any, ...]], assistant: dict[str, Any], live: bool
) -> None:
    world = World(assistant, live=live)
    world.connect()
    for name, *args in script:
        if world.ends:
            break
        if name == "utterance":
            world.toggle_voice()
            if world.conversation.floor.deaf:
                # Nobody hears it, and the recogniser forgets it.
                world.toggle_voice()
                continue
            world.speak(args[0])
            world.let_pass(0.2)
            world.toggle_voice()
            world.confirm()
        elif name == "answer":
            world.make("clause")
            world.make("complete")
        else:
            getattr(world, name)(*args)
        if world.conversation.floor.muted:
            assert world.playing is None or not world.live, "a muted agent speaks"
    for message in ({"type": "give-back"}, CONTROLS[1], CONTROLS[3]):
        world.steer(message)
    world.settle()
    assert world.conversation.silence.unexplained == 0 or not live


def test_the_alarm_of_silence_is_not_rung_by_an_agent_that_may_not_speak() -> None:
    made = call()
    feed(made, prepared(0, "Sorry?"), now=1.0)
    take_over(made, 2.0)
    assert not acts(ring(made, 2.0 + GAP_S + ALARM_S))
