"""Who keeps the floor: real interruptions, backchannels, tics and coughs, side talk and noise in the middle of a reply.

Each is a call of its own on the virtual clock, through the whole session: two ordinary turns (from which the caller's usual
loudness is learned), then the sound, at a random moment of a long reply. The calls of the first set, which are the ones with
a turn model, also say how often the agent interrupts. The sets are those of bench/speech/interruption_set.py; the
recogniser is simulated (that file says how it hears each set), the voice detector is the real one over real Silero. One
set of defaults for all.

Prints the table and, as its last line, {"yields_pct", "pause_ms_p95", "backchannels_kept_pct", ...}: see `figures`. The
figures are of the held-out half; `--half tuning` prints the other. Baselines: `naive` (200 ms of voice takes the floor) and
`half_second` (500 ms of speech by Silero take it, as agents built of Silero and Smart Turn do by default: the turn model has
no part in it). Run it with script/bench interruptions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aywa.boot.rehearsal import Rehearsal
from aywa.ports.llm import LlmRequest
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts
from aywa.testing.simulated_stt import FAST, TYPICAL, Hearing, SimulatedStt
from aywa.testing.virtual_time import run_virtual
from bench.speech.interruption_set import KINDS, Case, TurnScores, cases, first_voiced

COUNTS = {"interruption": 400, "backchannel": 320, "tic": 320, "aside": 320, "noise": 320}
SHORT_REPLY = "Sure, go ahead."
LONG_REPLY = " ".join(
    ["Let me tell you about all that we offer to our guests in this house and around it."] * 6
)
SYSTEMS: dict[str, dict[str, Any]] = {
    "aywa": {},
    "naive": {"stopSpeakingPlan": {"numWords": 0, "voiceSeconds": 0.2}},
    "half_second": {"stopSpeakingPlan": {"numWords": 0, "voiceSeconds": 0.5}},
}
HEARINGS = {"typical": TYPICAL, "fast": FAST}
# A reply that began this long before the labelled end of a turn is none that hit the end by a rounding.
GRAIN_S = 0.02
AT_ONCE = 40
TURN_SCORE_S = 0.04


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call. played: the long reply was on the wire when the sound began (else nothing was measured).
    Times in seconds after the sound's first loud frame had arrived; None: it did not happen. voiced_after_s: until its first
    voiced one. silence_s: how long the agent stood still, if it went on. cut: turns into which the agent spoke."""

    case: Case
    played: bool
    yielded_s: float | None
    paused_s: float | None
    voiced_after_s: float
    silence_s: float
    reason: str
    cut: int
    turns: int


async def _call(case: Case, system: str, hearing: Hearing, scores: TurnScores) -> Outcome:
    assert case.sound is not None
    stt = SimulatedStt(case.timeline, hearing, seed=case.number)
    call = Rehearsal(
        {"firstMessageMode": "assistant-waits-for-user", **SYSTEMS[system]},
        llm=ScriptedLlm(_reply, 0.3, 1 / 60),
        tts=ScriptedTts(first_audio_s=0.15),
        recogniser=stt,
        call_id=f"{case.kind}-{case.number}",
        turn_score=(lambda at_s: scores.at(case, at_s)) if case.kind == "interruption" else None,
        turn_score_s=TURN_SCORE_S,
    )
    await call.run_labelled(case.sound, case.seconds)
    return judge(case, [(r.at_s, r.kind, r.data) for r in call.journal.records])


def _reply(request: LlmRequest) -> str:
    users = [m for m in request.messages if m.role == "user"]
    return SHORT_REPLY if len(users) == 1 else LONG_REPLY


def judge(case: Case, records: Iterable[tuple[float, str, Mapping[str, Any]]]) -> Outcome:
    """Reads the call's journal."""
    # A frame is there when it has arrived: at its end.
    begins_s = case.item[0] + 0.02
    playing = False
    played, paused_s, paused_at_s, yielded_s, silence_s, reason = False, None, None, None, 0.0, ""
    starts: list[float] = []
    for at_s, kind, data in records:
        if kind == "PlayoutStarted":
            starts.append(at_s)
            playing = True
        elif kind in ("PlayoutFinished", "PlayoutDropped"):
            playing = False
        played = played or (playing and at_s < begins_s)
        if at_s < begins_s:
            played = playing
            continue
        if kind == "PlayoutPaused" and yielded_s is None:
            paused_at_s = at_s
            paused_s = at_s - begins_s if paused_s is None else paused_s
        elif kind == "PlayoutResumed" and paused_at_s is not None:
            silence_s += at_s - paused_at_s
            paused_at_s = None
        elif kind == "RecordDecision" and data["decision"] in ("yielded", "kept", "played_on"):
            reason = str(data["reason"])
            if data["decision"] == "yielded" and yielded_s is None:
                yielded_s = at_s - begins_s
        elif kind == "PlayoutDropped" and paused_s is None:
            paused_s = at_s - begins_s
    turns = [*case.turns, case.item] if yielded_s is not None and case.kind == "interruption" else case.turns
    # The floor was asked for in the middle of the reply, so its own beginning is no interruption.
    cut = sum(any(a + GRAIN_S < s < b - GRAIN_S for s in starts) for a, b in turns)
    voiced_after_s = case.voiced_s - case.item[0]
    return Outcome(case, played, yielded_s, paused_s, voiced_after_s, silence_s, reason, cut, len(turns))


def run(half: str, system: str, hearing: str, counts: dict[str, int]) -> list[Outcome]:
    """All calls of a half."""
    every, scores = cases(half, counts), TurnScores(half)
    first_voiced([case for case in every if case.kind == "interruption"] or every[:1])

    async def some(few: Sequence[Case]) -> list[Outcome]:
        return await asyncio.gather(*(_call(case, system, HEARINGS[hearing], scores) for case in few))

    outcomes: list[Outcome] = []
    for first in range(0, len(every), AT_ONCE):
        outcomes += run_virtual(some(every[first : first + AT_ONCE]))
        scores.keep()
    return outcomes


