"""Scores a call on its caller's side of the wire, and says which promise it broke. Pure; it asks nobody but the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aywa.testing import wire
from aywa.testing.truth import Verdict
from aywa.testing.wire import Record


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is promised, in milliseconds."""

    latency_p95_ms: float = 1500.0
    barge_in_ms: float = 250.0


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The figures of one or more calls. None: it could not be measured."""

    asked: int
    latencies_ms: tuple[float, ...]
    stops_ms: tuple[float, ...]
    cutoffs: int
    gaps: int
    truth_errors: int
    floor_taken: int
    """Backchannels that ended a reply."""
    missed: tuple[str, ...]
    underruns: int
    underrun_ms: float
    caller_late_ms: float

    @property
    def turns(self) -> int:
        """The utterances that were answered."""
        return len(self.latencies_ms)

    def latency_ms(self, share: float) -> float | None:
        """A percentile of voice to voice: last voiced frame sent to first audible reply frame received."""
        return wire.percentile(self.latencies_ms, share)

    def stop_ms(self, share: float) -> float | None:
        """A percentile of the barge-ins: first voiced frame sent to last reply frame received."""
        return wire.percentile(self.stops_ms, share)

    def broken(self, bounds: Bounds) -> list[str]:
        """The promises that were broken, each in a few words."""
        latency_ms, stop_ms = self.latency_ms(95), self.stop_ms(95)
        checks = (
            (self.turns < self.asked, f"{self.asked - self.turns} of {self.asked} utterances got no answer"),
            (_over(latency_ms, bounds.latency_p95_ms), f"voice to voice p95 {_ms(latency_ms)} > {bounds.latency_p95_ms:.0f}"),
            (_over(stop_ms, bounds.barge_in_ms), f"barge-in stopped after {_ms(stop_ms)} > {bounds.barge_in_ms:.0f}"),
            (self.cutoffs > 0, f"the caller was cut off {_times(self.cutoffs)}"),
            (self.gaps > 0, f"the line was silent for more than {wire.GAP_S:.0f} s {_times(self.gaps)}"),
            (self.truth_errors > 0, f"the history differs from what was heard {_times(self.truth_errors)}"),
            (self.floor_taken > 0, f"a backchannel took the floor {_times(self.floor_taken)}"),
            (bool(self.missed), f"no reply was long enough to speak into: {', '.join(self.missed)}"),
        )  # fmt: skip
        return [words for is_broken, words in checks if is_broken]


def score(records: Sequence[Record], verdicts: Sequence[Verdict] = ()) -> Scorecard:
    """Scores calls together."""
    turns = [turn for record in records for turn in wire.latencies(record)]
    underruns = [late for record in records for late in wire.underruns(record) if not late.held]
    return Scorecard(
        asked=len(turns),
        latencies_ms=tuple(turn.audible_ms for turn in turns if turn.audible_ms is not None),
        stops_ms=tuple(stop.stop_ms for record in records for stop in wire.barge_in_stops(record)),
        cutoffs=sum(len(wire.cutoffs(record)) for record in records),
        gaps=sum(len(wire.gaps(record)) for record in records),
        truth_errors=sum(not verdict.truthful for verdict in verdicts),
        floor_taken=sum(not outcome.kept for record in records for outcome in wire.backchannels(record)),
        missed=tuple(label for record in records for label in record.missed),
        underruns=len(underruns),
        underrun_ms=sum(late.late_ms for late in underruns),
        caller_late_ms=max((wire.pacing_late_ms(record) for record in records), default=0.0),
    )


def _over(value: float | None, bound: float) -> bool:
    return value is not None and value > bound


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
