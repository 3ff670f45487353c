"""A call's tally: the rows of figures that it leaves for analytics. Made from its document and its records alone, so that whoever
makes it again makes the same rows. No word that was said is in it, but the values of variables.

A row's id is the journal's: the call, and the number of the record that it begins with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aywa.core.cost import LLM, STT, TTS, Source, all_sources, source_of_route, sources_of
from aywa.core.sums import COLUMNS, minutes_between, moment_ms

ANSWERED, CUT, FAILED, SKIPPED = "answered", "cut", "failed", "skipped"
"""How a provider's work ended: with its answer, given up before it, without one, not even asked for."""

TOOL: Final = "tool"
INT_MOST: Final = 2**63 - 1

KINDS: Final = frozenset(
    (
        "CallStarted",
        "LegConnected",
        "HandoffPrepared",
        "ChangeAssistant",
        "RecordTurn",
        "StartReply",
        "SayText",
        "ReplyTextReceived",
        "ClauseSynthesized",
        "ReplyCompleted",
        "CancelReply",
        "ReplyFailed",
        "FinalizeTranscript",
        "TranscriptReceived",
        "StartTool",
        "ToolReturned",
        "GiveUpTool",
        "RouteFailed",
        "RouteRetried",
        "RouteSwitched",
        "RouteSkipped",
    )
)
"""The records that a tally is made from."""

Record = tuple[int, float, str, Mapping[str, Any]]
"""seq, at_s, kind, data."""


@dataclass(frozen=True, slots=True)
class CallFigures:
    """The call itself. minutes: from its beginning to its end. figures: what its document says of COLUMNS. variables: JSON."""

    type: str | None = None
    status: str | None = None
    assistant_id: str | None = None
    phone_number_id: str | None = None
    ended_reason: str | None = None
    success: str | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    minutes: float | None = None
    turns: int = 0
    interruptions: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    variables: str = "{}"


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """One turn's latency, and where it went."""

    seq: int
    at_ms: int
    turn_id: int
    reply_id: int
    latency_ms: float
    wire_ms: float
    endpointing_ms: float
    transcriber_ms: float
    model_ms: float
    voice_ms: float
    unattributed_ms: float


@dataclass(frozen=True, slots=True)
class Timing:
    """One piece of a provider's work, or of a tool's. first_ms: until its first text or sound. route: as the runtime calls it, or
    the tool's name."""

    seq: int
    at_ms: int
    kind: str
    route: str
    provider: str
    model: str
    outcome: str
    code: str = ""
    first_ms: float | None = None
    total_ms: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    characters: int = 0
    audio_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one source took for one kind of work. A source comes once."""

    type: str
    provider: str
    model: str
    analysis: str
    cost: float
    minutes: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    characters: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """version: grows with each change of the call. call: None when it was deleted. The rest is there once it has ended."""

    org_id: str
    call_id: str
    created_ms: int
    version: int
    call: CallFigures | None = None
    turns: tuple[TurnFigures, ...] = ()
    timings: tuple[Timing, ...] = ()
    costs: tuple[Cost, ...] = ()


# --- from the document -------------------------------------------------------------------------------------------


def call_figures(document: Mapping[str, Any]) -> CallFigures:
    """What a call's document says."""
    artifact = _mapping(document.get("artifact"))
    metrics = _mapping(artifact.get("performanceMetrics"))
    found = {column: at(document, path) for column, path in COLUMNS.items() if path not in ("", "id")}
    started, ended = document.get("startedAt"), document.get("endedAt")
    return CallFigures(
        _text(document.get("type")),
        _text(document.get("status")),
        _text(document.get("assistantId")),
        _text(document.get("phoneNumberId")),
        _text(document.get("endedReason")),
        _text(at(document, "analysis.successEvaluation")),
        moment_ms(started),
        moment_ms(ended),
        minutes_between(started, ended),
        len(_list(metrics.get("turnLatencies"))),
        _count(metrics.get("numAssistantInterrupted")),
        {column: value for column, value in found.items() if _is_number(value)},
        _whole(json.dumps(_mapping(artifact.get("variableValues")), ensure_ascii=False, default=str)),
    )


