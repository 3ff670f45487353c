"""What a recorded call holds for a what-if: the caller's side, which is fixed, and the providers' answers, each with the
request it answered and how long it took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.codec import plain
from aywa.journal.replay.identity import Told

FRAME_S = 0.02
# An answer that comes later belongs to another question.
ANSWER_S = 3.0
_PLAYOUT = (
    ev.PlayoutStarted,
    ev.PlayoutAdvanced,
    ev.PlayoutStarved,
    ev.PlayoutPaused,
    ev.PlayoutResumed,
    ev.PlayoutDropped,
    ev.PlayoutFinished,
)
_OF_REPLY = (
    ev.ReplyTextReceived,
    ev.ClauseSynthesized,
    ev.ToolCallsReceived,
    ev.ReplyCompleted,
    ev.ReplyFailed,
)
# The detector's own thresholds, for voice that the recorded moments do not tell of: whether a pause that is armed acts.
START_PROBABILITY = 0.5
STOP_PROBABILITY = 0.35
START_WINDOWS = 2
STOP_WINDOWS = 2


@dataclass(frozen=True, slots=True)
class Input:
    """Something from outside, at its time. segment: which stretch of the recogniser's text it belongs to, for texts."""

    at_s: float
    event: ev.Event
    segment: int = 0


@dataclass(slots=True)
class Asked:
    """A question to the recogniser or to the turn model, and its answer. after_s: how long the answer took."""

    at_s: float
    answer: ev.Event | None = None
    after_s: float = 0.0
    segment: int = 0
    used: bool = False


@dataclass(slots=True)
class Made:
    """A reply that was asked for. key: what was asked. events: what came, with seconds since the request. released_s:
    when synthesis was let loose, since the request; stopped_s: when the reply was cancelled."""

    at_s: float
    key: str
    is_answer: bool
    events: list[tuple[float, ev.Event]] = field(default_factory=list)
    released_s: float | None = None
    stopped_s: float | None = None
    used: bool = False

    @property
    def whole(self) -> bool:
        """It came to its end, or failed."""
        return any(isinstance(event, ev.ReplyCompleted | ev.ReplyFailed) for _, event in self.events)

    @property
    def spoken(self) -> bool:
        """It was made to its end, with something to hear."""
        done = any(isinstance(event, ev.ReplyCompleted) for _, event in self.events)
        return done and self.first_clause_s is not None

    @property
    def first_clause_s(self) -> float | None:
        """From the request to the first clause."""
        return next((when for when, event in self.events if isinstance(event, ev.ClauseSynthesized)), None)


@dataclass(slots=True)
class Inquired:
    """A question about the turn's words, to the customer's rules or endpointing model, and what came of it. key: what was
    asked about."""

    at_s: float
    key: str
    answer: ev.RulesMatched | ev.EndpointingAnswered | None = None
    after_s: float = 0.0


@dataclass(slots=True)
class Sought:
    """Somebody was to take the call over, and what came of it. key: who was meant."""

    at_s: float
    key: str
    answer: ev.HandoffPrepared | ev.HandoffRefused | None = None
    after_s: float = 0.0


@dataclass(slots=True)
class Ran:
    """A run of a tool outside of the call, and what came of it. key: what was asked."""

    at_s: float
    key: str
    answer: ev.ToolReturned | None = None
    after_s: float = 0.0


@dataclass(slots=True)
class Prepared:
    """A stock phrase made ahead of need. answers: with seconds since it was asked for; there may be one for each voice."""

    text: str
    at_s: float
    answers: list[tuple[float, ev.PhrasePrepared]] = field(default_factory=list)


