"""A reply's words and when they left."""

from __future__ import annotations

from aywa.core.events import ToolCall
from aywa.core.reply import Marks, Purpose, Reply
from tests.core.feed import RATE_HZ, WORD, clause


def reply() -> Reply:
    made = Reply(1, 1, Purpose.ANSWER, Marks(0.0))
    made.ledger.add(clause(1, 0, "one two three"))
    return made


def test_it_plays_once_its_first_frame_has_left() -> None:
    made = reply()
    assert not made.playing
    made.started_s = 0.0
    assert made.playing


def test_it_sounds_while_there_is_something_to_play_and_nothing_holds_it() -> None:
    made = reply()
    assert not made.sounding
    made.started_s = 0.0
    assert made.sounding
    for name, held, free in (("dropping", True, False), ("paused_at", 0, None), ("starved_s", 1.0, None)):
        setattr(made, name, held)
        assert not made.sounding
        setattr(made, name, free)
    assert made.sounding


def test_words_have_times_from_the_moment_that_playing_began() -> None:
    made = reply()
    made.anchors.append((0, 5.0))
    assert made.word_times(2 * WORD, RATE_HZ) == (("one", 5.0, 5.1), ("two", 5.1, 5.2))


def test_words_after_a_pause_are_later_by_it() -> None:
    made = reply()
    made.anchors += [(0, 5.0), (WORD + WORD // 2, 7.15)]
    assert made.word_times(3 * WORD, RATE_HZ) == (("one", 5.0, 5.1), ("two", 5.1, 7.2), ("three", 7.2, 7.3))


def test_a_word_that_ended_where_playing_paused_did_not_last_through_the_pause() -> None:
    made = reply()
    made.anchors += [(0, 5.0), (WORD, 7.0)]
    assert made.word_times(3 * WORD, RATE_HZ) == (("one", 5.0, 5.1), ("two", 7.0, 7.1), ("three", 7.1, 7.2))


def test_words_of_audio_that_nobody_saw_begin_have_no_times() -> None:
    assert reply().word_times(3 * WORD, RATE_HZ) == ()


def test_words_whose_audio_came_late_are_later_by_it() -> None:
    made = reply()
    made.ledger.add(clause(1, 1, "four"))
    made.anchors += [(0, 5.0), (3 * WORD, 6.0)]
    assert made.word_times(4 * WORD, RATE_HZ)[2:] == (("three", 5.2, 5.3), ("four", 6.0, 6.1))


def test_a_reply_without_words_acts_when_it_is_whole() -> None:
    made = Reply(1, 1, Purpose.ANSWER, Marks(0.0))
    assert not made.acts
    made.calls = (ToolCall("c1", "endCall", "{}"),)
    assert not made.acts
    made.completed = True
    assert made.acts
    made.failed = True
    assert not made.acts
    made.failed = False
    made.waiting.append(clause(1, 0, "bye"))
    assert not made.acts
