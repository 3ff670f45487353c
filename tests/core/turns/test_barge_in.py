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
YIELD, RESUME, UNDECIDED, PLAY_ON = Verdict.YIELD, Verdict.RESUME, Verdict.UNDECIDED, Verdict.PLAY_ON
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


def test_the_length_of_a_voice_alone_takes_nothing() -> None:
    made = contest()
    assert ruled(made, "", BEGAN_S + bi.WORDLESS_LIMIT_S - JUST)[0] is UNDECIDED
    assert not made.plays_on


def test_a_sound_that_will_not_end_and_has_no_words_is_spoken_over_until_it_has_some() -> None:
    made = contest()
    limit_s = BEGAN_S + bi.WORDLESS_LIMIT_S
    assert ruled(made, "", limit_s) == (PLAY_ON, "no_words")
    assert made.plays_on
    assert not made.aside
    assert ruled(made, "", limit_s + 60)[0] is UNDECIDED
    assert made.wants_words(limit_s + 60)
    assert not made.wants_words(limit_s + 120)
    assert made.deadline is None
    assert ruled(made, "what time", limit_s + 61) == (YIELD, "words")


def test_one_word_and_a_long_voice_take_the_floor() -> None:
    made = contest()
    assert ruled(made, "pizza", BEGAN_S + bi.WORDLESS_LIMIT_S - JUST)[0] is UNDECIDED
    assert ruled(made, "pizza", BEGAN_S + bi.WORDLESS_LIMIT_S) == (YIELD, "words")


def test_an_acknowledgement_may_be_as_long_as_it_likes_and_is_spoken_over() -> None:
    made = contest()
    assert ruled(made, "yeah okay", BEGAN_S + bi.ACKNOWLEDGED_S - JUST)[0] is UNDECIDED
    assert ruled(made, "yeah okay", BEGAN_S + bi.ACKNOWLEDGED_S) == (PLAY_ON, "acknowledgement")
    assert ruled(made, "yeah okay", BEGAN_S + 60)[0] is UNDECIDED
    assert ruled(made, "yeah okay but", BEGAN_S + 61) == (YIELD, "interruption_phrase")


def test_only_what_is_said_in_the_contest_counts() -> None:
    made = BargeIn(StopSpeaking(), BEGAN_S, "wait, what time")
    assert ruled(made, "wait, what time", BEGAN_S + 1)[0] is UNDECIDED
    assert ruled(made, "wait, what time mhm", BEGAN_S + 1) == (PLAY_ON, "acknowledgement")
    assert ruled(made, "wait, what time mhm stop", BEGAN_S + 1.1) == (YIELD, "interruption_phrase")
    # The turn's text may begin anew.
    assert ruled(made, "stop", BEGAN_S + 1.2)[0] is UNDECIDED


def loud(level_db: float | None, settings: StopSpeaking | None = None) -> BargeIn:
    """A voice so loud of a caller whose usual level is 0."""
    made = BargeIn(settings or StopSpeaking(), BEGAN_S, usual_db=0.0)
    made.voice_measured(level_db)
    return made


def test_what_is_said_much_quieter_than_usual_is_not_said_to_the_agent() -> None:
    made = loud(-bi.ASIDE_DB)
    assert ruled(made, "", BEGAN_S + bi.ASIDE_S - JUST)[0] is UNDECIDED
    assert made.deadline is not None
    assert ruled(made, "put it", BEGAN_S + bi.ASIDE_S) == (PLAY_ON, "aside")
    assert (made.plays_on, made.aside) == (True, True)
    made.wants_words(BEGAN_S + bi.ASIDE_S)
    assert not made.wants_words(BEGAN_S + 60)
    assert ruled(made, "no put it down", BEGAN_S + 1)[0] is UNDECIDED
    made.voice_stopped(BEGAN_S + 1)
    assert ruled(made, "no put it down", BEGAN_S + 1.1, confirmed=True) == (RESUME, "aside")


