"""Who holds the floor: the caller's turn, the reply being made or played, and the contest between the two."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.history import History
from aywa.core.initiative import INTERRUPTED, SLOW_MODEL, TALKED_OVER
from aywa.core.settings import AssistantSettings, read_settings
from aywa.core.stock import EXCUSE, FAREWELL, NOBODY_THERE, REPROMPT, Stock
from aywa.core.turns import barge_in as bi
from aywa.core.turns import endpointing as ep
from aywa.core.turns.caller import BABBLE_S, SCORE_LATEST_S, CallerState
from aywa.core.turns.floor import (
    DEAF,
    FILLER_GRACE_S,
    LEAVE_TIMEOUT_S,
    MAX_FAILURES,
    MAX_QUEUED,
    MAX_REPROMPTS,
    MAX_REVISIONS,
    MAX_UNREAD,
    MURMUR_S,
    REPROMPT_AFTER_S,
    SUSPICION_S,
    WORDLESS_VOICE_S,
    Floor,
    Message,
)
from tests.core.feed import (
    LEG,
    WORD,
    acts,
    clause,
    confirmed,
    decided,
    dropped,
    final,
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

FINALIZE_S = AssistantSettings().start.finalize_after_s
QUESTION = "tell me about your opening hours"
ANSWER = "We are open from nine."


NO_FILLERS: dict[str, Any] = {"fillerPlan": {"enabled": False}}
FILLERS = AssistantSettings().fillers


class Talk:
    """A floor, and the events that the conversation would route to it. Seconds are the script's own.

    stocked: the stock phrases are there, and fillers are said."""

    def __init__(self, assistant: dict[str, Any] | None = None, *, stocked: bool = False) -> None:
        self.history = History()
        settings = read_settings(({} if stocked else NO_FILLERS) | (assistant or {}))
        self.stock = Stock((*settings.fillers.texts, EXCUSE, FAREWELL, REPROMPT))
        self.floor = Floor(LEG, settings, self.history, self.stock)
        for each in of(do.PreparePhrase, self.stock.prepare()) if stocked else ():
            assert self.floor.phrase_prepared(prepared(each.phrase_id, each.text)) == []

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
            ev.VoiceLevelMeasured: floor.voice_measured,
            ev.VoiceFaded: lambda event, now: floor.voice_faded(event),
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
    assert talk.wait(2.0 + SCORE_LATEST_S) == []
    assert talk.feed(2.4, *whole(1, ANSWER)) == []
    taken = talk.wait(2.0 + ep.SETTLED_TEXT_S)
    assert decided(taken) == [("turn_taken", "settled_text")]
    assert acts(taken) == [
        do.ReleaseReply(1),
        do.ArmPause(LEG, armed=True, voice_s=AssistantSettings().stop.pause_after_voice_s),
        do.PlayClause(LEG, 1, 0),
        do.FinishPlayout(LEG, 1),
    ]
    assert talk.said == []


def test_the_acoustic_model_is_asked_about_words_that_leave_it_open() -> None:
    assert of(do.ScoreTurn, Talk().asks("yes")) == []
    talk = Talk()
    talk.asks("yes")
    assert of(do.ScoreTurn, talk.wait(2.0 + SCORE_LATEST_S)) == [do.ScoreTurn(LEG, 1, 1)]


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
    # So much voice, and the recogniser did not say a word about it.
    assert acts(cmds)[-2:] == [do.CommitTranscript(LEG), do.SayText(1, REPROMPT)]
    assert talk.floor.caller.state is CallerState.SILENT


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
    talk.feed(2.2, ev.TurnScored(9, 1.0, 1), ev.TurnScored(1, 1.0, 9))
    assert talk.floor.caller.score is None
    talk.feed(2.2, ev.TurnScored(1, 1.0, 1))
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


def test_nothing_is_begun_early_once_the_turn_has_cost_its_tokens() -> None:
    talk = Talk({"startSpeakingPlan": {"speculationMaxTokens": 2}})
    talk.asks("I want a pizza")
    talk.feed(2.2, ev.ReplyTextReceived(1, "a "), ev.ReplyTextReceived(1, "b "))
    assert len(of(do.StartReply, talk.feed(2.3, confirmed("I want a pizza now")))) == 1
    assert of(do.StartReply, talk.feed(2.4, confirmed("I want a pizza right now"))) == []


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
    assert talk.wait(10.3) == []
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
    assert not any(
        machine == "yielded" for machine, _ in decided(talk.wait(10.0 + bi.WORDLESS_LIMIT_S - 0.01))
    )
    assert ("played_on", "no_words") in decided(talk.wait(10.0 + bi.WORDLESS_LIMIT_S))


def quiet(at_s: float, level_db: float = -40.0) -> ev.VoiceLevelMeasured:
    return ev.VoiceLevelMeasured(LEG, at_s, level_db)


def known() -> Talk:
    """As in_contest, and it is known that the caller usually speaks at -20 dBFS."""
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    talk.feed(2.0, ev.VoiceStopped(LEG, 2.0, -20.0))
    talk.feed(2.2, confirmed(QUESTION))
    talk.wait(4.0)
    talk.hears()
    talk.feed(10.0, ev.PlayoutPaused(LEG, 1, WORD, 10.0), voice(10.0))
    return talk


def arms(least_db: float, *, armed: bool = True) -> do.ArmPause:
    return do.ArmPause(LEG, armed, AssistantSettings().stop.pause_after_voice_s, least_db)


def test_words_to_somebody_else_are_spoken_over_and_not_answered() -> None:
    talk = known()
    cmds = talk.feed(10.3, quiet(10.3))
    assert ("played_on", "aside") in decided(cmds)
    assert acts(cmds)[-2:] == [arms(-20.0 - bi.ASIDE_DB), do.ResumePlayout(LEG, WORD)]
    talk.feed(10.3, ev.PlayoutResumed(LEG, 1, WORD, 10.3))
    talk.feed(11.0, partial("no put it down"), ev.VoiceStopped(LEG, 11.0, -40.0))
    cmds = talk.feed(11.2, confirmed("no put it down"))
    assert ("kept", "aside") in decided(cmds)
    assert [c for c in acts(cmds) if not isinstance(c, do.FinalizeTranscript | do.ScoreTurn)] == [
        do.CommitTranscript(LEG),
        arms(-20.0 - bi.GATE_DB),
    ]


def test_louder_voice_over_words_to_somebody_else_takes_the_floor() -> None:
    talk = known()
    talk.feed(10.3, quiet(10.3), ev.PlayoutResumed(LEG, 1, WORD, 10.3))
    talk.feed(12.0, ev.PlayoutPaused(LEG, 1, 2 * WORD, 12.0), quiet(12.2, -21.0))
    assert ("yielded", "words") in decided(talk.feed(12.4, partial("what time")))


def test_what_was_said_to_somebody_else_is_not_answered_when_the_reply_is_over() -> None:
    talk = known()
    talk.feed(10.3, quiet(10.3), ev.PlayoutResumed(LEG, 1, WORD, 10.3))
    talk.feed(10.8, partial("put it down"))
    cmds = talk.feed(11.0, finished(1, 3, 11.0))
    assert ("kept", "reply_over") in decided(cmds)
    assert talk.floor.caller.text == ""


def test_an_acknowledgement_that_was_read_in_time_costs_no_second_question() -> None:
    talk = in_contest()
    talk.wait(10.0 + bi.FIRST_READ_S)
    talk.feed(10.25, confirmed("mhm"))
    cmds = talk.feed(10.28, silence(10.25))
    assert ("kept", "acknowledgement") in decided(cmds)
    assert of(do.FinalizeTranscript, cmds) == []


def test_how_loud_a_voice_is_means_nothing_outside_a_contest() -> None:
    assert acts(Talk().feed(1.0, quiet(1.0))) == []


def test_voice_in_two_pieces_is_one_contest() -> None:
    talk = in_contest()
    talk.feed(10.3, silence(10.3))
    talk.feed(10.5, voice(10.5))
    cmds = talk.feed(10.7, silence(10.7), confirmed("mhm")) + talk.wait(11.5)
    assert [c.details["voiced_s"] for c in of(do.RecordDecision, cmds)] == [0.5]


def test_where_words_are_counted_playing_is_not_paused() -> None:
    talk = Talk(interruptible(numWords=2))
    talk.takes()
    assert do.ArmPause(LEG, armed=False, voice_s=AssistantSettings().stop.pause_after_voice_s) in talk.hears()
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
    cmds = talk.feed(10.4, voice(10.4)) + talk.wait(99.0)
    assert {type(command) for command in acts(cmds)} <= {do.FinalizeTranscript, do.ScoreTurn}


# --- the greeting ------------------------------------------------------------------------------------------------


def test_a_greeting_is_not_interrupted_unless_that_is_wished() -> None:
    talk = Talk()
    assert talk.floor.open_with("Hello there.", 0.0) == [do.SayText(1, "Hello there.")]
    assert do.ArmPause(LEG, armed=False, voice_s=AssistantSettings().stop.pause_after_voice_s) in talk.feed(
        0.1, clause(1, 0, "Hello there.")
    )
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
    # It answers nothing: the caller's turn is still to be answered, and is.
    assert talk.said == []
    cmds = talk.feed(11.0, finished(2, 1, 11.0))
    assert ("turn_given_back", "reply_gone") in decided(cmds)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == [QUESTION]
    talk.hears(3, now=12.0)
    assert talk.said == [("bot", "News."), ("user", QUESTION)]


def test_a_voice_before_a_message_begins_does_not_hold_it_back_for_ever() -> None:
    talk = Talk()
    talk.takes()
    talk.floor.say(Message("News."), 9.5, interrupt=True)
    talk.feed(9.6, voice(9.6))
    assert of(do.PlayClause, talk.feed(9.7, *whole(2, "News."))) == [do.PlayClause(LEG, 2, 0)]
    assert of(do.DropPlayout, talk.feed(9.8, playing(2, 9.8))) == [do.DropPlayout(LEG)]


def test_a_message_without_a_word_counts_as_spoken() -> None:
    talk = Talk()
    assert decided(talk.floor.say(Message("?!"), 1.0)) == [("message_skipped", "no_words")]
    cmds = talk.floor.say(Message("...", ends_call=True), 1.0)
    assert of(do.EndCall, cmds) == [do.EndCall("assistant-ended-call-after-message-spoken")]


def test_a_message_that_the_model_finds_no_words_for_counts_as_spoken() -> None:
    talk = Talk()
    talk.floor.say(Message(asks=()), 1.0)
    talk.floor.say(Message(asks=(), ends_call=True), 1.0)
    cmds = talk.feed(1.1, ev.ReplyCompleted(1, "?!", 0))
    assert decided(cmds) == [("message_skipped", "no_words")]
    assert [c.reply_id for c in of(do.StartReply, cmds)] == [2]
    ended = talk.feed(1.2, ev.ReplyCompleted(2, "...", 0))
    assert of(do.EndCall, ended) == [do.EndCall("assistant-ended-call-after-message-spoken")]


def test_a_turn_whose_reply_is_gone_before_it_began_is_answered_after_all() -> None:
    talk = Talk()
    talk.takes()
    talk.floor.say(Message(asks=()), 9.5, interrupt=True)
    cmds = talk.feed(9.6, ev.ReplyCompleted(2, "", 0))
    assert ("turn_given_back", "reply_gone") in decided(cmds)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == [QUESTION]


def test_a_message_without_a_word_interrupts_nothing() -> None:
    talk = Talk()
    talk.takes()
    assert acts(talk.floor.say(Message("?!"), 9.5, interrupt=True)) == []
    talk.hears()
    assert talk.said == [("user", QUESTION)]


def test_an_end_without_a_word_waits_for_what_is_to_be_said_before_it() -> None:
    talk = Talk()
    talk.takes()
    assert talk.floor.say(Message("...", ends_call=True), 9.0) == []
    talk.hears()
    assert of(do.EndCall, talk.feed(10.0, finished(1, 5, 10.0), ev.ReplyCompleted(2, "...", 0)))


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


VOICELESS = do.EndCall("pipeline-error-custom-voice-failed", "the last message could not be spoken")


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
    if purpose != "message":
        # The voice may have failed once only: the excuse is tried.
        assert (of(do.SayText, cmds), of(do.EndCall, cmds)) == ([do.SayText(2, EXCUSE)], [])
        cmds = fail(talk, 9.1, "tts")
    assert of(do.EndCall, cmds) == [VOICELESS]


def test_words_and_no_audio_are_a_voice_that_failed() -> None:
    talk = Talk()
    talk.floor.say(Message("News."), 1.0)
    cmds = talk.feed(1.1, ev.ReplyCompleted(1, "News.", 0))
    assert [c.details["step"] for c in of(do.RecordDecision, cmds)] == ["tts"]
    assert of(do.EndCall, cmds) == [VOICELESS]


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


def test_of_a_reply_that_did_not_begin_nothing_was_heard_but_what_the_caller_said_was_said() -> None:
    talk = Talk()
    talk.takes()
    [record] = of(do.RecordMessage, talk.floor.settle(9.0))
    assert (record.message["secondsFromStart"], record.message["duration"]) == (1.0, 1000)
    assert talk.said == [("user", QUESTION)]


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


# --- a voice that is only suspected ----------------------------------------------------------------------------------


def test_a_voice_that_is_suspected_holds_the_first_frame_back_until_it_is_known() -> None:
    talk = Talk()
    talk.takes()
    assert talk.floor.voice_suspected(9.0) == []
    assert acts(talk.feed(9.01, *whole(1, ANSWER))) == []
    assert talk.floor.deadline == 9.0 + SUSPICION_S
    assert of(do.PlayClause, talk.wait(9.2)) == [do.PlayClause(LEG, 1, 0)]


def test_a_voice_that_is_suspected_holds_the_turn_back() -> None:
    talk = Talk()
    talk.asks()
    over_s = 2.0 + ep.SETTLED_TEXT_S
    talk.floor.voice_suspected(over_s - 0.01)
    assert ("turn_taken", "settled_text") not in decided(talk.wait(over_s))
    assert decided(talk.wait(over_s + SUSPICION_S)) == [("turn_taken", "settled_text")]


def test_a_voice_that_is_found_after_all_takes_the_turn_back() -> None:
    talk = Talk()
    talk.takes()
    talk.floor.voice_suspected(9.0)
    talk.feed(9.01, *whole(1, ANSWER))
    cmds = talk.feed(9.05, voice(9.0)) + talk.wait(9.3)
    assert decided(cmds) == [("turn_given_back", "caller_resumed")]
    assert of(do.PlayClause, cmds) == []


def test_a_line_that_crackles_does_not_hold_the_agent_back_for_ever() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, clause(1, 0, ANSWER))
    talk = Talk()
    talk.takes()
    cmds: list[do.Command] = []
    for window in range(10):
        now = 9.0 + 0.064 * window
        talk.floor.voice_suspected(now)
        cmds += talk.feed(now, clause(1, 0, ANSWER)) + talk.wait(now + 0.063)
    assert of(do.PlayClause, cmds) == [do.PlayClause(LEG, 1, 0)]


def test_a_suspicion_does_not_hold_back_what_may_not_be_interrupted() -> None:
    talk = Talk()
    talk.floor.open_with("Hello.", 0.0)
    talk.floor.voice_suspected(0.1)
    assert of(do.PlayClause, talk.feed(0.1, clause(1, 0, "Hello."))) == [do.PlayClause(LEG, 1, 0)]


# --- never silent: fillers -------------------------------------------------------------------------------------------


def phrases_of(cmds: list[do.Command]) -> list[int]:
    return [c.phrase_id for c in of(do.PlayPhrase, cmds)]


def starved(reply_id: int, words: float, at_s: float) -> ev.PlayoutStarved:
    return ev.PlayoutStarved(LEG, reply_id, round(words * WORD), at_s)


def test_a_filler_speaks_while_the_answer_is_late_and_both_are_one_message() -> None:
    talk = Talk(stocked=True)
    talk.asks()
    cmds = talk.wait(2.0 + FILLERS.after_s)
    assert of(do.PlayPhrase, cmds) == [do.PlayPhrase(LEG, 1, 0)]
    assert ("filler_said", "no_audio") in decided(cmds)
    assert talk.floor.happenings == [SLOW_MODEL]
    talk.feed(4.0, playing(1, 4.0))
    assert talk.said == [("user", QUESTION)]
    talk.feed(4.5, starved(1, 3, 4.5), *whole(1, ANSWER))
    talk.feed(6.0, finished(1, 8, 6.0))
    assert talk.said[-1] == ("bot", f"{FILLERS.texts[0]} {ANSWER}")
    assert len(talk.said) == 2


def test_no_filler_where_none_is_wished() -> None:
    talk = Talk()
    assert decided(talk.takes() + talk.wait(99.0)).count(("filler_said", "no_audio")) == 0


def test_a_filler_that_is_not_in_stock_is_not_said() -> None:
    talk = Talk({"fillerPlan": {}})
    assert of(do.SayText, talk.takes() + talk.wait(99.0)) == []


def test_fillers_follow_one_another_while_nothing_comes() -> None:
    talk = Talk(stocked=True)
    heard = phrases_of(talk.takes())
    talk.feed(9.0, playing(1, 9.0))
    now = 9.0
    for number in range(1, 4):
        talk.feed(now, starved(1, talk.floor.reply.ledger.samples / WORD, now))  # type: ignore[union-attr]
        assert phrases_of(talk.wait(now + FILLERS.repeat_after_s - 0.01)) == []
        heard += phrases_of(talk.wait(now + FILLERS.repeat_after_s))
        now += 10.0
        assert len(heard) == number + 1
    assert heard == [0, 1, 2, 0]


def test_a_turn_that_is_taken_late_gives_the_reply_a_moment_before_the_filler() -> None:
    talk = Talk({"startSpeakingPlan": {"waitSeconds": 3}}, stocked=True)
    talk.asks()
    assert phrases_of(talk.wait(5.0 + FILLER_GRACE_S - 0.01)) == []
    assert phrases_of(talk.wait(5.0 + FILLER_GRACE_S)) == [0]


def test_no_filler_before_the_turn_is_taken_or_once_the_reply_is_there() -> None:
    talk = Talk({"startSpeakingPlan": {"waitSeconds": 5}}, stocked=True)
    talk.asks()
    assert phrases_of(talk.wait(6.9)) == []
    talk.feed(6.9, clause(1, 0, ANSWER))
    assert phrases_of(talk.wait(99.0)) == []


def test_a_filler_waits_for_the_caller_who_speaks() -> None:
    # The message of a slow voice: the filler would be cut at once, and the message with it.
    talk = Talk(stocked=True)
    talk.floor.say(Message("News."), 1.0)
    talk.feed(2.0, voice(2.0))
    assert phrases_of(talk.wait(5.0)) == []
    assert phrases_of(talk.feed(5.5, silence(5.5)) + talk.wait(5.6)) == [0]


def test_a_turn_that_is_given_back_forgets_when_the_filler_was_due() -> None:
    talk = Talk(stocked=True)
    talk.asks()
    talk.wait(2.0 + ep.SETTLED_TEXT_S)
    talk.feed(2.8, voice(2.8))
    talk.feed(5.0, silence(5.0), confirmed(QUESTION))
    assert phrases_of(talk.wait(5.0 + FILLERS.after_s - 0.01)) == []
    assert phrases_of(talk.wait(5.0 + FILLERS.after_s)) == [0]


def test_a_backchannel_during_a_filler_does_not_take_the_floor() -> None:
    talk = Talk(stocked=True)
    talk.takes()
    talk.feed(9.0, playing(1, 9.0))
    talk.feed(9.1, ev.PlayoutPaused(LEG, 1, WORD, 9.1), voice(9.1), partial("mhm"))
    cmds = talk.feed(9.4, silence(9.4), confirmed("mhm")) + talk.wait(9.7)
    assert ("kept", "acknowledgement") in decided(cmds)
    assert do.ResumePlayout(LEG, WORD) in cmds


def test_an_interruption_of_a_filler_takes_the_floor_and_the_answer_is_not_made() -> None:
    talk = Talk(stocked=True)
    talk.takes()
    talk.feed(9.0, playing(1, 9.0))
    cmds = talk.feed(9.1, voice(9.1), partial("no wait"))
    assert do.CancelReply(1) in cmds
    assert talk.floor.happenings[-1] == INTERRUPTED
    talk.feed(9.3, dropped(1, 2, 9.3))
    assert talk.said[-1] == ("bot", "One moment,")


def test_news_that_audio_ran_out_which_comes_after_more_was_given_is_old() -> None:
    talk = Talk(stocked=True)
    talk.takes()
    talk.hears(1, "We are")
    talk.feed(9.0, clause(1, 0, "We are"), playing(1, 9.0))
    talk = Talk(stocked=True)
    talk.takes()
    talk.feed(9.0, playing(1, 9.0))
    # The clause was given while the news was on its way: playing goes on.
    talk.feed(9.5, clause(1, 0, "We are"), starved(1, 3, 9.5))
    assert talk.floor.sounding
    assert phrases_of(talk.wait(20.0)) == []


def test_audio_that_ran_out_early_is_believed() -> None:
    # The media plane has a limit of its own, and may have taken less than it was given.
    talk = Talk(stocked=True)
    talk.takes()
    talk.feed(9.0, playing(1, 9.0), clause(1, 0, "We are"))
    talk.feed(9.5, starved(1, 3, 9.5))
    assert not talk.floor.sounding


def test_audio_that_ran_out_at_the_end_of_the_reply_is_no_news() -> None:
    talk = Talk(stocked=True)
    talk.takes()
    talk.feed(9.0, *whole(1, ANSWER), playing(1, 9.0), starved(1, 5, 10.0), starved(7, 5, 10.0))
    assert talk.floor.sounding


# --- never silent: what breaks while it is spoken --------------------------------------------------------------------


def test_a_reply_that_breaks_in_the_middle_owns_up_in_the_same_breath() -> None:
    talk = Talk(stocked=True)
    talk.asks()
    talk.wait(2.0 + ep.SETTLED_TEXT_S)
    talk.feed(3.0, clause(1, 0, "We are"), playing(1, 3.0))
    cmds = fail(talk, 3.2, "tts")
    assert acts(cmds) == [do.PlayPhrase(LEG, 1, 3), do.FinishPlayout(LEG, 1)]
    talk.feed(6.0, finished(1, 2 + len(EXCUSE.split()), 6.0))
    assert talk.said[-1] == ("bot", f"We are {EXCUSE}")


def test_a_reply_that_breaks_in_the_middle_owns_up_afterwards_without_stock() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, clause(1, 0, "We are"), playing(1, 9.0))
    assert acts(fail(talk, 9.2, "llm")) == [do.FinishPlayout(LEG, 1)]
    assert of(do.SayText, talk.feed(9.5, finished(1, 2, 9.5))) == [do.SayText(2, EXCUSE)]


def test_a_reply_that_broke_before_it_was_released_is_owned_up_to_when_it_is() -> None:
    talk = Talk(stocked=True)
    talk.asks()
    talk.feed(2.2, clause(1, 0, "We are"))
    fail(talk, 2.3)
    cmds = talk.wait(9.0)
    assert acts(cmds)[-3:] == [do.PlayClause(LEG, 1, 0), do.PlayPhrase(LEG, 1, 3), do.FinishPlayout(LEG, 1)]


def test_the_last_failure_says_farewell_in_the_same_reply_and_nothing_stops_it() -> None:
    talk = Talk(stocked=True)
    talk.floor.failures = MAX_FAILURES - 1
    talk.takes()
    talk.feed(9.0, playing(1, 9.0))
    talk.feed(9.1, ev.PlayoutPaused(LEG, 1, WORD, 9.1), voice(9.1))
    cmds = fail(talk, 9.2)
    assert acts(cmds)[:2] == [do.ArmPause(LEG, armed=False), do.ResumePlayout(LEG, WORD)]
    assert talk.floor.leaving
    talk.feed(9.2, ev.PlayoutResumed(LEG, 1, WORD, 9.2))
    cmds = talk.feed(9.3, partial("stop stop stop")) + talk.wait(12.0)
    assert of(do.DropPlayout, cmds) == []
    ended = talk.feed(12.0, finished(1, 99, 12.0))
    assert of(do.EndCall, ended) == [do.EndCall("pipeline-error-custom-llm-llm-failed")]


def test_last_words_that_were_paused_while_they_were_given_go_on() -> None:
    talk = Talk(stocked=True)
    talk.floor.failures = MAX_FAILURES - 1
    talk.takes()
    talk.feed(9.0, playing(1, 9.0))
    fail(talk, 9.2)
    # The media plane had paused before it was told that nothing stops this any more.
    cmds = talk.feed(9.2, ev.PlayoutPaused(LEG, 1, WORD, 9.2), voice(9.2))
    assert do.ResumePlayout(LEG, WORD) in cmds


def test_a_message_without_a_word_that_was_filled_is_played_to_its_end() -> None:
    talk = Talk(stocked=True)
    talk.floor.say(Message(asks=(), ends_call=True), 1.0)
    assert phrases_of(talk.wait(9.0)) == [0]
    talk.feed(9.0, playing(1, 9.0))
    assert acts(talk.feed(9.1, ev.ReplyCompleted(1, "?!", 0))) == [do.FinishPlayout(LEG, 1)]
    cmds = talk.feed(9.5, finished(1, 3, 9.5))
    assert talk.said == [("bot", FILLERS.texts[0])]
    assert of(do.EndCall, cmds)


def test_last_words_that_cannot_be_said_end_the_call_all_the_same() -> None:
    talk = Talk()
    talk.floor.say(Message("Bye now.", ends_call=True), 1.0)
    cmds = fail(talk, 2.0, "tts")
    reason = "assistant-ended-call-after-message-spoken"
    assert of(do.EndCall, cmds) == [do.EndCall(reason, "the last message could not be spoken")]


def test_last_words_that_break_half_way_end_the_call_when_they_were_said() -> None:
    talk = Talk(stocked=True)
    talk.floor.say(Message("Bye now. See you.", ends_call=True), 1.0)
    talk.feed(1.1, clause(1, 0, "Bye now."), playing(1, 1.1))
    assert acts(fail(talk, 1.2, "tts")) == [do.FinishPlayout(LEG, 1)]
    assert of(do.EndCall, talk.feed(2.0, finished(1, 2, 2.0)))


# --- never silent: whatever it was -----------------------------------------------------------------------------------


def test_a_silence_without_a_reply_is_broken_by_a_question() -> None:
    talk = Talk(stocked=True)
    assert acts(talk.floor.break_silence(5.0))[-2:] == [do.PlayPhrase(LEG, 1, 5), do.FinishPlayout(LEG, 1)]


def test_a_silence_before_a_late_reply_is_broken_by_a_filler() -> None:
    talk = Talk(stocked=True)
    talk.floor.open_with("Hello.", 0.0)
    assert phrases_of(talk.floor.break_silence(2.0)) == [0]
    # That one is on its way.
    assert phrases_of(talk.floor.break_silence(2.1)) == []


def test_a_reply_that_stands_still_for_no_reason_goes_on() -> None:
    talk = Talk(stocked=True)
    talk.takes()
    talk.feed(9.0, playing(1, 9.0), ev.PlayoutPaused(LEG, 1, WORD, 9.1))
    assert acts(talk.floor.break_silence(11.7)) == [do.ResumePlayout(LEG, WORD)]


# --- voices without words --------------------------------------------------------------------------------------------


def test_a_voice_that_brings_no_words_is_not_speech_for_ever() -> None:
    talk = Talk(stocked=True)
    talk.feed(1.0, voice(1.0))
    assert talk.floor.caller_has_floor
    cmds = talk.wait(1.0 + BABBLE_S)
    assert ("voice_ignored", "no_new_words") in decided(cmds)
    assert not talk.floor.caller_has_floor
    assert talk.floor.awaiting_since_s is not None


def test_a_voice_without_words_during_a_reply_pauses_no_other_reply() -> None:
    talk = Talk(interruptible(numWords=2))
    talk.takes()
    talk.hears()
    talk.feed(9.5, voice(9.5))
    cmds = talk.wait(9.5 + BABBLE_S)
    assert ("voice_ignored", "no_new_words") in decided(cmds)
    assert ("kept", "short_voice") in decided(cmds) or ("kept", "too_few_words") in decided(cmds)
    talk.feed(16.0, finished(1, 5, 16.0))
    armed = of(do.ArmPause, talk.floor.say(Message("News."), 17.0) + talk.feed(17.1, clause(2, 0, "News.")))
    assert [each.armed for each in armed] == [False]


def test_when_the_hum_is_over_the_reply_can_be_interrupted_again() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    talk.wait(1.0 + BABBLE_S)
    talk.floor.say(Message("News of the day."), 8.0)
    assert [a.armed for a in of(do.ArmPause, talk.feed(8.1, clause(1, 0, "News of the day.")))] == [False]
    assert [a.armed for a in of(do.ArmPause, talk.feed(8.2, silence(8.2)))] == [True]


def test_a_hum_that_is_ruled_on_stays_disarmed() -> None:
    talk = in_contest()
    talk.feed(10.1, partial("mhm"))
    cmds = talk.wait(10.1 + BABBLE_S + 1)
    assert ("kept", "acknowledgement") in decided(cmds)
    assert [a.armed for a in of(do.ArmPause, cmds)] == [False]
    assert do.ResumePlayout(LEG, WORD) in cmds


def unheard_turn(talk: Talk, now: float, *words: str, lasts_s: float = 1.0) -> list[do.Command]:
    """The caller speaks and the recogniser confirms these words, or does not answer at all."""
    talk.feed(now, voice(now))
    cmds = talk.feed(now + lasts_s, silence(now + lasts_s), *map(confirmed, words)) + talk.wait(now + 5)
    for said in of(do.SayText, cmds):
        talk.hears(said.reply_id, said.text, now=now + 5)
        cmds += talk.feed(now + 8, finished(said.reply_id, 99, now + 8))
    return cmds


def test_a_caller_whom_the_recogniser_does_not_answer_for_is_asked_again_and_then_told_goodbye() -> None:
    talk = Talk()
    cmds = [c for turn in range(MAX_UNREAD) for c in unheard_turn(talk, 10.0 * turn + 1)]
    assert [c.text for c in of(do.SayText, cmds)] == [*[REPROMPT] * (MAX_UNREAD - 1), FAREWELL]
    assert of(do.EndCall, cmds) == [do.EndCall(DEAF)]


def test_a_caller_who_says_nothing_that_is_a_word_is_not_asked_for_ever() -> None:
    talk = Talk()
    cmds = [c for turn in range(9) for c in unheard_turn(talk, 10.0 * turn + 1, "", lasts_s=2.0)]
    assert [c.text for c in of(do.SayText, cmds)] == [*[REPROMPT] * MAX_REPROMPTS, NOBODY_THERE]
    assert of(do.EndCall, cmds) == [do.EndCall("silence-timed-out")]


@pytest.mark.parametrize(
    ("lasts_s", "after_s"),
    [(MURMUR_S - 0.1, None), (MURMUR_S + 0.1, REPROMPT_AFTER_S), (WORDLESS_VOICE_S + 0.1, 1.0)],
)
def test_how_long_a_voice_was_says_when_it_is_asked_about(lasts_s: float, after_s: float | None) -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    talk.feed(1.0 + lasts_s, silence(1.0 + lasts_s), confirmed(""))
    asked = None
    while asked is None and (due_s := talk.floor.deadline) is not None and due_s < 20:
        asked = due_s if of(do.SayText, talk.floor.wake(due_s)) else None
    assert asked == (None if after_s is None else pytest.approx(1.0 + lasts_s + after_s))


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_caller_who_says_more_after_a_murmur_is_not_asked(*, goes_on: bool) -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    talk.feed(1.5, silence(1.5), confirmed(""))
    cmds = talk.wait(3.0)
    if goes_on:
        talk.feed(3.0, voice(3.0))
    else:
        talk.floor.say(Message("News."), 3.0)
    assert do.SayText(1, REPROMPT) not in cmds + talk.wait(6.0)


def test_the_farewell_to_a_caller_whom_nobody_heard_is_due_to_be_said_in_time() -> None:
    talk = Talk(stocked=True)
    assert talk.floor.take_leave(FAREWELL, DEAF, 9.0)
    assert (talk.floor.leaving, talk.floor.leave_reason) == (True, DEAF)
    assert talk.floor.leave_by_s == 9.0 + LEAVE_TIMEOUT_S


def test_an_interruption_without_words_is_asked_about() -> None:
    talk = in_contest()
    talk.feed(11.0, silence(11.0))
    assert ("yielded", "unread_voice") in decided(talk.wait(11.0 + bi.UNREAD_LIMIT_S))
    talk.feed(11.7, dropped(1, 1, 11.7))
    assert of(do.SayText, talk.feed(11.8, confirmed("")) + talk.wait(20.0)) == [do.SayText(2, REPROMPT)]


def test_a_recogniser_that_breaks_leaves_what_it_had_heard() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0), partial("tell me about your"))
    assert talk.floor.recogniser_broke() == []
    talk.feed(2.0, partial("opening hours"))
    assert talk.floor.caller.text == QUESTION


# --- words after the turn was taken ----------------------------------------------------------------------------------


def test_words_that_come_after_the_turn_was_taken_belong_to_what_is_answered() -> None:
    talk = Talk()
    talk.takes()
    more = QUESTION + " on sunday"
    cmds = talk.feed(9.1, confirmed(more)) + talk.wait(20.0)
    assert ("turn_given_back", "words_added") in decided(cmds)
    assert [r.messages[-1]["content"] for r in of(do.StartReply, cmds)] == [more]
    assert len([d for d in decided(cmds) if d[0] == "turn_taken"]) == 1


def test_words_that_change_again_and_again_do_not_hold_the_answer_up_for_ever() -> None:
    talk = Talk()
    talk.takes()
    back = 0
    for number in range(MAX_REVISIONS + 2):
        cmds = talk.feed(9.1, confirmed(QUESTION + " now" * (number + 1))) + talk.wait(9.1)
        back += decided(cmds).count(("turn_given_back", "words_added"))
    assert back == MAX_REVISIONS


@pytest.mark.parametrize("given", [True, False])
def test_words_that_come_when_it_is_too_late_or_say_nothing_new_change_nothing(*, given: bool) -> None:
    talk = Talk()
    talk.takes()
    if given:
        talk.feed(9.0, *whole(1, ANSWER))
    cmds = talk.feed(9.1, partial(QUESTION + (" sunday" if given else "?")))
    assert decided(cmds) == []


def test_words_that_come_while_a_message_is_said_instead_change_nothing() -> None:
    talk = Talk()
    talk.takes()
    talk.floor.say(Message("News."), 9.0, interrupt=True)
    assert decided(talk.feed(9.1, partial(QUESTION + " sunday"))) == []


# --- the last words --------------------------------------------------------------------------------------------------


def test_taking_leave_takes_the_place_of_everything_else() -> None:
    talk = Talk(stocked=True)
    talk.takes()
    talk.floor.say(Message("News."), 9.0)
    talk.feed(9.0, playing(1, 9.0))
    cmds = talk.floor.take_leave(FAREWELL, "exceeded-max-duration", 9.5)
    assert do.DropPlayout(LEG) in cmds
    cmds = talk.feed(9.6, dropped(1, 1, 9.6))
    assert acts(cmds) == [
        do.ArmPause(LEG, armed=False, voice_s=AssistantSettings().stop.pause_after_voice_s),
        do.PlayPhrase(LEG, 2, 4),
        do.FinishPlayout(LEG, 2),
    ]
    assert talk.floor.take_leave(FAREWELL, "silence-timed-out", 9.7) == []
    assert decided(talk.floor.say(Message("More."), 9.7)) == [("message_refused", "call_ending")]
    assert of(do.EndCall, talk.feed(12.0, finished(2, 99, 12.0))) == [do.EndCall("exceeded-max-duration")]


def test_taking_leave_of_a_caller_who_waits_is_said_at_once() -> None:
    talk = Talk()
    assert acts(talk.floor.take_leave("Bye.", "silence-timed-out", 9.0)) == [do.SayText(1, "Bye.")]


def test_the_last_words_are_not_interrupted_and_the_callers_turn_is_not_taken() -> None:
    talk = Talk(stocked=True)
    talk.floor.take_leave(FAREWELL, "silence-timed-out", 9.0)
    talk.feed(9.1, playing(1, 9.1), voice(9.2), partial("no wait I am here"))
    cmds = talk.feed(10.0, silence(10.0), confirmed("no wait I am here")) + talk.wait(20.0)
    assert not {type(c) for c in acts(cmds)} & {do.DropPlayout, do.StartReply, do.PlayClause}
    # Whatever the caller says now, it is the agent who is expected to speak.
    assert not talk.floor.caller_has_floor


def test_last_words_that_are_long_are_said_to_their_end() -> None:
    talk = Talk()
    talk.floor.take_leave("word " * 99, "exceeded-max-duration", 9.0)
    talk.feed(10.0, *whole(1, "word " * 99), playing(1, 10.0))
    talk.feed(18.0, ev.PlayoutAdvanced(LEG, 1, 80 * WORD, 18.0))
    assert talk.floor.leave_by_s == 18.0 + LEAVE_TIMEOUT_S


def test_messages_without_end_are_refused() -> None:
    talk = Talk()
    talk.takes()
    for _ in range(MAX_QUEUED):
        assert talk.floor.say(Message("News."), 9.0) == []
    assert decided(talk.floor.say(Message("News."), 9.0)) == [("message_refused", "too_many")]


# --- messages of the model's own making ------------------------------------------------------------------------------


def test_a_message_may_be_what_the_model_makes_of_the_conversation() -> None:
    talk = Talk()
    talk.history.user_said("hello", 0.0, 1.0)
    asked = {"role": "system", "content": "Ask."}
    [command] = acts(talk.floor.say(Message(asks=(asked,)), 2.0))
    assert command == do.StartReply(1, 1, ({"role": "user", "content": "hello"}, asked))
    talk.hears(1, "Are you well?", now=3.0)
    talk.feed(4.0, finished(1, 3, 4.0))
    assert talk.said[-1] == ("bot", "Are you well?")


def test_a_note_in_the_callers_turn_is_answered_with_it() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0), partial(QUESTION))
    assert acts(talk.floor.answer_note(1.5)) == []
    talk.asks(from_s=2.0, until_s=3.0)
    talk.wait(9.0)
    talk.hears()
    assert of(do.StartReply, talk.feed(10.0, finished(1, 5, 10.0))) == []


def test_a_note_that_comes_after_the_answer_was_begun_has_one_of_its_own() -> None:
    talk = Talk()
    talk.asks()
    assert acts(talk.floor.answer_note(2.3)) == []
    talk.wait(9.0)
    talk.hears()
    assert len(of(do.StartReply, talk.feed(10.0, finished(1, 5, 10.0)))) == 1


def test_a_note_in_a_turn_that_comes_to_nothing_is_answered_all_the_same() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    assert acts(talk.floor.answer_note(1.1)) == []
    talk.feed(1.2, silence(1.2), confirmed(""))
    assert len(of(do.StartReply, talk.wait(9.0))) == 1


def test_a_message_that_may_not_be_interrupted_is_not() -> None:
    talk = Talk()
    talk.floor.say(Message("Listen to this.", interruptible=False), 1.0)
    assert [a.armed for a in of(do.ArmPause, talk.feed(1.1, *whole(1, "Listen to this.")))] == [False]
    cmds = talk.feed(1.2, playing(1, 1.2), voice(1.3), partial("stop stop stop")) + talk.wait(3.0)
    assert of(do.DropPlayout, cmds) == []


def test_a_message_in_stock_is_played_at_once() -> None:
    talk = Talk(stocked=True)
    cmds = talk.floor.say(Message(REPROMPT), 1.0)
    assert acts(cmds)[-2:] == [do.PlayPhrase(LEG, 1, 5), do.FinishPlayout(LEG, 1)]


def test_the_callers_silence_counts_from_the_last_sample_and_not_from_the_news_of_it() -> None:
    talk = Talk(stocked=True)
    talk.floor.connected(0.5)
    talk.floor.say(Message(REPROMPT), 1.0)
    talk.feed(4.3, playing(1, 1.0), finished(1, 99, 4.0))
    assert talk.floor.awaiting_since_s == 4.0


def test_a_prompt_to_a_silent_caller_does_not_keep_the_call_alive() -> None:
    talk = Talk(stocked=True)
    talk.floor.connected(0.5)
    talk.floor.say(Message(REPROMPT, prompt=True), 1.0)
    talk.feed(1.0, playing(1, 1.0), finished(1, 99, 4.0))
    assert talk.floor.last_sound_s == 0.5
    assert talk.floor.awaiting_since_s == 1.0


# --- what others go by -----------------------------------------------------------------------------------------------


def test_whose_floor_it_is_while_a_message_is_being_made() -> None:
    # The caller's turn cannot be taken before it: the silence is not theirs.
    talk = Talk(stocked=True)
    talk.floor.open_with("Hello.", 0.0)
    talk.feed(0.5, voice(0.5), partial("hello"))
    assert talk.floor.caller_has_floor
    talk.feed(1.0, silence(1.0))
    assert not talk.floor.caller_has_floor


def test_whose_floor_it_is_during_a_turn() -> None:
    talk = Talk()
    assert not talk.floor.caller_has_floor
    talk.asks()
    assert talk.floor.caller_has_floor
    talk.wait(9.0)
    assert not talk.floor.caller_has_floor
    talk.hears()
    talk.feed(10.0, voice(10.0))
    assert talk.floor.caller_has_floor


def test_who_was_talked_over_is_told_to_the_hooks() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, *whole(1, ANSWER))
    talk.feed(9.1, voice(9.04), playing(1, 9.05))
    assert talk.floor.happenings == [TALKED_OVER, INTERRUPTED]


# --- the customer's rules and model ------------------------------------------------------------------------------


def test_the_customers_rules_are_asked_and_their_wait_is_on_record() -> None:
    rule = {"type": "customer", "regex": "hours", "timeoutSeconds": 3}
    talk = Talk({"startSpeakingPlan": {"customEndpointingRules": [rule]}})
    talk.history.assistant_heard("Hello there.", 0.0, 0.5, cut=False)
    talk.feed(1.0, voice(1.0))
    talk.feed(1.5, partial(QUESTION))
    [asked] = of(do.MatchRules, talk.feed(2.0, silence(2.0)))
    assert asked == do.MatchRules(1, 1, QUESTION, "Hello there.")
    cmds = talk.floor.rules_matched(ev.RulesMatched(1, 1, 3.0, 0), 2.01)
    assert decided(cmds) == [("rule_matched", "custom_rule")]
    assert talk.floor.rules_matched(ev.RulesMatched(1, 1, 3.0, 0), 2.02) == []
    talk.feed(2.2, confirmed(QUESTION))
    assert talk.floor.deadline is not None
    assert ("turn_taken", "custom_rule") in decided(ring(talk.floor, 5.1))


@pytest.mark.parametrize(
    ("wait_s", "problem", "decision", "reason"),
    [
        (0.9, "", ("endpointing_model_answered", "asked"), "endpointing_model"),
        (None, "deadline", ("endpointing_model_failed", "deadline"), "settled_text"),
    ],
)
def test_the_customers_model_is_asked_and_its_answer_or_failure_is_on_record(
    wait_s: float | None, problem: str, decision: tuple[str, str], reason: str
) -> None:
    talk = Talk({"startSpeakingPlan": {"smartEndpointingPlan": {"provider": "custom-endpointing-model"}}})
    talk.feed(1.0, voice(1.0))
    talk.feed(1.5, partial(QUESTION))
    talk.feed(2.0, silence(2.0))
    [asked] = of(do.AskEndpointing, talk.feed(2.2, confirmed(QUESTION)))
    assert asked == do.AskEndpointing(1, 1, QUESTION, 1.0, 2.0, 1.0)
    cmds = talk.floor.endpointing_answered(ev.EndpointingAnswered(1, 1, wait_s, problem), 2.3)
    assert decision in decided(cmds)
    assert talk.floor.endpointing_answered(ev.EndpointingAnswered(1, 1, 9.0), 2.31) == []
    assert ("turn_taken", reason) in decided(ring(talk.floor, 5.0))


def test_the_model_is_shown_a_turn_that_no_voice_was_found_for() -> None:
    talk = Talk({"startSpeakingPlan": {"smartEndpointingPlan": {"provider": "custom-endpointing-model"}}})
    talk.feed(2.0, final(QUESTION))
    cmds = talk.feed(2.1, confirmed(""))
    [asked] = of(do.AskEndpointing, cmds)
    assert (asked.from_s, asked.to_s) == (2.0, 2.0)


def test_the_silence_of_a_reply_counts_from_where_it_fell_silent_first() -> None:
    talk = Talk()
    talk.takes()
    talk.feed(9.0, clause(1, 0, "We are"))
    talk.feed(9.0, playing(1, 9.0))
    talk.feed(9.2, ev.PlayoutStarved(LEG, 1, 2 * WORD, 9.2))
    talk.feed(9.5, ev.PlayoutPaused(LEG, 1, 2 * WORD, 9.5), voice(9.5))
    reply = talk.floor.reply
    assert reply is not None
    assert reply.quiet_from_s == 9.2
    talk.feed(9.6, ev.PlayoutResumed(LEG, 1, 2 * WORD, 9.6))
    assert reply.quiet_from_s == 9.2
    talk.feed(9.7, clause(1, 1, "open."), ev.PlayoutResumed(LEG, 1, 2 * WORD, 9.7))
    assert reply.quiet_from_s is None


def test_hunger_that_is_told_again_puts_nothing_off() -> None:
    talk = Talk({"fillerPlan": {}})
    talk.floor.phrase_prepared(ev.PhrasePrepared(0, "One moment, please.", WORD))
    talk.takes()
    talk.feed(9.0, clause(1, 0, "We are"), playing(1, 9.0), ev.PlayoutStarved(LEG, 1, 2 * WORD, 9.2))
    due_s = talk.floor.deadline
    talk.feed(10.0, ev.PlayoutResumed(LEG, 1, 2 * WORD, 10.0), ev.PlayoutStarved(LEG, 1, 2 * WORD, 10.0))
    assert talk.floor.deadline == due_s == 11.6
    assert decided(talk.wait(11.6)) == [("filler_said", "no_audio")]


def test_a_murmur_behind_a_message_without_words_is_asked_about() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    talk.floor.say(Message(asks=()), 1.1)
    cmds = talk.feed(3.0, silence(3.0)) + talk.wait(6.0)
    assert [c.reply_id for c in of(do.StartReply, cmds)] == [1]
    cmds = talk.feed(6.1, ev.ReplyCompleted(1, "", 0))
    assert [c.text for c in of(do.SayText, cmds)] == [REPROMPT]


# --- a voice that fades, and clients that want little --------------------------------------------------------------------


def test_the_words_are_asked_for_before_the_voice_has_ended_for_certain() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0), partial(QUESTION))
    assert talk.feed(2.1, ev.VoiceFaded(LEG, 2.1)) == [do.FinalizeTranscript(LEG)]
    assert talk.feed(2.15, ev.VoiceFaded(LEG, 2.15)) == []
    talk.feed(2.2, confirmed(QUESTION))
    assert len(of(do.StartReply, talk.feed(2.25, silence(2.0)))) == 1


def test_a_contest_asks_for_words_by_itself() -> None:
    talk = Talk()
    talk.takes()
    talk.hears()
    talk.feed(5.0, voice(5.0))
    assert talk.feed(5.3, ev.VoiceFaded(LEG, 5.3)) == []


def test_nothing_is_made_of_the_history_or_of_progress_for_a_client_that_wants_neither() -> None:
    talk = Talk({"clientMessages": ["speech-update"]})
    talk.takes()
    talk.hears()
    assert talk.feed(9.5, ev.PlayoutAdvanced(LEG, 1, 2 * WORD, 9.5)) == []
    assert talk.said[-1] == ("user", QUESTION)
    # Nobody gets it, so nothing is in it.
    assert told("conversation-update", talk.feed(9.8, finished(1, 5, 9.8))) == [{}]
    assert talk.said[-1] == ("bot", ANSWER)


def test_what_the_model_was_given_and_wrote_is_told_once_it_is_sure_to_be_heard() -> None:
    talk = Talk()
    early = talk.asks()
    reply_id = of(do.StartReply, early)[0].reply_id
    # Begun early: it may still be thrown away.
    assert told("model-output", talk.feed(2.15, ev.ReplyTextReceived(reply_id, "We are "))) == []
    released = talk.wait(4.0)
    assert told("model-output", released) == [{"output": "We are ", "turnId": "1"}]
    assert told("model-output", talk.feed(4.05, ev.ReplyTextReceived(reply_id, "open. "))) == []
    more = talk.feed(4.1, *whole(reply_id, ANSWER))
    assert told("model-output", more) == [{"output": f"open. {ANSWER}", "turnId": "1"}]
    assert told("voice-input", talk.feed(4.2, playing(reply_id, 4.2))) == [{"input": QUESTION}]


def test_what_the_model_writes_is_told_to_nobody_who_does_not_ask() -> None:
    talk = Talk({"clientMessages": []})
    reply_id = of(do.StartReply, talk.asks())[0].reply_id
    talk.feed(2.15, ev.ReplyTextReceived(reply_id, "We are open."))
    assert told("model-output", talk.wait(4.0)) == []


# --- keys and tools --------------------------------------------------------------------------------------------

CALLS: tuple[ev.ToolCall, ...] = (ev.ToolCall("c1", "endCall", "{}"),)
NO_CALLS: tuple[ev.ToolCall, ...] = ()


def asked(talk: Talk) -> int:
    """The caller asks, and the reply to it is being made."""
    talk.asks()
    talk.wait(4.0)
    assert talk.floor.reply is not None
    assert talk.floor.reply.released
    return talk.floor.reply.reply_id


def spoken(talk: Talk) -> int:
    """The caller asks and the answer is playing."""
    reply_id = asked(talk)
    talk.feed(4.0, *whole(reply_id, ANSWER), playing(reply_id, 4.1))
    return reply_id


def test_a_key_takes_the_floor_at_once() -> None:
    talk = Talk()
    reply_id = spoken(talk)
    cmds = talk.floor.key_pressed(4.5)
    assert do.DropPlayout(LEG) in cmds
    assert told("user-interrupted", cmds)[0]["reason"] == "key_pressed"
    assert talk.floor.caller_has_floor
    # The next one finds it dropped already.
    assert not of(do.DropPlayout, talk.floor.key_pressed(4.6))
    talk.feed(4.7, dropped(reply_id, 2, 4.6))
    cmds = talk.floor.entered("Entry: 12", 5.0)
    assert of(do.StartReply, cmds)[0].messages[-1] == {"role": "user", "content": "Entry: 12"}


def test_a_key_does_not_stop_what_nothing_stops() -> None:
    talk = Talk({"firstMessage": "Hello there.", "firstMessageInterruptionsEnabled": False})
    talk.floor.open_with("Hello there.", 0.0)
    talk.feed(0.0, *whole(1, "Hello there."), playing(1, 0.1))
    assert not of(do.DropPlayout, talk.floor.key_pressed(0.3))
    assert not of(do.StartReply, talk.floor.entered("Entry: 1", 0.5))
    assert of(do.StartReply, talk.feed(1.0, finished(1, 2, 1.0)))


def test_a_key_before_the_first_frame_gives_the_turn_back() -> None:
    talk = Talk()
    reply_id = asked(talk)
    assert ("turn_given_back", "key_pressed") in decided(talk.floor.key_pressed(4.1))
    assert not of(do.PlayClause, talk.feed(4.2, *whole(reply_id, ANSWER)))
    cmds = talk.floor.entered("Entry: 1", 4.5)
    said = of(do.StartReply, cmds)[0].messages[-1]["content"]
    assert said == f"{QUESTION} Entry: 1"


def test_keys_that_are_pressed_when_the_reply_begins_go_first() -> None:
    talk = Talk()
    reply_id = asked(talk)
    talk.feed(4.0, *whole(reply_id, ANSWER))
    talk.floor.key_pressed(4.01)
    cmds = talk.feed(4.02, playing(reply_id, 4.0))
    assert do.DropPlayout(LEG) in cmds
    assert talk.floor.caller.keying


def test_no_reply_is_begun_early_while_keys_are_pressed() -> None:
    talk = Talk()
    talk.floor.key_pressed(0.9)
    assert not of(do.StartReply, talk.asks() + talk.wait(9.0))
    assert of(do.StartReply, talk.floor.entered("Entry: 1", 9.5))


def test_what_was_entered_is_a_message_of_its_own() -> None:
    talk = Talk()
    talk.asks()
    talk.floor.key_pressed(2.2)
    talk.floor.entered("Entry: 1", 3.0)
    assert talk.floor.reply is not None
    reply_id = talk.floor.reply.reply_id
    cmds = talk.feed(3.5, *whole(reply_id, ANSWER), playing(reply_id, 3.5))
    users = [c.message["message"] for c in of(do.RecordMessage, cmds)]
    assert users == [QUESTION, "Entry: 1"]


def test_an_entry_that_nobody_answered_is_on_record() -> None:
    talk = Talk()
    talk.floor.key_pressed(1.0)
    talk.floor.entered("Entry: 1", 1.0)
    talk.floor.reply = None
    (recorded,) = of(do.RecordMessage, talk.floor.settle(2.0))
    assert recorded.message["message"] == "Entry: 1"


def complete(
    talk: Talk, reply_id: int, text: str = "", *, calls: tuple[ev.ToolCall, ...] = CALLS
) -> list[do.Command]:
    """The reply comes to its end, and wants tools run."""
    events = whole(reply_id, text) if text else [ev.ReplyCompleted(reply_id, "", 0)]
    cmds = talk.feed(4.0, *events[:-1])
    cmds += talk.floor.calls_received(ev.ToolCallsReceived(reply_id, calls))
    return cmds + talk.feed(4.0, events[-1])


def test_a_reply_without_words_takes_the_turn_and_its_tools_are_due() -> None:
    talk = Talk()
    cmds = complete(talk, asked(talk))
    assert [c.message["message"] for c in of(do.RecordMessage, cmds)] == [QUESTION]
    assert not of(do.RecordTurn, cmds)
    floor = talk.floor
    assert (floor.calls, floor.spoke, floor.acting, floor.reply) == (CALLS, False, True, None)
    assert (floor.awaiting_since_s, floor.deadline) == (None, None)


def test_a_greeting_of_the_models_may_be_nothing_but_tools() -> None:
    talk = Talk()
    talk.floor.open_by_model(0.0)
    assert not of(do.RecordMessage, complete(talk, 1))
    assert (talk.floor.calls, talk.floor.acting) == (CALLS, True)


def test_a_guess_acts_only_when_the_turn_is_taken() -> None:
    talk = Talk()
    talk.asks()
    assert talk.floor.reply is not None
    assert not talk.floor.reply.released
    complete(talk, talk.floor.reply.reply_id)
    assert talk.floor.calls == NO_CALLS
    cmds = talk.wait(9.0)
    assert of(do.ReleaseReply, cmds)
    assert talk.floor.calls == CALLS


def test_a_guess_that_proves_wrong_runs_nothing() -> None:
    talk = Talk()
    talk.asks()
    assert talk.floor.reply is not None
    complete(talk, talk.floor.reply.reply_id)
    talk.feed(2.3, voice(2.3), partial(f"{QUESTION} and where you are"), silence(3.0))
    talk.feed(3.1, confirmed(f"{QUESTION} and where you are"))
    talk.wait(9.0)
    assert talk.floor.calls == NO_CALLS


def test_tools_are_due_when_the_words_before_them_were_heard() -> None:
    talk = Talk()
    reply_id = asked(talk)
    complete(talk, reply_id, "Goodbye then.")
    talk.feed(4.1, playing(reply_id, 4.1), ev.ReplyTextReceived(reply_id, "late"))
    assert talk.floor.calls == NO_CALLS
    talk.feed(5.0, finished(reply_id, 2, 5.0))
    assert (talk.floor.calls, talk.floor.spoke) == (CALLS, True)


def test_whoever_is_interrupted_has_not_done_it() -> None:
    talk = Talk()
    reply_id = asked(talk)
    complete(talk, reply_id, "Goodbye then.")
    talk.feed(4.1, playing(reply_id, 4.1))
    talk.floor.key_pressed(4.3)
    cmds = talk.feed(4.4, dropped(reply_id, 1, 4.4))
    assert ("tools_dropped", "interrupted") in decided(cmds)
    assert (talk.floor.calls, talk.floor.acting) == (NO_CALLS, False)


def test_the_tools_of_a_reply_that_broke_are_not_run() -> None:
    talk = Talk(stocked=True)
    reply_id = asked(talk)
    talk.floor.calls_received(ev.ToolCallsReceived(reply_id, CALLS))
    talk.feed(
        4.0, ev.ReplyFailed(reply_id, "llm", "failed"), playing(reply_id, 4.1), finished(reply_id, 9, 6.0)
    )
    assert talk.floor.calls == NO_CALLS
    # And calls of a reply that is gone are nobody's.
    assert talk.floor.calls_received(ev.ToolCallsReceived(reply_id, CALLS)) == []


def test_words_without_audio_beside_tools_are_the_voices_failure() -> None:
    talk = Talk(stocked=True)
    reply_id = asked(talk)
    talk.floor.calls_received(ev.ToolCallsReceived(reply_id, CALLS))
    cmds = talk.feed(4.0, ev.ReplyCompleted(reply_id, "Goodbye.", 0))
    assert ("reply_failed", "empty_reply") in decided(cmds)


def test_a_filler_before_tools_is_no_word_of_the_models() -> None:
    talk = Talk(stocked=True)
    reply_id = asked(talk)
    talk.wait(9.0)
    complete(talk, reply_id)
    assert talk.floor.calls == NO_CALLS
    talk.feed(9.0, playing(reply_id, 8.0), finished(reply_id, 3, 9.0))
    assert (talk.floor.calls, talk.floor.spoke) == (CALLS, False)


def test_nobody_takes_a_turn_while_tools_are_run() -> None:
    talk = Talk()
    complete(talk, asked(talk))
    talk.asks("are you there", from_s=6.0, until_s=7.0)
    assert not of(do.StartReply, talk.wait(20.0))
    assert talk.floor.say(Message("News."), 20.0) == []
    # The turn that waits has the tools' results in it, and needs no answer beside its own.
    cmds = talk.floor.acted(21.0, answer=True)
    assert of(do.SayText, cmds) == []
    (asked_for,) = of(do.StartReply, cmds)
    assert asked_for.messages[-1]["content"].endswith("are you there")


def test_after_tools_the_model_goes_on_or_the_caller_is_waited_for() -> None:
    talk = Talk()
    complete(talk, asked(talk))
    assert talk.floor.acted(30.0) == []
    assert talk.floor.awaiting_since_s == 30.0
    talk.floor.acting = True
    assert of(do.StartReply, talk.floor.acted(31.0, answer=True))


def test_what_is_said_before_a_tool_is_stopped_by_nothing() -> None:
    talk = Talk()
    assert talk.floor.announce("One moment.", 1.0) == [do.SayText(1, "One moment.")]
    assert talk.floor.reply is not None
    assert not talk.floor.reply.interruptible


def test_the_silence_that_a_reply_begins_with_belongs_to_its_latency_at_the_wire() -> None:
    talk = Talk()
    reply_id = asked(talk)
    cmds = talk.feed(4.0, *whole(reply_id, ANSWER), ev.PlayoutStarted(LEG, reply_id, 4.0, 0.12))
    (turn,) = of(do.RecordTurn, cmds)
    assert turn.wire_ms == pytest.approx(turn.latency_ms + 120)


# --- from outside --------------------------------------------------------------------------------------------------


def test_a_muted_agent_is_silent_keeps_what_is_said_and_answers_it_when_it_may() -> None:
    talk = Talk()
    assert talk.floor.mute(0.5) == []
    assert talk.floor.mute(0.5) == []
    assert talk.floor.announce("One moment.", 0.6) == []
    assert decided(talk.floor.say(Message("Hello?"), 0.7)) == [("message_refused", "muted")]
    cmds = talk.asks() + talk.wait(5.0)
    assert not of(do.StartReply, cmds)
    assert ("turn_noted", "muted") in decided(cmds)
    assert [m["message"] for m in talk.history.messages] == [QUESTION]
    assert talk.floor.awaiting_since_s is None
    assert talk.floor.unmute(6.0) == []
    assert talk.floor.awaiting_since_s == 6.0
    assert of(do.StartReply, talk.asks(from_s=7.0, until_s=8.0))


def test_a_muted_agent_forgets_a_voice_without_words() -> None:
    talk = Talk()
    talk.floor.mute(0.5)
    talk.feed(1.0, voice(1.0))
    cmds = talk.feed(2.0, silence(2.0)) + talk.feed(2.1, confirmed("")) + talk.wait(6.0)
    assert [name for name, _ in decided(cmds)] == ["turn_dropped"]


def test_what_a_muted_agent_was_saying_ends_and_what_it_was_making_is_thrown_away() -> None:
    talk = Talk()
    talk.asks()
    assert ("reply_discarded", "muted") in decided(talk.floor.mute(2.2))
    talk = Talk()
    talk.floor.open_with("Hello there.", 0.0)
    talk.feed(0.1, *whole(1, "Hello there."), playing(1, 0.1))
    assert do.DropPlayout(LEG) in talk.floor.mute(0.2)
    talk.feed(0.3, dropped(1, 1, 0.3))
    assert [m["message"] for m in talk.history.messages] == ["Hello"]


def test_nothing_is_heard_of_a_caller_who_is_muted_and_nothing_is_stopped_by_them() -> None:
    talk = Talk({"firstMessageInterruptionsEnabled": True})
    talk.floor.open_with("Hello there.", 0.0)
    talk.feed(0.1, *whole(1, "Hello there."), playing(1, 0.1))
    (armed,) = of(do.ArmPause, talk.floor.deafen(0.2))
    assert armed.armed is False
    assert talk.floor.deafen(0.2) == []
    assert talk.feed(0.3, ev.PlayoutPaused(LEG, 1, 400, 0.3)) == [do.ResumePlayout(LEG, 400)]
    talk.feed(1.0, finished(1, 2, 1.0))
    assert talk.floor.awaiting_since_s is None
    assert talk.floor.undeafen(3.0) == [do.CommitTranscript(LEG)]
    assert talk.floor.undeafen(3.0) == []
    assert talk.floor.awaiting_since_s == 3.0


def test_a_caller_who_is_muted_has_said_what_they_said() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0), partial(QUESTION))
    assert of(do.StartReply, talk.floor.deafen(2.0) + talk.wait(6.0))


def test_whoever_has_a_tool_run_from_outside_ends_what_is_being_said() -> None:
    talk = Talk()
    talk.floor.open_with("Hello there.", 0.0)
    talk.feed(0.1, *whole(1, "Hello there."), playing(1, 0.1))
    assert do.DropPlayout(LEG) in talk.floor.act_for("transfer")
    assert talk.floor.acting


# --- another assistant -----------------------------------------------------------------------------------------------


def test_while_something_is_done_for_the_caller_a_silence_is_filled_with_patience() -> None:
    talk = Talk({"fillerPlan": {"messages": ["Bear with me."]}})
    talk.floor.acting = True
    assert of(do.SayText, talk.floor.break_silence(5.0))[0].text == "Bear with me."
    none = Talk()
    none.floor.acting = True
    assert of(do.SayText, none.floor.break_silence(5.0))[0].text == REPROMPT


@pytest.mark.parametrize(
    ("assistant", "said", "asked"),
    [
        ({"firstMessage": "Hello."}, ["Hello."], 0),
        ({"firstMessage": ""}, [], 1),
        ({"firstMessage": "Hello.", "firstMessageMode": "assistant-waits-for-user"}, [], 0),
        (
            {
                "firstMessage": "Hello.",
                "firstMessageMode": "assistant-speaks-first-with-model-generated-message",
            },
            [],
            1,
        ),
    ],
)
def test_how_an_assistant_who_takes_over_begins(
    assistant: dict[str, Any], said: list[str], asked: int
) -> None:
    talk = Talk()
    settings = read_settings(assistant)
    talk.floor.adopt(settings, Stock(()))
    cmds = talk.floor.greet_again(2.0)
    assert [each.text for each in of(do.SayText, cmds)] == said
    assert len(of(do.StartReply, cmds)) == asked


def test_a_greeting_is_left_out_when_the_callers_turn_is_answered_first() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    talk.floor.adopt(read_settings({"firstMessage": "Hello."}), Stock(()))
    assert talk.floor.greet_again(1.1) == []
    talk.feed(1.5, silence(1.5), confirmed(QUESTION))
    talk.wait(6.0)
    assert talk.floor.reply is not None
    reply_id = talk.floor.reply.reply_id
    talk.hears(reply_id, ANSWER)
    talk.feed(11.0, finished(reply_id, 5, 11.0))
    assert [text for _, text in talk.said] == [QUESTION, ANSWER]
    assert not talk.floor.queued


# --- what tools go by ------------------------------------------------------------------------------------------------


def wanting(talk: Talk, asked: tuple[ev.ToolCall, ...]) -> ev.ToolCall:
    """The agent says something and wants a tool run; asked: those that were asked while it is said."""
    called = ev.ToolCall("t1", "look", "{}")
    talk.floor.open_with("One two.", 0.0)
    talk.feed(0.1, clause(1, 0, "One two."))
    talk.floor.calls_received(ev.ToolCallsReceived(1, (called,)))
    assert not talk.floor.stands
    talk.feed(0.2, ev.ReplyCompleted(1, "One two.", 1), playing(1, 0.2))
    assert talk.floor.reply is not None
    talk.floor.reply.asked = asked
    return called


def test_a_reply_stands_while_it_is_heard_whole_and_nobody_contests_it() -> None:
    talk = Talk()
    assert not talk.floor.stands
    wanting(talk, ())
    assert talk.floor.stands
    talk.feed(0.3, ev.PlayoutPaused(LEG, 1, 400, 0.3))
    assert talk.floor.reply is not None
    talk.floor.reply.paused_at = 400
    assert not talk.floor.stands


def test_when_there_was_last_anything_to_be_heard_and_whether_the_caller_speaks() -> None:
    talk = Talk()
    talk.feed(1.0, voice(1.0))
    assert talk.floor.spoken_to
    talk.feed(2.0, silence(2.0))
    assert (talk.floor.spoken_to, talk.floor.heard_until_s) == (False, 2.0)


@pytest.mark.parametrize("asked", [True, False])
def test_who_is_interrupted_has_not_done_it_but_what_was_asked_is_waited_for(asked: bool) -> None:
    talk = Talk()
    called = ev.ToolCall("t1", "look", "{}")
    wanting(talk, (called,) if asked else ())
    talk.floor.act_for("test")
    talk.floor.acting = False
    cmds = talk.feed(0.5, dropped(1, 1, 0.5))
    assert talk.floor.calls == ((called,) if asked else ())
    assert (("tools_dropped", "interrupted") in decided(cmds)) is (not asked)
