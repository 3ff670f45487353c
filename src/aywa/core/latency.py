"""Where a turn's time went: parts that add up to the whole, in milliseconds; what nobody accounts for is named so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aywa.core.reply import Marks

UNATTRIBUTED: Final = "unattributed"


def turn_parts(
    voice_end_s: float, taken_s: float, confirmed_s: float | None, marks: Marks, playout_s: float
) -> dict[str, float]:
    """From the caller's last voice to the first frame that left, in the order of the waiting.

    Work that was done while something else was being waited for counts nothing: only the critical path is shown.
    """
    parts: dict[str, float] = {}
    reached_s = voice_end_s
    steps = (
        ("endpointing", taken_s),
        ("transcriber", confirmed_s),
        ("model", marks.token_s),
        ("voice", marks.clause_s),
        (UNATTRIBUTED, playout_s),
    )
    for name, at_s in steps:
        end_s = reached_s if at_s is None else min(max(at_s, reached_s), playout_s)
        parts[name] = round((end_s - reached_s) * 1000, 1)
        reached_s = end_s
    return parts


def waterfall(latency_ms: float, wire_ms: float | None, parts_ms: Mapping[str, float]) -> dict[str, float]:
    """A turn's parts until the caller hears something, as they follow one another. They add up to wire_ms (latency_ms, where it
    is not known) exactly: the silence that the reply's audio begins with is one of them, what nobody accounts for another."""
    parts = {name: round(float(value), 1) for name, value in parts_ms.items() if name != UNATTRIBUTED}
    wire = latency_ms if wire_ms is None else wire_ms
    parts["silence"] = round(wire - latency_ms, 1)
    parts[UNATTRIBUTED] = round(wire - sum(parts.values()), 1)
    return parts
