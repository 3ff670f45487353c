"""Is the caller's turn over? Joins what was said, how it sounded and how this caller pauses into one wait and its reason.

The wait counts from the caller's last voice. It is asked again whenever the evidence changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from aywa.core.settings import StartSpeaking, TranscriptionWaits
from aywa.core.turns import phrases
from aywa.core.turns.wait_function import WaitFunction

# Seconds. Chosen on spoken questions with inner pauses of 0.3-0.45 s, whose end the voice detector tells up to 0.13 s
# late; bench/README.md has what they cost and save.
SHORT_ANSWER_S = 0.40
SOUNDS_COMPLETE_S = 0.64
SETTLED_TEXT_S = 0.68
OPENING_S = 0.8
SOUNDS_INCOMPLETE_S = 0.95
NUMBER_S = 0.95
UNFINISHED_S = 1.4
UNFINISHED = "unfinished_phrase"
NO_WORDS_S = 1.0
OWN_PAUSE_MAX_S = 1.0
COMPLETE_SCORE = 0.6
INCOMPLETE_SCORE = 0.2
# A wait function goes by the score: until then the acoustic model may take.
SCORE_BY_S = 0.6


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the turn. score: the acoustic model's probability that it is complete, None when not asked.
    longest_pause_s: this caller's longest pause inside a turn so far. rule_wait_s, model_wait_s: what the customer's rules
    and endpointing model say of this text. awaited, answer_by_s: which of them is still to answer, and until when that is
    waited for, in seconds after the last voice."""

    text: str
    confirmed: bool
    score: float | None = None
    longest_pause_s: float = 0.0
    rule_wait_s: float | None = None
    model_wait_s: float | None = None
    awaited: str = ""
    answer_by_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    """How long after the last voice the turn is over, and why."""

    wait_s: float
    reason: str


def decide(evidence: Evidence, settings: StartSpeaking) -> Wait:
    """The wait for this evidence. startSpeakingPlan.waitSeconds is a floor under it (contract 9.1)."""
    wait = _by_priority(evidence, settings)
    if evidence.awaited and wait.wait_s < evidence.answer_by_s:
        wait = Wait(evidence.answer_by_s, evidence.awaited)
    if settings.wait_s is not None and wait.wait_s < settings.wait_s:
        wait = Wait(settings.wait_s, "wait_seconds")
    if not evidence.confirmed and wait.wait_s < settings.unconfirmed_wait_s:
        return Wait(settings.unconfirmed_wait_s, "unconfirmed_text")
    return wait


def _by_priority(evidence: Evidence, settings: StartSpeaking) -> Wait:
    """Contract 9.1: rules, then the smart plan, then the transcript; without any, ours."""
    if evidence.rule_wait_s is not None:
        return Wait(evidence.rule_wait_s, "custom_rule")
    if settings.asks_model and evidence.model_wait_s is not None:
        return Wait(evidence.model_wait_s, "endpointing_model")
    if settings.wait_function is not None:
        return _by_wait_function(evidence, settings.wait_function)
    if settings.transcription is not None:
        return _by_transcript(evidence.text, settings.transcription)
    return _adaptive(evidence)


def _by_wait_function(evidence: Evidence, function: WaitFunction) -> Wait:
    wait_s = None if evidence.score is None else function.wait_s(1 - evidence.score)
    if wait_s is not None:
        return Wait(wait_s, "wait_function")
    adaptive = _adaptive(evidence)
    return adaptive if adaptive.wait_s >= SCORE_BY_S else Wait(SCORE_BY_S, "no_score")


def _by_transcript(text: str, waits: TranscriptionWaits) -> Wait:
    """Contract 9.1: number, then punctuation, then none."""
    if phrases.ends_in_number(text):
        return Wait(waits.on_number_s, "on_number")
    if phrases.ends_in_punctuation(text):
        return Wait(waits.on_punctuation_s, "on_punctuation")
    return Wait(waits.on_no_punctuation_s, "on_no_punctuation")


def _adaptive(evidence: Evidence) -> Wait:
    wait = _by_content(evidence)
    own = min(evidence.longest_pause_s * 1.15 + 0.05, OWN_PAUSE_MAX_S)
    if evidence.longest_pause_s and wait.wait_s < own:
        return Wait(own, "own_pauses")
    return wait


def _by_content(evidence: Evidence) -> Wait:
    text, score = evidence.text, evidence.score
    if not text:
        return Wait(NO_WORDS_S, "no_words")
    if phrases.is_unfinished(text):
        return Wait(UNFINISHED_S, UNFINISHED)
    if phrases.is_short_answer(text):
        return Wait(SHORT_ANSWER_S, "short_answer")
    if phrases.ends_in_number(text):
        return Wait(NUMBER_S, "number")
    if phrases.is_opening(text):
        return Wait(OPENING_S, "opening_words")
    if score is not None and score >= COMPLETE_SCORE:
        return Wait(SOUNDS_COMPLETE_S, "sounds_complete")
    if phrases.ends_in_comma(text):
        return Wait(SOUNDS_INCOMPLETE_S, "trailing_comma")
    if score is not None and score <= INCOMPLETE_SCORE:
        return Wait(SOUNDS_INCOMPLETE_S, "sounds_incomplete")
    return Wait(SETTLED_TEXT_S, "settled_text")
