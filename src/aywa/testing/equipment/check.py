"""Acts as one vendor's equipment towards a running runtime and says what it found and how to mend it.

One call: the greeting is spoken into, a WAV is said, a key is pressed, the caller hangs up. Then the verdict: did it keep
to the vendor's documentation, to the marks, to the clear, to the clock. Refuses to change anything at the runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aywa.testing.equipment.base import Equipment
from aywa.testing.equipment.call import Called
from aywa.testing.equipment.report import Measures, Stop, position_bound_ms, position_off_ms
from aywa.testing.script import BargeIn, Keys, Pause, Say, Step, WaitReply

GREETING_S = 15.0
REPLY_S = 20.0
INTO_S = 1.2
QUIET_S = 1.0
BARGE_IN_S = 1.2
"""How much of the WAV is said into the greeting."""
CLEAR_MS = 300.0
"""Slower than this on one call is worth a look; the runtime's own bound is a p95 of 150 ms over many."""
POSITION_MS = 20.0
GAP_MS = 20.0
KEY = "5"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. good: None for what is worth knowing and no fault. mend: what to do about a fault."""

    what: str
    good: bool | None
    told: str
    mend: str = ""


def script(pcm: bytes, equipment: Equipment, *, barge_in: bool = True) -> list[Step]:
    """What the caller does with a sentence, PCM16 at the equipment's rate."""
    first = pcm[: round(BARGE_IN_S * equipment.rate_hz) * 2]
    greeting: list[Step] = (
        [BargeIn(first, INTO_S, "into the greeting", GREETING_S), WaitReply(REPLY_S, QUIET_S)]
        if barge_in
        else [WaitReply(GREETING_S, QUIET_S)]
    )
    keys: list[Step] = [Keys(KEY), Pause(0.3)] if equipment.has_keys else []
    return [*greeting, Say(pcm, "the WAV"), WaitReply(REPLY_S, QUIET_S), *keys]


def findings(
    called: Called, measures: Measures | None, timeline: Sequence[Mapping[str, Any]] | None = None
) -> Iterator[Finding]:
    """The verdict on a call. measures: None when there was none; timeline: the runtime's, where it can be had."""
    if called.refused is not None or measures is None:
        status = called.refused.status if called.refused is not None else 0
        yield Finding("door", False, str(called.refused), _MENDS.get(status, _MENDS[0]))
        return
    yield Finding("door", True, f"let in after {measures.connected_ms:.0f} ms")
    yield _protocol(measures)
    yield from _speech(measures)
    yield from _marks(called.equipment, measures)
    yield from _stops(called.equipment, measures)
    yield _pace(measures)
    yield from _told(called, measures, timeline)
    yield _end(called, measures)


_MENDS = {
    0: "see that the runtime runs and that the address leads there; --media names another",
    401: "give what opens it: --secret as the vendor signs, --token for the runtime's own",
    403: "give what opens it: --secret as the vendor signs, --token for the runtime's own",
    404: "name an assistant or a phone number that exists: --assistant, --number",
    409: "the call is connected already: hang up the other one",
    1008: "name an assistant or a number that exists (--assistant, --number), and give what opens it: --secret or --token",
    503: "the runtime has no room for the call now: ask again, or give it more",
}


def _protocol(measures: Measures) -> Finding:
    kinds = list(dict.fromkeys(measures.violations))
    if not kinds:
        return Finding("protocol", True, "every message was one of the vendor's")
    told = "; ".join(kinds[:3]) + (f" and {len(kinds) - 3} more" if len(kinds) > 3 else "")
    return Finding("protocol", False, f"{len(measures.violations)} violations: {told}", "report it to us")