def costs(document: Mapping[str, Any]) -> tuple[Cost, ...]:
    """What a call's document says of each source's price."""
    found: dict[tuple[str, ...], Cost] = {}
    for entry in map(_mapping, _list(document.get("costs"))):
        who = _mapping(next((entry[name] for name in ("transcriber", "model", "voice") if name in entry), {}))
        cost = Cost(
            _text(entry.get("type")) or "",
            _text(who.get("provider")) or _text(entry.get("provider")) or "",
            _text(who.get("model")) or "",
            _text(entry.get("analysisType")) or "",
            _number(entry.get("cost")),
            _number(entry.get("minutes")),
            _count(entry.get("promptTokens")),
            _count(entry.get("cachedPromptTokens")),
            _count(entry.get("completionTokens")),
            _count(entry.get("characters")),
        )
        found[cost.type, cost.provider, cost.model, cost.analysis] = cost
    return tuple(found.values())


def at(document: Mapping[str, Any], path: str) -> Any:
    """What a document says at a dotted path; None where it says nothing."""
    value: Any = document
    for step in path.split("."):
        value = _mapping(value).get(step)
    return value


# --- from the records --------------------------------------------------------------------------------------------


def fold(records: Iterable[Record], epoch_ms: int = 0) -> tuple[tuple[TurnFigures, ...], tuple[Timing, ...]]:
    """The turns and the timings of a call that is over; its records in their order. epoch_ms: of one without a beginning."""
    folding = _Folding(epoch_ms)
    for seq, at_s, kind, data in records:
        take = _TAKES.get(kind)
        if take is not None:
            take(folding, seq, at_s, data)
    return tuple(folding.turns), folding.closed()


@dataclass(slots=True)
class _Work:
    """A reply that is being made. asked: a model is, and it is not a text that stood fast."""

    seq: int
    at_s: float
    asked: bool
    text_s: float | None = None
    last_text_s: float | None = None
    sound_s: float | None = None
    last_sound_s: float | None = None
    voice: str = ""
    characters: int = 0
    samples: int = 0


