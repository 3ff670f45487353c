"""Who holds the floor: the caller's turn, the reply being made or played, and the contest between the two."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.history import History
from aywa.core.settings import AssistantSettings, read_settings
from aywa.core.turns import barge_in as bi
from aywa.core.turns import endpointing as ep
from aywa.core.turns.caller import SCORE_AFTER_S, CallerState
from aywa.core.stock import EXCUSE, FAREWELL, REPROMPT, Stock
from aywa.core.turns.floor import MAX_FAILURES, Floor, Message
from tests.core.feed import (
    LEG,
    WORD,
    acts,
    clause,
    confirmed,
    decided,
    dropped,
    finished,
    of,
    partial,
    playing,
    ring,
    silence,
    told,
    voice,
    whole,
)

FINALIZE_S = AssistantSettings().start.finalize_after_s
QUESTION = "what are your opening hours"
ANSWER = "We are open from nine."


class Talk:
    """A floor, and the events that the conversation would route to it. Seconds are the script's own."""

    def __init__(self, assistant: dict[str, Any] | None = None) -> None:
        self.history = History()
        settings = read_settings({"fillerPlan": {"enabled": False}} | (assistant or {}))
        self.stock = Stock((*settings.fillers.texts, EXCUSE, FAREWELL, REPROMPT))
        self.floor = Floor(LEG, settings, self.history, self.stock)
        self.cmds: list[do.Command] = []

    def feed(self, now: float, *events: ev.Event) -> list[do.Command]:
        floor = self.floor
        takers: dict[type, Any] = {
            ev.VoiceStarted: floor.voice_started,
            ev.VoiceStopped: floor.voice_stopped,
            ev.TranscriptReceived: floor.transcript_received,
            ev.TurnScored: floor.turn_scored,
            ev.ReplyTextReceived: floor.text_received,
            ev.ClauseSynthesized: floor.clause_synthesized,
            ev.ReplyCompleted: floor.reply_completed,
            ev.ReplyFailed: floor.reply_failed,
            ev.PlayoutStarved: floor.playout_starved,
            ev.PlayoutStarted: floor.playout_started,
            ev.PlayoutAdvanced: floor.playout_advanced,
            ev.PlayoutPaused: floor.playout_paused,
            ev.PlayoutResumed: floor.playout_resumed,
            ev.PlayoutFinished: floor.playout_over,
            ev.PlayoutDropped: floor.playout_over,
        }
        cmds: list[do.Command] = []
        for event in events:
            cmds += takers[type(event)](event, now)
        return cmds

    def wait(self, until_s: float) -> list[do.Command]:
        """Every alarm until then."""
        return ring(self.floor, until_s)

    def asks(self, text: str = QUESTION, *, from_s: float = 1.0, until_s: float = 2.0) -> list[do.Command]:
        """The caller speaks and pauses, and the recogniser has it all."""
        cmds = self.feed(from_s, voice(from_s), partial(text))
        cmds += self.feed(until_s, silence(until_s)) + self.wait(until_s + FINALIZE_S)
        return cmds + self.feed(until_s + FINALIZE_S, confirmed(text))

    def takes(self, text: str = QUESTION) -> list[do.Command]:
        """All that, until the turn is over; the reply is not made yet."""
        return self.asks(text) + self.wait(9.0)

    def hears(self, reply_id: int = 1, *clauses: str, now: float = 9.0) -> list[do.Command]:
        """The reply is made and begins to play."""
        cmds = self.feed(now, *whole(reply_id, *(clauses or (ANSWER,))))
        return cmds + self.feed(now, playing(reply_id, now))

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(m["role"], m["message"]) for m in self.history.messages]


def interruptible(**plan: Any) -> dict[str, Any]:
    return {"firstMessageInterruptionsEnabled": True, "stopSpeakingPlan": plan}


def in_contest(assistant: dict[str, Any] | None = None) -> Talk:
    """The agent speaks, the caller's voice is found and playing is paused after one word."""
    talk = Talk(assistant)
    talk.takes()
    talk.hears()
    talk.feed(10.0, ev.PlayoutPaused(LEG, 1, WORD, 10.0), voice(10.0))
    return talk


# --- a turn ------------------------------------------------------------------------------------------------------


