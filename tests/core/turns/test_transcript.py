"""The turn's words, from finals and the latest partial."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.events import TranscriptReceived
from aywa.core.turns.transcript import TurnTranscript
from tests.core.feed import confirmed, examples, final, partial


def after(*results: TranscriptReceived) -> TurnTranscript:
    turn = TurnTranscript()
    for result in results:
        turn.apply(result)
    return turn


def test_a_partial_replaces_the_one_before() -> None:
    assert after(partial("I wan"), partial("I want a")).text == "I want a"


def test_a_final_stays_and_takes_the_place_of_the_partial() -> None:
    assert after(partial("I wan"), final(" I want "), partial("a pizza")).text == "I want a pizza"


def test_an_empty_partial_says_nothing_and_an_empty_final_withdraws_it() -> None:
    assert after(partial("hello"), partial(" ")).text == "hello"
    assert after(final("good"), partial("hello"), final("")).text == "good"


def test_an_empty_confirmation_means_that_the_text_is_complete() -> None:
    turn = after(partial("hello"), confirmed(""))
    assert (turn.text, turn.confirmed) == ("hello", True)


def test_a_confirmation_holds_until_the_voice_comes_back() -> None:
    turn = after(partial("hel"))
    assert not turn.confirmed
    turn.apply(confirmed("hello"))
    assert turn.confirmed
    turn.voice_resumed()
    assert (turn.text, turn.confirmed) == ("hello", False)


def test_a_new_turn_begins_empty() -> None:
    turn = after(final("good"), confirmed("hello"))
    turn.clear()
    assert (turn.text, turn.confirmed) == ("", False)


results = st.builds(
    TranscriptReceived, st.just("caller"), st.text(" ab", max_size=4), st.booleans(), st.booleans()
)


@examples(150)
@given(st.lists(results, max_size=12), results)
def test_finals_never_change(earlier: list[TranscriptReceived], last: TranscriptReceived) -> None:
    turn = after(*earlier)
    finals = " ".join(r.text.strip() for r in earlier if r.is_final and r.text.strip())
    assert turn.text.startswith(finals)
    turn.apply(last)
    assert turn.text.startswith(finals)


def test_what_a_recogniser_that_broke_had_heard_stays() -> None:
    turn = after(final("I want"), partial("a pizza"))
    turn.settle()
    turn.settle()
    turn.apply(partial("with cheese"))
    assert turn.text == "I want a pizza with cheese"


def test_what_was_told_in_time_can_be_confirmed_afterwards() -> None:
    turn = after(final("I want"), partial("a pizza"))
    assert not turn.confirmed
    turn.confirm()
    assert (turn.confirmed, turn.text) == (True, "I want a pizza")
    turn.voice_resumed()
    assert not turn.confirmed
