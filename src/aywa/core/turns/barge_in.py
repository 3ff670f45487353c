"""The caller makes a sound while the agent speaks: does it take the floor?

Words decide where there are any; the length of the voice where there are none. Until it is decided, playing is paused
(or goes on, where the assistant counts words).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from aywa.core.settings import StopSpeaking
from aywa.core.turns import phrases

# Seconds; used where the assistant's stopSpeakingPlan leaves the field out.
HELD_VOICE_S = 0.9
FIRST_READ_S = 0.30
READ_EVERY_S = 0.25
READ_AFTER_STOP_S = 0.0
UNREAD_LIMIT_S = 0.6
RESUME_AFTER_S = 0.2
SHORT_VOICE_S = 0.5
WORDS = 2


class Verdict(Enum):
    """What becomes of the floor."""

    UNDECIDED = auto()
    YIELD = auto()
    RESUME = auto()


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict and its reason."""

    verdict: Verdict
    reason: str


UNDECIDED = Ruling(Verdict.UNDECIDED, "")


class BargeIn:
    """One contest for the floor, from the first voice to a ruling."""

    def __init__(self, settings: StopSpeaking, started_s: float) -> None:
        self._settings = settings
        self._voice_began_s = started_s
        self._voiced_before_s = 0.0
        self._stopped_s: float | None = None
        self._next_read_s = started_s + FIRST_READ_S
        self._ruled_s = started_s

    def voice_started(self, at_s: float) -> None:
        """Voice again within the same contest."""
        if self._stopped_s is not None:
            self._voiced_before_s += max(0.0, self._stopped_s - self._voice_began_s)
            self._voice_began_s = at_s
            self._stopped_s = None
            self._next_read_s = at_s + FIRST_READ_S

    def voice_stopped(self, at_s: float) -> None:
        """Voice ended at at_s; the words are asked for at once."""
        self._stopped_s = at_s
        self._next_read_s = at_s + READ_AFTER_STOP_S

    def voiced_s(self, now: float) -> float:
        """How much voice there was in the contest."""
        end_s = now if self._stopped_s is None else self._stopped_s
        return self._voiced_before_s + max(0.0, end_s - self._voice_began_s)

    def wants_words(self, now: float) -> bool:
        """Whether to ask the recogniser for the words so far; true once per interval, once after the voice ended."""
        if now < self._next_read_s:
            return False
        self._next_read_s = now + READ_EVERY_S if self._stopped_s is None else float("inf")
        return True

    def rule(self, text: str, confirmed: bool, now: float) -> Ruling:
        """The ruling on what is known now."""
        self._ruled_s = now
        by_words = self._by_words(text)
        if by_words is not UNDECIDED:
            return by_words
        if self._stopped_s is None:
            return self._while_voiced(text, now)
        ruling = self._after_voice(text, confirmed, now)
        # "Okay, but ..." has a pause in it: whoever only acknowledged is given the time to go on.
        too_soon = ruling.verdict is Verdict.RESUME and now < self._stopped_s + RESUME_AFTER_S - 1e-6
        return UNDECIDED if too_soon else ruling

    @property
    def deadline(self) -> float:
        """When to rule again, at the latest."""
        if self._stopped_s is not None:
            resume_s = self._stopped_s + RESUME_AFTER_S
            limit_s = resume_s if resume_s > self._ruled_s else self._stopped_s + UNREAD_LIMIT_S
            return min(self._next_read_s, limit_s)
        held_s = self._voice_began_s + self._held_s - self._voiced_before_s
        return min(self._next_read_s, held_s) if held_s > self._ruled_s else self._next_read_s

    @property
    def _held_s(self) -> float:
        settings = self._settings
        if settings.num_words:
            return float("inf")
        return HELD_VOICE_S if settings.voice_s is None else settings.voice_s

    def _by_words(self, text: str) -> Ruling:
        settings = self._settings
        if phrases.has_interruption(text, settings.interruptions):
            return Ruling(Verdict.YIELD, "interruption_phrase")
        needed = settings.num_words or WORDS
        if phrases.floor_words(text, settings.acknowledgements) >= needed:
            return Ruling(Verdict.YIELD, "words")
        return UNDECIDED

    def _while_voiced(self, text: str, now: float) -> Ruling:
        if phrases.is_acknowledgement(text, self._settings.acknowledgements):
            return UNDECIDED
        # The margin keeps a deadline that fell due from missing by rounding.
        if self.voiced_s(now) >= self._held_s - 1e-6:
            return Ruling(Verdict.YIELD, "voice_held")
        return UNDECIDED

    def _after_voice(self, text: str, confirmed: bool, now: float) -> Ruling:
        settings = self._settings
        unread = self._stopped_s is not None and now >= self._stopped_s + UNREAD_LIMIT_S - 1e-6
        if not (confirmed or unread):
            return UNDECIDED
        if phrases.is_acknowledgement(text, settings.acknowledgements):
            return Ruling(Verdict.RESUME, "acknowledgement")
        words = phrases.floor_words(text, settings.acknowledgements)
        if confirmed and not words:
            return Ruling(Verdict.RESUME, "no_words")
        if settings.num_words:
            # Contract 9.2: the voice's length counts only where no words are counted.
            return Ruling(Verdict.RESUME, "too_few_words")
        if words:
            return Ruling(Verdict.YIELD, "words")
        short = self.voiced_s(now) < SHORT_VOICE_S
        return Ruling(Verdict.RESUME, "short_voice") if short else Ruling(Verdict.YIELD, "unread_voice")
