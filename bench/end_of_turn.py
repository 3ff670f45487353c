"""Is the turn over? Labelled callers through the real session, beside Smart Turn with Silero and beside a fixed silence.

How the sets are made: bench/speech/corpora.py (pauses, conditions, labels) and sentences.py (no sentence in two lists but a
bare "yes" and "no"). Clean, noisy (10-20 dB: pink, hum, babble) and lossy (3 %) lines, a third of the turns each. Three parts:

tuning       hibari, espeak-ng, flite. The words, waits and scores were chosen on it.
validation   twelve voices of Kokoro's, Asterisk's recordings, LibriVox. It was held out, until its cut-offs were looked at and
             the waits changed for them; so it is no evidence any more, but a second set to choose by.
held_out     thirteen other voices of Kokoro's, other sentences, other recordings of Asterisk's. Made after that by somebody who
             did not tune and had not read the turn manager; its sentences and its single results are read by nobody who tunes.
             Asterisk's speaker and her single digits and letters are the only sounds that it has in common with validation.
             What was seen of it: its shares by kind. After its first run (default 2.85 %, "clause" and "two" the worst kinds)
             statements were given a wait of their own, found on validation and set to 0.9, then to 1.0 s.

Ours is the whole session on virtual time (bench/speech/scenes.py): Silero's probabilities, VoiceDetector, the simulated
recogniser, Smart Turn's real answers where the engine asks, 35 ms later, and a reply that is instant. A false cut-off is reply
audio on the wire before the labelled end. "fast" is startSpeakingPlan.eagerness at its fastest: it decides 300 ms after the
last voiced frame, and what is not over by then waits on. Smart Turn + Silero: over at 300 ms when its answer of 200 ms is
above 0.5, else after 3 s or at the next pause. Delays count from the labelled end, of turns that were not cut off.

Prints {"held_out": {...}, "cpu_ms_per_frame", ..., "samples"}. `--half tuning` and `--half validation` are to choose by, with
`--few 4` over every fourth utterance; `--curves` sets the rules' waits to our mean delay, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from aywa.adapters.local.silero import SileroVad
from aywa.adapters.local.smart_turn import SmartTurn
from aywa.adapters.models.cache import models_dir
from aywa.boot.rehearsal import Rehearsal
from aywa.core import events as ev
from aywa.core.settings import StartSpeaking
from aywa.core.turns.caller import CallerTurn
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts
from aywa.testing.simulated_stt import FAST, TYPICAL, Hearing, SimulatedStt
from aywa.testing.virtual_time import run_virtual
from bench.speech import corpora
from bench.speech.scenes import Scene, Scores, Voiced, scenes, stretches, utterance

SMART_TURN_S = 0.035
SMART_TURN_OVER = 0.5
SMART_TURN_ELSE_S = 3.0
ASKED_AFTER_S = 0.2
DECISION_S = 0.3
REPLY_S = 6.0
"""The agent's part of a call's time for each turn of the caller's, in the figure of CPU."""
GRID_S = tuple(round(0.2 + 0.02 * step, 2) for step in range(61))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one turn: how long after its end it was taken, None when the caller was cut off. asks: of the acoustic model."""

    scene: Scene
    delay_s: float | None
    asks: int = 0
    reason: str = ""


System = Callable[[Scene], Outcome]


# --- the systems -------------------------------------------------------------------------------------------------


def ours(scores: Scores, hearing: Hearing, plan: Mapping[str, Any]) -> System:
    """The session with this startSpeakingPlan."""

    def run(scene: Scene) -> Outcome:
        asked: list[float] = []

        def score(at_s: float) -> float:
            asked.append(at_s)
            return scores.at(scene, at_s)

        call = Rehearsal(
            {"firstMessageMode": "assistant-waits-for-user", "startSpeakingPlan": dict(plan)},
            llm=ScriptedLlm(lambda _: "Certainly."),
            tts=ScriptedTts(),
            recogniser=SimulatedStt(scene.words, hearing, seed=scene.turn.seed),
            turn_score=score,
            turn_score_s=SMART_TURN_S,
        )
        run_virtual(call.run_labelled(scene.sound, scene.sound.seconds))
        began = [record.data["at_s"] for record in call.journal.of("PlayoutStarted")]
        taken = [
            r.data["reason"] for r in call.journal.of("RecordDecision") if r.data["decision"] == "turn_taken"
        ]
        return _outcome(scene, began, len(asked), taken[0] if taken else "")

    return run


def silence(wait_s: float) -> System:
    """Over when nothing was said for so long."""
    return lambda scene: _by_rule(scene, lambda _: wait_s)


def smart_turn(scores: Scores, decision_s: float) -> System:
    """Smart Turn + Silero alone."""

    def run(scene: Scene) -> Outcome:
        asks = 0

        def wait(pause: Voiced) -> float:
            nonlocal asks
            asks += 1
            over = scores.at(scene, max(pause.end_s + ASKED_AFTER_S, pause.stopped_s)) > SMART_TURN_OVER
            return decision_s if over else SMART_TURN_ELSE_S

        found = _by_rule(scene, wait)
        return Outcome(scene, found.delay_s, asks)

    return run


def _by_rule(scene: Scene, wait: Callable[[Voiced], float]) -> Outcome:
    voiced = stretches_of(scene)
    for at, stretch in enumerate(voiced):
        resumed_s = voiced[at + 1].started_s if at + 1 < len(voiced) else scene.sound.seconds
        if resumed_s <= max(stretch.end_s + ASKED_AFTER_S, stretch.stopped_s):
            continue  # nobody was asked
        over_s = max(stretch.end_s + wait(stretch), stretch.stopped_s)
        if over_s < resumed_s:
            return _outcome(scene, [over_s])
    return _outcome(scene, [])


def _outcome(scene: Scene, began: Sequence[float], asks: int = 0, reason: str = "") -> Outcome:
    if not began:
        return Outcome(scene, corpora.TAIL_S, asks, reason)
    delay_s = began[0] - scene.end_s
    return Outcome(scene, None if delay_s < 0 else delay_s, asks, reason)


# --- figures -----------------------------------------------------------------------------------------------------


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What a system reached, in shares and milliseconds. Turns that it never answered (the detector found no voice in the
    noise, or no end of it) could not be cut off: they are counted apart and are in no other figure."""
    every, outcomes = outcomes, answered(outcomes)
    delays = [1000 * o.delay_s for o in outcomes if o.delay_s is not None]
    low, high = interval(outcomes)
    return {
        "cut_off_share": round(_share(outcomes), 4),
        "cut_off_95": [low, high],
        "never_answered_share": round(1 - len(outcomes) / len(every), 4),
        "delay_ms_mean": round(statistics.fmean(delays)),
        "delay_ms_p50": round(float(np.percentile(delays, 50))),
        "delay_ms_p95": round(float(np.percentile(delays, 95))),
        "taken_within_330_ms": round(sum(d <= 330 for d in delays) / len(outcomes), 3),
        "taken_within_530_ms": round(sum(d <= 530 for d in delays) / len(outcomes), 3),
    }