@pytest.mark.parametrize("level_db", [None, -bi.ASIDE_DB + 0.1])
def test_who_is_as_loud_as_usual_or_unmeasured_means_the_agent(level_db: float | None) -> None:
    assert ruled(loud(level_db), "no put it down", BEGAN_S + 1) == (YIELD, "interruption_phrase")


def test_nobody_is_quiet_whose_usual_voice_is_not_known() -> None:
    made = contest()
    made.voice_measured(-80.0)
    assert ruled(made, "put it", BEGAN_S + 1) == (YIELD, "words")


def test_who_keeps_on_quietly_means_the_agent_after_all() -> None:
    many = " ".join(["table"] * bi.ASIDE_WORDS)
    made = loud(-20.0)
    assert ruled(made, many, BEGAN_S + bi.ASIDE_LIMIT_S - JUST) == (PLAY_ON, "aside")
    assert ruled(made, many, BEGAN_S + bi.ASIDE_LIMIT_S) == (YIELD, "words")
    few = loud(-20.0)
    assert ruled(few, "put it down", BEGAN_S + bi.ASIDE_LIMIT_S)[0] is PLAY_ON


@pytest.mark.parametrize(
    ("settings", "ruling"),
    [
        (StopSpeaking(interruptions=("stop",)), (YIELD, "interruption_phrase")),
        (StopSpeaking(num_words=1), (YIELD, "interruption_phrase")),
        (StopSpeaking(voice_s=0.5), (YIELD, "interruption_phrase")),
        (StopSpeaking(), (PLAY_ON, "aside")),
    ],
)
def test_what_was_sent_counts_however_quiet(settings: StopSpeaking, ruling: tuple[Verdict, str]) -> None:
    assert ruled(loud(-20.0, settings), "stop", BEGAN_S + 0.3) == ruling


def test_a_louder_voice_over_a_quiet_one_is_a_contest_of_its_own() -> None:
    made = loud(-20.0)
    made.paused(BEGAN_S + 0.2)
    assert made.voiced_s(BEGAN_S + 1) == pytest.approx(1.0)
    assert ruled(made, "", BEGAN_S + 1) == (PLAY_ON, "aside")
    made.paused(BEGAN_S + 5)
    assert (made.plays_on, made.aside) == (False, False)
    assert made.voiced_s(BEGAN_S + 6) == pytest.approx(1.0)
    made.voice_measured(-1.0)
    assert ruled(made, "put it", BEGAN_S + 5.5) == (YIELD, "words")


def test_what_was_said_quietly_does_not_count_when_the_voice_gets_louder() -> None:
    made = loud(-20.0)
    assert ruled(made, "no put it down", BEGAN_S + 1)[0] is PLAY_ON
    made.paused(BEGAN_S + 2)
    made.voice_measured(-1.0)
    assert ruled(made, "no put it down", BEGAN_S + 2.3)[0] is UNDECIDED
    assert ruled(made, "no put it down what time", BEGAN_S + 2.6) == (YIELD, "words")


def test_a_new_voice_is_measured_anew() -> None:
    made = loud(-20.0)
    assert ruled(made, "", BEGAN_S + 1)[0] is PLAY_ON
    made.voice_stopped(BEGAN_S + 1)
    made.voice_started(BEGAN_S + 1.5)
    assert not made.plays_on
    assert ruled(made, "put it", BEGAN_S + 1.6) == (PLAY_ON, "aside")
    made.voice_measured(-1.0)
    assert ruled(made, "put it", BEGAN_S + 2) == (YIELD, "words")


def test_how_quiet_a_voice_does_not_even_pause_the_agent() -> None:
    ours = StopSpeaking()
    assert bi.gate_db(ours, -20.0) == -20.0 - bi.GATE_DB
    assert bi.gate_db(ours, -20.0, aside=True) == -20.0 - bi.ASIDE_DB
    assert bi.gate_db(ours, None) == -100.0
    assert bi.gate_db(StopSpeaking(voice_s=0.2), -20.0) == -100.0
    assert bi.gate_db(StopSpeaking(num_words=0), -20.0) == -100.0


