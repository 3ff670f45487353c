"""The caller's turn: from the first voice until it is taken. Runs the finalize clock and the end-of-turn wait.

It says when the turn is over and why; whether it may be taken is the floor's business.
"""

from __future__ import annotations

from enum import Enum, auto

from aywa.core.events import TranscriptReceived
from aywa.core.settings import StartSpeaking
from aywa.core.turns.endpointing import Evidence, Wait, decide
from aywa.core.turns.phrases import normalise
from aywa.core.turns.transcript import TurnTranscript

SCORE_AFTER_S = 0.2
ORPHAN_WORDS = 3
# A final that only repeats a turn that was taken comes no later than this after it.
ECHO_S = 4.0
# Voice that brings no new words for so long is not speech any more: a radio, a fan, a line that hums.
BABBLE_S = 6.0


class CallerState(Enum):
    """SILENT: no turn. SPEAKING: voice now. PAUSED: voice ended, or brings no words any more; the clocks run."""

    SILENT = auto()
    SPEAKING = auto()
    PAUSED = auto()


class Ask(Enum):
    """What a turn wants to know."""

    FINALIZE = auto()
    SCORE = auto()


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
        self.state = CallerState.SILENT
        self.started_s: float | None = None
        self.last_voice_s = 0.0
        self._voice_s = 0.0
        self._voiced = False
        self._grew_s = 0.0
        self._committed = ("", float("-inf"))
        self.pause_id = 0
        self.confirmed_s: float | None = None

    @property
    def text(self) -> str:
        """The turn's words so far."""
        return self._transcript.text

    @property
    def confirmed(self) -> bool:
        """The text is all that was said until the last voice ended."""
        return self._transcript.confirmed

    def voice_started(self, at_s: float) -> None:
        """Voice began, or began again."""
        self._wait = None
        self._voiced = True
        self._grew_s = at_s
        if self.state is CallerState.SILENT:
            self.started_s = at_s
        elif self.state is CallerState.PAUSED:
            self._longest_pause_s = max(self._longest_pause_s, at_s - self.last_voice_s)
        if self.state is not CallerState.SPEAKING:
            self._voice_s = at_s
        self.state = CallerState.SPEAKING
        self._transcript.voice_resumed()
        self._asked.clear()
        self._score = None

    def voice_stopped(self, at_s: float) -> None:
        """Voice ended; the clocks count from at_s."""
        self._voiced = False
        if self.state is not CallerState.SPEAKING:
            return
        self._pause(at_s)

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
        return self._grew_s + BABBLE_S if self.state is CallerState.SPEAKING else None

    @property
    def hums(self) -> bool:
        """There is voice, and it is no longer taken for speech."""
        return self._voiced and self.state is not CallerState.SPEAKING

    def recogniser_broke(self) -> None:
        """What was heard of the turn so far stays; the next recogniser begins afresh."""
        self._transcript.settle()

    def heard(self, result: TranscriptReceived, now: float) -> None:
        """The recogniser's word. A sentence that no voice was found for opens a turn of its own; less than that is
        the late answer to a question about a turn that is gone."""
        self._wait = None
        if self.state is CallerState.SILENT:
            if len(result.text.split()) < ORPHAN_WORDS or self._echoes(result.text, now):
                return
            if not (result.is_final or self._voiced):
                return
            self.started_s = now
            self._pause(now)
        before = self.text
        # A confirmation that was asked before the voice came back does not hold all words.
        current = result.confirmed and self.state is not CallerState.SPEAKING
        self._transcript.apply(
            TranscriptReceived(result.leg_id, result.text, result.is_final, current, result.words)
        )
        if self.text != before:
            self._grew_s = now
            if self.hums:
                self.last_voice_s = now
        if current:
            self.confirmed_s = now

    def scored(self, probability: float, pause_id: int) -> None:
        """The acoustic model's word on the turn as it stands; one on an earlier pause is dropped."""
        if self.state is CallerState.PAUSED and pause_id == self.pause_id:
            self._score = probability
            self._wait = None

    def wake(self, now: float) -> list[Ask]:
        """What is due to be asked by now; each once per pause."""
        if self.state is not CallerState.PAUSED:
            return []
        due = [ask for ask in Ask if ask not in self._asked and now >= self._due_s(ask)]
        self._asked.update(due)
        return due

    def wait(self) -> Wait:
        """How long the turn waits as things stand."""
        if self._wait is None:
            evidence = Evidence(self.text, self.confirmed, self._score, self._longest_pause_s)
            self._wait = decide(evidence, self._settings)
        return self._wait

    def over(self, now: float) -> Wait | None:
        """The wait that has passed, or None while the turn is not over."""
        if self.state is not CallerState.PAUSED:
            return None
        wait = self.wait()
        return wait if now >= self.last_voice_s + wait.wait_s else None

    @property
    def ask_deadline(self) -> float | None:
        """When something is due to be asked, in the call's seconds."""
        if self.state is not CallerState.PAUSED:
            return None
        return min((self._due_s(ask) for ask in Ask if ask not in self._asked), default=None)

    @property
    def over_deadline(self) -> float | None:
        """When the turn is over as things stand; None while the caller speaks or is silent."""
        return self.last_voice_s + self.wait().wait_s if self.state is CallerState.PAUSED else None

    @property
    def score(self) -> float | None:
        """The acoustic model's last word on this pause."""
        return self._score

    def next_turn(self, now: float) -> None:
        """The turn was taken or given up: begin afresh. How this caller pauses is remembered, and fades."""
        voiced = self.state is CallerState.SPEAKING
        self._wait = None
        if self.text:
            self._committed = (normalise(self.text), now)
        self._transcript.clear()
        self._asked.clear()
        self._score = None
        self._longest_pause_s *= 0.8
        self.turn_id += 1
        self.confirmed_s = None
        if voiced:
            self.started_s = self._voice_s
        else:
            self.state = CallerState.SILENT
            self.started_s = None

    def _pause(self, at_s: float) -> None:
        self.state = CallerState.PAUSED
        self.last_voice_s = at_s
        self.pause_id += 1

    def _echoes(self, text: str, now: float) -> bool:
        """The late final of a turn that was taken."""
        committed, at_s = self._committed
        return now < at_s + ECHO_S and f" {normalise(text)} " in f" {committed} "

    def _due_s(self, ask: Ask) -> float:
        after = self._settings.finalize_after_s if ask is Ask.FINALIZE else SCORE_AFTER_S
        return self.last_voice_s + after
