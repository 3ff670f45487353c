"""The caller makes a sound while the agent speaks: does it take the floor?

Words decide, and how loud they were said: what is much quieter than this caller's usual voice is said to somebody else.
The length of the voice alone decides only where the assistant's plan says so. Until it is decided, playing is paused
(or goes on, where the assistant counts words); it goes on, too, under a sound that will not end and has no words.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from aywa.core.audio.level import SILENCE_DB
from aywa.core.settings import ACKNOWLEDGEMENTS, INTERRUPTIONS, StopSpeaking
from aywa.core.turns import phrases

# Seconds; used where the assistant's stopSpeakingPlan leaves the field out.
FIRST_READ_S = 0.20
READ_EVERY_S = 0.25
READ_AFTER_STOP_S = 0.0
UNREAD_LIMIT_S = 0.6
RESUME_AFTER_S = 0.0
SHORT_VOICE_S = 0.9
WORDS = 2
# A single word takes the floor when the voice has not come back for so long.
ONE_WORD_AFTER_S = 0.3
# Less voice than this holds no word.
WORD_VOICE_S = 0.15
# Playing goes on under a voice that has said nothing to take the floor with for so long.
WORDLESS_LIMIT_S = 2.0
# A voice that has only acknowledged for so long will go on to do so.
ACKNOWLEDGED_S = 0.3
# No word fits into less than this.
WORD_S = 0.2
# Quieter than usual by so much is said to somebody else, as soon as so much voice was measured; one who keeps on at it
# for so long with so many words means the agent after all.
ASIDE_DB = 7.0
ASIDE_S = 0.25
ASIDE_LIMIT_S = 4.0
ASIDE_WORDS = 8
# Voice that begins quieter than usual by so much does not even pause the agent.
GATE_DB = 11.0


class Verdict(Enum):
    """What becomes of the floor. PLAY_ON: the agent speaks on, and the contest stays open until the voice has ended."""

    UNDECIDED = auto()
    YIELD = auto()
    PLAY_ON = auto()
    RESUME = auto()


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict and its reason."""

    verdict: Verdict
    reason: str


UNDECIDED = Ruling(Verdict.UNDECIDED, "")