def test_an_acknowledgement_is_believed_at_once_if_there_was_no_time_for_more() -> None:
    made = contest()
    assert made.wants_words(BEGAN_S + 0.2)
    made.answered()
    made.answered()
    made.voice_stopped(BEGAN_S + 0.2 + bi.WORD_S)
    assert ruled(made, "yeah", BEGAN_S + 0.5) == (RESUME, "acknowledgement")
    longer = contest()
    longer.wants_words(BEGAN_S + 0.2)
    longer.answered()
    longer.voice_stopped(BEGAN_S + 0.2 + bi.WORD_S + JUST)
    assert ruled(longer, "yeah", BEGAN_S + 0.5)[0] is UNDECIDED


def test_acknowledgements_of_other_languages_are_known_unless_a_list_was_sent() -> None:
    after_s = BEGAN_S + 0.5
    assert ruled(contest(stopped_s=BEGAN_S + 0.4), "genau, ja", after_s, confirmed=True)[0] is RESUME
    sent = contest(StopSpeaking(acknowledgements=("okay",)), stopped_s=BEGAN_S + 0.4)
    assert ruled(sent, "genau, ja", after_s, confirmed=True) == (YIELD, "words")


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
        ("", (RESUME, "no_words")),
    ],
)
def test_what_was_said_decides_once_it_is_known(text: str, ruling: tuple[Verdict, str]) -> None:
    after_s = BEGAN_S + 0.3 + bi.RESUME_AFTER_S
    assert ruled(contest(stopped_s=BEGAN_S + 0.3), text, after_s, confirmed=True) == ruling


def test_a_single_word_takes_the_floor_when_the_voice_stays_away() -> None:
    made = contest(stopped_s=BEGAN_S + 0.3)
    assert ruled(made, "pizza", BEGAN_S + 0.4, confirmed=True)[0] is UNDECIDED
    assert made.deadline == BEGAN_S + 0.3 + bi.ONE_WORD_AFTER_S
    assert ruled(made, "pizza", made.deadline, confirmed=True) == (YIELD, "words")


def test_what_follows_an_acknowledgement_is_one_contest_with_it() -> None:
    made = contest(stopped_s=BEGAN_S + 0.3)
    assert ruled(made, "okay", BEGAN_S + 0.4)[0] is UNDECIDED
    made.voice_started(BEGAN_S + 0.45)
    assert ruled(made, "okay but", BEGAN_S + 0.6) == (YIELD, "interruption_phrase")


def test_under_a_voice_that_was_spoken_over_an_unread_end_changes_nothing() -> None:
    made = contest()
    limit_s = BEGAN_S + bi.WORDLESS_LIMIT_S
    assert ruled(made, "", limit_s)[0] is PLAY_ON
    made.voice_stopped(limit_s)
    assert ruled(made, "", limit_s + bi.UNREAD_LIMIT_S) == (RESUME, "short_voice")


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
    stopped.rule("", False, BEGAN_S + 1)
    assert stopped.deadline == BEGAN_S + 1 + bi.ONE_WORD_AFTER_S
    stopped.rule("", False, stopped.deadline)
    assert stopped.deadline == BEGAN_S + 1 + bi.UNREAD_LIMIT_S


settings_ = st.builds(
    StopSpeaking, num_words=st.none() | st.integers(0, 3), voice_s=st.none() | st.floats(0, 0.5)
)
kinds_ = st.sampled_from(["start", "stop", "look", "confirm", "answer", "measure", "pause"])
steps_ = st.tuples(st.floats(0, 1), kinds_, st.floats(-30, 3))
acknowledging = st.sampled_from(["", "mhm", "yeah", "yeah okay", "uh huh right"])
texts_ = st.sampled_from(
    ["", "mhm", "yeah", "pizza", "what time", "stop", "one two three four five six seven eight"]
)
Script = list[tuple[tuple[float, str, float], str]]