def test_a_pause_is_asked_about_then_answered_ahead_then_taken() -> None:
    talk = Talk()
    cmds = talk.asks()
    assert acts(cmds) == [
        do.FinalizeTranscript(LEG),
        do.StartReply(1, 1, ({"role": "user", "content": QUESTION},), speculative=True),
    ]
    assert decided(cmds) == [("reply_begun_early", "text_confirmed")]
    assert acts(talk.wait(2.0 + SCORE_AFTER_S)) == [do.ScoreTurn(LEG, 1)]
    assert talk.feed(2.3, *whole(1, ANSWER)) == []
    taken = talk.wait(2.0 + ep.SETTLED_TEXT_S)
    assert decided(taken) == [("turn_taken", "settled_text")]
    assert acts(taken) == [
        do.ArmPause(LEG, armed=True, voice_s=AssistantSettings().stop.pause_after_voice_s),
        do.PlayClause(LEG, 1, 0),
        do.FinishPlayout(LEG, 1),
    ]
    assert talk.said == []


def test_the_turn_becomes_history_when_the_first_frame_of_its_answer_leaves() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(3.0, *whole(1, ANSWER))
    cmds = talk.feed(3.1, playing(1, 3.1))
    assert talk.said == [("user", QUESTION)]
    assert acts(cmds) == [do.CommitTranscript(LEG)]
    [entry] = of(do.RecordMessage, cmds)
    assert (entry.message["secondsFromStart"], entry.message["duration"]) == (1.0, 1000)
    [turn] = of(do.RecordTurn, cmds)
    assert (turn.turn_id, turn.reply_id) == (1, 1)
    assert turn.latency_ms == pytest.approx(1100)
    assert sum(turn.parts_ms.values()) == pytest.approx(turn.latency_ms)
    [latency] = told("turn-latency", cmds)
    assert latency["reason"] == "settled_text"
    assert talk.floor.caller.turn_id == 2


def test_an_answer_that_was_heard_becomes_history_with_its_words() -> None:
    talk = Talk()
    talk.takes()
    talk.hears()
    cmds = talk.feed(10.0, finished(1, 5, 10.0))
    assert talk.said == [("user", QUESTION), ("bot", ANSWER)]
    [record] = of(do.RecordMessage, cmds)
    assert (record.message["secondsFromStart"], record.message["duration"]) == (9.0, 1000)
    assert record.words[0] == ("We", 9.0, 9.1)
    assert acts(cmds) == [do.ArmPause(LEG, armed=False)]
    assert told("floor", cmds) == [{"holder": "none"}]
    assert decided(cmds) == []
    assert [body["status"] for body in told("speech-update", cmds)] == ["stopped"]
    assert talk.floor.reply is None
    assert talk.floor.last_sound_s == 10.0


def test_who_holds_the_floor_is_told_when_it_changes() -> None:
    talk = Talk()
    cmds = talk.takes() + talk.hears() + talk.feed(10.0, voice(10.0)) + talk.feed(10.1, silence(10.1))
    cmds += talk.feed(10.2, voice(10.2), partial("stop"), dropped(1, 1, 10.3))
    assert [body["holder"] for body in told("floor", cmds)] == ["caller", "assistant", "caller"]


def test_the_parts_of_a_turns_latency_count_to_the_first_word_and_the_first_clause() -> None:
    talk = Talk({"startSpeakingPlan": {"speculationEnabled": False}})
    talk.takes()
    taken_s = 2.0 + ep.SETTLED_TEXT_S
    for after_s in (1.0, 2.0):
        talk.feed(taken_s + after_s, ev.ReplyTextReceived(1, "We are "))
    for number, after_s in enumerate((2.5, 3.0)):
        talk.feed(taken_s + after_s, clause(1, number, "We are"))
    [turn] = of(do.RecordTurn, talk.feed(taken_s + 4, playing(1, taken_s + 4)))
    assert turn.parts_ms == {
        "endpointing": pytest.approx(ep.SETTLED_TEXT_S * 1000),
        "transcriber": 0.0,
        "model": pytest.approx(1000),
        "voice": pytest.approx(1500),
        "unattributed": pytest.approx(1500),
    }


def test_a_turn_without_words_is_dropped() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    talk.feed(2.0, silence(2.0))
    cmds = talk.wait(2.0 + AssistantSettings().start.unconfirmed_wait_s)
    assert ("turn_dropped", "unconfirmed_text") in decided(cmds)
    assert acts(cmds)[-1] == do.CommitTranscript(LEG)
    assert talk.floor.deadline is None