# --- the figures -------------------------------------------------------------------------------------------------


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Shares in percent with 95 % intervals (Wilson), times in ms, samples."""
    table: dict[str, Any] = {}
    samples: dict[str, int] = {}

    def share(name: str, kind: str, good: Callable[[Outcome], bool]) -> None:
        seen = [o for o in outcomes if o.case.kind == kind and o.played]
        hits = sum(map(good, seen))
        table[name], table[f"{name}_95"] = _percent(hits, len(seen)), _wilson(hits, len(seen))
        samples[name] = len(seen)

    share("yields_pct", "interruption", lambda o: o.yielded_s is not None)
    for name, kind in (
        ("backchannels", "backchannel"),
        ("tics", "tic"),
        ("asides", "aside"),
        ("noises", "noise"),
    ):
        share(f"{name}_kept_pct", kind, lambda o: o.yielded_s is None)
        costs = [o.silence_s for o in outcomes if o.case.kind == kind and o.played and o.yielded_s is None]
        for share_ in (50, 95):
            table[f"{name}_silence_ms_p{share_}"] = _quantile(costs, share_)
            samples[f"{name}_silence_ms_p{share_}"] = len(costs)
    interruptions = [o for o in outcomes if o.case.kind == "interruption" and o.played]
    for name, times in (
        ("pause_ms", [o.paused_s - o.voiced_after_s for o in interruptions if o.paused_s is not None]),
        ("pause_after_any_sound_ms", [o.paused_s for o in interruptions if o.paused_s is not None]),
        ("yield_ms", [o.yielded_s for o in interruptions if o.yielded_s is not None]),
    ):
        for share_ in (50, 95):
            table[f"{name}_p{share_}"] = _quantile(times, share_)
            samples[f"{name}_p{share_}"] = len(times)
    turns = sum(o.turns for o in outcomes if o.case.kind == "interruption")
    cut = sum(o.cut for o in outcomes if o.case.kind == "interruption")
    table["interrupts_a_turn"] = round(cut / max(1, turns), 4)
    table["interrupts_a_turn_95"] = [round(x / 100, 4) for x in _wilson(cut, turns)]
    samples["interrupts_a_turn"] = turns
    table["not_playing"] = sum(not o.played for o in outcomes)
    table["samples"] = samples
    return table


def _percent(hits: int, of: int) -> float | None:
    return round(100 * hits / of, 2) if of else None


def _wilson(hits: int, of: int) -> list[float]:
    if not of:
        return [0.0, 100.0]
    z = 1.96
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return [round(100 * (middle - spread), 2), round(100 * (middle + spread), 2)]


def _quantile(seconds: Sequence[float], share: int) -> float | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, math.ceil(share / 100 * len(ordered)) - 1)], 1)


ROWS = (
    "yields_pct", "pause_ms_p50", "pause_ms_p95", "pause_after_any_sound_ms_p95", "yield_ms_p50", "yield_ms_p95",
    "backchannels_kept_pct", "backchannels_silence_ms_p50", "backchannels_silence_ms_p95", "tics_kept_pct", "tics_silence_ms_p50",
    "asides_kept_pct", "asides_silence_ms_p50", "noises_kept_pct", "noises_silence_ms_p50", "interrupts_a_turn",
)  # fmt: skip


def _table(by_system: dict[str, dict[str, Any]]) -> str:
    lines = ["| figure | " + " | ".join(by_system) + " |", "| --- |" + " --- |" * len(by_system)]
    for row in ROWS:
        cells = []
        for told in by_system.values():
            interval = told.get(f"{row}_95")
            cells.append(f"{told[row]}" + (f" ({interval[0]} to {interval[1]})" if interval else ""))
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Both halves can be asked for; the figures to keep are of the held-out one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=("held_out", "tuning"), default="held_out")
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--hearings", nargs="*", default=list(HEARINGS), choices=list(HEARINGS))
    parser.add_argument("--count", type=int, help="of each kind, for a quick look")
    parser.add_argument("--show", nargs="*", default=[], choices=KINDS, help="list what went wrong")
    asked = parser.parse_args()
    counts = COUNTS if asked.count is None else dict.fromkeys(KINDS, asked.count)
    told: dict[str, dict[str, Any]] = {}
    for system in asked.systems:
        for hearing in asked.hearings if system == "aywa" else ["typical"]:
            outcomes = run(asked.half, system, hearing, counts)
            told[system if hearing == "typical" else f"{system}, {hearing} recogniser"] = figures(outcomes)
            for line in _wrong(outcomes, asked.show):
                sys.stderr.write(line + "\n")
    sys.stderr.write(_table(told) + "\n")
    first = next(iter(told.values()))
    rest = {name: figure for name, figure in told.items() if figure is not first}
    sys.stdout.write(json.dumps({**first, "half": asked.half, "baselines": rest}) + "\n")


def _wrong(outcomes: Sequence[Outcome], kinds: Sequence[str]) -> list[str]:
    lines = []
    for o in outcomes:
        bad = (o.yielded_s is None) == (o.case.kind == "interruption")
        if o.case.kind in kinds and (bad or not o.played):
            lines.append(
                f"{o.case.kind} {o.case.number} ({o.case.detail}; {o.case.condition}) {o.case.said!r}: "
                f"{'not playing' if not o.played else o.reason or 'no contest'}, paused {o.paused_s}"
            )
    return lines


if __name__ == "__main__":
    main()