class BargeIn:
    """One contest for the floor, from the first voice to a ruling.

    known: the turn's text before the contest; its words do not count. usual_db: how loud the caller usually is, if that
    is known. language: of the call, for the acknowledgements spoken in it.
    """

    def __init__(
        self,
        settings: StopSpeaking,
        started_s: float,
        known: str = "",
        usual_db: float | None = None,
        language: str = "",
    ) -> None:
        self._settings = settings
        # How many of the turn's words do not count, and how many there were when it was last ruled.
        self._known = self._heard = len(phrases.words_of(known))
        self._usual_db = usual_db
        # Lists that were sent mean what the contract says of them; ours are the longer for knowing more languages.
        adaptive = settings.acknowledgements is ACKNOWLEDGEMENTS
        self._acknowledgements = phrases.acknowledgements(language) if adaptive else settings.acknowledgements
        self._voice_began_s = started_s
        self._voiced_before_s = 0.0
        self._stopped_s: float | None = None
        self._level_db: float | None = None
        self._asked_s: deque[float] = deque()
        self._answered_s = started_s
        self._next_read_s = started_s + FIRST_READ_S
        self._ruled_s = started_s
        self.plays_on = False
        self.aside = False

    # --- what happens --------------------------------------------------------------------------------------------

    def voice_started(self, at_s: float) -> None:
        """Voice again within the same contest; playing is paused again."""
        if self._stopped_s is not None:
            self._voiced_before_s += max(0.0, self._stopped_s - self._voice_began_s)
            self._voice_began_s = at_s
            self._stopped_s = None
            self._next_read_s = at_s + FIRST_READ_S
            self.plays_on = self.aside = False

    def voice_measured(self, level_db: float | None) -> None:
        """How loud the present voice is, or the one that ended was; that holds for the next one until it is measured."""
        if level_db is not None:
            self._level_db = level_db

    def voice_stopped(self, at_s: float) -> None:
        """Voice ended at at_s; the words are asked for at once."""
        self._stopped_s = at_s
        self._next_read_s = at_s + READ_AFTER_STOP_S

    def paused(self, at_s: float) -> None:
        """Playing was paused by louder voice, though it goes on under a quieter one: the contest begins with that."""
        if self.plays_on:
            self.plays_on = self.aside = False
            self._voice_began_s, self._voiced_before_s = at_s, 0.0
            self._known = self._heard
            self._next_read_s = at_s + FIRST_READ_S

    def answered(self) -> None:
        """The recogniser answered the oldest question: it heard all words until that was asked."""
        if self._asked_s:
            self._answered_s = self._asked_s.popleft()

    # --- what follows --------------------------------------------------------------------------------------------

    def voiced_s(self, now: float) -> float:
        """How much voice there was in the contest."""
        return self._voiced_before_s + self._voice_s(now)

    def wants_words(self, now: float) -> bool:
        """Whether to ask the recogniser for the words so far; true once per interval, once after the voice ended."""
        if now < self._next_read_s:
            return False
        # Under a voice that is not listened to nothing is pressing: the recogniser's own partials will do.
        again = self._stopped_s is None and not self.aside and self.voiced_s(now) < WORDLESS_LIMIT_S
        self._next_read_s = now + READ_EVERY_S if again else float("inf")
        self._asked_s.append(now)
        return True

    def rule(self, text: str, confirmed: bool, now: float) -> Ruling:
        """The ruling on what is known now. text: of the whole turn; confirmed: all that was said is in it."""
        self._ruled_s = now
        words = phrases.words_of(text)
        self._heard = len(words)
        said = " ".join(words[self._known :])
        if self._too_short(now) and not self._known_phrase(said):
            # Recognisers find a "you" in a breath.
            said = ""
        ruling = self._by_words(said, now)
        if ruling is UNDECIDED:
            if self._stopped_s is None:
                ruling = self._while_voiced(said, now)
            else:
                ruling = self._after_voice(said, confirmed, self._stopped_s, now)
        if ruling.verdict is Verdict.PLAY_ON:
            self.plays_on = True
            self.aside = ruling.reason == "aside"
        return ruling

    @property
    def deadline(self) -> float | None:
        """When to rule again, at the latest; None while only the caller's next sound or word can change anything."""
        dues = [self._next_read_s]
        if self._stopped_s is not None:
            after_s = (RESUME_AFTER_S, ONE_WORD_AFTER_S, UNREAD_LIMIT_S)
            dues += [self._stopped_s + each_s for each_s in after_s]
        else:
            voiced_from_s = self._voice_began_s - self._voiced_before_s
            limits_s = (self._held_s, ASIDE_S, ACKNOWLEDGED_S, WORDLESS_LIMIT_S, ASIDE_LIMIT_S)
            dues += [voiced_from_s + limit_s for limit_s in limits_s]
        return min((due for due in dues if self._ruled_s < due < float("inf")), default=None)

    def _known_phrase(self, said: str) -> bool:
        interrupts = phrases.has_interruption(said, self._settings.interruptions)
        return interrupts or phrases.is_acknowledgement(said, self._acknowledgements)

    def _too_short(self, now: float) -> bool:
        """The voice has ended, and was too short for a word."""
        return self._stopped_s is not None and not _reached(self.voiced_s(now), WORD_VOICE_S)

    # --- inside --------------------------------------------------------------------------------------------------

    @property
    def _adaptive(self) -> bool:
        """Neither words nor seconds were sent: we judge."""
        return self._settings.num_words is None and self._settings.voice_s is None

    @property
    def _held_s(self) -> float:
        """Contract 9.2: so much voice yields where no words are counted."""
        settings = self._settings
        return float("inf") if settings.num_words or settings.voice_s is None else settings.voice_s

    def _voice_s(self, now: float) -> float:
        """The length of the present voice, or of the one that ended."""
        end_s = now if self._stopped_s is None else self._stopped_s
        return max(0.0, end_s - self._voice_began_s)

    def _aside(self, now: float) -> bool:
        """The voice is too quiet to be meant for the agent."""
        if not self._adaptive or self._usual_db is None or self._level_db is None:
            return False
        return _reached(self.voiced_s(now), ASIDE_S) and self._usual_db - self._level_db >= ASIDE_DB

    def _by_words(self, said: str, now: float) -> Ruling:
        settings = self._settings
        words = phrases.floor_words(said, self._acknowledgements)
        if not words:
            return UNDECIDED
        aside = self._aside(now)
        sent = settings.interruptions is not INTERRUPTIONS
        if phrases.has_interruption(said, settings.interruptions) and (sent or not aside):
            return Ruling(Verdict.YIELD, "interruption_phrase")
        if aside and not (words >= ASIDE_WORDS and _reached(self.voiced_s(now), ASIDE_LIMIT_S)):
            return UNDECIDED
        return Ruling(Verdict.YIELD, "words") if words >= (settings.num_words or WORDS) else UNDECIDED

    def _while_voiced(self, said: str, now: float) -> Ruling:
        if phrases.is_acknowledgement(said, self._acknowledgements):
            return self._outlast(ACKNOWLEDGED_S, "acknowledgement", now)
        if _reached(self.voiced_s(now), self._held_s):
            return Ruling(Verdict.YIELD, "voice_held")
        if self._settings.num_words or self.plays_on:
            return UNDECIDED
        if self._aside(now):
            return Ruling(Verdict.PLAY_ON, "aside")
        if said and _reached(self.voiced_s(now), WORDLESS_LIMIT_S):
            return Ruling(Verdict.YIELD, "words")
        return self._outlast(WORDLESS_LIMIT_S, "no_words", now)

    def _outlast(self, limit_s: float, reason: str, now: float) -> Ruling:
        """A sound that goes on and says nothing is not listened to in silence."""
        if self.plays_on or self._settings.num_words or not _reached(self.voiced_s(now), limit_s):
            return UNDECIDED
        return Ruling(Verdict.PLAY_ON, reason)

    def _after_voice(self, said: str, confirmed: bool, stopped_s: float, now: float) -> Ruling:
        settings = self._settings
        unread = _reached(now - stopped_s, UNREAD_LIMIT_S)
        acknowledged = phrases.is_acknowledgement(said, self._acknowledgements)
        # What was asked shortly before the voice ended left no time for another word.
        covered = acknowledged and self._answered_s >= stopped_s - WORD_S
        if not (confirmed or unread or covered) or not _reached(now - stopped_s, RESUME_AFTER_S):
            return UNDECIDED
        if acknowledged:
            return Ruling(Verdict.RESUME, "acknowledgement")
        if self._aside(now):
            return Ruling(Verdict.RESUME, "aside")
        words = phrases.floor_words(said, self._acknowledgements)
        if confirmed and not words:
            return Ruling(Verdict.RESUME, "no_words")
        if settings.num_words:
            # Contract 9.2: the voice's length counts only where no words are counted.
            return Ruling(Verdict.RESUME, "too_few_words")
        if words:
            # A hum has dips, and recognisers make a word of its first piece.
            alone = words < WORDS and not _reached(now - stopped_s, ONE_WORD_AFTER_S)
            return UNDECIDED if alone else Ruling(Verdict.YIELD, "words")
        short = self.plays_on or self.voiced_s(now) < SHORT_VOICE_S
        return Ruling(Verdict.RESUME, "short_voice") if short else Ruling(Verdict.YIELD, "unread_voice")


def gate_db(settings: StopSpeaking, usual_db: float | None, *, aside: bool = False) -> float:
    """Quieter voice (dBFS) does not pause the agent: it is nobody who talks to it. aside: such a voice is there already."""
    adaptive = settings.num_words is None and settings.voice_s is None
    if not adaptive or usual_db is None:
        return SILENCE_DB
    return usual_db - (ASIDE_DB if aside else GATE_DB)


def _reached(value_s: float, limit_s: float) -> bool:
    """The margin keeps a deadline that fell due from missing by rounding."""
    return value_s >= limit_s - 1e-6