def test_words_that_were_withdrawn_take_their_reply_with_them() -> None:
    talk = Talk()
    talk.asks()
    talk.feed(2.2, ev.TranscriptReceived(LEG, "", is_final=True))
    cmds = talk.wait(9.0)
    assert decided(cmds) == [("reply_discarded", "no_words"), ("turn_dropped", "no_words")]
    assert do.CancelReply(1) in cmds


def test_a_partial_is_shown_when_it_says_something_new() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    shown = told("transcript", talk.feed(1.1, partial("hello"), partial("hello"), partial("hello you")))
    assert [body["transcript"] for body in shown] == ["hello", "hello you"]
    assert shown[0] == {"role": "user", "transcriptType": "partial", "transcript": "hello"}


def test_a_score_for_another_turn_is_dropped() -> None:
    talk = Talk()
    talk.asks()
    talk.feed(2.2, ev.TurnScored(9, 1.0))
    assert talk.floor.caller.score is None
    talk.feed(2.2, ev.TurnScored(1, 1.0))
    assert talk.floor.caller.score == 1.0


# --- a reply before the turn is over -----------------------------------------------------------------------------


def test_a_caller_who_goes_on_adds_to_the_turn() -> None:
    talk = Talk()
    talk.asks("I want a pizza")
    talk.feed(2.3, voice(2.3), partial("I want a pizza with cheese"))
    cmds = talk.feed(3.0, silence(3.0), confirmed("I want a pizza with cheese")) + talk.wait(9.0)
    assert ("reply_discarded", "text_changed") in decided(cmds)
    [again] = of(do.StartReply, cmds)
    assert again.messages == ({"role": "user", "content": "I want a pizza with cheese"},)
    talk.hears(2)
    assert talk.said == [("user", "I want a pizza with cheese")]


def test_a_cough_before_the_answer_changes_nothing() -> None:
    talk = Talk()
    talk.asks()
    talk.feed(2.3, voice(2.3))
    cmds = talk.feed(2.4, silence(2.4), confirmed(QUESTION)) + talk.wait(9.0)
    assert of(do.StartReply, cmds) == []
    assert acts(talk.feed(9.0, clause(1, 0, ANSWER)))[-1] == do.PlayClause(LEG, 1, 0)


def test_a_voice_after_the_turn_was_taken_gives_it_back() -> None:
    talk = Talk()
    talk.takes()
    assert decided(talk.feed(9.1, voice(9.1))) == [("turn_given_back", "caller_resumed")]
    assert acts(talk.feed(9.2, clause(1, 0, ANSWER))) == []
    more = QUESTION + " please"
    cmds = talk.feed(9.5, silence(9.5), confirmed(more)) + talk.wait(20.0)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == [more]


def test_a_voice_after_the_audio_was_given_waits_for_the_first_frame_and_then_goes_first() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, *whole(1, ANSWER))
    assert decided(talk.feed(9.05, voice(9.04))) == []
    cmds = talk.feed(9.1, playing(1, 9.05))
    assert do.DropPlayout(LEG) in cmds
    assert [body["reason"] for body in told("user-interrupted", cmds)] == ["caller_resumed"]
    talk.feed(9.2, dropped(1, 0, 9.2))
    assert talk.said == [("user", QUESTION)]


def test_nothing_is_begun_early_where_that_is_not_wished() -> None:
    talk = Talk({"startSpeakingPlan": {"speculationEnabled": False}})
    assert of(do.StartReply, talk.asks()) == []
    cmds = talk.wait(9.0)
    assert acts(cmds)[-1] == do.StartReply(1, 1, ({"role": "user", "content": QUESTION},))
    assert acts(talk.feed(9.1, clause(1, 0, ANSWER)))[-1] == do.PlayClause(LEG, 1, 0)


def test_nothing_is_begun_early_on_an_unfinished_phrase() -> None:
    assert of(do.StartReply, Talk().asks("I would like a")) == []


