"""The caller's turn: its words, its pauses, what it wants to know, when it is over."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import EndpointingRule, Pattern, StartSpeaking
from aywa.core.turns import endpointing as ep
from aywa.core.turns.caller import (
    BABBLE_S,
    ECHO_S,
    FADES_APART_S,
    KEYPAD,
    LEAST_WORD_S,
    ORPHAN_WORDS,
    PROBE_AFTER_S,
    PROMPT_LAG_S,
    RULES_LIMIT_S,
    SCORE_AFTER_S,
    SCORE_LATEST_S,
    Ask,
    CallerState,
    CallerTurn,
)
from aywa.core.turns.wait_function import read_wait_function
from tests.core.feed import confirmed, examples, final, partial

SETTINGS = StartSpeaking()
TEXT = "I would like to book a table"


def paused(text: str = TEXT, *, at_s: float = 2.0) -> CallerTurn:
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    turn.heard(partial(text), 1.5)
    turn.voice_stopped(at_s)
    return turn


def test_nothing_is_asked_and_nothing_is_over_while_there_is_no_turn() -> None:
    turn = CallerTurn(SETTINGS)
    turn.voice_stopped(1.0)
    turn.scored(0.9, 1)
    turn.heard(partial("hello"), 1.0)
    assert turn.state is CallerState.SILENT
    assert (turn.text, turn.score, turn.ask_deadline, turn.over_deadline) == ("", None, None, None)
    assert turn.wake(100.0) == []
    assert turn.over(100.0) is None


def test_nothing_is_over_while_the_caller_speaks() -> None:
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    turn.heard(partial(TEXT), 1.5)
    assert (turn.state, turn.started_s, turn.text) == (CallerState.SPEAKING, 1.0, TEXT)
    assert (turn.ask_deadline, turn.over_deadline) == (1.5 + PROBE_AFTER_S, None)
    assert turn.over(100.0) is None


def test_each_question_is_asked_once_a_pause() -> None:
    turn = paused("yes")
    finalize_s, score_s = 2.0 + SETTINGS.finalize_after_s, 2.0 + SCORE_LATEST_S
    assert turn.ask_deadline == finalize_s
    assert turn.wake(finalize_s - 0.001) == []
    assert turn.wake(finalize_s) == [Ask.FINALIZE]
    assert turn.ask_deadline == score_s
    assert turn.wake(score_s) == [Ask.SCORE]
    assert turn.wake(score_s + 1) == []
    assert turn.ask_deadline is None
    turn.voice_started(4.0)
    turn.voice_stopped(5.0)
    assert turn.wake(6.0) == [Ask.FINALIZE, Ask.SCORE]


def test_the_acoustic_model_is_asked_as_soon_as_the_words_are_known_to_leave_it_open() -> None:
    turn = paused("yes")
    turn.heard(confirmed("yes"), 2.15)
    assert turn.wake(2.15) == [Ask.FINALIZE]
    assert turn.ask_deadline == 2.0 + SCORE_AFTER_S
    assert turn.wake(2.0 + SCORE_AFTER_S) == [Ask.SCORE]
    turn = paused()
    assert turn.wake(9.0) == [Ask.FINALIZE]
    assert turn.ask_deadline is None
    turn = CallerTurn(StartSpeaking(wait_function=read_wait_function("1000 * x")))
    turn.voice_started(1.0)
    turn.voice_stopped(2.0)
    assert turn.wake(2.0 + SCORE_AFTER_S) == [Ask.FINALIZE, Ask.SCORE]


def test_the_turn_is_over_when_its_wait_has_passed() -> None:
    turn = paused()
    turn.heard(confirmed(TEXT), 2.2)
    due_s = turn.over_deadline
    assert due_s == 2.0 + ep.SETTLED_TEXT_S
    assert turn.over(due_s - 0.001) is None
    assert turn.over(due_s) == ep.Wait(ep.SETTLED_TEXT_S, "settled_text")
    assert (turn.confirmed, turn.confirmed_s) == (True, 2.2)


def test_the_wait_follows_the_evidence() -> None:
    turn = paused()
    assert turn.wait().reason == "unconfirmed_text"
    turn.heard(confirmed(TEXT), 2.1)
    assert turn.wait().reason == "settled_text"
    turn.heard(confirmed("yes"), 2.2)
    assert turn.wait().reason == "short_answer"
    turn.scored(1.0, 1)
    assert (turn.wait().reason, turn.score) == ("sounds_complete", 1.0)


def test_a_score_counts_for_its_pause_only() -> None:
    turn = paused()
    turn.scored(1.0, 1)
    turn.voice_started(3.0)
    assert turn.score is None
    turn.scored(0.5, 1)
    assert turn.score is None


def test_a_confirmation_from_before_the_voice_came_back_does_not_hold_all_words() -> None:
    turn = paused()
    turn.voice_started(2.5)
    turn.heard(confirmed("I would like"), 2.6)
    assert (turn.confirmed, turn.confirmed_s, turn.text) == (False, None, "I would like")


def test_a_confirmation_holds_until_the_voice_comes_back() -> None:
    turn = paused()
    turn.heard(confirmed(TEXT), 2.1)
    turn.voice_started(2.2)
    assert not turn.confirmed
    turn.voice_stopped(2.4)
    assert turn.wait().reason == "unconfirmed_text"


def test_how_the_caller_pauses_is_remembered_and_fades() -> None:
    turn = paused("yes")
    turn.voice_started(2.0 + ep.SHORT_ANSWER_S)
    turn.voice_stopped(4.0)
    turn.heard(confirmed("yes"), 4.1)
    first = turn.wait()
    assert first.reason == "own_pauses"
    turn.next_turn(9.0)
    turn.voice_started(10.0)
    turn.voice_stopped(11.0)
    turn.heard(confirmed("yes"), 11.1)
    assert turn.wait().wait_s < first.wait_s


def test_a_sentence_that_no_voice_was_found_for_opens_a_turn() -> None:
    turn = CallerTurn(SETTINGS)
    turn.heard(final(" ".join(["word"] * (ORPHAN_WORDS - 1))), 4.0)
    assert turn.state is CallerState.SILENT
    turn.heard(final(" ".join(["word"] * ORPHAN_WORDS)), 5.0)
    assert (turn.state, turn.started_s, turn.last_voice_s) == (CallerState.PAUSED, 5.0, 5.0)
    assert turn.over(math.inf) is not None
    assert turn.wake(9.0) == [Ask.FINALIZE]
    turn.next_turn(5.5)
    turn.heard(final(" ".join(["word"] * ORPHAN_WORDS)), 10.0)
    assert turn.wake(19.0) == [Ask.FINALIZE]


def test_the_next_turn_begins_afresh() -> None:
    turn = paused()
    turn.heard(confirmed(TEXT), 2.1)
    turn.scored(1.0, 1)
    turn.next_turn(9.0)
    assert (turn.turn_id, turn.state, turn.text, turn.confirmed) == (2, CallerState.SILENT, "", False)
    assert (turn.started_s, turn.confirmed_s, turn.score, turn.over_deadline) == (None, None, None, None)


def test_a_turn_that_began_while_the_last_was_taken_has_its_own_beginning() -> None:
    turn = paused()
    turn.voice_started(3.0)
    turn.next_turn(9.0)
    assert (turn.turn_id, turn.state, turn.text, turn.started_s) == (2, CallerState.SPEAKING, "", 3.0)


Step = tuple[float, str]
kinds = ["start", "stop", "partial", "final", "confirm", "score", "next", "wake"]


@examples(150)
@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from(kinds)), max_size=40))
def test_any_order_of_events_asks_once_and_ends_in_time(steps: list[Step]) -> None:
    turn = CallerTurn(SETTINGS)
    now = 0.0
    asked: list[Ask] = []
    for after_s, kind in steps:
        now += after_s
        if kind == "start":
            turn.voice_started(now)
            asked.clear()
        elif kind == "stop":
            turn.voice_stopped(now)
        elif kind in ("partial", "final", "confirm"):
            turn.heard({"partial": partial, "final": final, "confirm": confirmed}[kind]("a b c d"), now)
        elif kind == "score":
            turn.scored(0.9, 1)
        elif kind == "next":
            turn.next_turn(9.0)
            asked.clear()
        asked += turn.wake(now)
        assert len(asked) == len(set(asked))
        assert turn.ask_deadline is None or turn.ask_deadline > now
        assert (turn.over_deadline is None) == (turn.state is not CallerState.PAUSED)
        if turn.over_deadline is not None:
            assert (turn.over(now) is None) == (now < turn.over_deadline)
            assert turn.over(turn.over_deadline) == turn.wait()
            assert turn.over_deadline <= turn.last_voice_s + SETTINGS.unconfirmed_wait_s


@pytest.mark.parametrize("evidence", ["confirm", "score", "final", "start"])
def test_a_wait_is_never_an_old_one(evidence: str) -> None:
    turn = paused("yes")
    asked_before = turn.wait()
    if evidence == "start":
        turn.heard(confirmed("yes"), 2.1)
        asked_before = turn.wait()
        turn.voice_started(3.9)
        turn.voice_stopped(4.0)
    elif evidence == "score":
        turn.heard(confirmed("yes"), 2.1)
        asked_before = turn.wait()
        turn.scored(0.0, 1)
    else:
        turn.heard(confirmed("yes") if evidence == "confirm" else final("yes and"), 2.1)
    now = ep.decide(ep.Evidence(turn.text, turn.confirmed, turn.score, turn._longest_pause_s), SETTINGS)
    assert turn.wait() == now
    assert evidence == "final" or now != asked_before


# --- the customer's rules and model -----------------------------------------------------------------------------

RULED = StartSpeaking(rules=(EndpointingRule(4.0, said=Pattern("table")),))
MODELLED = StartSpeaking(asks_model=True)


def ruled(settings: StartSpeaking = RULED) -> CallerTurn:
    turn = CallerTurn(settings)
    turn.voice_started(1.0)
    turn.heard(partial(TEXT), 1.5)
    turn.voice_stopped(2.0)
    return turn


def test_rules_are_asked_about_the_words_of_a_pause_once() -> None:
    turn = ruled()
    assert turn.wake(2.0, "Hello.") == [Ask.RULES]
    assert turn.wake(2.01, "Hello.") == []
    turn.heard(partial(TEXT + " for"), 2.05)
    assert turn.wake(2.05, "Hello.") == [Ask.RULES]
    assert turn.wake(2.06, "Good bye.") == [Ask.RULES]
    turn.voice_started(2.1)
    turn.heard(partial(TEXT + " for two"), 2.11)
    assert turn.wake(2.12, "Good bye.") == []


def test_without_rules_a_model_or_words_nothing_is_asked() -> None:
    assert paused().wake(2.0) == []
    turn = CallerTurn(StartSpeaking(rules=RULED.rules, asks_model=True))
    turn.voice_started(1.0)
    turn.voice_stopped(2.0)
    turn.heard(confirmed(""), 2.01)
    assert turn.wake(2.02) == []


def test_the_rules_wait_counts_for_the_words_that_it_was_asked_about() -> None:
    turn = ruled()
    turn.wake(2.0)
    turn.heard(confirmed(TEXT), 2.1)
    assert turn.rules_matched(turn.rules.number, 4.0)
    assert turn.wait() == ep.Wait(4.0, "custom_rule")
    turn.heard(confirmed(TEXT + " for two"), 2.2)
    assert turn.wake(2.2) == [Ask.FINALIZE, Ask.RULES]
    assert not turn.rules_matched(turn.rules.number - 1, 4.0)
    assert turn.rules_matched(turn.rules.number, None)
    assert turn.wait().reason == "settled_text"


def test_a_turn_is_not_taken_before_the_rules_have_answered_or_are_late() -> None:
    turn = CallerTurn(RULED)
    turn.voice_started(1.0)
    turn.voice_stopped(2.0)
    turn.heard(confirmed("yes"), 2.8)
    assert turn.wake(2.8) == [Ask.FINALIZE, Ask.SCORE, Ask.RULES]
    assert turn.over(2.0 + ep.SHORT_ANSWER_S) is None
    late_s = 2.8 + RULES_LIMIT_S
    assert turn.over_deadline == pytest.approx(late_s)
    over = turn.over(late_s + 1e-6)
    assert over is not None
    assert over.reason == "rules_late"


def test_the_model_is_asked_when_the_words_are_confirmed() -> None:
    turn = ruled(MODELLED)
    assert turn.wake(2.0) == []
    turn.heard(confirmed(TEXT), 2.05)
    assert turn.wake(2.05) == [Ask.MODEL]
    assert turn.over(2.05 + MODELLED.model_deadline_s) is None
    assert turn.wait().reason == "endpointing_model_late"
    assert turn.endpointing_answered(turn.model.number, 0.2)
    assert turn.wait() == ep.Wait(0.2, "endpointing_model")
    assert not turn.endpointing_answered(turn.model.number, 9.0)


def test_a_model_that_does_not_answer_leaves_the_wait_to_us() -> None:
    turn = ruled(MODELLED)
    turn.heard(confirmed(TEXT), 2.1)
    turn.wake(2.1)
    assert turn.endpointing_answered(turn.model.number, None)
    assert turn.wait().reason == "settled_text"


def test_the_next_turn_asks_anew() -> None:
    turn = ruled()
    turn.wake(2.0)
    turn.rules_matched(turn.rules.number, 4.0)
    turn.next_turn(3.0)
    turn.voice_started(5.0)
    # Said again, and in the time that it takes to say it: no echo.
    turn.heard(partial(TEXT), 5.9)
    turn.voice_stopped(6.0)
    assert turn.wait().reason != "custom_rule"
    assert turn.wake(6.0) == [Ask.RULES]


# --- a voice that is no speech any more ------------------------------------------------------------------------------


def test_a_voice_that_brings_no_words_is_taken_for_a_pause_that_began_with_it() -> None:
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    assert turn.babble_deadline == 1.0 + BABBLE_S
    assert not turn.babbles(1.0 + BABBLE_S - 0.01)
    assert not turn.hums
    assert turn.babbles(1.0 + BABBLE_S)
    assert (turn.state, turn.last_voice_s, turn.hums) == (CallerState.PAUSED, 1.0, True)
    assert not turn.babbles(99.0)
    assert turn.over(1.0 + BABBLE_S) is not None


def test_every_new_word_is_a_sign_of_speech() -> None:
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    turn.heard(partial("hello"), 5.0)
    turn.heard(partial("hello"), 6.0)
    assert turn.babble_deadline == 5.0 + BABBLE_S
    assert turn.babbles(5.0 + BABBLE_S)
    assert (turn.text, turn.last_voice_s) == ("hello", 5.0)


def test_words_in_a_hum_go_on_with_the_turn() -> None:
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    turn.babbles(1.0 + BABBLE_S)
    turn.heard(partial("I am here"), 8.0)
    assert (turn.text, turn.last_voice_s) == ("I am here", 8.0)
    turn.voice_stopped(9.0)
    assert (turn.hums, turn.last_voice_s) == (False, 8.0)


def test_a_sentence_in_a_hum_after_the_turn_opens_a_new_one() -> None:
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    turn.babbles(1.0 + BABBLE_S)
    turn.next_turn(7.5)
    assert (turn.state, turn.hums) == (CallerState.SILENT, True)
    turn.heard(partial("mhm"), 8.0)
    assert turn.state is CallerState.SILENT
    turn.heard(partial("can you hear me"), 9.0)
    assert (turn.state, turn.started_s, turn.text) == (CallerState.PAUSED, 9.0, "can you hear me")


# --- what comes again ------------------------------------------------------------------------------------------------


def echoing() -> CallerTurn:
    turn = paused()
    turn.heard(confirmed(TEXT), 2.1)
    turn.next_turn(3.0)
    return turn


@pytest.mark.parametrize("again", [TEXT, "book a table", "I would like,"])
def test_a_final_that_repeats_the_turn_that_was_taken_opens_no_other(again: str) -> None:
    turn = echoing()
    turn.heard(final(again), 3.0 + ECHO_S - 0.01)
    assert (turn.state, turn.text) == (CallerState.SILENT, "")


@pytest.mark.parametrize(("again", "at_s"), [(TEXT, 3.0 + ECHO_S), ("a table for two", 3.5)])
def test_who_says_something_else_or_the_same_later_says_it(again: str, at_s: float) -> None:
    turn = echoing()
    turn.heard(final(again), at_s)
    assert (turn.state, turn.text) == (CallerState.PAUSED, again)


@pytest.mark.parametrize(("after_s", "text"), [(0.99, ""), (1.0, TEXT)])
def test_what_comes_again_sooner_than_anybody_could_say_it_was_not_said(after_s: float, text: str) -> None:
    words = len(TEXT.split())
    turn = echoing()
    turn.voice_started(3.2)
    turn.heard(partial(TEXT), 3.2 + words * LEAST_WORD_S * after_s + (0.001 if text else 0))
    assert turn.text == text


def test_a_voice_too_short_for_the_words_did_not_say_them_however_long_ago_they_were_said() -> None:
    turn = echoing()
    turn.voice_started(60.0)
    turn.heard(partial(TEXT), 60.3)
    assert turn.text == ""


def test_who_pauses_in_what_they_say_again_has_said_all_of_it() -> None:
    turn = echoing()
    turn.voice_started(60.0)
    turn.heard(partial("I would like to book a"), 61.4)
    turn.voice_stopped(61.5)
    turn.voice_started(62.0)
    turn.voice_stopped(62.3)
    turn.heard(confirmed(TEXT), 62.45)
    assert (turn.text, turn.confirmed) == (TEXT, True)


def test_what_was_confirmed_is_not_the_turn_before_after_all() -> None:
    turn = echoing()
    turn.voice_started(60.0)
    turn.voice_stopped(61.0)
    turn.heard(confirmed("for two please"), 61.1)
    turn.heard(confirmed(TEXT), 61.1)
    assert (turn.text, turn.confirmed) == ("for two please", True)
    # Something else is not taken for it: the recogniser thought better of it.
    turn.heard(confirmed("for three please"), 61.2)
    assert turn.text == "for three please"


def test_what_was_said_again_may_be_told_again() -> None:
    turn = echoing()
    turn.voice_started(60.0)
    turn.voice_stopped(61.0)
    turn.heard(confirmed(TEXT), 61.1)
    turn.heard(final(TEXT), 61.2)
    turn.voice_started(61.3)
    turn.heard(partial("for two"), 61.8)
    assert turn.text == f"{TEXT} for two"


def test_a_recogniser_that_broke_leaves_what_it_had_heard() -> None:
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    turn.heard(partial("I would like"), 1.5)
    turn.recogniser_broke()
    turn.heard(partial("a table"), 2.5)
    assert turn.text == "I would like a table"


def test_a_score_of_an_earlier_pause_is_dropped() -> None:
    turn = paused()
    turn.voice_started(3.0)
    turn.voice_stopped(4.0)
    turn.scored(0.9, 1)
    assert turn.score is None
    turn.scored(0.9, 2)
    assert turn.score == 0.9


# --- a recogniser that is trusted ------------------------------------------------------------------------------------


def learned(lag_s: float, *, adds: str = "") -> CallerTurn:
    """Its first turn: the partials had it all so long after the voice, and the confirmation added something."""
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    turn.voice_stopped(2.0)
    turn.heard(partial(TEXT), 2.0 + lag_s)
    turn.heard(confirmed(TEXT + adds), 2.5)
    turn.heard(confirmed(TEXT + adds), 2.6)
    turn.next_turn(3.0)
    turn.voice_started(10.0)
    turn.heard(partial("how much is it"), 10.9)
    turn.voice_stopped(11.0)
    return turn


def test_a_recogniser_that_was_prompt_is_trusted_before_it_confirms() -> None:
    turn = learned(0.1)
    assert not turn.trusted
    turn.heard(partial("how much is it now"), 11.05)
    assert not turn.trusted
    turn.heard(partial("how much is it now"), 11.1 + 1e-9)
    assert turn.trusted
    turn.voice_started(11.2)
    assert not turn.trusted


@pytest.mark.parametrize(("lag_s", "adds"), [(PROMPT_LAG_S + 0.1, ""), (0.1, " please")])
def test_one_that_was_slow_or_not_complete_is_not(lag_s: float, adds: str) -> None:
    turn = learned(lag_s, adds=adds)
    turn.heard(partial("how much is it now"), 11.4)
    assert not turn.trusted


def test_one_that_has_not_confirmed_anything_yet_is_not() -> None:
    assert not paused().trusted


def test_a_voice_without_words_is_asked_about_before_it_counts_as_a_hum() -> None:
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    assert turn.ask_deadline == 1.0 + PROBE_AFTER_S
    assert turn.wake(1.0 + PROBE_AFTER_S - 0.01) == []
    assert turn.wake(1.0 + PROBE_AFTER_S) == [Ask.FINALIZE]
    assert turn.wake(1.0 + PROBE_AFTER_S + 0.5) == []
    turn.heard(confirmed("a recogniser that tells nothing unasked"), 5.2)
    assert not turn.confirmed
    assert not turn.babbles(1.0 + BABBLE_S)
    assert turn.ask_deadline == 5.2 + PROBE_AFTER_S


def test_what_a_late_result_adds_to_a_turn_that_was_taken_is_a_turn_without_the_rest() -> None:
    turn = paused("my number is seven")
    turn.next_turn(3.0)
    turn.voice_started(3.5)
    turn.heard(partial("My number is seven, two nine"), 3.7)
    assert turn.text == "two nine"
    turn.heard(partial("my number is seven"), 3.8)
    assert turn.text == "two nine"


# --- a voice that fades ------------------------------------------------------------------------------------------------


def faded(at_s: float = 2.1) -> CallerTurn:
    """Speaking, and its words were asked for."""
    turn = CallerTurn(SETTINGS)
    turn.voice_started(1.0)
    turn.heard(partial(TEXT), 1.5)
    assert turn.voice_faded(at_s)
    return turn


def test_words_asked_for_while_the_voice_fades_are_all_when_it_had_ended() -> None:
    turn = faded(2.1)
    turn.heard(confirmed(TEXT), 2.2)
    assert not turn.confirmed
    turn.voice_stopped(2.0)
    assert (turn.confirmed, turn.confirmed_s, turn.text) == (True, 2.2, TEXT)
    assert Ask.FINALIZE not in turn.wake(3.0)


def test_an_answer_that_comes_after_the_voice_counts_as_ever() -> None:
    turn = faded(2.1)
    turn.voice_stopped(2.0)
    assert not turn.confirmed
    assert Ask.FINALIZE not in turn.wake(3.0)
    turn.heard(confirmed(TEXT), 3.1)
    assert turn.confirmed


def test_a_voice_that_went_on_is_asked_again() -> None:
    turn = faded(2.1)
    turn.heard(confirmed(TEXT), 2.2)
    turn.voice_stopped(2.5)
    assert not turn.confirmed
    assert Ask.FINALIZE in turn.wake(3.0)


def test_words_that_came_after_the_answer_are_asked_about() -> None:
    turn = faded(2.1)
    turn.heard(confirmed(TEXT), 2.2)
    turn.heard(partial("for two"), 2.3)
    turn.voice_stopped(2.0)
    assert not turn.confirmed
    assert Ask.FINALIZE in turn.wake(3.0)


def test_the_same_words_again_change_nothing() -> None:
    turn = faded(2.1)
    turn.heard(partial(TEXT), 2.15)
    turn.heard(confirmed(TEXT), 2.2)
    turn.voice_stopped(2.0)
    assert turn.confirmed


def test_a_voice_that_comes_back_was_not_over() -> None:
    turn = faded(2.1)
    turn.heard(confirmed(TEXT), 2.2)
    turn.voice_stopped(2.0)
    turn.voice_started(2.4)
    turn.voice_stopped(2.6)
    assert not turn.confirmed
    assert Ask.FINALIZE in turn.wake(3.0)


def test_not_every_soft_moment_is_asked_about() -> None:
    turn = faded(2.1)
    assert not turn.voice_faded(2.1 + FADES_APART_S - 0.01)
    assert turn.voice_faded(2.1 + FADES_APART_S)
    assert not paused().voice_faded(2.1)


# --- the keypad ------------------------------------------------------------------------------------------------


def test_keys_alone_are_a_turn_that_is_over_with_its_entry() -> None:
    turn = CallerTurn(SETTINGS)
    turn.key_pressed(3.0)
    assert (turn.state, turn.started_s, turn.keying) == (CallerState.PAUSED, 3.0, True)
    assert (turn.over(99.0), turn.over_deadline) == (None, None)
    turn.key_pressed(3.5)
    turn.entered("Entry: 12")
    assert (turn.keying, turn.text, turn.parts) == (False, "Entry: 12", ["Entry: 12"])
    assert turn.over(3.5) == ep.Wait(0.0, KEYPAD)
    assert turn.over_deadline == 3.5
    # There was nothing to ask the recogniser about.
    assert (turn.wake(9.0), turn.ask_deadline) == ([], None)
    turn.next_turn(4.0)
    assert (turn.state, turn.text) == (CallerState.SILENT, "")


def test_an_entry_ends_the_turn_that_was_begun_by_voice_when_all_words_are_known() -> None:
    turn = paused("my number is", at_s=2.0)
    turn.key_pressed(2.5)
    turn.entered("Entry: 12")
    assert turn.wait().wait_s == SETTINGS.unconfirmed_wait_s
    turn.heard(confirmed("my number is"), 2.6)
    assert turn.wait() == ep.Wait(0.0, KEYPAD)
    assert turn.parts == ["my number is", "Entry: 12"]
    assert turn.text == "my number is Entry: 12"
    assert turn.last_voice_s == 2.5
    # How prompt the recogniser is, keys do not tell.
    assert not turn.trusted


def test_words_over_keys_belong_to_the_same_turn() -> None:
    turn = CallerTurn(SETTINGS)
    turn.key_pressed(1.0)
    turn.voice_started(1.2)
    turn.key_pressed(1.3)
    assert turn.state is CallerState.SPEAKING
    turn.entered("Entry: 1")
    assert turn.over(9.0) is None
    turn.voice_stopped(2.0)
    assert turn.wait().wait_s > 0
    turn.heard(confirmed(""), 2.1)
    assert turn.over(2.1) == ep.Wait(0.0, KEYPAD)


def test_a_turn_that_was_taken_while_keys_are_pressed_goes_on_as_the_next() -> None:
    turn = paused()
    turn.key_pressed(2.2)
    turn.next_turn(2.3)
    assert (turn.state, turn.started_s, turn.keying) == (CallerState.PAUSED, 2.2, True)
    turn.entered("Entry: 1")
    assert turn.over(2.3) == ep.Wait(0.0, KEYPAD)


def test_an_entry_without_a_turn_opens_one() -> None:
    turn = CallerTurn(SETTINGS)
    turn.entered("Entry: 1")
    assert (turn.state, turn.text) == (CallerState.PAUSED, "Entry: 1")


def test_the_customers_rules_are_not_asked_about_an_entry() -> None:
    rules = (EndpointingRule(5.0, Pattern("Entry")),)
    turn = CallerTurn(StartSpeaking(rules=rules))
    turn.key_pressed(1.0)
    turn.entered("Entry: 1")
    assert turn.wake(1.0, "Your number?") == []
    assert turn.over(1.0) == ep.Wait(0.0, KEYPAD)


def test_other_settings_count_from_then_on_and_old_answers_are_of_no_use() -> None:
    rule = EndpointingRule(1.0, Pattern("x"))
    turn = CallerTurn(StartSpeaking(rules=(rule,)))
    turn.voice_started(1.0)
    turn.voice_stopped(2.0)
    turn.heard(confirmed("hello there you"), 2.1)
    assert Ask.RULES in turn.wake(2.1)
    asked = turn.rules.number
    turn.adopt(StartSpeaking(rules=(rule,), wait_s=4.0))
    assert not turn.rules_matched(asked, 3.0)
    assert Ask.RULES in turn.wake(2.2)
    assert turn.rules.number == asked + 1
    assert turn.wait().wait_s >= 4.0
