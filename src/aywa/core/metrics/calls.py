"""Reads measurements out of the records of a process's calls, one after the other, as they are put down. Refuses to hold a sum:
that is the register's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aywa.core.latency import waterfall
from aywa.core.metrics import catalogue as the
from aywa.core.metrics.catalogue import Register

CALLS_MAX: Final = 10_000
"""So many calls are followed at once; the one that began first is let go."""
_PACKETS: Final = ("sent", "received", "lost", "late", "concealed")


@dataclass(slots=True)
class _Call:
    """What must be known of a call until its next record. speculative: replies that were begun early and are not decided yet.
    packets: as last reported. tools: run -> when it began."""

    connected_s: float | None = None
    speculative: set[int] = field(default_factory=set)
    packets: dict[str, int] = field(default_factory=dict)
    tools: dict[int, float] = field(default_factory=dict)


class CallMetrics:
    """`take` every record whose kind is among `kinds`."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._calls: dict[str, _Call] = {}
        self.kinds: Mapping[str, Callable[[_Call, float, Any], None]] = {
            "CallStarted": self._started,
            "LegConnected": self._connected,
            "LegEnded": self._leg_ended,
            "EndCall": self._ended,
            "CallClosed": lambda call, at_s, data: None,
            "RecordTurn": self._turn,
            "RecordDecision": self._decided,
            "RecordGap": self._gap,
            "TellClient": self._told,
            "StartReply": self._reply_started,
            "ReleaseReply": self._released,
            "ReplyCompleted": self._completed,
            "ReplyFailed": self._failed,
            "QualityMeasured": self._quality,
            "PlayoutStarved": self._starved,
            "MediaWarned": self._warned,
            "RouteSwitched": self._switched,
            "RouteHedged": self._hedged,
            "StartTool": self._tool_started,
            "ToolReturned": self._tool_returned,
        }

    @property
    def followed(self) -> int:
        """Calls that something is remembered of."""
        return len(self._calls)

    def take(self, call_id: str, at_s: float, kind: str, data: object) -> None:
        """The next record of a call: a mapping, or the event or command itself."""
        read = self.kinds.get(kind)
        if read is None:
            return
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = _Call()
            if len(self._calls) > CALLS_MAX:
                del self._calls[next(iter(self._calls))]
        read(call, at_s, data)
        if kind == "CallClosed":
            del self._calls[call_id]

    # --- from begin to end -------------------------------------------------------------------------------------------

    def _started(self, call: _Call, at_s: float, data: object) -> None:
        self._register.add(the.CALLS_STARTED)

    def _connected(self, call: _Call, at_s: float, data: object) -> None:
        if call.connected_s is None:
            call.connected_s = at_s

    def _leg_ended(self, call: _Call, at_s: float, data: object) -> None:
        self._register.add(the.LEGS_ENDED, 1, _text(data, "cause"))

    def _ended(self, call: _Call, at_s: float, data: object) -> None:
        self._register.add(the.CALLS_ENDED, 1, _text(data, "reason"))
        if call.connected_s is not None:
            self._register.observe(the.CALL_SECONDS, max(0.0, at_s - call.connected_s))

    # --- turns -------------------------------------------------------------------------------------------------------

    def _turn(self, call: _Call, at_s: float, data: object) -> None:
        latency_ms, wire_ms = float(of(data, "latency_ms", 0.0)), of(data, "wire_ms")
        stages = waterfall(latency_ms, wire_ms, of(data, "parts_ms", {}))
        self._register.observe(the.TURN_WIRE_SECONDS, (latency_ms if wire_ms is None else wire_ms) / 1000)
        for stage, spent_ms in stages.items():
            # Rounding may leave a hair less than nothing.
            self._register.observe(the.TURN_STAGE_SECONDS, max(0.0, spent_ms) / 1000, stage)

    def _decided(self, call: _Call, at_s: float, data: object) -> None:
        details = of(data, "details", {})
        match of(data, "machine"), of(data, "decision"):
            case "floor", "turn_taken":
                wait_s = float(details.get("wait_s", 0.0))
                self._register.observe(the.ENDPOINTING_WAIT_SECONDS, wait_s, _text(data, "reason"))
            case "floor", "reply_begun_early":
                self._register.add(the.SPECULATIONS, 1, "begun")
            case "floor", "reply_discarded":
                self._discarded(call, details)
            case _, "filler_said":
                self._register.add(the.FILLERS)
            case "barge_in", str(ruling):
                self._register.add(the.CONTESTS, 1, ruling)
            case "silence", "promise_broken":
                self._register.add(the.UNEXPLAINED_GAPS)
            case _:
                pass

    def _discarded(self, call: _Call, details: Mapping[str, Any]) -> None:
        if details.get("speculative"):
            call.speculative.discard(int(details.get("reply_id", 0)))
            self._register.add(the.SPECULATIONS, 1, "discarded")
            self._register.add(the.SPECULATION_TOKENS, float(details.get("tokens", 0)))

    def _reply_started(self, call: _Call, at_s: float, data: object) -> None:
        if of(data, "speculative", False):
            call.speculative.add(of(data, "reply_id"))

    def _released(self, call: _Call, at_s: float, data: object) -> None:
        reply_id = of(data, "reply_id")
        if reply_id in call.speculative:
            call.speculative.discard(reply_id)
            self._register.add(the.SPECULATIONS, 1, "used")

    def _told(self, call: _Call, at_s: float, data: object) -> None:
        if of(data, "type") == "user-interrupted":
            self._register.add(the.INTERRUPTIONS)

    def _gap(self, call: _Call, at_s: float, data: object) -> None:
        for reason, spent_s in of(data, "reasons", {}).items():
            self._register.add(the.SILENCE_SECONDS, float(spent_s), str(reason))

    def _failed(self, call: _Call, at_s: float, data: object) -> None:
        self._register.add(the.REPLIES_FAILED, 1, _text(data, "step"), _text(data, "code"))

    # --- media -------------------------------------------------------------------------------------------------------

    def _quality(self, call: _Call, at_s: float, data: object) -> None:
        for what in _PACKETS:
            count = int(of(data, what, 0))
            # Another stream of the same leg counts from zero.
            more = count - call.packets.get(what, 0)
            call.packets[what] = count
            self._register.add(the.RTP_PACKETS, more if more >= 0 else count, what)
        self._register.observe(the.RTP_JITTER_SECONDS, float(of(data, "jitter_s", 0.0)))
        if (round_trip_s := of(data, "round_trip_s")) is not None:
            self._register.observe(the.RTP_ROUND_TRIP_SECONDS, float(round_trip_s))
        for direction, name in (("in", "opinion"), ("out", "remote_opinion")):
            if (opinion := of(data, name)) is not None:
                self._register.observe(the.RTP_OPINION, float(opinion), direction)

    def _starved(self, call: _Call, at_s: float, data: object) -> None:
        self._register.add(the.PLAYOUTS_STARVED)

    def _warned(self, call: _Call, at_s: float, data: object) -> None:
        self._register.add(the.MEDIA_WARNINGS, 1, _text(data, "code"))

    # --- providers and tools -----------------------------------------------------------------------------------------

    def _completed(self, call: _Call, at_s: float, data: object) -> None:
        for what in ("prompt", "cached", "completion"):
            if tokens := int(of(data, f"{what}_tokens", 0)):
                self._register.add(the.TOKENS, tokens, what)

    def _switched(self, call: _Call, at_s: float, data: object) -> None:
        provider = provider_of(_text(data, "before"))
        self._register.add(the.PROVIDER_SWITCHES, 1, _text(data, "kind"), provider)

    def _hedged(self, call: _Call, at_s: float, data: object) -> None:
        outcome = "won" if of(data, "won", False) else "begun"
        self._register.add(the.PROVIDER_HEDGES, 1, _text(data, "kind"), outcome)

    def _tool_started(self, call: _Call, at_s: float, data: object) -> None:
        call.tools[of(data, "run", 0)] = at_s

    def _tool_returned(self, call: _Call, at_s: float, data: object) -> None:
        began_s = call.tools.pop(of(data, "run", 0), None)
        self._register.add(the.TOOL_RUNS, 1, _text(data, "status"))
        if began_s is not None:
            self._register.observe(the.TOOL_SECONDS, max(0.0, at_s - began_s))


def of(data: object, name: str, default: Any = None) -> Any:
    """A field of a record, which is the event itself while it is put down and a mapping when it is read."""
    return data.get(name, default) if isinstance(data, Mapping) else getattr(data, name, default)


def provider_of(route: str) -> str:
    """The vendor of a route: its name's rest may be an organisation's own model or voice."""
    return route.partition("/")[0]


def _text(data: object, name: str) -> str:
    return str(of(data, name, ""))
