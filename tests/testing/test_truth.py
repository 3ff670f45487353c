"""What a runtime keeps of a call against what was heard."""

from __future__ import annotations

import numpy as np
import pytest

from aywa.testing.truth import (
    Exchange,
    Message,
    compare,
    ends_differ_by,
    exchanges,
    history,
    normalise,
    replies,
)
from aywa.testing.wire import Kind, Record, Samples
from tests.testing.test_wire import RATE, Call, near


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 9:00 a.m., isn't it?", "its 9 am isnt it"),
        ("forty-seven ninety two", "4 7 9 2"),
        ("4792", "4 7 9 2"),
        ("four seven nine two", "4 7 9 2"),
        ("seventeen or thirty", "1 7 or 3 0"),
        ("$1,250.50 & 5%", "1 2 5 0 5 0 and 5 percent"),
        ("nine o'clock", "9"),
        ("", ""),
    ],
)
def test_texts_are_compared_as_they_sound(text: str, words: str) -> None:
    assert normalise(text) == words.split()


@pytest.mark.parametrize(
    ("kept", "heard", "words"),
    [
        ("We open at nine.", "we open at 9", 0),
        ("Sure.", "Sure", 0),
        ("", "", 0),
        ("Sure.", "", 1),
        ("", "hello there again", -3),
        ("We open at nine and close at six to be sure.", "we open at nine to", 6),
        ("We open at", "we open at nine and close at six", -5),
        ("Your appointment is confirmed tomorrow", "your appointment is come from tomorrow", -1),
        ("Our code is forty seven ninety two.", "our code is 4792", 0),
        ("the the the", "the", 2),
        ("one apple", "entirely different words", -1),
    ],
)
def test_how_far_the_ends_differ(kept: str, heard: str, words: int) -> None:
    assert ends_differ_by(kept, heard) == words


def conversation() -> tuple[Record, dict[str, object]]:
    """A greeting, a question and its answer, a barge-in and its answer; the runtime's clock is 0.3 s behind."""
    call = Call().hears(0.5, 1.5).says(2.0, 3.0).hears(3.5, 5.0).says(4.9, 5.5, Kind.BARGE_IN).hears(6.0, 7.0)
    entries = [
        ("bot", 0.8, "Hello."), ("user", 2.3, "What?"), ("bot", 3.8, "This is"), ("user", 5.2, "Stop."),
        ("bot", 6.3, "Yes."), ("system", 0.0, "You are"),
    ]  # fmt: skip
    messages = [{"role": role, "message": text, "secondsFromStart": at_s} for role, at_s, text in entries]
    return call.record, {"messages": messages}


def test_messages_are_laid_over_the_recording() -> None:
    found = history(*conversation())
    assert [(message.role, message.at_s) for message in found] == [
        ("bot", near(0.5)),
        ("user", near(2.0)),
        ("bot", near(3.5)),
        ("user", near(4.9)),
        ("bot", near(6.0)),
    ]


def test_without_a_reply_the_connection_is_the_beginning() -> None:
    record = Record(RATE, 7.0, 9.0)
    assert history(
        record, {"messages": [{"role": "user", "message": None, "secondsFromStart": 1.0}, "x"]}
    ) == [Message("user", "", 8.0)]
    assert history(record, {}) == []


def test_turns_get_their_words() -> None:
    record, call = conversation()
    assert exchanges(record, history(record, call)) == [
        Exchange("What?", near(3000), near(3500), near(500), "This is"),
        Exchange("Stop.", near(5500), near(6000), near(500), "Yes."),
    ]


def test_replies_are_what_was_heard_between_questions() -> None:
    record, call = conversation()
    found = replies(record, history(record, call))
    assert [reply.kept for reply in found] == ["Hello.", "This is", "Yes."]
    # The greeting played before the first frame was sent, and so before the recording begins.
    assert [np.count_nonzero(reply.audio) for reply in found] == [0, 76 * 160, 51 * 160]


def test_audio_without_a_message_and_a_message_without_audio_count() -> None:
    call = Call().says(0.0, 0.1).hears(0.5, 1.5).says(2.0, 3.0)
    found = replies(call.record, [Message("bot", "never heard at all", 4.0)])
    assert [(reply.kept, bool(np.any(reply.audio))) for reply in found] == [
        ("", True),
        ("never heard at all", False),
    ]


def test_nothing_said_and_nothing_heard_is_no_reply() -> None:
    assert replies(Record(RATE, 0.0, 1.0), []) == []


def test_the_verdict_allows_one_word() -> None:
    def recognise(_: Samples) -> str:
        return "this is what"

    record, call = conversation()
    found = compare(replies(record, history(record, call))[1:], recognise)
    assert [(verdict.kept, verdict.differ_by, verdict.truthful) for verdict in found] == [
        ("This is", -1, True),
        ("Yes.", -2, False),
    ]
    silent = Call().says(0.0, 0.1).record
    (unheard,) = compare(replies(silent, [Message("bot", "a b", 1.0)]), recognise)
    assert (unheard.heard, unheard.truthful) == ("", False)