def play(made: BargeIn, script: Script) -> tuple[list[Verdict], str, float]:
    """Feeds a contest until it is ruled, and answers all rulings, the last text and the time."""
    now, text, verdicts = BEGAN_S, "", list[Verdict]()
    for (after_s, kind, level_db), heard in script:
        now += after_s
        match kind:
            case "start":
                made.voice_started(now)
            case "stop":
                made.voice_stopped(now)
            case "measure":
                made.voice_measured(level_db)
            case "answer":
                made.answered()
            case "pause":
                made.paused(now)
            case _:
                text = heard
        assert made.voiced_s(now) >= 0
        verdicts.append(made.rule(text, kind == "confirm", now).verdict)
        if verdicts[-1] in (YIELD, RESUME):
            break
        assert verdicts[-1] is not PLAY_ON or made.plays_on
        made.wants_words(now)
        assert made.deadline is None or made.deadline > now
    return verdicts, text, now


@examples(150)
@given(settings_, st.lists(st.tuples(steps_, texts_), max_size=15), st.none() | st.floats(-20, 0))
def test_every_contest_is_ruled_and_never_spins(
    settings: StopSpeaking, script: Script, usual_db: float | None
) -> None:
    made = BargeIn(settings, BEGAN_S, "well", usual_db)
    verdicts, text, now = play(made, script)
    if verdicts and verdicts[-1] in (YIELD, RESUME):
        return
    made.voice_stopped(now)
    for _ in range(4):
        ruling = made.rule(text, False, now)
        if ruling.verdict in (YIELD, RESUME):
            break
        made.wants_words(now)
        assert made.deadline is not None
        assert made.deadline > now
        now = made.deadline
    assert made.rule(text, False, now).verdict in (YIELD, RESUME)
    assert made.rule(text, False, now).reason


@examples(150)
@given(st.lists(st.tuples(steps_, acknowledging), max_size=20), st.none() | st.floats(-20, 0))
def test_nobody_takes_the_floor_by_acknowledging(script: Script, usual_db: float | None) -> None:
    held = [step for step in script if step[0][1] != "stop" or step[1]]
    for made in (BargeIn(StopSpeaking(), BEGAN_S, "", usual_db), BargeIn(StopSpeaking(num_words=1), BEGAN_S)):
        now, text = BEGAN_S, "mhm"
        for (after_s, kind, level_db), heard in held:
            now += after_s
            text = heard or text
            if kind == "start":
                made.voice_started(now)
            elif kind == "stop":
                made.voice_stopped(now)
            elif kind == "measure":
                made.voice_measured(level_db)
            assert made.rule(text, kind == "confirm", now).verdict is not YIELD


@examples(100)
@given(st.floats(0, 30), st.none() | st.floats(-20, 0))
def test_without_words_no_voice_keeps_the_agent_silent_for_longer_than_the_limit(
    voice_s: float, usual_db: float | None
) -> None:
    made = BargeIn(StopSpeaking(), BEGAN_S, "", usual_db)
    now = BEGAN_S
    while not made.plays_on and now < BEGAN_S + voice_s:
        assert now <= BEGAN_S + bi.WORDLESS_LIMIT_S
        made.rule("", False, now)
        made.wants_words(now)
        now = min(BEGAN_S + voice_s, made.deadline or float("inf"))
    assert made.plays_on == (voice_s > bi.WORDLESS_LIMIT_S) or now == BEGAN_S + voice_s


def test_a_word_that_no_voice_was_long_enough_for_is_not_believed() -> None:
    contest = BargeIn(StopSpeaking(), 1.0)
    contest.voice_stopped(1.06)
    assert contest.rule("You", confirmed=True, now=1.1).reason == "no_words"
    short = BargeIn(StopSpeaking(), 1.0)
    short.voice_stopped(1.06)
    assert short.rule("Stop", confirmed=True, now=1.1).verdict is Verdict.YIELD
