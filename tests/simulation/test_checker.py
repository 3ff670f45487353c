"""The checker finds what it is there for: facts and a record are made up, and one of them is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from aywa.ports.journal import JournalRecord
from aywa.testing.scripted_media import Stretch
from aywa.testing.simulation.checker import Checker, Violation
from aywa.testing.simulation.truth import Request, Span, Truth, Voice, Voiced

RATE_HZ = 8000
WORD = 2400


def record(at_s: float, kind: str, **data: Any) -> JournalRecord:
    return JournalRecord("call-1", "org-1", 1, at_s, "command", kind, data)


def decided(at_s: float, decision: str, reason: str = "", **details: Any) -> JournalRecord:
    return record(at_s, "RecordDecision", machine="floor", decision=decision, reason=reason, details=details)


def kept(at_s: float, text: str) -> JournalRecord:
    return record(at_s, "RecordMessage", message={"role": "bot", "message": text})


class Call:
    """Facts of a call whose agent says words of 0.3 s."""

    def __init__(self, assistant: Mapping[str, Any] | None = None) -> None:
        self.truth = Truth()
        self.records: list[JournalRecord] = []
        self.assistant = {"firstMessageInterruptionsEnabled": True, **(assistant or {})}

    def agent(
        self, at_s: float, text: str, *, heard: int | None = None, remembers: str | None = None
    ) -> float:
        """Answers when it fell silent."""
        words = text.split()
        reply_id = len(self.truth.spans) + 1
        samples = WORD * (len(words) if heard is None else heard)
        self.truth.audio[reply_id] = bytearray(b"".join(self.truth.lexicon.speak(w, WORD) for w in words))
        until_s = at_s + samples / RATE_HZ
        self.truth.heard.append(Stretch(reply_id, 0, samples, at_s, until_s))
        self.truth.spans.append(Span(reply_id, at_s, until_s))
        self.records.append(kept(until_s, text if remembers is None else remembers))
        return until_s

    def caller(self, from_s: float, to_s: float, text: str = "w1", kind: Voice = Voice.TURN) -> None:
        self.truth.voice.append(Voiced(kind, from_s, to_s, text))
        self.records.append(record(to_s, "TranscriptReceived", text=text))

    def check(self, ended_s: float) -> list[Violation]:
        records = sorted(self.records, key=lambda r: r.at_s)
        return Checker(self.truth, records, self.assistant, ended_s, word_times=True).violations()

    def kinds(self, ended_s: float) -> list[str]:
        return [v.kind for v in self.check(ended_s)]


def good() -> Call:
    """Greets, is asked, answers, is left."""
    call = Call()
    call.agent(0.3, "Hello there")
    call.caller(2.0, 3.0)
    call.records.append(decided(3.6, "turn_taken", turn_id=1))
    call.truth.requests.append(Request(1, 3.2, 1))
    call.agent(3.7, "r1, yes we do")
    return call


def test_a_good_call_is_good() -> None:
    assert good().kinds(6.0) == []


def test_silence_that_an_answer_is_owed_to() -> None:
    call = good()
    call.caller(6.0, 7.0, "w2")
    assert call.kinds(9.9) == []
    assert call.kinds(10.2) == ["gap.owed"]


def test_silence_after_words_that_nobody_heard() -> None:
    call = good()
    call.truth.voice.append(Voiced(Voice.TURN, 6.0, 7.0, "w2"))
    assert call.kinds(10.2) == ["gap.unheard"]


def test_silence_before_the_greeting() -> None:
    assert Call().kinds(2.9) == []
    assert Call().kinds(3.5) == ["gap.greeting"]
    assert Call({"firstMessageMode": "assistant-waits-for-user"}).kinds(9.0) == []


def test_silence_in_which_nothing_is_asked_of_the_caller_lasts_as_long_as_the_idle_time_out() -> None:
    assert good().kinds(14.0) == []
    assert good().kinds(17.0) == ["gap.awaiting"]


def test_silence_in_the_middle_of_a_reply() -> None:
    call = good()
    call.truth.spans[-1].to_s = 20.0
    assert call.kinds(9.0) == ["gap.mid_reply"]


def test_a_process_that_stood_still_is_not_silence() -> None:
    call = good()
    call.caller(6.0, 7.0, "w2")
    call.truth.frozen.append((8.0, 9.0))
    assert call.kinds(10.9) == []
    assert call.kinds(11.2) == ["gap.owed"]


@pytest.mark.parametrize(
    ("remembers", "good"), [("r2, yes", True), ("r2, yes we", True), ("r2, yes we do", False), ("no", False)]
)
def test_history_is_what_was_heard_give_or_take_a_word(remembers: str, good: bool) -> None:
    call = Call()
    call.agent(0.3, "Hello there")
    call.agent(2.0, "r2, yes we do", heard=2, remembers=remembers)
    assert call.kinds(3.0) == ([] if good else ["history"])


def test_history_that_nobody_heard() -> None:
    call = good()
    call.records.append(kept(5.5, "and more"))
    assert call.kinds(6.0) == ["history"]


def test_two_answers_to_one_turn() -> None:
    call = good()
    call.truth.requests.append(Request(2, 3.5, 1))
    call.agent(5.5, "r2, yes we do")
    assert call.kinds(7.0) == ["two_answers"]


def test_an_agent_that_talks_on_while_the_caller_speaks() -> None:
    call = Call()
    call.agent(0.3, "Hello there")
    call.agent(2.0, " ".join(["word"] * 10))
    call.caller(2.5, 3.5, "w1", Voice.INTERRUPTION)
    assert call.kinds(5.5) == []
    call.truth.voice[-1].to_s = 4.8
    assert call.kinds(5.5) == ["talked_over"]


def test_a_recovery_that_comes_late() -> None:
    call = Call()
    call.agent(0.3, "Hello there")
    call.records.append(decided(2.0, "reply_failed", "deadline", turn_id=1))
    late = call.agent(3.5, "Sorry")
    assert call.kinds(late) == ["recovery"]


def begun(at_s: float, reply_id: int, *, early: bool) -> JournalRecord:
    return record(at_s, "StartReply", reply_id=reply_id, speculative=early)


def late() -> Call:
    """Says something 1.5 s after the turn was taken."""
    call = Call()
    call.agent(0.3, "Hello there")
    call.records += [begun(2.5, 2, early=True), decided(3.0, "turn_taken", turn_id=1)]
    call.agent(4.5, "Sorry")
    return call


def test_a_reply_that_failed_before_its_turn_was_over_is_waited_for_from_then_on() -> None:
    call = late()
    call.records.append(decided(2.7, "reply_failed", "deadline", turn_id=1, reply_id=2))
    [violation] = call.check(5.0)
    assert (violation.kind, violation.at_s) == ("recovery", 3.0)


def test_nobody_waits_for_a_reply_that_another_was_begun_instead_of() -> None:
    call = late()
    call.records.append(decided(2.7, "reply_failed", "deadline", turn_id=1, reply_id=2))
    call.records.append(begun(3.0, 3, early=False))
    assert call.kinds(5.0) == []
    # Nor when the turn was given back, and is not taken again.
    call = late()
    call.records.append(decided(3.1, "turn_given_back", "caller_resumed", reply_id=2))
    call.records.append(decided(3.2, "reply_failed", "deadline", turn_id=1, reply_id=2))
    assert call.kinds(5.0) == []


def test_a_reply_that_failed_after_its_turn_was_over_is_waited_for() -> None:
    call = late()
    call.records.append(decided(3.2, "reply_failed", "deadline", turn_id=1, reply_id=2))
    [violation] = call.check(5.0)
    assert (violation.kind, violation.at_s) == ("recovery", 3.2)


def test_a_reply_that_failed_while_it_played_has_nothing_to_do_with_the_turn_after_it() -> None:
    call = late()
    # The agent had something to say meanwhile.
    call.records.append(decided(0.4, "reply_failed", "deadline", turn_id=1, reply_id=1))
    assert call.kinds(5.0) == []


def test_what_was_heard_before_the_process_stood_still_is_kept_afterwards() -> None:
    call = Call()
    until_s = call.agent(0.3, "Hello there")
    call.records[-1] = kept(until_s + 3.0, "Hello there")
    assert call.kinds(5.0) == ["history", "history"]
    call.truth.frozen.append((until_s, until_s + 3.0))
    assert call.kinds(5.0) == []


def test_a_reply_that_plays_into_another() -> None:
    call = good()
    call.truth.collisions = 1
    assert call.kinds(6.0) == ["collision"]


def test_what_half_a_word_is() -> None:
    truth = Truth()
    audio = truth.lexicon.speak("one", 100) + truth.lexicon.speak("two", 100)
    truth.audio[1] = bytearray(audio)
    truth.heard += [Stretch(1, 0, 60, 0.0, 0.1), Stretch(1, 110, 159, 0.1, 0.2)]
    assert truth.heard_words(1) == ["one"]
    truth.heard.append(Stretch(1, 159, 160, 0.2, 0.3))
    assert truth.heard_words(1) == ["one", "two"]
