"""Is the caller's turn over? Joins what was said, how it sounded and how this caller pauses into one wait and its reason.

The wait counts from the caller's last voice. It is asked again whenever the evidence changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aywa.core.settings import EAGERNESS, StartSpeaking, TranscriptionWaits
from aywa.core.turns import phrases
from aywa.core.turns.endings import Ending, ending_of
from aywa.core.turns.wait_function import WaitFunction

# Seconds after the last voice, by how eager the assistant is to answer (EAGERNESS). By default none is under 0.68: a reply that
# was begun early is not there sooner, so a shorter wait would gain nothing. Chosen on the tuning half of
# bench/end_of_turn.py, where half of the pauses inside turns are longer than 0.45 s, one in five longer than 0.7 and none
# longer than 1.2; bench/README.md has what they cost and save.
WAITS: Mapping[str, tuple[float, float, float]] = {
    Ending.NOTHING: (1.0, 1.0, 1.4),
    Ending.OPEN: (1.4, 1.4, 1.8),
    Ending.LOOSE: (1.25, 1.25, 1.6),
    Ending.GROUP: (1.45, 1.45, 1.8),
    Ending.WHOLE_GROUP: (0.5, 0.72, 1.2),
    Ending.OPENING: (1.35, 1.35, 1.6),
    Ending.ANSWER: (0.95, 0.95, 1.2),
    Ending.ASKED: (0.6, 0.7, 1.0),
    Ending.CLAUSE: (1.3, 1.3, 1.5),
    Ending.STATED: (0.7, 1.0, 1.3),
    Ending.SETTLED: (0.7, 0.72, 1.1),
    "trailing_comma": (0.95, 1.15, 1.5),
    "sounds_complete": (0.3, 0.68, 0.9),
    "sounds_incomplete": (1.2, 1.2, 1.6),
}
UNFINISHED = Ending.OPEN.value
SHORT_ANSWER_S = WAITS[Ending.ANSWER][1]
SETTLED_TEXT_S = WAITS[Ending.SETTLED][1]
OWN_PAUSE_MAX_S = 1.0
LONGEST_WAIT_S = max(wait for waits in WAITS.values() for wait in waits)
# The model is sure of many a first half: only where it could hardly be surer is it believed.
COMPLETE_SCORE = 0.97
SETTLED_SCORE = 0.98
_COMPLETE_SCORES = {Ending.SETTLED: SETTLED_SCORE, Ending.ASKED: SETTLED_SCORE, Ending.STATED: SETTLED_SCORE}
# However complete a yes sounds, no sooner.
ANSWER_LEAST_S = 0.6
INCOMPLETE_SCORE = 0.2
# What the caller has said so far makes these whole, however long the pauses before were.
_SURE = frozenset((Ending.WHOLE_GROUP, Ending.ASKED, Ending.SETTLED))
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
        return _by_wait_function(evidence, settings.wait_function, settings.eagerness)
    if settings.transcription is not None:
        return _by_transcript(evidence.text, settings.transcription)
    return _adaptive(evidence, settings.eagerness)


def _by_wait_function(evidence: Evidence, function: WaitFunction, eagerness: str) -> Wait:
    wait_s = None if evidence.score is None else function.wait_s(1 - evidence.score)
    if wait_s is not None:
        return Wait(wait_s, "wait_function")
    adaptive = _adaptive(evidence, eagerness)
    return adaptive if adaptive.wait_s >= SCORE_BY_S else Wait(SCORE_BY_S, "no_score")


def _by_transcript(text: str, waits: TranscriptionWaits) -> Wait:
    """Contract 9.1: number, then punctuation, then none."""
    if phrases.ends_in_number(text):
        return Wait(waits.on_number_s, "on_number")
    if phrases.ends_in_punctuation(text):
        return Wait(waits.on_punctuation_s, "on_punctuation")
    return Wait(waits.on_no_punctuation_s, "on_no_punctuation")


def _adaptive(evidence: Evidence, eagerness: str) -> Wait:
    reason = _reason(evidence, eagerness)
    wait_s = WAITS[reason][EAGERNESS.index(eagerness)]
    if ending_of(evidence.text) is Ending.ANSWER:
        wait_s = max(wait_s, ANSWER_LEAST_S)
    own_s = min(evidence.longest_pause_s * 1.15 + 0.05, OWN_PAUSE_MAX_S)
    if evidence.longest_pause_s and wait_s < own_s and reason not in _SURE:
        return Wait(own_s, "own_pauses")
    return Wait(wait_s, str(reason))


def wants_score(text: str, settings: StartSpeaking) -> bool:
    """The words leave open whether the turn is over: the acoustic model is worth its time."""
    if settings.wait_function is not None:
        return True
    return settings.transcription is None and _leaves_open(text, ending_of(text), settings.eagerness)


def _reason(evidence: Evidence, eagerness: str) -> str:
    """How the words end; where they leave it open, how they sounded."""
    ending, score = ending_of(evidence.text), evidence.score
    if not _leaves_open(evidence.text, ending, eagerness):
        return ending
    if score is not None and score >= _COMPLETE_SCORES.get(ending, COMPLETE_SCORE):
        return "sounds_complete"
    if phrases.ends_in_comma(evidence.text):
        return "trailing_comma"
    if score is not None and score <= INCOMPLETE_SCORE:
        return "sounds_incomplete"
    return ending


def _leaves_open(text: str, ending: Ending, eagerness: str) -> bool:
    """A yes or no that may go on, or a sentence that the recogniser closed with a comma. Who answers fast asks about every
    sentence: words that nobody thought of look like whole ones."""
    if ending in (Ending.SETTLED, Ending.ASKED, Ending.STATED):
        return eagerness == "fast" or phrases.ends_in_comma(text)
    return ending is Ending.ANSWER
