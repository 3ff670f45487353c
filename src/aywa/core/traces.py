"""Makes a call's trace out of its records: a span for the call, for each turn, each stage of a turn's latency, each request to a
provider and each tool. It is told when the call is closed. No words, no arguments, no numbers of telephones are in it.

Ids come from the call's own, so that a log line finds its trace without asking. Times are seconds of Unix time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aywa.core.latency import UNATTRIBUTED, waterfall
from aywa.core.metrics.calls import of, provider_of
from aywa.core.metrics.requests import ProviderRequest

SPANS_MAX: Final = 1000
"""Of one call; more are counted."""
CALLS_MAX: Final = 10_000
"""So many calls are followed at once; the one that began first is let go."""
_ORDER: Final = ("endpointing", "transcriber", "model", "voice", UNATTRIBUTED, "silence")
"""As the stages follow one another."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Attributes = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Span:
    """parent_id: None of the call's own. error: why it failed, empty when it did not. moments: name and time. outside: somebody
    else's work that was waited for."""

    name: str
    span_id: int
    parent_id: int | None
    began_s: float
    ended_s: float
    attributes: Attributes = field(default_factory=dict)
    moments: tuple[tuple[str, float], ...] = ()
    error: str = ""
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole call. The first span is the call's own."""

    trace_id: int
    spans: tuple[Span, ...]


@dataclass(slots=True)
class _Turn:
    """began_s, heard_s: as the waterfall has them; ended_s: when its reply was."""

    turn_id: int
    began_s: float
    heard_s: float
    ended_s: float
    attributes: Attributes
    stages: list[tuple[str, float, float]]


@dataclass(slots=True)
class _Call:
    """asked: when replies were asked for, and for which turn. playing: reply -> when its first frame left."""

    org_id: str
    epoch_s: float
    connected_s: float | None = None
    asked: list[tuple[float, int]] = field(default_factory=list)
    playing: dict[int, float] = field(default_factory=dict)
    turns: dict[int, _Turn] = field(default_factory=dict)
    requests: list[tuple[float, float, ProviderRequest]] = field(default_factory=list)
    tools: dict[int, tuple[float, str]] = field(default_factory=dict)
    tools_done: list[tuple[float, float, str, str]] = field(default_factory=list)
    moments: list[tuple[str, float]] = field(default_factory=list)
    ended_s: float = 0.0
    reason: str = ""
    left_out: int = 0

    @property
    def held(self) -> int:
        stages = sum(len(turn.stages) for turn in self.turns.values())
        return len(self.turns) + stages + len(self.requests) + len(self.tools_done)


class CallTraces:
    """`take` every record whose kind is among `kinds`, `request` every request to a provider. told: is given each closed call's
    trace."""

    def __init__(self, told: Callable[[Trace], None]) -> None:
        self._told = told
        self._calls: dict[str, _Call] = {}
        self.kinds: Mapping[str, Callable[[_Call, float, Any], None]] = {
            "CallStarted": lambda call, at_s, data: None,
            "RingingStarted": lambda call, at_s, data: call.moments.append(("ringing", at_s)),
            "LegConnected": self._connected,
            "StartReply": self._asked,
            "PlayoutStarted": self._playing,
            "PlayoutFinished": self._played,
            "PlayoutDropped": self._played,
            "RecordTurn": self._turn,
            "StartTool": self._tool_started,
            "ToolReturned": self._tool_returned,
            "RouteSwitched": self._switched,
            "EndCall": self._ended,
            "CallClosed": lambda call, at_s, data: None,
        }

    @property
    def followed(self) -> int:
        """Calls that something is remembered of."""
        return len(self._calls)

    def take(self, call_id: str, at_s: float, kind: str, data: object) -> None:
        """The next record of a call. One whose beginning was not seen has no trace."""
        if kind == "CallStarted":
            self._begin(call_id, data)
        call, read = self._calls.get(call_id), self.kinds.get(kind)
        if call is None or read is None:
            return
        read(call, call.epoch_s + at_s, data)
        if kind == "CallClosed":
            del self._calls[call_id]
            self._told(trace_of(call_id, call))

    def request(self, call_id: str, request: ProviderRequest, epoch_s: float) -> None:
        """epoch_s: Unix time of the request's clock at 0."""
        call = self._calls.get(call_id)
        if call is not None and self._has_room(call):
            call.requests.append((epoch_s + request.began_s, epoch_s + request.ended_s, request))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _begin(self, call_id: str, data: object) -> None:
        self._calls[call_id] = _Call(str(of(data, "org_id", "")), int(of(data, "epoch_ms", 0)) / 1000)
        if len(self._calls) > CALLS_MAX:
            del self._calls[next(iter(self._calls))]

    def _has_room(self, call: _Call, more: int = 1) -> bool:
        if call.held + more <= SPANS_MAX:
            return True
        call.left_out += more
        return False

    def _connected(self, call: _Call, at_s: float, data: object) -> None:
        if call.connected_s is None:
            call.connected_s = at_s
            call.moments.append(("connected", at_s))

    def _asked(self, call: _Call, at_s: float, data: object) -> None:
        call.asked.append((at_s, int(of(data, "turn_id", 0))))
        del call.asked[:-SPANS_MAX]

    def _playing(self, call: _Call, at_s: float, data: object) -> None:
        call.playing = {int(of(data, "reply_id", 0)): call.epoch_s + float(of(data, "at_s", 0.0))}

    def _played(self, call: _Call, at_s: float, data: object) -> None:
        for turn in call.turns.values():
            if turn.attributes["aywa.reply.id"] == of(data, "reply_id"):
                turn.ended_s = max(turn.heard_s, call.epoch_s + float(of(data, "at_s", 0.0)))

    def _turn(self, call: _Call, at_s: float, data: object) -> None:
        latency_ms, wire_ms = float(of(data, "latency_ms", 0.0)), of(data, "wire_ms")
        parts = waterfall(latency_ms, wire_ms, of(data, "parts_ms", {}))
        if not self._has_room(call, 1 + len(parts)):
            return
        turn_id, reply_id = int(of(data, "turn_id", 0)), int(of(data, "reply_id", 0))
        began_s = call.playing.get(reply_id, at_s) - latency_ms / 1000
        stages, reached_s = [], began_s
        for stage in sorted(parts, key=lambda name: _ORDER.index(name) if name in _ORDER else -1):
            spent_s = max(0.0, parts[stage]) / 1000
            if spent_s:
                stages.append((stage, reached_s, reached_s + spent_s))
            reached_s += spent_s
        attributes = {
            "aywa.turn.id": turn_id,
            "aywa.reply.id": reply_id,
            "aywa.turn.wire_ms": latency_ms if wire_ms is None else float(wire_ms),
        } | {f"aywa.turn.{name}_ms": spent_ms for name, spent_ms in parts.items()}
        call.turns[turn_id] = _Turn(turn_id, began_s, reached_s, reached_s, attributes, stages)

    def _tool_started(self, call: _Call, at_s: float, data: object) -> None:
        call.tools[of(data, "run", 0)] = at_s, str(of(data, "tool", ""))

    def _tool_returned(self, call: _Call, at_s: float, data: object) -> None:
        began = call.tools.pop(of(data, "run", 0), None)
        if began is not None and self._has_room(call):
            call.tools_done.append((began[0], max(at_s, began[0]), began[1], str(of(data, "status", ""))))

    def _switched(self, call: _Call, at_s: float, data: object) -> None:
        if self._has_room(call):
            call.moments.append((f"{of(data, 'kind')} switched from {of(data, 'before')}", at_s))
            del call.moments[:-SPANS_MAX]

    def _ended(self, call: _Call, at_s: float, data: object) -> None:
        call.ended_s, call.reason = at_s, str(of(data, "reason", ""))