def test_attempts_are_limited_and_the_turn_is_answered_all_the_same() -> None:
    talk = Talk()
    limit = AssistantSettings().start.speculation_attempts
    begun = of(do.StartReply, talk.asks("word"))
    for number in range(limit + 2):
        begun += of(do.StartReply, talk.feed(2.3, confirmed("word " * (number + 2))))
    assert len(begun) == limit
    assert all(each.speculative for each in begun)
    cmds = talk.wait(9.0)
    assert decided(cmds)[-1] == ("reply_discarded", "text_changed")
    assert [each.speculative for each in of(do.StartReply, cmds)] == [False]


def test_an_early_reply_that_fails_is_asked_for_again_when_the_turn_is_over() -> None:
    talk = Talk()
    talk.asks()
    cmds = talk.feed(2.3, ev.ReplyFailed(1, "llm", "unavailable"), confirmed(QUESTION + " please"))
    assert of(do.StartReply, cmds) == []
    assert [(r.reply_id, r.speculative) for r in of(do.StartReply, talk.wait(9.0))] == [(2, False)]
    assert talk.floor.failures == 0


def test_backoff_seconds_hold_the_next_turn_up() -> None:
    # Contract 9.2.
    talk = in_contest(interruptible(backoffSeconds=5))
    talk.feed(10.2, partial("stop"))
    talk.feed(10.3, dropped(1, 1, 10.3))
    talk.feed(10.4, silence(10.4), confirmed("stop it now"))
    assert ("turn_taken", "settled_text") not in decided(talk.wait(15.1))
    assert talk.floor.deadline == 15.2
    assert decided(talk.wait(15.2)) == [("turn_taken", "settled_text")]


# --- a contest ---------------------------------------------------------------------------------------------------


def test_a_backchannel_costs_a_pause_and_playing_goes_on_from_the_very_sample() -> None:
    talk = in_contest()
    talk.feed(10.2, partial("mhm"))
    cmds = talk.feed(10.3, silence(10.3), confirmed("mhm")) + talk.wait(11.0)
    assert decided(cmds) == [("kept", "acknowledgement")]
    assert acts(cmds)[-2:] == [do.CommitTranscript(LEG), do.ResumePlayout(LEG, WORD)]
    talk.feed(11.0, ev.PlayoutResumed(LEG, 1, WORD, 11.0))
    cmds = talk.feed(12.0, finished(1, 5, 12.0))
    assert talk.said == [("user", QUESTION), ("bot", ANSWER)]
    assert of(do.RecordMessage, cmds)[0].words[1] == ("are", 11.0, 11.1)


def test_an_interruption_takes_the_floor_and_only_what_was_heard_is_kept() -> None:
    talk = in_contest()
    cmds = talk.feed(10.2, partial("no wait"))
    assert decided(cmds) == [("yielded", "interruption_phrase")]
    assert acts(cmds) == [do.DropPlayout(LEG), do.CancelReply(1), do.ArmPause(LEG, armed=False)]
    assert talk.wait(99.0) == []
    cmds = talk.feed(10.3, dropped(1, 1.4, 10.3))
    assert talk.said[-1] == ("bot", "We")
    assert talk.history.chat()[-1]["content"] == "We —"
    assert told("floor", cmds) == []
    assert talk.floor.caller.text == "no wait"


def test_after_an_interruption_the_caller_is_answered() -> None:
    talk = in_contest()
    talk.feed(10.2, partial("no wait"))
    talk.feed(10.3, dropped(1, 1, 10.3))
    cmds = talk.feed(10.5, silence(10.5), confirmed("no wait a moment")) + talk.wait(20.0)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == ["no wait a moment"]


def test_while_the_voice_goes_on_the_words_are_asked_for() -> None:
    talk = in_contest()
    assert acts(talk.wait(10.0 + bi.FIRST_READ_S)) == [do.FinalizeTranscript(LEG)]
    assert ("yielded", "voice_held") in decided(talk.wait(10.0 + bi.HELD_VOICE_S))


def test_voice_in_two_pieces_is_one_contest() -> None:
    talk = in_contest()
    talk.feed(10.3, silence(10.3))
    talk.feed(10.5, voice(10.5))
    cmds = talk.feed(10.7, silence(10.7), confirmed("mhm")) + talk.wait(11.5)
    assert [c.details["voiced_s"] for c in of(do.RecordDecision, cmds)] == [0.5]


