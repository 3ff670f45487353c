"""How long a turn waits, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import EAGERNESS, StartSpeaking, TranscriptionWaits
from aywa.core.turns import endpointing as ep
from aywa.core.turns.endpointing import Evidence, Wait, decide
from aywa.core.turns.wait_function import DEFAULT_WAIT_FUNCTION, read_wait_function
from tests.core.feed import examples

DEFAULT = StartSpeaking()
FUNCTION = read_wait_function("1000 * x")
PLAN = TranscriptionWaits(on_punctuation_s=0.1, on_no_punctuation_s=1.5, on_number_s=0.5)
TEXT = "I would like to book a table"


@pytest.mark.parametrize(
    ("text", "score", "reason"),
    [
        ("", None, "no_words"),
        ("I want a", 0.99, "unfinished_phrase"),
        ("because of the rain", 0.99, "loose_end"),
        ("it is four two", 0.99, "number"),
        ("it is four two one five five five one", 0.0, "whole_number"),
        ("Good morning.", 0.99, "opening_words"),
        ("where is it", None, "whole_question"),
        ("I called yesterday", 0.99, "short_clause"),
        ("yes please", None, "short_answer"),
        ("yes please", 0.5, "short_answer"),
        ("yes please", ep.INCOMPLETE_SCORE, "sounds_incomplete"),
        (TEXT, 0.5, "settled_text"),
        (TEXT + ",", ep.SETTLED_SCORE, "sounds_complete"),
        (TEXT + ",", 0.0, "trailing_comma"),
        (TEXT + ",", None, "trailing_comma"),
    ],
)
@pytest.mark.parametrize("eagerness", EAGERNESS)
def test_by_what_was_said_and_how_it_sounded(
    text: str, score: float | None, reason: str, eagerness: str
) -> None:
    wait = decide(Evidence(text, confirmed=True, score=score), StartSpeaking(eagerness=eagerness))
    assert wait == Wait(ep.WAITS[reason][EAGERNESS.index(eagerness)], reason)


def test_a_more_eager_assistant_never_waits_longer() -> None:
    assert all(fast <= balanced <= patient for fast, balanced, patient in ep.WAITS.values())


@pytest.mark.parametrize(("eagerness", "wait_s"), [("fast", 0.6), ("balanced", 0.68), ("patient", 0.9)])
def test_a_yes_is_waited_after_however_complete_it_sounds(eagerness: str, wait_s: float) -> None:
    evidence = Evidence("yes please", True, ep.COMPLETE_SCORE)
    assert decide(evidence, StartSpeaking(eagerness=eagerness)) == Wait(wait_s, "sounds_complete")


def test_who_answers_fast_asks_how_every_sentence_sounded() -> None:
    fast = StartSpeaking(eagerness="fast")
    assert ep.wants_score(TEXT, fast)
    assert ep.wants_score("where is it", fast)
    assert not ep.wants_score("where is it", StartSpeaking())
    reasons = [
        decide(Evidence(TEXT, True, score), fast).reason for score in (None, 0.1, 0.5, ep.SETTLED_SCORE)
    ]
    assert reasons == ["settled_text", "sounds_incomplete", "settled_text", "sounds_complete"]
    assert decide(Evidence(TEXT, True, ep.SETTLED_SCORE), fast).wait_s == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "settings", "asked"),
    [
        ("yes", DEFAULT, True),
        (TEXT + ",", DEFAULT, True),
        (TEXT, DEFAULT, False),
        ("I want a", DEFAULT, False),
        ("yes", StartSpeaking(transcription=PLAN), False),
        (TEXT, StartSpeaking(transcription=PLAN, wait_function=FUNCTION), True),
    ],
)
def test_the_acoustic_model_is_asked_only_where_its_word_counts(
    text: str, settings: StartSpeaking, *, asked: bool
) -> None:
    assert ep.wants_score(text, settings) is asked


def test_a_caller_who_pauses_long_is_given_more_time_but_not_for_ever() -> None:
    quick = decide(Evidence("yes", confirmed=True, longest_pause_s=0.01), DEFAULT)
    slow = decide(Evidence("yes", confirmed=True, longest_pause_s=ep.SHORT_ANSWER_S - 0.05), DEFAULT)
    endless = decide(Evidence("yes", confirmed=True, longest_pause_s=60.0), DEFAULT)
    assert quick == Wait(ep.SHORT_ANSWER_S, "short_answer")
    assert slow.reason == "own_pauses"
    assert slow.wait_s > ep.SHORT_ANSWER_S
    assert endless == Wait(ep.OWN_PAUSE_MAX_S, "own_pauses")


def test_a_whole_question_does_not_wait_for_the_pauses_before_it() -> None:
    wait = decide(Evidence("when do you open", confirmed=True, longest_pause_s=1.0), DEFAULT)
    assert wait.reason == "whole_question"


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("My number is 5.", Wait(0.5, "on_number")),
        ("Hello there.", Wait(0.1, "on_punctuation")),
        ("Hello there", Wait(1.5, "on_no_punctuation")),
        ("", Wait(1.5, "on_no_punctuation")),
    ],
)
def test_a_plan_that_is_sent_has_the_contracts_meaning(text: str, wait: Wait) -> None:
    # Contract 9.1: number, then punctuation, then none; what it sounds like and how the caller pauses is not asked.
    evidence = Evidence(text, confirmed=True, score=0.0, longest_pause_s=5.0)
    assert decide(evidence, StartSpeaking(transcription=PLAN)) == wait


def test_wait_seconds_is_a_floor_and_nothing_is_added() -> None:
    settings = StartSpeaking(wait_s=1.2, transcription=PLAN)
    assert decide(Evidence("Hello there.", confirmed=True), settings) == Wait(1.2, "wait_seconds")
    assert decide(Evidence("Hello there", confirmed=True), settings) == Wait(1.5, "on_no_punctuation")
    assert decide(Evidence("yes", confirmed=True), StartSpeaking(wait_s=0.0)).reason == "short_answer"


def test_text_that_may_not_be_all_waits_for_the_rest() -> None:
    wait = decide(Evidence(TEXT, confirmed=False), DEFAULT)
    assert wait == Wait(DEFAULT.unconfirmed_wait_s, "unconfirmed_text")
    longer = StartSpeaking(wait_s=DEFAULT.unconfirmed_wait_s + 1)
    assert decide(Evidence(TEXT, confirmed=False), longer).reason == "wait_seconds"


ALL_PLANS = StartSpeaking(wait_function=FUNCTION, asks_model=True, transcription=PLAN)


@pytest.mark.parametrize(
    ("settings", "evidence", "wait"),
    [
        # Contract 9.1: rules, then the smart plan, then the transcript, then ours.
        (
            ALL_PLANS,
            Evidence(TEXT, True, 0.3, rule_wait_s=4.0, model_wait_s=3.0),
            Wait(4.0, "custom_rule"),
        ),
        (ALL_PLANS, Evidence(TEXT, True, 0.3, model_wait_s=3.0), Wait(3.0, "endpointing_model")),
        (ALL_PLANS, Evidence(TEXT, True, 0.3), Wait(0.7, "wait_function")),
        (StartSpeaking(transcription=PLAN), Evidence(TEXT, True, 0.3), Wait(1.5, "on_no_punctuation")),
        (StartSpeaking(asks_model=True), Evidence(TEXT, True), Wait(ep.SETTLED_TEXT_S, "settled_text")),
        (DEFAULT, Evidence(TEXT, True, model_wait_s=3.0), Wait(ep.SETTLED_TEXT_S, "settled_text")),
        (DEFAULT, Evidence(TEXT, True, rule_wait_s=0.0), Wait(0.0, "custom_rule")),
        # x is the probability that the caller is still speaking.
        (
            StartSpeaking(wait_function=read_wait_function(DEFAULT_WAIT_FUNCTION)),
            Evidence(TEXT, True, 1.0),
            Wait(0.02, "wait_function"),
        ),
        (
            StartSpeaking(wait_function=read_wait_function(DEFAULT_WAIT_FUNCTION)),
            Evidence(TEXT, True, 0.0),
            Wait(3.02, "wait_function"),
        ),
        # Until there is a score our own wait counts, and leaves the model its time.
        (
            StartSpeaking(wait_function=FUNCTION),
            Evidence(TEXT, True),
            Wait(ep.SETTLED_TEXT_S, "settled_text"),
        ),
        (
            StartSpeaking(wait_function=FUNCTION, eagerness="fast"),
            Evidence("it is four two one five five five one", True),
            Wait(ep.SCORE_BY_S, "no_score"),
        ),
        # The floor and the confirmation count whatever decides.
        (StartSpeaking(wait_s=2.0), Evidence(TEXT, True, rule_wait_s=0.5), Wait(2.0, "wait_seconds")),
        (
            DEFAULT,
            Evidence(TEXT, False, rule_wait_s=0.5),
            Wait(DEFAULT.unconfirmed_wait_s, "unconfirmed_text"),
        ),
        (DEFAULT, Evidence(TEXT, False, rule_wait_s=5.0), Wait(5.0, "custom_rule")),
        # What is still to be answered is waited for, and no longer than it may take.
        (
            DEFAULT,
            Evidence("yes", True, awaited="rules_late", answer_by_s=1.5),
            Wait(1.5, "rules_late"),
        ),
        (
            DEFAULT,
            Evidence(TEXT, True, awaited="rules_late", answer_by_s=0.5),
            Wait(ep.SETTLED_TEXT_S, "settled_text"),
        ),
    ],
)
def test_who_decides(settings: StartSpeaking, evidence: Evidence, wait: Wait) -> None:
    decided = decide(evidence, settings)
    assert (round(decided.wait_s, 6), decided.reason) == (wait.wait_s, wait.reason)


evidences = st.builds(
    Evidence,
    text=st.sampled_from(["", TEXT, TEXT + ".", "yes", "a 5", "and"]),
    confirmed=st.booleans(),
    score=st.none() | st.floats(0, 1),
    longest_pause_s=st.floats(0, 20),
)
settings_ = st.builds(
    StartSpeaking, wait_s=st.none() | st.floats(0, 5), transcription=st.none() | st.just(PLAN)
)


@examples(150)
@given(evidences, settings_)
def test_every_wait_has_a_reason_and_an_end(evidence: Evidence, settings: StartSpeaking) -> None:
    wait = decide(evidence, settings)
    longest = max(
        ep.LONGEST_WAIT_S, ep.OWN_PAUSE_MAX_S, settings.unconfirmed_wait_s, PLAN.on_no_punctuation_s
    )
    assert wait.reason
    assert (settings.wait_s or 0.0) <= wait.wait_s <= max(longest, settings.wait_s or 0.0)


@examples(150)
@given(evidences, settings_)
def test_a_confirmation_never_makes_the_wait_longer(evidence: Evidence, settings: StartSpeaking) -> None:
    before = Evidence(evidence.text, False, evidence.score, evidence.longest_pause_s)
    after = Evidence(evidence.text, True, evidence.score, evidence.longest_pause_s)
    assert decide(after, settings).wait_s <= decide(before, settings).wait_s
