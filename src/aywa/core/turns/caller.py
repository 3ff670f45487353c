"""The caller's turn: from the first voice until it is taken. Runs the finalize clock and the end-of-turn wait.

It says when the turn is over and why; whether it may be taken is the floor's business.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from statistics import median

from aywa.core.events import TranscriptReceived
from aywa.core.settings import StartSpeaking
from aywa.core.turns.endpointing import Evidence, Wait, decide, wants_score
from aywa.core.turns.phrases import normalise
from aywa.core.turns.questions import Question
from aywa.core.turns.transcript import TurnTranscript

SCORE_AFTER_S = 0.2
# The acoustic model is asked about words that leave it open, so it waits for all of them, but no longer than this.
SCORE_LATEST_S = 0.35
ORPHAN_WORDS = 3
# A final that only repeats a turn that was taken comes no later than this after it.
ECHO_S = 4.0
# Nobody speaks a word in less.
LEAST_WORD_S = 0.12
# Voice that brings no new words for so long is not speech any more: a radio, a fan, a line that hums.
BABBLE_S = 6.0
# Before that it is asked about once.
PROBE_AFTER_S = 4.0
# Nor is it asked about every soft moment.
FADES_APART_S = 0.5
# A recogniser whose partials hold all words so soon after the voice is as good as its answer to finalize.
PROMPT_LAG_S = 0.16
# A partial may come a little sooner than the soonest that was complete so far.
PROMPT_SHARE = 0.75
_LAGS = 8
# A murmur may have come since.
_TURNS_KEPT = 3


class CallerState(Enum):
    """SILENT: no turn. SPEAKING: voice now. PAUSED: voice ended, or brings no words any more; the clocks run."""

    SILENT = auto()
    SPEAKING = auto()
    PAUSED = auto()


# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_PAUSED, _SILENT, _SPEAKING = CallerState.PAUSED, CallerState.SILENT, CallerState.SPEAKING


class Ask(Enum):
    """What a turn wants to know."""

    FINALIZE = auto()
    SCORE = auto()
    RULES = auto()
    MODEL = auto()


# By the clock of the pause; the others whenever the words change.
_TIMED = (Ask.FINALIZE, Ask.SCORE)
# Why a turn that ends with an entry on the keypad is over.
KEYPAD = "keypad_entry"
# How long the customer's rules may take, at most, and how much longer than its deadline his model.
RULES_LIMIT_S = 0.3
LATE_S = 0.05


class CallerTurn:
    """One turn after another, told apart by `turn_id`."""

    def __init__(self, settings: StartSpeaking) -> None:
        self._settings = settings
        self._transcript = TurnTranscript()
        self._longest_pause_s = 0.0
        self._asked: set[Ask] = set()
        self._score: float | None = None
        self._wait: Wait | None = None
        self.turn_id = 1
        self.state = _SILENT
        self.started_s: float | None = None
        self.last_voice_s = 0.0
        self._voice_s = 0.0
        self._voiced = False
        self._grew_s = 0.0
        self._probed_s = float("-inf")
        # When it was asked because the voice was fading, and whether it has answered, and nothing was heard since.
        self._faded_s: float | None = None
        self._fade_answered = False
        self._committed: deque[tuple[str, float]] = deque(maxlen=_TURNS_KEPT)
        self._partial_s = 0.0
        self._confirmed_once = False
        self._lags: deque[float] = deque(maxlen=_LAGS)
        self.pause_id = 0
        self.confirmed_s: float | None = None
        self.rules = Question(RULES_LIMIT_S)
        self.model = Question(settings.model_deadline_s + LATE_S)
        # Keys are being pressed; when the last one was; and what was entered in this turn.
        self.keying = False
        self._key_s = 0.0
        self._entries: list[str] = []
        self._spoke = False

    def adopt(self, settings: StartSpeaking) -> None:
        """Other settings, from now on. An answer to what was asked under the last ones is of no use any more."""
        self._settings = settings
        self._wait = None
        asked = self.rules.number, self.model.number
        self.rules, self.model = Question(RULES_LIMIT_S), Question(settings.model_deadline_s + LATE_S)
        self.rules.number, self.model.number = asked

    @property
    def text(self) -> str:
        """The turn's words so far, and what was entered on the keypad."""
        spoken = self._transcript.text
        return " ".join(self.parts) if self._entries else spoken

    @property
    def parts(self) -> list[str]:
        """What was said, and each entry on the keypad."""
        spoken = self._transcript.text
        return [spoken, *self._entries] if spoken else list(self._entries)

    @property
    def confirmed(self) -> bool:
        """The text is all that was said until the last voice ended."""
        return self._transcript.confirmed

    @property
    def trusted(self) -> bool:
        """The text was not confirmed, and is as it will be confirmed, if this recogniser goes on as it did so far in this
        call: its partials held all words soon after the voice, and the latest came late enough."""
        if self.state is not _PAUSED or not self._lags or median(self._lags) > PROMPT_LAG_S:
            return False
        return self._partial_s >= self.last_voice_s + PROMPT_SHARE * min(self._lags)

    def voice_started(self, at_s: float) -> None:
        """Voice began, or began again."""
        self._wait = None
        self._voiced = self._spoke = True
        self._grew_s = at_s
        self._faded_s = None
        if self.state is _SILENT:
            self.started_s = at_s
        elif self.state is _PAUSED:
            self._longest_pause_s = max(self._longest_pause_s, at_s - self.last_voice_s)
        if self.state is not _SPEAKING:
            self._voice_s = at_s
        self.state = _SPEAKING
        self._transcript.voice_resumed()
        self._asked.clear()
        self._score = None

    def voice_stopped(self, at_s: float) -> None:
        """Voice ended; the clocks count from at_s."""
        self._voiced = False
        if self.state is not _SPEAKING:
            return
        self._pause(at_s)
        if self._faded_s is None or at_s > self._faded_s:
            return
        # It was asked after the last voice: that need not be done again.
        self._asked.add(Ask.FINALIZE)
        if self._fade_answered:
            self._confirmed_once = True
            self._transcript.confirm()

    def voice_faded(self, at_s: float) -> bool:
        """The voice may be over; whether the recogniser is to be asked for all words already."""
        if self.state is not _SPEAKING:
            return False
        if self._faded_s is not None and at_s < self._faded_s + FADES_APART_S:
            return False
        self._faded_s, self._fade_answered = at_s, False
        return True

    def key_pressed(self, now: float) -> None:
        """A key of an entry: the turn is the caller's until the entry is whole."""
        self._wait = None
        self.keying, self._key_s = True, now
        if self.state is _SILENT:
            self._open_by_key()

    def entered(self, text: str) -> None:
        """An entry on the keypad is whole, in the history's words."""
        self._wait = None
        self.keying = False
        self._entries.append(text)
        if self.state is _SILENT:
            self._open_by_key()
        elif self.state is _PAUSED:
            self.last_voice_s = max(self.last_voice_s, self._key_s)

    def _open_by_key(self) -> None:
        self.started_s = self._key_s
        self._pause(self._key_s)
        # Nothing was said that could be asked about.
        self._asked.update(_TIMED)

    def babbles(self, now: float) -> bool:
        """Takes a voice that has brought no words for BABBLE_S for a pause; True when it did."""
        due_s = self.babble_deadline
        if due_s is None or now < due_s:
            return False
        self._pause(self._grew_s)
        return True

    @property
    def babble_deadline(self) -> float | None:
        """When the present voice is too long without new words."""
        return self._grew_s + BABBLE_S if self.state is _SPEAKING else None

    @property
    def _probe_due_s(self) -> float:
        due_s = self._grew_s + PROBE_AFTER_S
        return due_s if self._probed_s < due_s else float("inf")

    @property
    def hums(self) -> bool:
        """There is voice, and it is no longer taken for speech."""
        return self._voiced and self.state is not _SPEAKING

    def recogniser_broke(self) -> None:
        """What was heard of the turn so far stays; the next recogniser begins afresh."""
        self._transcript.settle()

    def heard(self, result: TranscriptReceived, now: float) -> None:
        """The recogniser's word. A sentence that no voice was found for opens a turn of its own; less than that is
        the late answer to a question about a turn that is gone."""
        text = self._without_echo(result.text, now)
        if text is None:
            return
        if text is not result.text:
            result = TranscriptReceived(result.leg_id, text, result.is_final, result.confirmed)
        self._wait = None
        if self.state is _SILENT:
            if len(result.text.split()) < ORPHAN_WORDS:
                return
            if not (result.is_final or self._voiced):
                return
            self.started_s = now
            self._pause(now)
        before = self.text
        # A confirmation that was asked before the voice came back does not hold all words.
        speaking = self.state is _SPEAKING
        current = result.confirmed and not speaking
        self._transcript.apply(
            TranscriptReceived(result.leg_id, result.text, result.is_final, current, result.words)
        )
        if current and not self._confirmed_once and not self._entries:
            # How long after the voice the partials had it all; never, if the confirmation had to add something.
            whole = normalise(self.text) == normalise(before)
            self._lags.append(max(0.0, self._grew_s - self.last_voice_s) if whole else 1.0)
            self._confirmed_once = True
        elif not current:
            self._partial_s = now
        if speaking and self._faded_s is not None:
            if result.confirmed:
                self._fade_answered = True
                self.confirmed_s = now
            elif self.text != before:
                # More was said than what was asked about.
                self._faded_s = None
        if self.text != before:
            self._grew_s = now
            if self.hums:
                self.last_voice_s = now
        if current:
            self.confirmed_s = now

    def scored(self, probability: float, pause_id: int) -> None:
        """The acoustic model's word on the turn as it stands; one on an earlier pause is dropped."""
        if self.state is _PAUSED and pause_id == self.pause_id:
            self._score = probability
            self._wait = None

    def wake(self, now: float, heard: str = "") -> list[Ask]:
        """What is due to be asked by now: about the pause once, about the words when they have changed. heard: the
        assistant's last message."""
        if self.state is _SPEAKING and now >= self._probe_due_s:
            # Not every recogniser tells words before it is asked.
            self._probed_s = now
            return [Ask.FINALIZE]
        if self.state is not _PAUSED:
            return []
        due = [ask for ask in self._to_ask() if now >= self._due_s(ask)]
        self._asked.update(due)
        return due + self._ask_about_words(now, heard)

    def _ask_about_words(self, now: float, heard: str) -> list[Ask]:
        text, due = self.text, list[Ask]()
        if self._entries:
            # Whoever enters something has said when it is whole.
            return due
        if text and self._settings.rules and self.rules.is_new(text, heard):
            self.rules.ask(text, heard, now)
            due.append(Ask.RULES)
        if text and self.confirmed and self._settings.asks_model and self.model.is_new(text, heard):
            self.model.ask(text, heard, now)
            due.append(Ask.MODEL)
        if due:
            self._wait = None
        return due

    def rules_matched(self, number: int, wait_s: float | None) -> bool:
        """What the customer's rules say; False if it is of no use any more."""
        self._wait = None
        return self.rules.answered(number, wait_s)

    def endpointing_answered(self, number: int, wait_s: float | None) -> bool:
        """What the customer's model says; False if it is of no use any more."""
        self._wait = None
        return self.model.answered(number, wait_s)

    def wait(self) -> Wait:
        """How long the turn waits as things stand."""
        if self._wait is None:
            whole = self._entries and (self.confirmed or not self._spoke)
            self._wait = Wait(0.0, KEYPAD) if whole else decide(self._evidence(), self._settings)
        return self._wait

    def _evidence(self) -> Evidence:
        awaited, until_s = "", self.last_voice_s
        for name, question in (("rules_late", self.rules), ("endpointing_model_late", self.model)):
            if question.awaited_until_s is not None and question.awaited_until_s > until_s:
                awaited, until_s = name, question.awaited_until_s
        return Evidence(
            self.text,
            self.confirmed,
            self._score,
            self._longest_pause_s,
            rule_wait_s=self.rules.wait_s,
            model_wait_s=self.model.wait_s,
            awaited=awaited,
            answer_by_s=until_s - self.last_voice_s,
        )

    def over(self, now: float) -> Wait | None:
        """The wait that has passed, or None while the turn is not over."""
        if self.state is not _PAUSED or self.keying:
            return None
        wait = self.wait()
        return wait if now >= self.last_voice_s + wait.wait_s else None

    @property
    def ask_deadline(self) -> float | None:
        """When something is due to be asked, in the call's seconds."""
        if self.state is _SPEAKING:
            return self._probe_due_s
        if self.state is not _PAUSED:
            return None
        return min((self._due_s(ask) for ask in self._to_ask()), default=None)

    @property
    def over_deadline(self) -> float | None:
        """When the turn is over as things stand; None while the caller speaks, presses keys or is silent."""
        paused = self.state is _PAUSED and not self.keying
        return self.last_voice_s + self.wait().wait_s if paused else None

    @property
    def score(self) -> float | None:
        """The acoustic model's last word on this pause."""
        return self._score

    def next_turn(self, now: float) -> None:
        """The turn was taken or given up: begin afresh. How this caller pauses is remembered, and fades."""
        voiced = self._spoke = self.state is _SPEAKING
        self._wait = None
        if self._transcript.text:
            self._committed.append((normalise(self._transcript.text), now))
        self._transcript.clear()
        self._entries.clear()
        self._asked.clear()
        self._score = None
        self.rules.forget()
        self.model.forget()
        self._longest_pause_s *= 0.8
        self.turn_id += 1
        self.confirmed_s = None
        if voiced:
            self.started_s = self._voice_s
        else:
            self.state = _SILENT
            self.started_s = None
            if self.keying:
                self._open_by_key()

    def _pause(self, at_s: float) -> None:
        self.state = _PAUSED
        self.last_voice_s = at_s
        self.pause_id += 1
        self._confirmed_once = False

    def _without_echo(self, text: str, now: float) -> str | None:
        """The text without what it repeats of a turn that was taken, told late or twice: nobody could have said it since.
        None: it says nothing else."""
        words = text.split()
        if len(words) < ORPHAN_WORDS:
            return text
        said, needs_s = normalise(text), len(words) * LEAST_WORD_S
        repeats = any(said == committed for committed, _ in self._committed)
        if self.confirmed and repeats and f" {said} " not in f" {normalise(self.text)} ":
            # All that was said since is known, and it was something else.
            return None
        voiced = self.state is not _SILENT
        if voiced and now - self._voice_s >= needs_s:
            return text
        # Before a pause in the turn some of it may have been said, but the whole turn is too short for it.
        began_s = self._voice_s if self.started_s is None else min(self.started_s, self._voice_s)
        impossible = voiced and now - began_s < needs_s
        for committed, at_s in self._committed:
            if now >= at_s + ECHO_S and not impossible:
                continue
            if f" {said} " in f" {committed} ":
                return None
            length = len(committed.split())
            if length >= ORPHAN_WORDS and normalise(" ".join(words[:length])) == committed:
                return " ".join(words[length:])
        return text

    def _to_ask(self) -> list[Ask]:
        asks = [ask for ask in _TIMED if ask not in self._asked]
        if Ask.SCORE in asks and not wants_score(self.text, self._settings):
            asks.remove(Ask.SCORE)
        return asks

    def _due_s(self, ask: Ask) -> float:
        if ask is Ask.FINALIZE:
            return self.last_voice_s + self._settings.finalize_after_s
        by_score = self.confirmed or self._settings.wait_function is not None
        return self.last_voice_s + (SCORE_AFTER_S if by_score else SCORE_LATEST_S)