def answered(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that were cut off or taken while the line was open."""
    return [o for o in outcomes if o.delay_s is None or o.delay_s < corpora.TAIL_S]


def interval(outcomes: Sequence[Outcome], draws: int = 2000) -> tuple[float, float]:
    """95 % by bootstrap over utterances: turns that share their audio are drawn together."""
    groups: dict[int, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        groups[utterance(outcome.scene.turn)].append(outcome.delay_s is None)
    cut = np.array([sum(group) for group in groups.values()])
    size = np.array([len(group) for group in groups.values()])
    drawn = np.random.default_rng(1).integers(0, len(cut), (draws, len(cut)))
    shares = cut[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    return round(float(np.percentile(shares, 2.5)), 4), round(float(np.percentile(shares, 97.5)), 4)


def _share(outcomes: Sequence[Outcome]) -> float:
    return sum(o.delay_s is None for o in outcomes) / len(outcomes)


def _mean_ms(outcomes: Iterable[Outcome]) -> float:
    return 1000 * statistics.fmean(o.delay_s for o in outcomes if o.delay_s is not None)


def at_equal_delay(make: Callable[[float], System], found: Sequence[Scene], mean_ms: float) -> dict[str, Any]:
    """The cut-offs of a rule whose wait is set so that its mean delay is the same."""
    best = None
    for wait_s in GRID_S:
        outcomes = answered([make(wait_s)(scene) for scene in found])
        off = abs(_mean_ms(outcomes) - mean_ms)
        if best is None or off < best[0]:
            best = off, wait_s, _share(outcomes), _mean_ms(outcomes)
    assert best is not None
    return {"wait_s": best[1], "cut_off_share": round(best[2], 4), "delay_ms_mean": round(best[3])}


def measure(half: str, few: int, first: int, *, curves: bool) -> dict[str, Any]:
    """All systems over a half."""
    found = scenes(half, few, first)
    scores = Scores(half)
    systems: dict[str, System] = {
        "fast": ours(scores, TYPICAL, {"eagerness": "fast"}),
        "default": ours(scores, TYPICAL, {}),
        "fast_quick_recogniser": ours(scores, FAST, {"eagerness": "fast"}),
        "default_quick_recogniser": ours(scores, FAST, {}),
        "smart_turn_300": smart_turn(scores, DECISION_S),
        "silence_300": silence(0.3),
        "silence_500": silence(0.5),
        "silence_700": silence(0.7),
    }
    told: dict[str, Any] = {"turns": len(found), "utterances": len({utterance(s.turn) for s in found})}
    runs = {}
    for name, system in systems.items():
        every = [system(scene) for scene in found]
        scores.save()
        told[name] = figures(every)
        runs[name] = answered(every)
        print(f"{half} {name}: {told[name]}", file=sys.stderr, flush=True)
    for name in ("fast", "default", "smart_turn_300"):
        told[name]["by_condition"] = _by(runs[name], lambda s: s.turn.condition)
        told[name]["by_kind"] = _by(runs[name], lambda s: s.turn.kind)
        told[name]["by_voice"] = _by(runs[name], lambda s: s.turn.voice.split(":")[0].split("@")[0])
        told[name]["asks_per_turn"] = round(statistics.fmean(o.asks for o in runs[name]), 3)
    told["cut_off_reasons"] = {
        name: dict(Counter(o.reason for o in runs[name] if o.delay_s is None)) for name in ("fast", "default")
    }
    told["fewer_than_smart_turn"] = round(
        1 - _share(runs["fast"]) / max(_share(runs["smart_turn_300"]), 1e-9), 3
    )
    told["turn_s"] = round(statistics.fmean(s.end_s - corpora.LEAD_S for s in found), 2)
    if curves:
        for name in ("fast", "default"):
            mean_ms = _mean_ms(runs[name])
            told[name]["silence_at_equal_delay"] = at_equal_delay(silence, found, mean_ms)
            told[name]["smart_turn_at_equal_delay"] = at_equal_delay(
                lambda wait_s: smart_turn(scores, wait_s), found, mean_ms
            )
    return told


def _by(outcomes: Sequence[Outcome], what: Callable[[Scene], str]) -> dict[str, Any]:
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[what(outcome.scene)].append(outcome)
    return {
        name: {
            "turns": len(group), "cut_off_share": round(_share(group), 4), "cut_off_95": interval(group),
            "delay_ms_p50": round(1000 * statistics.median([o.delay_s for o in group if o.delay_s is not None] or [0])),
        }
        for name, group in sorted(groups.items())
    }  # fmt: skip


# --- CPU ---------------------------------------------------------------------------------------------------------


def cpu(found: Sequence[Scene], asks_per_turn: float, turn_s: float, delay_s: float) -> dict[str, float]:
    """Milliseconds of this process for each 20 ms of a call, of 50 calls in one batch: Silero, the detector, the turn's
    machine, and Smart Turn as often as the default asks it. A call: the caller's turns as in the set, each answered by
    REPLY_S of reply."""
    vad = SileroVad(models_dir() / "silero" / "silero_vad.onnx")
    rows = [vad.open() for _ in range(50)]
    windows = np.random.default_rng(1).normal(0, 0.05, (50, vad.window_samples)).astype(np.float32)
    silero_ms = _took_ms(lambda: vad.score(rows, windows), 150) / 50
    model = SmartTurn(models_dir() / "smart-turn" / "smart-turn-v3.2-cpu.onnx")
    audio = np.random.default_rng(2).normal(0, 0.05, 8 * 16000).astype(np.float32)
    smart_ms = _took_ms(lambda: model.score(audio), 15)
    scene = found[0]
    detector_ms = _took_ms(lambda: stretches(scene.sound), 10) / len(scene.sound.probabilities)
    machine_ms = statistics.fmean(_took_ms(partial(_one_turn, scene), 3) for scene in found[:100])
    call_s = turn_s + delay_s + REPLY_S
    per_second = (silero_ms + detector_ms) / 0.032 + (machine_ms + smart_ms * asks_per_turn) / call_s
    return {
        "cpu_ms_per_frame": round(per_second * 0.02, 4),
        "silero_ms_per_frame": round(silero_ms / 0.032 * 0.02, 4),
        "detector_ms_per_frame": round(detector_ms / 0.032 * 0.02, 4),
        "machine_ms_per_frame": round(machine_ms / call_s * 0.02, 4),
        "smart_turn_ms_per_frame": round(smart_ms * asks_per_turn / call_s * 0.02, 4),
        "smart_turn_ms_per_run": round(smart_ms, 1),
    }


def _one_turn(scene: Scene) -> None:
    """The machine alone: voice, a partial a word, the questions, and the wait after each."""
    turn = CallerTurn(StartSpeaking())
    text = ""
    for number, voiced in enumerate(stretches_of(scene)):
        turn.voice_started(voiced.start_s)
        for word in scene.words:
            if voiced.start_s <= word.end_s < voiced.end_s:
                text = f"{text} {word.text}"
                turn.heard(ev.TranscriptReceived("caller", text, False, False, ()), word.end_s)
        turn.voice_stopped(voiced.end_s)
        for after_s in (0.13, 0.2, 0.3):
            _ = turn.wake(voiced.end_s + after_s), turn.ask_deadline, turn.over_deadline
        turn.heard(ev.TranscriptReceived("caller", text, False, True, ()), voiced.end_s + 0.23)
        _ = turn.over(voiced.end_s + 0.31), number


_STRETCHES: dict[str, list[Voiced]] = {}


def stretches_of(scene: Scene) -> list[Voiced]:
    """Computed once."""
    if scene.key not in _STRETCHES:
        _STRETCHES[scene.key] = stretches(scene.sound)
    return _STRETCHES[scene.key]


def _took_ms(work: Callable[[], object], times: int) -> float:
    work()
    began = time.process_time()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - began) / times


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--half", choices=corpora.HALVES, default="held_out")
    parser.add_argument("--few", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--curves", action="store_true")
    options = parser.parse_args()
    last = measure(options.half, options.few, options.first, curves=options.curves)
    told: dict[str, Any] = {options.half: last}
    delay_s = last["default"]["delay_ms_mean"] / 1000
    told |= cpu(
        scenes(options.half, options.few, options.first),
        last["default"]["asks_per_turn"],
        last["turn_s"],
        delay_s,
    )
    told["samples"] = last["turns"]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
