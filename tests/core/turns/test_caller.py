"""The caller's turn: its words, its pauses, what it wants to know, when it is over."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import StartSpeaking
from aywa.core.turns import endpointing as ep
from aywa.core.turns.caller import ORPHAN_WORDS, SCORE_AFTER_S, Ask, CallerState, CallerTurn
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
    assert (turn.ask_deadline, turn.over_deadline) == (None, None)
    assert turn.over(100.0) is None


def test_each_question_is_asked_once_a_pause() -> None:
    turn = paused()
    finalize_s, score_s = 2.0 + SETTINGS.finalize_after_s, 2.0 + SCORE_AFTER_S
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
    turn.scored(1.0, 1)
    assert (turn.wait().reason, turn.score) == ("sounds_complete", 1.0)
    turn.heard(confirmed("yes"), 2.2)
    assert turn.wait().reason == "short_answer"


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
    turn = paused()
    turn.voice_started(2.0 + ep.SETTLED_TEXT_S)
    turn.voice_stopped(4.0)
    turn.heard(confirmed(TEXT), 4.1)
    first = turn.wait()
    assert first.reason == "own_pauses"
    turn.next_turn(9.0)
    turn.voice_started(10.0)
    turn.voice_stopped(11.0)
    turn.heard(confirmed(TEXT), 11.1)
    assert turn.wait().wait_s < first.wait_s


def test_a_sentence_that_no_voice_was_found_for_opens_a_turn() -> None:
    turn = CallerTurn(SETTINGS)
    turn.heard(final(" ".join(["word"] * (ORPHAN_WORDS - 1))), 4.0)
    assert turn.state is CallerState.SILENT
    turn.heard(final(" ".join(["word"] * ORPHAN_WORDS)), 5.0)
    assert (turn.state, turn.started_s, turn.last_voice_s) == (CallerState.PAUSED, 5.0, 5.0)
    assert turn.over(math.inf) is not None
    assert turn.wake(9.0) == [Ask.FINALIZE, Ask.SCORE]
    turn.next_turn(5.5)
    turn.heard(final(" ".join(["word"] * ORPHAN_WORDS)), 10.0)
    assert turn.wake(19.0) == [Ask.FINALIZE, Ask.SCORE]


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
        turn.heard(confirmed(TEXT), 2.1)
        asked_before = turn.wait()
        turn.scored(0.0, 1)
    else:
        turn.heard(confirmed("yes") if evidence == "confirm" else final("yes and"), 2.1)
    now = ep.decide(ep.Evidence(turn.text, turn.confirmed, turn.score, turn._longest_pause_s), SETTINGS)
    assert turn.wait() == now
    assert evidence == "final" or now != asked_before