def test_where_words_are_counted_playing_is_not_paused() -> None:
    talk = Talk(interruptible(numWords=2))
    talk.takes()
    assert do.ArmPause(LEG, armed=False, voice_s=0.064) in talk.hears()
    talk.feed(10.0, voice(10.0), partial("pizza"))
    cmds = talk.feed(10.5, silence(10.5), confirmed("pizza")) + talk.wait(11.0)
    assert decided(cmds) == [("kept", "too_few_words")]
    assert of(do.ResumePlayout, cmds) == []


def test_a_reply_that_is_played_to_its_end_during_the_contest_ends_it() -> None:
    talk = Talk(interruptible(numWords=2))
    talk.takes()
    talk.hears()
    talk.feed(10.0, voice(10.0), partial("pizza"))
    assert told("floor", talk.feed(10.2, finished(1, 5, 10.2))) == []
    cmds = talk.feed(10.5, silence(10.5), confirmed("pizza")) + talk.wait(20.0)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == ["pizza"]


def test_a_voice_while_the_rest_is_being_dropped_begins_no_contest() -> None:
    talk = in_contest()
    talk.feed(10.2, partial("stop"))
    talk.feed(10.3, silence(10.3))
    assert acts(talk.feed(10.4, voice(10.4)) + talk.wait(99.0)) == []


# --- the greeting ------------------------------------------------------------------------------------------------


def test_a_greeting_is_not_interrupted_unless_that_is_wished() -> None:
    talk = Talk()
    assert talk.floor.open_with("Hello there.", 0.0) == [do.SayText(1, "Hello there.")]
    assert do.ArmPause(LEG, armed=False, voice_s=0.064) in talk.feed(0.1, clause(1, 0, "Hello there."))
    talk.feed(0.2, playing(1, 0.2), voice(0.3), partial("stop this now"))
    cmds = talk.feed(0.5, silence(0.5), confirmed("stop this now")) + talk.wait(0.6)
    assert of(do.DropPlayout, cmds) == []
    talk.feed(0.6, ev.ReplyCompleted(1, "Hello there.", 1))
    cmds = talk.feed(0.7, finished(1, 2, 0.7)) + talk.wait(9.0)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == ["stop this now"]


def test_a_caller_who_speaks_before_the_greeting_is_answered_after_it() -> None:
    talk = Talk()
    talk.floor.open_with("Hello there.", 0.0)
    assert of(do.StartReply, talk.asks() + talk.wait(9.0)) == []
    talk.hears(1, "Hello there.")
    assert len(of(do.StartReply, talk.feed(10.0, finished(1, 2, 10.0)))) == 1


def test_a_voice_before_a_greeting_that_may_not_be_interrupted_lets_it_speak() -> None:
    talk = Talk()
    talk.floor.open_with("Hello there.", 0.0)
    talk.feed(0.1, voice(0.1), *whole(1, "Hello there."))
    assert of(do.DropPlayout, talk.feed(0.2, playing(1, 0.2))) == []


def test_a_greeting_may_be_interrupted_where_that_is_wished() -> None:
    talk = Talk(interruptible())
    talk.floor.open_by_model(0.0)
    talk.hears(1, "Hello there.", now=0.2)
    assert of(do.DropPlayout, talk.feed(0.4, voice(0.3), partial("stop"))) == [do.DropPlayout(LEG)]


# --- messages ----------------------------------------------------------------------------------------------------


def test_a_message_waits_for_the_reply_before_it() -> None:
    talk = Talk()
    talk.takes()
    talk.hears()
    assert talk.floor.say(Message("News."), 9.5) == []
    assert talk.floor.say(Message("More.", ends_call=True), 9.5) == []
    assert of(do.SayText, talk.feed(10.0, finished(1, 5, 10.0))) == [do.SayText(2, "News.")]
    talk.hears(2, "News.", now=11.0)
    assert of(do.SayText, talk.feed(12.0, finished(2, 1, 12.0))) == [do.SayText(3, "More.")]
    talk.hears(3, "More.", now=13.0)
    assert do.EndCall("assistant-ended-call-after-message-spoken") in talk.feed(14.0, finished(3, 1, 14.0))


def test_a_message_waits_for_the_caller() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    assert talk.floor.say(Message("News."), 1.5) == []
    talk.feed(2.0, silence(2.0), confirmed(""))
    assert of(do.SayText, talk.wait(9.0)) == [do.SayText(1, "News.")]