def trace_of(call_id: str, call: _Call) -> Trace:
    """All spans; each parent is among them."""
    root = span_id_of(call_id, "call")
    spans = [_root(call_id, call, root)]
    for turn in call.turns.values():
        own = span_id_of(call_id, f"turn {turn.turn_id}")
        spans.append(
            Span("turn", own, root, turn.began_s, turn.ended_s, turn.attributes, (("heard", turn.heard_s),))
        )
        for stage, began_s, ended_s in turn.stages:
            made = span_id_of(call_id, f"turn {turn.turn_id} {stage}")
            spans.append(Span(stage, made, own, began_s, ended_s))
    for number, (began_s, ended_s, request) in enumerate(call.requests):
        own = span_id_of(call_id, f"request {number}")
        parent = _parent(call_id, call, request.kind, began_s, root)
        spans.append(_request(request, own, parent, began_s, ended_s))
    for number, (began_s, ended_s, tool, status) in enumerate(call.tools_done):
        own = span_id_of(call_id, f"tool {number}")
        attributes = {"aywa.tool.name": tool, "aywa.tool.status": status}
        error = "" if status == "done" else status
        spans.append(Span("tool", own, root, began_s, ended_s, attributes, error=error, outside=True))
    return Trace(trace_id_of(call_id), tuple(spans))


def trace_id_of(call_id: str) -> int:
    """128 bits: the call's id itself, where that is a UUID."""
    if _UUID.fullmatch(call_id):
        return int(call_id.replace("-", ""), 16) or 1
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:16], "big") or 1


def span_id_of(call_id: str, what: str) -> int:
    """64 bits."""
    told = f"{call_id} {what}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(told).digest()[:8], "big") or 1


def _root(call_id: str, call: _Call, root: int) -> Span:
    attributes: dict[str, str | int | float | bool] = {
        "aywa.call.id": call_id,
        "aywa.org.id": call.org_id,
        "aywa.call.ended_reason": call.reason,
    }
    if call.left_out:
        attributes["aywa.spans.left_out"] = call.left_out
    error = call.reason if "error" in call.reason else ""
    ended_s = max(call.ended_s, call.epoch_s)
    return Span("call", root, None, call.epoch_s, ended_s, attributes, tuple(call.moments), error)


def _parent(call_id: str, call: _Call, kind: str, began_s: float, root: int) -> int:
    """The turn whose reply was asked for last before; a recogniser listens to the whole call."""
    if kind != "stt":
        for asked_s, turn_id in reversed(call.asked):
            # On record a hair after it was begun.
            if asked_s <= began_s + 0.001:
                return span_id_of(call_id, f"turn {turn_id}") if turn_id in call.turns else root
    return root


def _request(request: ProviderRequest, own: int, parent: int, began_s: float, ended_s: float) -> Span:
    provider = provider_of(request.route)
    attributes = {
        "aywa.provider.kind": request.kind,
        "aywa.provider.route": request.route,
        "aywa.provider.outcome": request.outcome,
    }
    first = () if request.first_s is None else (("first answer", began_s + request.first_s),)
    return Span(
        f"{request.kind} {provider}",
        own,
        parent,
        began_s,
        ended_s,
        attributes,
        first,
        request.code,
        outside=True,
    )
