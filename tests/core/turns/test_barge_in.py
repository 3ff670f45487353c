"""A contest for the floor: from the caller's first voice to a ruling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import StopSpeaking
from aywa.core.turns import barge_in as bi
from aywa.core.turns.barge_in import BargeIn, Verdict
from tests.core.feed import examples

BEGAN_S = 10.0
YIELD, RESUME, UNDECIDED = Verdict.YIELD, Verdict.RESUME, Verdict.UNDECIDED
JUST = 0.001


def contest(settings: StopSpeaking | None = None, *, stopped_s: float | None = None) -> BargeIn:
    made = BargeIn(settings or StopSpeaking(), BEGAN_S)
    if stopped_s is not None:
        made.voice_stopped(stopped_s)
    return made


def ruled(made: BargeIn, text: str, now: float, *, confirmed: bool = False) -> tuple[Verdict, str]:
    ruling = made.rule(text, confirmed, now)
    return ruling.verdict, ruling.reason


def test_words_decide_at_once() -> None:
    assert ruled(contest(), "wait", BEGAN_S + 0.1) == (YIELD, "interruption_phrase")
    assert ruled(contest(), "what time", BEGAN_S + 0.1) == (YIELD, "words")
    assert bi.WORDS == 2
    assert ruled(contest(), "what", BEGAN_S + 0.1)[0] is UNDECIDED


def test_voice_without_words_takes_the_floor_when_it_is_held() -> None:
    made = contest()
    assert ruled(made, "", BEGAN_S + bi.HELD_VOICE_S - JUST)[0] is UNDECIDED
    assert ruled(made, "", BEGAN_S + bi.HELD_VOICE_S) == (YIELD, "voice_held")


def test_an_acknowledgement_may_be_as_long_as_it_likes() -> None:
    assert ruled(contest(), "yeah okay", BEGAN_S + 10 * bi.HELD_VOICE_S)[0] is UNDECIDED


def test_voice_seconds_of_the_plan_stand_in_for_ours() -> None:
    made = contest(StopSpeaking(voice_s=0.2))
    assert ruled(made, "", BEGAN_S + 0.2 - JUST)[0] is UNDECIDED
    assert ruled(made, "", BEGAN_S + 0.2) == (YIELD, "voice_held")


def test_an_assistant_that_counts_words_counts_nothing_else() -> None:
    # Contract 9.2: voiceSeconds is used only when numWords is 0.
    counting = StopSpeaking(num_words=3, voice_s=0.2)
    assert ruled(contest(counting), "what time", BEGAN_S + 60)[0] is UNDECIDED
    assert ruled(contest(counting), "what time is", BEGAN_S) == (YIELD, "words")
    stopped = contest(counting, stopped_s=BEGAN_S + 5)
    after_s = BEGAN_S + 5 + bi.RESUME_AFTER_S
    assert ruled(stopped, "what time", after_s, confirmed=True) == (RESUME, "too_few_words")
    unread = contest(counting, stopped_s=BEGAN_S + 5)
    assert ruled(unread, "", BEGAN_S + 5 + bi.UNREAD_LIMIT_S) == (RESUME, "too_few_words")
    one = StopSpeaking(num_words=1)
    assert ruled(contest(one), "what", BEGAN_S) == (YIELD, "words")


def test_after_the_voice_the_words_are_awaited() -> None:
    assert ruled(contest(stopped_s=BEGAN_S + 0.3), "", BEGAN_S + 0.4)[0] is UNDECIDED


@pytest.mark.parametrize(
    ("text", "ruling"),
    [
        ("mhm", (RESUME, "acknowledgement")),
        ("pizza", (YIELD, "words")),
        ("", (RESUME, "no_words")),
    ],
)
def test_what_was_said_decides_once_it_is_known(text: str, ruling: tuple[Verdict, str]) -> None:
    after_s = BEGAN_S + 0.3 + bi.RESUME_AFTER_S
    assert ruled(contest(stopped_s=BEGAN_S + 0.3), text, after_s, confirmed=True) == ruling


def test_whoever_only_acknowledged_is_given_the_time_to_go_on() -> None:
    made = contest(stopped_s=BEGAN_S + 0.3)
    assert ruled(made, "okay", BEGAN_S + 0.4, confirmed=True)[0] is UNDECIDED
    made.voice_started(BEGAN_S + 0.45)
    assert ruled(made, "okay but", BEGAN_S + 0.6) == (YIELD, "interruption_phrase")


@pytest.mark.parametrize(
    ("text", "voice_s", "ruling"),
    [
        ("yeah", bi.SHORT_VOICE_S, (RESUME, "acknowledgement")),
        ("pizza", bi.SHORT_VOICE_S - JUST, (YIELD, "words")),
        ("", bi.SHORT_VOICE_S - JUST, (RESUME, "short_voice")),
        ("", bi.SHORT_VOICE_S + JUST, (YIELD, "unread_voice")),
    ],
)
def test_a_recogniser_that_does_not_answer_is_not_awaited_for_ever(
    text: str, voice_s: float, ruling: tuple[Verdict, str]
) -> None:
    made = contest(stopped_s=BEGAN_S + voice_s)
    due_s = BEGAN_S + voice_s + bi.UNREAD_LIMIT_S
    assert ruled(made, text, due_s - JUST)[0] is UNDECIDED
    assert ruled(made, text, due_s) == ruling


def test_voice_in_pieces_is_added_up() -> None:
    made = contest(stopped_s=BEGAN_S + 0.4)
    made.voice_started(BEGAN_S + 1.0)
    made.voice_started(BEGAN_S + 1.1)
    assert made.voiced_s(BEGAN_S + 1.3) == pytest.approx(0.7)
    made.voice_stopped(BEGAN_S + 1.2)
    assert made.voiced_s(BEGAN_S + 9.0) == pytest.approx(0.6)


def test_a_voice_that_ended_before_it_began_takes_nothing_away() -> None:
    made = contest(stopped_s=BEGAN_S - 0.5)
    made.voice_started(BEGAN_S + 1.0)
    assert made.voiced_s(BEGAN_S + 1.0) == 0.0


def test_the_recogniser_is_asked_at_intervals_and_once_after_the_voice() -> None:
    made = contest()
    first_s = BEGAN_S + bi.FIRST_READ_S
    assert not made.wants_words(first_s - JUST)
    assert made.wants_words(first_s)
    assert not made.wants_words(first_s)
    assert made.wants_words(first_s + bi.READ_EVERY_S)
    made.voice_stopped(BEGAN_S + 2)
    assert made.wants_words(BEGAN_S + 2 + bi.READ_AFTER_STOP_S)
    assert not made.wants_words(BEGAN_S + 60)
    made.voice_started(BEGAN_S + 60)
    assert not made.wants_words(BEGAN_S + 60)
    assert made.wants_words(BEGAN_S + 60 + bi.FIRST_READ_S)
    made.voice_stopped(BEGAN_S + 60.4)
    assert made.wants_words(BEGAN_S + 60.4 + bi.READ_AFTER_STOP_S)


def test_it_is_woken_to_read_or_to_rule_whichever_comes_first() -> None:
    made = contest(StopSpeaking(voice_s=bi.FIRST_READ_S / 2))
    assert made.deadline == BEGAN_S + bi.FIRST_READ_S / 2
    made.rule("yeah", False, made.deadline)
    assert made.deadline == BEGAN_S + bi.FIRST_READ_S
    assert contest(StopSpeaking(num_words=2)).deadline == BEGAN_S + bi.FIRST_READ_S
    stopped = contest(stopped_s=BEGAN_S + 1)
    assert stopped.wants_words(BEGAN_S + 1)
    assert stopped.deadline == BEGAN_S + 1 + bi.RESUME_AFTER_S
    stopped.rule("", False, stopped.deadline)
    assert stopped.deadline == BEGAN_S + 1 + bi.UNREAD_LIMIT_S


settings_ = st.builds(
    StopSpeaking, num_words=st.none() | st.integers(0, 3), voice_s=st.none() | st.floats(0, 0.5)
)
steps_ = st.tuples(st.floats(0, 1), st.sampled_from(["start", "stop", "look", "confirm"]))
texts_ = st.sampled_from(["", "mhm", "yeah", "pizza", "what time", "stop"])


@examples(150)
@given(settings_, st.lists(st.tuples(steps_, texts_), max_size=15))
def test_every_contest_is_ruled_and_never_spins(
    settings: StopSpeaking, steps: list[tuple[tuple[float, str], str]]
) -> None:
    made = contest(settings)
    now, text = BEGAN_S, ""
    for (after_s, kind), heard in steps:
        now += after_s
        if kind == "start":
            made.voice_started(now)
        elif kind == "stop":
            made.voice_stopped(now)
        else:
            text = heard
        assert made.voiced_s(now) >= 0
        if made.rule(text, kind == "confirm", now).verdict is UNDECIDED:
            made.wants_words(now)
            assert made.deadline > now
    made.voice_stopped(now)
    for _ in range(3):
        ruling = made.rule(text, False, now)
        if ruling.verdict is not UNDECIDED:
            break
        made.wants_words(now)
        assert made.deadline > now
        now = made.deadline
    assert made.rule(text, False, now).verdict is not UNDECIDED
    assert made.rule(text, False, now).reason