def _speech(measures: Measures) -> Iterator[Finding]:
    if measures.greeting_ms is None:
        mend = "give the assistant a firstMessage, and see its timeline for a voice that failed"
        yield Finding("sound", False, "nothing was ever heard", mend)
        return
    yield Finding("greeting", True, f"heard after {measures.greeting_ms:.0f} ms")
    answer = measures.replies_ms[-1] if measures.replies_ms else None
    if answer is None:
        yield Finding(
            "reply", False, "no answer to the WAV", "see the call's timeline for what was recognised"
        )
    else:
        yield Finding("reply", True, f"{answer:.0f} ms after the last voiced frame of the WAV")


def _marks(equipment: Equipment, measures: Measures) -> Iterator[Finding]:
    if not equipment.has_marks:
        yield Finding("marks", None, "the protocol has none: what was heard is reckoned from what was sent")
    elif not measures.marks:
        yield Finding("marks", False, "none was asked for", "report it to us")
    else:
        left = f", {measures.marks_open} still open at the end" if measures.marks_open else ""
        yield Finding("marks", True, f"{measures.marks} asked for and answered{left}")


def _stops(equipment: Equipment, measures: Measures) -> Iterator[Finding]:
    if "into the greeting" in measures.missed or not measures.stops:
        yield Finding("barge-in", None, "the greeting was too short to be spoken into")
        return
    stop: Stop = measures.stops[0]
    if not equipment.has_clear:
        told = f"the protocol has no clear; the reply was over {stop.stop_ms:.0f} ms after the caller's first sound"
        yield Finding("barge-in", stop.stop_ms < 2 * CLEAR_MS or None, told)
    elif stop.clear_ms is None:
        told = f"no clear; the greeting went on for {stop.stop_ms:.0f} ms"
        yield Finding("barge-in", False, told, "see stopSpeakingPlan of the assistant")
    else:
        told = f"cleared {stop.clear_ms:.0f} ms after the caller's first sound"
        yield Finding("barge-in", stop.clear_ms <= CLEAR_MS or None, told)


def _pace(measures: Measures) -> Finding:
    gaps = [gap for gap in measures.gaps_ms if gap > GAP_MS + measures.late_ms]
    ahead = f"at most {measures.ahead_ms:.0f} ms waited at the equipment"
    if gaps:
        mend = "give the runtime more of a core, or a priority (CAP_SYS_NICE)"
        return Finding(
            "pace", False, f"{len(gaps)} gaps inside replies, up to {max(gaps):.0f} ms; {ahead}", mend
        )
    if measures.dropped_ms:
        return Finding(
            "pace", False, f"{measures.dropped_ms:.0f} ms were too much and lost; {ahead}", "report it to us"
        )
    return Finding("pace", True, f"no gap inside a reply; {ahead}")


def _told(
    called: Called, measures: Measures, timeline: Sequence[Mapping[str, Any]] | None
) -> Iterator[Finding]:
    if not timeline:
        yield Finding("position", None, "not compared: give --url and --key for the call's timeline")
        return
    off_ms = position_off_ms(called, timeline)
    told = f"the runtime's word and the ear differ by {off_ms:+.1f} ms over {measures.played_ms / 1000:.1f} s"
    if abs(off_ms) <= POSITION_MS or not called.equipment.has_marks:
        yield Finding("position", abs(off_ms) <= POSITION_MS or None, told)
    elif abs(off_ms) <= position_bound_ms(POSITION_MS, measures.late_ms):
        yield Finding(
            "position", None, f"{told}; this equipment itself was late by {measures.late_ms:.0f} ms"
        )
    else:
        yield Finding("position", False, told)
    if called.equipment.has_keys and called.ended_by == "caller":
        pressed = [entry for entry in timeline if entry.get("kind") == "dtmf-received"]
        yield Finding("keys", bool(pressed), f"{len(pressed)} of 1 arrived")


def _end(called: Called, measures: Measures) -> Finding:
    if called.ended_by == "runtime":
        return Finding("end", None, "the runtime ended the call before the script was over")
    if measures.closed_after_ms is None:
        return Finding("end", None, "the equipment closed: the runtime left that to it")
    return Finding(
        "end", True, f"closed by the runtime {measures.closed_after_ms:.0f} ms after the caller hung up"
    )