def test_a_message_waits_for_the_callers_answer() -> None:
    talk = Talk()
    talk.asks()
    assert talk.floor.say(Message("News."), 2.3) == []
    talk.wait(9.0)
    talk.hears()
    assert of(do.SayText, talk.feed(10.0, finished(1, 5, 10.0))) == [do.SayText(2, "News.")]


def test_a_message_that_interrupts_a_reply_is_no_interruption_by_the_caller() -> None:
    talk = Talk()
    talk.takes()
    talk.hears()
    cmds = talk.floor.say(Message("News."), 9.5, interrupt=True)
    assert acts(cmds) == [do.DropPlayout(LEG), do.CancelReply(1), do.ArmPause(LEG, armed=False)]
    assert decided(cmds) == [("reply_dropped", "message")]
    assert told("user-interrupted", cmds) == []
    assert talk.floor.say(Message("Again."), 9.5, interrupt=True) == []
    assert of(do.SayText, talk.feed(9.6, dropped(1, 2, 9.6))) == [do.SayText(2, "News.")]


def test_a_message_takes_the_place_of_a_reply_that_has_not_begun() -> None:
    talk = Talk()
    talk.takes()
    cmds = talk.floor.say(Message("News."), 9.5, interrupt=True)
    assert acts(cmds) == [do.CancelReply(1), do.SayText(2, "News.")]
    talk.hears(2, "News.", now=10.0)
    assert talk.said == [("user", QUESTION)]


def test_a_voice_before_a_message_begins_does_not_hold_it_back_for_ever() -> None:
    talk = Talk()
    talk.takes()
    talk.floor.say(Message("News."), 9.5, interrupt=True)
    talk.feed(9.6, voice(9.6))
    assert of(do.PlayClause, talk.feed(9.7, *whole(2, "News."))) == [do.PlayClause(LEG, 2, 0)]
    assert of(do.DropPlayout, talk.feed(9.8, playing(2, 9.8))) == [do.DropPlayout(LEG)]


def test_a_message_without_a_word_counts_as_spoken() -> None:
    talk = Talk()
    talk.floor.say(Message("?!"), 1.0)
    talk.floor.say(Message("...", ends_call=True), 1.0)
    cmds = talk.feed(1.1, ev.ReplyCompleted(1, "?!", 0))
    assert decided(cmds) == [("message_skipped", "no_words")]
    assert of(do.SayText, cmds) == [do.SayText(2, "...")]
    ended = talk.feed(1.2, ev.ReplyCompleted(2, "...", 0))
    assert of(do.EndCall, ended) == [do.EndCall("assistant-ended-call-after-message-spoken")]


def test_a_turn_whose_reply_is_gone_before_it_began_is_answered_after_all() -> None:
    talk = Talk()
    talk.takes()
    talk.floor.say(Message("?!"), 9.5, interrupt=True)
    cmds = talk.feed(9.6, ev.ReplyCompleted(2, "?!", 0))
    assert ("turn_given_back", "reply_gone") in decided(cmds)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == [QUESTION]


# --- what goes wrong ---------------------------------------------------------------------------------------------


def fail(talk: Talk, now: float, step: str = "llm", code: str = "unavailable") -> list[do.Command]:
    assert talk.floor.reply is not None
    return talk.feed(now, ev.ReplyFailed(talk.floor.reply.reply_id, step, code))


def test_a_caller_who_heard_nothing_gets_a_word_of_excuse() -> None:
    talk = Talk()
    talk.takes()
    cmds = fail(talk, 9.0)
    assert of(do.SayText, cmds) == [do.SayText(2, EXCUSE)]
    assert decided(cmds) == [("reply_failed", "unavailable")]
    talk.hears(2, EXCUSE)
    assert talk.said == [("user", QUESTION)]


def test_an_answer_without_a_word_is_excused_too() -> None:
    talk = Talk()
    talk.takes()
    cmds = talk.feed(9.0, ev.ReplyCompleted(1, "...", 0))
    assert decided(cmds) == [("reply_failed", "empty_reply")]
    assert of(do.SayText, cmds) == [do.SayText(2, EXCUSE)]


