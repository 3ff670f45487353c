"""Voice to voice with everything on this machine: the 0.5B model, telephone band, measured on the caller's side of the wire.

Eight calls one after the other, six questions each, with pauses inside the sentences. The caller's voice is made before
the first call and takes no part in them. Cold start is from the process's start to a good /readyz, the median of three.
Prints {"voice_to_voice_ms_p50", "voice_to_voice_ms_p95", "turns", "false_cutoffs", "unexplained_gaps", "underruns",
"peak_rss_mb", "cold_start_s", "caller_late_ms", "samples": {...}}. Run it with script/bench local_stack.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics

from aywa.boot.demo import QUIET_S
from aywa.boot.speech import Line
from aywa.testing import wire
from aywa.testing.scorecard import score
from aywa.testing.script import Pause, Say, Step, WaitReply
from aywa.testing.wire import Record
from bench.callers import label, place, runtime, tell, voice

COLD_STARTS = 3
CALLS: tuple[tuple[Line, ...], ...] = (
    (
        ("Hello,", 0.35, "what are your opening hours on Saturday?"),
        ("And on Monday,", 0.3, "when do you open?"),
        ("How much is a check-up?",),
        ("I see.", 0.3, "And how much is a cleaning?"),
        ("Where can I park my car?",),
        ("What is your address?",),
    ),
    (
        ("Good morning,", 0.4, "I would like to know where you are."),
        ("Is there a car park", 0.35, "close to the building?"),
        ("Do you do fillings?",),
        ("And what about", 0.4, "crowns?"),
        ("How much does whitening cost?",),
        ("Are you open on Sunday?",),
    ),
    (
        ("Hi, my name is Anna,", 0.35, "I have a terrible toothache."),
        ("Can somebody see me today?",),
        ("What time", 0.3, "do you close?"),
        ("How do I get there", 0.45, "from the central station?"),
        ("What does a check-up cost?",),
        ("Can I pay", 0.3, "with a credit card?"),
    ),
    (
        ("I want to make an appointment,", 0.4, "please."),
        ("Monday at ten", 0.35, "would be good."),
        ("Is a cleaning included?",),
        ("How much will that be", 0.3, "all together?"),
        ("Do you have parking spaces?",),
        ("Which street are you in?",),
    ),
    (
        ("What services", 0.4, "do you offer?"),
        ("Do you also do crowns", 0.45, "and implants?"),
        ("What are your prices", 0.3, "for whitening?"),
        ("When do you open tomorrow?",),
        ("Is the library", 0.35, "near your practice?"),
        ("How many parking places are there?",),
    ),
    (
        ("Hello, I am new here,", 0.35, "and I am looking for a dentist."),
        ("What do I need to bring", 0.4, "for the first visit?"),
        ("How long are you open in the evening?",),
        ("What does it cost", 0.3, "to have my teeth cleaned?"),
        ("And is there help", 0.35, "when something hurts?"),
        ("Where is the car park?",),
    ),
    (
        ("Are you open right now?",),
        ("And on Saturday,", 0.45, "are you open in the afternoon?"),
        ("My daughter needs a check-up,", 0.35, "how much is that?"),
        ("Could you repeat", 0.3, "the address, please?"),
        ("How far is it from the station?",),
        ("Do you do root canals?",),
    ),
    (
        ("I lost a filling", 0.4, "this morning."),
        ("Can I come by", 0.35, "without an appointment?"),
        ("What will a new filling cost me?",),
        ("At what time do you close", 0.3, "on Friday?"),
        ("Is parking free?",),
        ("Which is the nearest", 0.4, "car park?"),
    ),
)


async def main() -> dict[str, object]:
    """All calls, then the figures."""
    said = await voice(dict.fromkeys(itertools.chain.from_iterable(CALLS)))
    cold_s = []
    for _ in range(COLD_STARTS - 1):
        async with runtime() as started:
            cold_s.append(started.cold_start_s)
    async with runtime() as started:
        cold_s.append(started.cold_start_s)
        records: list[Record] = []
        for number, lines in enumerate(CALLS, 1):
            placed = await place(started, _script(lines, said))
            records.append(placed.record)
            tell(f"call {number} of {len(CALLS)}: {_summary(placed.record)}")
        memory_mb = started.memory.peak_mb() if started.memory else None
    return _figures(records, cold_s, memory_mb)


def _script(lines: tuple[Line, ...], said: dict[Line, bytes]) -> list[Step]:
    asked: list[Step] = [WaitReply(quiet_s=QUIET_S)]
    for line in lines:
        asked += [Say(said[line], label(line)), WaitReply(quiet_s=QUIET_S)]
    return [*asked, Pause(0.3)]


def _summary(record: Record) -> str:
    turns = wire.latencies(record)
    times = " ".join("-" if turn.audible_ms is None else f"{turn.audible_ms:.0f}" for turn in turns)
    cut = "".join(f"; cut off in {cut.label!r} after {cut.into_ms:.0f} ms" for cut in wire.cutoffs(record))
    return f"{times} ms{cut}"


def _figures(records: list[Record], cold_s: list[float], memory_mb: float | None) -> dict[str, object]:
    card = score(records)
    return {
        "voice_to_voice_ms_p50": _round(card.latency_ms(50)),
        "voice_to_voice_ms_p95": _round(card.latency_ms(95)),
        "turns": card.turns,
        "asked": card.asked,
        "false_cutoffs": card.cutoffs,
        "unexplained_gaps": card.gaps,
        "underruns": card.underruns,
        "underrun_ms": _round(card.underrun_ms),
        "peak_rss_mb": _round(memory_mb),
        "cold_start_s": round(statistics.median(cold_s), 2),
        "caller_late_ms": _round(card.caller_late_ms),
        "latencies_ms": [_round(value) for value in card.latencies_ms],
        "samples": {
            "voice_to_voice_ms_p50": card.turns,
            "voice_to_voice_ms_p95": card.turns,
            "turns": 1,
            "peak_rss_mb": 1,
            "cold_start_s": len(cold_s),
        },
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
