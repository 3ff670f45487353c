"""Where a turn's time went: parts that add up to the whole, in milliseconds; what nobody accounts for is named so."""

from __future__ import annotations

from aywa.core.reply import Marks


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
        ("unattributed", playout_s),
    )
    for name, at_s in steps:
        end_s = reached_s if at_s is None else min(max(at_s, reached_s), playout_s)
        parts[name] = round((end_s - reached_s) * 1000, 1)
        reached_s = end_s
    return parts