@dataclass(slots=True)
class Material:
    """All of it. voiced: (second, whether the detector took the window for voice).
    pauses: when an armed pause acted. lead_s: how far ahead of the caller's ear audio leaves. framed: in frames of 20 ms."""

    leg_id: str
    rate_hz: int = 8000
    inputs: list[Input] = field(default_factory=list)
    finalize: list[Asked] = field(default_factory=list)
    scores: list[Asked] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    phrases: list[Prepared] = field(default_factory=list)
    inquired: list[Inquired] = field(default_factory=list)
    sought: list[Sought] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    voiced: list[tuple[float, bool]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    lead_s: float = 0.0
    framed: bool = False
    hang_up_s: float = 0.02
    end_s: float = 0.0

    @property
    def finalize_s(self) -> float:
        """How long the recogniser usually took to answer."""
        return _median([a.after_s for a in self.finalize if a.answer is not None], 0.1)

    @property
    def score_s(self) -> float:
        """How long the turn model usually took."""
        return _median([a.after_s for a in self.scores if a.answer is not None], 0.03)

    @property
    def first_clause_s(self) -> float:
        """From a request to its first clause, usually."""
        return _median(
            [m.first_clause_s for m in self.made if m.is_answer and m.first_clause_s is not None], 0.6
        )

    @property
    def voice_s(self) -> float:
        """From a fixed text to its first clause, usually."""
        times = [m.first_clause_s for m in self.made if not m.is_answer and m.first_clause_s is not None]
        return _median(times, 0.2)

    @property
    def samples_per_letter(self) -> float:
        """How fast the voice speaks."""
        clauses = [e for made in self.made for _, e in made.events if isinstance(e, ev.ClauseSynthesized)]
        letters = sum(len(clause.text) for clause in clauses)
        return sum(clause.samples for clause in clauses) / letters if letters else self.rate_hz * 0.065


def _median(values: Sequence[float], default: float) -> float:
    return median(values) if values else default


def key_of(request: do.StartReply | do.SayText, messages: Sequence[Mapping[str, Any]] = ()) -> str:
    """What makes two requests equal."""
    if isinstance(request, do.SayText):
        return request.text
    return json.dumps(plain(messages or request.messages), sort_keys=True, default=str)


def key_of_question(command: do.MatchRules | do.AskEndpointing) -> str:
    """What makes two questions about a turn's words equal."""
    if isinstance(command, do.MatchRules):
        return json.dumps(["rules", command.said, command.heard])
    return json.dumps(["model", command.said])


def key_of_handoff(command: do.StartHandoff) -> str:
    """What makes two handoffs equal: who is meant, and what is known of the call."""
    return json.dumps([plain(command.destination), plain(command.variables)], sort_keys=True, default=str)


def key_of_tool(command: do.StartTool) -> str:
    """What makes two runs equal."""
    return json.dumps([command.tool, plain(command.arguments)], sort_keys=True, default=str)


def gather(told: Sequence[Told], leg_id: str) -> Material:
    """Sorts a replayed call into what was fixed and what was answered."""
    gathered = _Gathering(Material(leg_id))
    for each in told:
        gathered.take(each)
    return gathered.finished()


class _Gathering:
    def __init__(self, material: Material) -> None:
        self._material = material
        self._segment = 0
        self._replies: dict[int, Made] = {}
        self._phrases: dict[int, Prepared] = {}
        self._inquired: dict[tuple[type, int, int], Inquired] = {}
        self._sought: dict[str, Sought] = {}
        self._ran: dict[int, Ran] = {}
        self._playout: list[ev.Event] = []
        self._paused_by_command_s = float("-inf")
        self._hung_up_s: float | None = None
        self._speech = _Speech()

    def take(self, told: Told) -> None:
        self._material.end_s = max(self._material.end_s, told.at_s)
        item = told.item
        if type(item).__module__ == ev.__name__:
            self._event(told.at_s, item)  # type: ignore[arg-type]
        else:
            self._command(told.at_s, item)  # type: ignore[arg-type]

    def finished(self) -> Material:
        material = self._material
        _measure_playout(material, self._playout)
        material.voiced.sort()
        return material

    # --- commands ------------------------------------------------------------------------------------------------

    def _command(self, at_s: float, command: do.Command) -> None:
        material = self._material
        match command:
            case do.FinalizeTranscript():
                material.finalize.append(Asked(at_s))
            case do.ScoreTurn():
                material.scores.append(Asked(at_s))
            case do.CommitTranscript():
                self._segment += 1
            case do.StartReply() | do.SayText():
                made = Made(at_s, key_of(command), isinstance(command, do.StartReply))
                self._replies[command.reply_id] = made
                material.made.append(made)
            case do.CancelReply():
                if (made_before := self._replies.get(command.reply_id)) is not None:
                    made_before.stopped_s = at_s - made_before.at_s
            case do.PausePlayout():
                self._paused_by_command_s = at_s
            case do.HangUp():
                self._hung_up_s = at_s
            case do.ReleaseReply():
                if (released := self._replies.get(command.reply_id)) is not None:
                    released.released_s = at_s - released.at_s
            case do.PreparePhrase():
                phrase = self._phrases[command.phrase_id] = Prepared(command.text, at_s)
                material.phrases.append(phrase)
            case do.MatchRules() | do.AskEndpointing():
                answers = ev.RulesMatched if isinstance(command, do.MatchRules) else ev.EndpointingAnswered
                inquired = Inquired(at_s, key_of_question(command))
                self._inquired[(answers, command.turn_id, command.question)] = inquired
                material.inquired.append(inquired)
            case do.StartHandoff():
                sought = self._sought[command.call_id] = Sought(at_s, key_of_handoff(command))
                material.sought.append(sought)
            case do.StartTool():
                ran = self._ran[command.run] = Ran(at_s, key_of_tool(command))
                material.ran.append(ran)
            case _:
                pass

    # --- events --------------------------------------------------------------------------------------------------

    def _event(self, at_s: float, event: ev.Event) -> None:
        material = self._material
        match event:
            case ev.LegConnected():
                material.rate_hz = event.rate_hz
                material.inputs.append(Input(at_s, event))
            case ev.TranscriptReceived():
                self._transcript(at_s, event)
            case ev.TurnScored():
                _answer(material.scores, at_s, event, 0)
            case ev.VoiceScored():
                material.voiced += self._speech.windows(event)
            case ev.LegEnded(cause="local") if self._hung_up_s is not None:
                material.hang_up_s = at_s - self._hung_up_s
            case _ if isinstance(event, _OF_REPLY):
                made = self._replies.get(event.reply_id)
                if made is not None:
                    made.events.append((at_s - made.at_s, event))
            case _ if isinstance(event, _PLAYOUT):
                self._playout.append(event)
                if isinstance(event, ev.PlayoutPaused) and at_s - self._paused_by_command_s > FRAME_S:
                    material.pauses.append(at_s)
            case ev.RulesMatched() | ev.EndpointingAnswered():
                inquired = self._inquired.get((type(event), event.turn_id, event.question))
                if inquired is not None:
                    inquired.answer, inquired.after_s = event, at_s - inquired.at_s
            case ev.HandoffPrepared() | ev.HandoffRefused():
                sought = self._sought.get(event.call_id)
                if sought is not None:
                    sought.answer, sought.after_s = event, at_s - sought.at_s
            case ev.ToolReturned():
                ran = self._ran.get(event.run)
                if ran is not None:
                    ran.answer, ran.after_s = event, at_s - ran.at_s
            case ev.PhrasePrepared():
                phrase = self._phrases.get(event.phrase_id)
                if phrase is not None:
                    phrase.answers.append((at_s - phrase.at_s, event))
            case _:
                material.inputs.append(Input(at_s, event))

    def _transcript(self, at_s: float, event: ev.TranscriptReceived) -> None:
        material = self._material
        if not (event.confirmed and _answer(material.finalize, at_s, event, self._segment)):
            material.inputs.append(Input(at_s, event, self._segment))
        if event.is_final:
            self._segment += 1


def _answer(asked: Sequence[Asked], at_s: float, event: ev.Event, segment: int) -> bool:
    """Gives the answer to the oldest question that still waits for one."""
    for question in asked:
        if question.answer is None and at_s - question.at_s <= ANSWER_S:
            question.answer, question.after_s, question.segment = event, at_s - question.at_s, segment
            return True
    return False


class _Speech:
    """Which windows held voice, as the detector counts them."""

    def __init__(self) -> None:
        self._active = False
        self._voiced = 0
        self._quiet = 0

    def windows(self, scores: ev.VoiceScored) -> list[tuple[float, bool]]:
        """(when the window was there, whether it was voice)."""
        return [
            (scores.from_s + (number + 1) * scores.window_s, self._hear(byte / 255))
            for number, byte in enumerate(scores.probabilities)
        ]

    def _hear(self, probability: float) -> bool:
        if not self._active:
            self._voiced = self._voiced + 1 if probability >= START_PROBABILITY else 0
            self._active = self._voiced >= START_WINDOWS
            self._quiet = 0
            return self._voiced > 0
        if probability >= STOP_PROBABILITY:
            self._quiet = 0
            return True
        self._quiet += 1
        if self._quiet >= STOP_WINDOWS:
            self._active, self._voiced = False, 0
        return False


def _measure_playout(material: Material, events: Sequence[ev.Event]) -> None:
    """How this call's media plane counts: in frames or in samples, and how far ahead of the ear."""
    frame = round(material.rate_hz * FRAME_S)
    told = [e for e in events if isinstance(e, ev.PlayoutAdvanced | ev.PlayoutPaused)]
    material.framed = bool(told) and all(e.position % frame == 0 for e in told)
    began: dict[int, float] = {}
    ahead: list[float] = []
    for event in events:
        if isinstance(event, ev.PlayoutStarted):
            began[event.reply_id] = event.at_s
        elif isinstance(event, ev.PlayoutPaused | ev.PlayoutStarved | ev.PlayoutDropped):
            began.pop(event.reply_id, None)
        elif isinstance(event, ev.PlayoutAdvanced | ev.PlayoutFinished) and event.reply_id in began:
            ahead.append(event.position / material.rate_hz - (event.at_s - began[event.reply_id]))
    if material.framed and ahead:
        # A frame that leaves at its time counts whole.
        material.lead_s = max(0.0, min(0.5, round((median(ahead) - FRAME_S) / FRAME_S) * FRAME_S))