class _Folding:
    def __init__(self, epoch_ms: int) -> None:
        self.epoch_ms = epoch_ms
        self.rate_hz = 0
        self.turns: list[TurnFigures] = []
        self._timings: list[Timing] = []
        self._known: tuple[Source, ...] = ()
        self._sources: Mapping[str, Source] = {}
        self._coming: dict[str, Mapping[str, Any]] = {}
        self._works: dict[int, _Work] = {}
        self._tools: dict[int, tuple[int, float, str]] = {}
        self._finalizing: tuple[int, float] | None = None

    def closed(self) -> tuple[Timing, ...]:
        """Whatever was under way when the call ended was cut."""
        for work in self._works.values():
            self._over(work, CUT, CUT)
        for seq, at_s, tool in self._tools.values():
            self._timings.append(Timing(seq, self._ms(at_s), TOOL, tool, TOOL, "", CUT))
        return tuple(sorted(self._timings, key=lambda timing: (timing.seq, timing.kind)))

    # --- what each kind means ------------------------------------------------------------------------------------

    def on_call_started(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self.epoch_ms = _count(data.get("epoch_ms")) or self.epoch_ms
        self._work_for(_mapping(data.get("assistant")))

    def on_leg_connected(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self.rate_hz = self.rate_hz or _count(data.get("rate_hz"))

    def on_handoff_prepared(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self._coming = {str(data.get("call_id")): _mapping(data.get("assistant"))}

    def on_change_assistant(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        assistant = self._coming.pop(str(data.get("call_id")), None)
        if assistant is not None:
            self._work_for(assistant)

    def on_record_turn(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        parts = _mapping(data.get("parts_ms"))
        names = ("endpointing", "transcriber", "model", "voice")
        endpointing, transcriber, model, voice = (_number(parts.get(name)) for name in names)
        latency = _number(data.get("latency_ms"))
        wire = latency if data.get("wire_ms") is None else _number(data.get("wire_ms"))
        # Silence that the voice begins with is accounted for; nobody accounts for the rest.
        rest = round(latency - endpointing - transcriber - model - voice, 1)
        ids = (_count(data.get("turn_id")), _count(data.get("reply_id")))
        self.turns.append(
            TurnFigures(
                seq, self._ms(at_s), *ids, latency, wire, endpointing, transcriber, model, voice, rest
            )
        )

    def on_start_reply(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self._works[_count(data.get("reply_id"))] = _Work(seq, at_s, asked=True)

    def on_say_text(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self._works[_count(data.get("reply_id"))] = _Work(seq, at_s, asked=False, text_s=at_s)

    def on_text(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        work = self._works.get(_count(data.get("reply_id")))
        if work is not None and work.asked:
            work.text_s = at_s if work.text_s is None else work.text_s
            work.last_text_s = at_s

    def on_clause(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        work = self._works.get(_count(data.get("reply_id")))
        if work is None:
            return
        work.sound_s = at_s if work.sound_s is None else work.sound_s
        work.last_sound_s = at_s
        work.voice = _text(data.get("route")) or work.voice
        # Where words may not be kept nobody knows how many there were.
        work.characters += len(_text(data.get("text")) or "")
        work.samples += _count(data.get("samples"))

    def on_reply_completed(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        work = self._works.pop(_count(data.get("reply_id")), None)
        if work is not None:
            self._over(work, ANSWERED, ANSWERED, data)

    def on_cancel_reply(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        work = self._works.pop(_count(data.get("reply_id")), None)
        if work is not None:
            self._over(work, CUT, CUT)

    def on_reply_failed(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        work = self._works.pop(_count(data.get("reply_id")), None)
        if work is None:
            return
        voice = data.get("step") == TTS
        self._over(work, CUT if voice else FAILED, FAILED if voice else CUT, data)

    def on_finalize(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self._finalizing = (seq, at_s)

    def on_transcript(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        if not data.get("confirmed") or self._finalizing is None:
            return
        (asked, asked_s), self._finalizing = self._finalizing, None
        source = self._sources.get(STT) or Source(STT)
        took = _ms_between(asked_s, at_s)
        self._timings.append(
            Timing(asked, self._ms(asked_s), STT, "", source.provider, source.model, ANSWERED, "", took, took)
        )

    def on_start_tool(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self._tools[_count(data.get("run"))] = (seq, at_s, _text(data.get("tool")) or "")

    def on_tool_over(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        started = self._tools.pop(_count(data.get("run")), None)
        if started is None:
            return
        asked, asked_s, tool = started
        status = _text(data.get("status"))
        outcome = CUT if status is None else ANSWERED if status == "done" else status
        took = _ms_between(asked_s, at_s)
        self._timings.append(Timing(asked, self._ms(asked_s), TOOL, tool, TOOL, "", outcome, "", took, took))

    def on_route_failed(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self._route(seq, at_s, data, _text(data.get("route")), FAILED)

    def on_route_switched(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        # A voice that broke has told so itself.
        if data.get("kind") != TTS:
            self._route(seq, at_s, data, _text(data.get("before")), FAILED)

    def on_route_skipped(self, seq: int, at_s: float, data: Mapping[str, Any]) -> None:
        self._route(seq, at_s, data, _text(data.get("route")), SKIPPED)

    # --- inside --------------------------------------------------------------------------------------------------

    def _work_for(self, assistant: Mapping[str, Any]) -> None:
        self._sources = sources_of(assistant)
        self._known = tuple(dict.fromkeys([*all_sources(assistant), *self._known]))

    def _over(self, work: _Work, model: str, voice: str, data: Mapping[str, Any] | None = None) -> None:
        """What a reply has cost in time, now that nothing more comes of it. model, voice: how their parts ended."""
        data = data or {}
        if work.asked:
            who = self._source(LLM, _text(data.get("route")) if model != CUT else None)
            counts = (_count(data.get(f"{name}_tokens")) for name in ("prompt", "cached", "completion"))
            code = (_text(data.get("code")) or "") if model == FAILED else ""
            first, total = (_ms_between(work.at_s, each) for each in (work.text_s, work.last_text_s))
            self._timings.append(
                Timing(work.seq, self._ms(work.at_s), LLM, *who, model, code, first, total, *counts)
            )
        if work.sound_s is None and voice != FAILED:
            return
        began_s = work.at_s if work.text_s is None else work.text_s
        who = self._source(TTS, work.voice or (_text(data.get("route")) if voice == FAILED else None))
        code = (_text(data.get("code")) or "") if voice == FAILED else ""
        first, total = (_ms_between(began_s, each) for each in (work.sound_s, work.last_sound_s))
        audio_ms = round(1000 * work.samples / self.rate_hz, 1) if self.rate_hz else 0.0
        self._timings.append(
            Timing(
                work.seq,
                self._ms(began_s),
                TTS,
                *who,
                voice,
                code,
                first,
                total,
                characters=work.characters,
                audio_ms=audio_ms,
            )
        )

    def _route(self, seq: int, at_s: float, data: Mapping[str, Any], route: str | None, outcome: str) -> None:
        kind, code = _text(data.get("kind")) or "", _text(data.get("code")) or ""
        self._timings.append(Timing(seq, self._ms(at_s), kind, *self._source(kind, route), outcome, code))

    def _source(self, kind: str, route: str | None) -> tuple[str, str, str]:
        """Route, provider and model."""
        source = source_of_route(kind, route, self._known) if route else self._sources.get(kind)
        source = source or Source(kind)
        return route or "", source.provider, source.model

    def _ms(self, at_s: float) -> int:
        return self.epoch_ms + round(at_s * 1000)


_TAKES: Final = {
    "CallStarted": _Folding.on_call_started,
    "LegConnected": _Folding.on_leg_connected,
    "HandoffPrepared": _Folding.on_handoff_prepared,
    "ChangeAssistant": _Folding.on_change_assistant,
    "RecordTurn": _Folding.on_record_turn,
    "StartReply": _Folding.on_start_reply,
    "SayText": _Folding.on_say_text,
    "ReplyTextReceived": _Folding.on_text,
    "ClauseSynthesized": _Folding.on_clause,
    "ReplyCompleted": _Folding.on_reply_completed,
    "CancelReply": _Folding.on_cancel_reply,
    "ReplyFailed": _Folding.on_reply_failed,
    "FinalizeTranscript": _Folding.on_finalize,
    "TranscriptReceived": _Folding.on_transcript,
    "StartTool": _Folding.on_start_tool,
    "ToolReturned": _Folding.on_tool_over,
    "GiveUpTool": _Folding.on_tool_over,
    "RouteFailed": _Folding.on_route_failed,
    "RouteRetried": _Folding.on_route_failed,
    "RouteSwitched": _Folding.on_route_switched,
    "RouteSkipped": _Folding.on_route_skipped,
}


def _ms_between(from_s: float, to_s: float | None) -> float | None:
    return None if to_s is None else round(max(0.0, to_s - from_s) * 1000, 1)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str | None:
    return _whole(value) if isinstance(value, str) else None


def _whole(text: str) -> str:
    """Without halves of characters, which cannot be written."""
    return text.encode("utf-8", "replace").decode()


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -INT_MOST < value < INT_MOST


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else 0.0


def _count(value: Any) -> int:
    return int(value) if _is_number(value) else 0