def test_a_model_that_fails_again_and_again_ends_the_call_with_a_farewell() -> None:
    talk = Talk({"startSpeakingPlan": {"speculationEnabled": False}})
    texts: list[str] = []
    cmds: list[do.Command] = []
    now = 1.0
    for _ in range(MAX_FAILURES):
        talk.asks(from_s=now, until_s=now + 1)
        talk.wait(now + 5)
        texts += [c.text for c in of(do.SayText, fail(talk, now + 5))]
        assert talk.floor.reply is not None
        reply_id = talk.floor.reply.reply_id
        talk.hears(reply_id, texts[-1], now=now + 6)
        cmds = talk.feed(now + 9, finished(reply_id, 99, now + 9))
        now += 10
    assert texts == [*[EXCUSE] * (MAX_FAILURES - 1), FAREWELL]
    assert of(do.EndCall, cmds) == [do.EndCall("pipeline-error-custom-llm-llm-failed")]


def test_an_answer_in_between_forgives_the_failures() -> None:
    talk = Talk()
    talk.floor.failures = MAX_FAILURES - 1
    talk.takes()
    talk.hears()
    assert talk.floor.failures == 0


@pytest.mark.parametrize("purpose", ["greeting", "answer", "message"])
def test_without_a_voice_there_is_nothing_to_excuse_oneself_with(purpose: str) -> None:
    talk = Talk()
    if purpose == "greeting":
        talk.floor.open_with("Hello.", 0.0)
    elif purpose == "answer":
        talk.takes()
    else:
        talk.floor.say(Message("News."), 0.0)
    cmds = fail(talk, 9.0, "tts")
    assert of(do.EndCall, cmds) == [do.EndCall("pipeline-error-custom-voice-failed", "unavailable")]


def test_a_message_with_words_and_no_audio_is_a_voice_that_failed() -> None:
    talk = Talk()
    talk.floor.say(Message("News."), 1.0)
    cmds = talk.feed(1.1, ev.ReplyCompleted(1, "News.", 0))
    assert of(do.EndCall, cmds) == [do.EndCall("pipeline-error-custom-voice-failed", "empty_reply")]


@pytest.mark.parametrize("began", [True, False])
def test_what_has_been_given_of_a_reply_that_breaks_is_spoken(*, began: bool) -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, clause(1, 0, "We are"))
    if began:
        talk.feed(9.1, playing(1, 9.1))
    assert acts(fail(talk, 9.2, "tts")) == [do.FinishPlayout(LEG, 1)]
    talk.feed(9.2, playing(1, 9.1), finished(1, 2, 9.3))
    assert talk.said == [("user", QUESTION), ("bot", "We are")]


def test_an_early_reply_that_breaks_half_way_is_kept_for_its_turn() -> None:
    talk = Talk()
    talk.asks()
    talk.feed(2.2, clause(1, 0, "We are"))
    assert acts(fail(talk, 2.3)) == []
    assert acts(talk.wait(9.0))[-2:] == [do.PlayClause(LEG, 1, 0), do.FinishPlayout(LEG, 1)]


# --- the model's end of the call -----------------------------------------------------------------------------------


def test_an_end_call_phrase_ends_the_call_once_it_was_spoken() -> None:
    talk = Talk({"endCallPhrases": ["goodbye now"]})
    talk.takes()
    talk.hears(1, "Thank you.", "Goodbye now!")
    assert of(do.EndCall, talk.feed(10.0, finished(1, 4, 10.0))) == [
        do.EndCall("assistant-said-end-call-phrase")
    ]


def test_an_end_call_phrase_that_was_cut_ends_nothing() -> None:
    talk = Talk({"endCallPhrases": ["goodbye now"]})
    talk.takes()
    talk.hears(1, "Thank you.", "Goodbye now!")
    talk.feed(9.5, voice(9.5), partial("wait"))
    assert of(do.EndCall, talk.feed(10.0, dropped(1, 2, 10.0))) == []
    assert talk.history.chat()[-1]["content"] == "Thank you. —"


def test_a_reply_that_was_cut_while_it_was_still_being_made_was_longer() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, clause(1, 0, "We are"), playing(1, 9.0), voice(9.3), partial("stop"), dropped(1, 2, 9.4))
    assert talk.history.chat()[-1]["content"] == "We are —"


# --- the end of the call -------------------------------------------------------------------------------------------


