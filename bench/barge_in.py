"""How fast a reply falls silent: first voiced frame of the caller sent, to the last reply frame received.

A real runtime with everything on this machine (--tiny: the language model has no part in stopping), telephone band. Six
calls of six barge-ins, each spoken into the reply to the one before, at times that differ. Prints
{"barge_in_stop_ms_p50", "barge_in_stop_ms_p95", "barge_ins", "missed", "samples"}. Run it with script/bench barge_in.
"""

from __future__ import annotations

import asyncio
import json

from aywa.boot.demo import QUIET_S
from aywa.boot.speech import Line
from aywa.testing import wire
from aywa.testing.scorecard import score
from aywa.testing.script import BargeIn, Pause, Say, Step, WaitReply
from aywa.testing.wire import Record
from bench.callers import label, place, runtime, tell, voice

CALLS = 6
# So far into the reply, in seconds; in turn, so that no two calls are alike.
AFTER_S = (0.5, 0.62, 0.75, 0.88, 1.01, 1.14, 1.27)
OPENING: Line = ("What services do you offer?",)
LINES: tuple[Line, ...] = (
    ("Wait, what are your opening hours?",),
    ("Hold on.", 0.3, "How much is a cleaning?"),
    ("No, no, I mean, where can I park?",),
    ("Excuse me, what is your address?",),
    ("Okay, but what are your prices?",),
    ("Sorry, stop.", 0.3, "What services do you offer?"),
)


async def main() -> dict[str, object]:
    """All calls, then the figures."""
    said = await voice((OPENING, *LINES))
    records: list[Record] = []
    async with runtime("--tiny") as started:
        for number in range(CALLS):
            placed = await place(started, _script(number, said))
            records.append(placed.record)
            stops = " ".join(f"{stop.stop_ms:.0f}" for stop in wire.barge_in_stops(placed.record))
            tell(f"call {number + 1} of {CALLS}: {stops} ms, missed {len(placed.record.missed)}")
    card = score(records)
    return {
        "barge_in_stop_ms_p50": _round(card.stop_ms(50)),
        "barge_in_stop_ms_p95": _round(card.stop_ms(95)),
        "barge_ins": len(card.stops_ms),
        "missed": len(card.missed),
        "false_cutoffs": card.cutoffs,
        "caller_late_ms": _round(card.caller_late_ms),
        "stops_ms": [_round(stop) for stop in card.stops_ms],
        "samples": len(card.stops_ms),
    }


def _script(call: int, said: dict[Line, bytes]) -> list[Step]:
    steps: list[Step] = [WaitReply(quiet_s=QUIET_S), Say(said[OPENING], label(OPENING))]
    for number, line in enumerate(LINES):
        after_s = AFTER_S[(call * len(LINES) + number) % len(AFTER_S)]
        steps.append(BargeIn(said[line], after_s, label(line)))
    return [*steps, WaitReply(quiet_s=QUIET_S), Pause(0.3)]


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
