"""What a call over equipment shows: marks, clears, gaps, what was sent ahead, and the playout position told against the truth.

Everything is measured at the equipment, by its clock; only the position told is the runtime's word, out of its timeline, and it
is held against the ear. It refuses to judge: aywa.testing.equipment.check does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aywa.testing.equipment.base import Clear, HangUp, Keys, Mark, Transfer
from aywa.testing.equipment.call import Called
from aywa.testing.wire import Kind, latencies, talkspurts, underruns, utterances


@dataclass(frozen=True, slots=True)
class Stop:
    """A barge-in into a reply. clear_ms: from the first voiced frame sent to the clear, None where none came; stop_ms: to the
    end of what was heard."""

    label: str
    clear_ms: float | None
    stop_ms: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Times in milliseconds. marks_open: asked for, and neither reached nor thrown away. gaps_ms: how late sound came inside
    a reply. ahead_ms: the most that ever waited. played_ms, cleared_ms, dropped_ms: of the runtime's sound. late_ms: how far
    the equipment itself ever fell behind its own clock, which what it measured is worth no more than."""

    connected_ms: float
    greeting_ms: float | None
    replies_ms: tuple[float | None, ...]
    marks: int
    marks_open: int
    clears: int
    stops: tuple[Stop, ...]
    gaps_ms: tuple[float, ...]
    ahead_ms: float
    played_ms: float
    cleared_ms: float
    dropped_ms: float
    keys: tuple[str, ...]
    hung_up: bool
    transfers: int
    violations: tuple[str, ...]
    missed: tuple[str, ...]
    closed_after_ms: float | None
    late_ms: float = 0.0


def measure(called: Called) -> Measures:
    """Of a call that took place."""
    equipment, record = called.equipment, called.record
    ear = equipment.ear
    first_s = next((spurt.audible_s for spurt in talkspurts(record) if spurt.audible_s is not None), None)
    return Measures(
        connected_ms=called.connected_s * 1000,
        greeting_ms=None if first_s is None else (first_s - record.opened_s) * 1000,
        replies_ms=tuple(latency.audible_ms for latency in latencies(record)),
        marks=len(equipment.of(Mark)),
        marks_open=len(ear.marks),
        clears=len(equipment.of(Clear)),
        stops=tuple(stops(called)),
        gaps_ms=tuple(gap.late_ms for gap in underruns(record) if not gap.held),
        ahead_ms=ear.most_queued_s * 1000,
        played_ms=ear.played_samples(record.closed_s) / ear.rate_hz * 1000,
        cleared_ms=ear.cleared_samples / ear.rate_hz * 1000,
        dropped_ms=ear.dropped_samples / ear.rate_hz * 1000,
        keys=tuple(keys.digits for _, keys in equipment.of(Keys) if isinstance(keys, Keys)),
        hung_up=bool(equipment.of(HangUp)),
        transfers=len(equipment.of(Transfer)),
        violations=tuple(equipment.violations),
        missed=tuple(record.missed),
        closed_after_ms=None if called.closed_after_s is None else called.closed_after_s * 1000,
        late_ms=equipment.late_s * 1000,
    )


def stops(called: Called) -> list[Stop]:
    """One for each barge-in that fell into a reply."""
    found: list[Stop] = []
    clears = [at_s for at_s, _ in called.equipment.of(Clear)]
    spurts = talkspurts(called.record)
    for said in utterances(called.record):
        running = next(
            (spurt for spurt in spurts if spurt.start_s < said.first_voiced_s <= spurt.end_s), None
        )
        if said.kind is not Kind.BARGE_IN or running is None:
            continue
        # A clear that comes when the next reply is due is none of this one's.
        until_s = next((spurt.start_s for spurt in spurts if spurt.start_s > running.end_s), float("inf"))
        at_s = next((at_s for at_s in clears if said.first_voiced_s < at_s < until_s), None)
        found.append(
            Stop(
                said.label,
                None if at_s is None else (at_s - said.first_voiced_s) * 1000,
                (running.end_s - said.first_voiced_s) * 1000,
            )
        )
    return found


def told_samples(timeline: Iterable[Mapping[str, Any]]) -> int:
    """How many samples the runtime says were heard, in all: its timeline's playout entries, added up.

    A reply is heard from 0; a pause ends a stretch at its position and going on begins one; what follows says where it ended.
    """
    heard, since, stopped = 0, 0, True
    for entry in timeline:
        kind, position = entry.get("kind"), (entry.get("details") or {}).get("position", 0)
        match kind:
            case "playout-started":
                since, stopped = 0, False
            case "playout-resumed" if stopped:
                since, stopped = position, False
            case "playout-paused" | "playout-dropped" | "playout-finished" if not stopped:
                heard += max(0, position - since)
                since, stopped = position, True
            case _:
                pass
    return heard


def position_off_ms(called: Called, timeline: Sequence[Mapping[str, Any]], pause_s: float = 0.0) -> float:
    """What the runtime says was heard minus what was: positive when it believes that more was heard.

    Digital silence may count or not: it may be the voice's, or fill up a message, or a stream that must not stop. pause_s:
    silences up to this length are known to be the voice's.
    """
    ear = called.equipment.ear
    most = ear.played_samples(called.record.closed_s)
    told = told_samples(timeline)
    own = round(pause_s * ear.rate_hz)
    filled = sum(max(0, samples - own) for _, samples in ear.silences())
    off = told - most if told > most else min(0, told - (most - filled))
    return off / ear.rate_hz * 1000


def position_bound_ms(bound_ms: float, late_ms: float) -> float:
    """How far word and ear may differ: late equipment begins to play what came in so much later, and stops so much later."""
    return bound_ms + 2 * late_ms


def as_json(called: Called, measures: Measures | None) -> dict[str, Any]:
    """For a program."""
    told: dict[str, Any] = {
        "protocol": called.equipment.name,
        "url": called.url.partition("?")[0],
        "connected": called.connected,
        "refused": None if called.refused is None else str(called.refused),
        "ended_by": called.ended_by or None,
        "close_code": called.close_code,
    }
    if measures is None:
        return told
    return told | {
        "connected_ms": round(measures.connected_ms, 1),
        "greeting_ms": _rounded(measures.greeting_ms),
        "replies_ms": [_rounded(reply) for reply in measures.replies_ms],
        "marks": measures.marks,
        "marks_open": measures.marks_open,
        "clears": measures.clears,
        "barge_ins": [
            {"clear_ms": _rounded(stop.clear_ms), "stop_ms": _rounded(stop.stop_ms)}
            for stop in measures.stops
        ],
        "gaps_ms": [_rounded(gap) for gap in measures.gaps_ms],
        "ahead_ms": _rounded(measures.ahead_ms),
        "played_ms": _rounded(measures.played_ms),
        "cleared_ms": _rounded(measures.cleared_ms),
        "dropped_ms": _rounded(measures.dropped_ms),
        "keys": list(measures.keys),
        "violations": list(measures.violations),
        "closed_after_ms": _rounded(measures.closed_after_ms),
        "late_ms": _rounded(measures.late_ms),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