def test_when_the_call_ends_nothing_more_is_said_asked_or_begun() -> None:
    talk = in_contest()
    talk.feed(10.2, partial("what about"))
    talk.floor.say(Message("News."), 10.2)
    assert talk.floor.fall_silent("call_ending") == []
    talk.feed(10.3, dropped(1, 1, 10.3))
    assert talk.feed(10.5, silence(10.5))[1:] == []
    assert talk.floor.wake(99.0) == []
    assert talk.said[-1] == ("bot", "We")


def test_when_the_call_ends_a_reply_in_the_making_is_stopped() -> None:
    talk = Talk()
    talk.takes()
    cmds = talk.floor.fall_silent("call_ending")
    assert acts(cmds) == [do.CancelReply(1)]
    assert decided(cmds) == [("reply_discarded", "call_ending")]
    assert talk.floor.fall_silent("call_ended") == []


def test_when_the_leg_is_gone_the_last_word_of_the_media_plane_counts() -> None:
    talk = Talk()
    talk.takes()
    talk.hears()
    cmds = talk.feed(9.5, ev.PlayoutAdvanced(LEG, 1, 2 * WORD, 9.5))
    assert told("assistant.speechStarted", cmds)[0]["text"] == "We are"
    talk.floor.settle(9.8)
    assert talk.said[-1] == ("bot", "We are")
    assert talk.floor.settle(9.9) == []


def test_of_a_reply_that_did_not_begin_nothing_was_heard() -> None:
    talk = Talk()
    talk.takes()
    assert talk.floor.settle(9.0) == []
    assert talk.said == []


def test_words_that_left_are_kept_even_if_nobody_said_that_they_began() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, *whole(1, ANSWER))
    talk.floor.fall_silent("call_ending")
    [record] = of(do.RecordMessage, talk.feed(9.5, dropped(1, 1, 9.5)))
    assert (record.message["message"], record.message["secondsFromStart"], record.words) == ("We", 9.5, ())


# --- what comes late, twice or from elsewhere ------------------------------------------------------------------------


def test_news_of_another_reply_is_dropped() -> None:
    talk = Talk()
    talk.takes()
    events: list[ev.Event] = [
        *whole(9, ANSWER),
        ev.ReplyFailed(9, "llm", "x"),
        playing(9, 9.0),
        finished(9, 1, 9.0),
    ]
    paused: list[ev.Event] = [
        ev.PlayoutAdvanced(LEG, 9, 1, 9.0),
        ev.PlayoutPaused(LEG, 9, 1, 9.0),
        ev.PlayoutResumed(LEG, 9, 1, 9.0),
    ]
    assert talk.feed(9.0, *events, *paused) == []


def test_news_of_audio_that_was_never_given_is_dropped() -> None:
    talk = Talk()
    talk.asks()
    early: list[ev.Event] = [playing(1, 2.2), ev.PlayoutAdvanced(LEG, 1, 1, 2.2), dropped(1, 1, 2.2)]
    assert talk.feed(2.2, *early) == []
    assert talk.floor.reply is not None


def test_what_comes_twice_counts_once() -> None:
    talk = Talk()
    talk.takes()
    events = [*whole(1, "We are"), playing(1, 9.0)]
    twice = [each for event in events for each in (event, event)]
    cmds = talk.feed(9.0, *twice, clause(1, 1, "late"), ev.ReplyFailed(1, "llm", "late"))
    assert of(do.PlayClause, cmds) == [do.PlayClause(LEG, 1, 0)]
    assert len(of(do.FinishPlayout, cmds)) == 1
    talk.feed(9.5, finished(1, 2, 9.5), finished(1, 2, 9.5))
    assert talk.said == [("user", QUESTION), ("bot", "We are")]


def test_a_reply_of_no_samples_is_over_when_it_is_said_to_be() -> None:
    talk = Talk()
    talk.takes()
    cmds = talk.feed(9.0, *whole(1, ""))
    assert acts(cmds)[-2:] == [do.PlayClause(LEG, 1, 0), do.FinishPlayout(LEG, 1)]
    assert ("turn_given_back", "reply_gone") in decided(talk.feed(9.1, finished(1, 0, 9.1)))


def test_audio_that_was_announced_and_never_left_leaves_the_turn_to_be_answered() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, *whole(1, ANSWER))
    cmds = talk.feed(9.1, dropped(1, 0, 9.1))
    assert of(do.RecordMessage, cmds) == []
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == [QUESTION]
    assert talk.floor.caller.state is CallerState.PAUSED
