"""Runs simulated calls: the real session, everything around it drawn from one number.

`python -m aywa.boot.simulation --seed 7` plays one and prints what happened; `--calls 1000` says what kinds fail, and where.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from aywa.boot.rehearsal import LEG, Rehearsal
from aywa.boot.stock import PHRASES
from aywa.call.session import Session
from aywa.core import events as ev
from aywa.ports.journal import JournalRecord
from aywa.testing.simulated_stt import SimulatedStt
from aywa.testing.simulation.caller import SimulatedCaller
from aywa.testing.simulation.checker import Checker, Violation
from aywa.testing.simulation.faults import POSTED, Faults
from aywa.testing.simulation.media import TruthfulLabelledMedia, TruthfulMedia
from aywa.testing.simulation.providers import FaultyLlm, FaultyTts, stt_faults, turn_scores
from aywa.testing.simulation.scenario import NEVER_S, Scenario, draw_scenario
from aywa.testing.simulation.truth import Truth
from aywa.testing.virtual_time import Deadlock, Livelock, run_virtual

# A call that nobody ends ends by its own time limit (600 s) at the latest.
STUCK_S = NEVER_S - 100.0
UNREAD_S = 7.0
STOCK_WORD_SAMPLES = 2000
# What a task that was told to end may still need.
SETTLE_S = 40.0
_DULL = frozenset(
    "VoiceScored TellClient ReplyTextReceived PlayoutAdvanced RecordTurn CallStarted Woken".split()
)
_REPEATED = (ev.TranscriptReceived, ev.TurnScored, ev.ClauseSynthesized, ev.ReplyCompleted, ev.ReplyFailed)


class ShakenSession(Session):
    """Gets some of its providers' events twice, or once more when something else has happened since."""

    faults: Faults = Faults(Random(0), 0.0)

    def post(self, event: ev.Event) -> None:
        """As ever, and perhaps again."""
        super().post(event)
        if isinstance(event, _REPEATED) and (fault := self.faults.draw("events.post", POSTED, 0.5)):
            after_s = 0.0 if fault == "twice" else 0.4
            asyncio.get_running_loop().call_later(after_s, super().post, event)


@dataclass(slots=True)
class Played:
    """A call that was played, and what did not hold in it."""

    scenario: Scenario
    truth: Truth
    records: Sequence[JournalRecord] = ()
    violations: list[Violation] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)
    ended_s: float = 0.0
    ended_reason: str | None = None


def play(seed: int) -> Played:
    """The call of this number, from the first event to the last task."""
    scenario = draw_scenario(seed)
    played = Played(scenario, Truth())
    try:
        run_virtual(_play(played))
    except (Deadlock, Livelock) as error:
        played.violations.append(Violation("stuck", played.ended_s, f"{type(error).__name__}: {error}"))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
        played.violations.append(Violation("crash", played.ended_s, repr(error)))
    return played


async def _play(played: Played) -> None:
    scenario, truth = played.scenario, played.truth
    loop = asyncio.get_running_loop()
    epoch_s = loop.time()
    faults = scenario.faults
    faults.now = lambda: loop.time() - epoch_s
    chance = Random(scenario.seed + 1)
    make = TruthfulMedia if scenario.loss is None else TruthfulLabelledMedia
    media = make(truth, scenario.delay_s)
    tts = FaultyTts(
        scenario.first_audio_s, word_times=scenario.word_times, truth=truth, faults=faults, chance=chance
    )
    stt = SimulatedStt((), scenario.hearing, scenario.seed, stt_faults(faults))
    ShakenSession.faults = faults
    call = Rehearsal(
        scenario.assistant,
        FaultyLlm(
            first_token_s=scenario.first_token_s, token_s=1 / 60, truth=truth, faults=faults, chance=chance
        ),
        tts,
        recogniser=stt,
        turn_score=turn_scores(faults, chance) if scenario.has_turn_model else None,
        make_session=ShakenSession if scenario.shaken else Session,
        stock={phrase: _spoken(truth, phrase) for phrase in PHRASES},
    )

    async def act() -> None:
        assert call.session is not None
        for at_s, seconds in scenario.frozen:
            loop.call_later(at_s, media.hold_up, seconds)
        if scenario.unreachable_s is not None:
            truth.unreachable_s = scenario.unreachable_s
            loop.call_later(scenario.unreachable_s + UNREAD_S, media.disconnect, LEG, "unread")
        await SimulatedCaller(scenario, LEG, media, stt, truth, call.session.post).act()

    try:
        async with asyncio.timeout(STUCK_S):
            await call.perform(media, act, NEVER_S)
    except TimeoutError:
        played.violations.append(Violation("stuck", loop.time() - epoch_s, "the call did not end by itself"))
    played.ended_s = next(
        (r.at_s for r in call.journal.records if r.kind == "EndCall"), loop.time() - epoch_s
    )
    played.ended_reason = call.ended_reason
    played.records = call.journal.records
    checker = Checker(
        truth, call.journal.records, scenario.assistant, played.ended_s, word_times=scenario.word_times
    )
    played.violations += checker.violations()
    played.recoveries_s = checker.recoveries_s
    await asyncio.sleep(SETTLE_S)
    left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    if left:
        names = ", ".join(sorted(t.get_name() for t in left))
        played.violations.append(Violation("leaked", played.ended_s, names))


def _spoken(truth: Truth, phrase: str) -> bytes:
    """The runtime's own voice: it never fails."""
    return b"".join(truth.lexicon.speak(word, STOCK_WORD_SAMPLES) for word in phrase.split())


# --- to be read ----------------------------------------------------------------------------------------------------


def timeline(played: Played) -> str:
    """The call, a line for everything that happened."""
    scenario, truth = played.scenario, played.truth
    lines = [(at, f"caller   {text}") for at, text in truth.notes]
    lines += [
        (v.from_s, f"caller   {v.kind} until {v.to_s:.2f}: {v.text or '(no words)'}") for v in truth.voice
    ]
    lines += [(s.from_s, f"agent    reply {s.reply_id} heard until {s.to_s:.2f}") for s in truth.heard]
    for span in truth.spans:
        words = " ".join(truth.heard_words(span.reply_id))
        lines.append((span.from_s, f"agent    reply {span.reply_id} until {span.to_s:.2f}: {words}"))
    lines += [(at, f"fault    {step} {kind}") for at, step, kind in scenario.faults.drawn]
    lines += [(begin, f"fault    stands still until {end:.2f}") for begin, end in truth.frozen]
    lines += [(r.at_s, f"record   {_told(r)}") for r in played.records if r.kind not in _DULL]
    lines += [(v.at_s, f"BROKEN   {v.kind}: {v.detail}") for v in played.violations]
    head = (
        f"seed {scenario.seed}: {dict(scenario.assistant)}, loss {scenario.loss}, delay {scenario.delay_s:.2f} s, "
        f"fault rate {scenario.faults.rate:g}, dead {scenario.faults.dead}, shaken {scenario.shaken}; "
        f"ended {played.ended_s:.2f} s, {played.ended_reason}"
    )
    return "\n".join([head, *(f"{at:8.2f}  {text}" for at, text in sorted(lines, key=lambda line: line[0]))])


def _told(r: JournalRecord) -> str:
    if r.kind == "RecordDecision":
        return f"{r.data['machine']}.{r.data['decision']} ({r.data['reason']}) {dict(r.data['details'])}"
    shown = (f"{k}={v!r}" for k, v in r.data.items() if k not in ("leg_id", "words"))
    return " ".join((r.kind, *shown))


def run(seeds: Iterable[int]) -> tuple[Counter[str], dict[str, list[int]], list[float]]:
    """How often each kind was broken, some seeds of each, and how long recoveries took."""
    kinds: Counter[str] = Counter()
    where: dict[str, deque[int]] = {}
    recoveries_s: list[float] = []
    for seed in seeds:
        played = play(seed)
        recoveries_s += played.recoveries_s
        for kind in {v.kind for v in played.violations}:
            kinds[kind] += 1
            where.setdefault(kind, deque()).append(seed)
    return kinds, {kind: list(some)[:20] for kind, some in where.items()}, recoveries_s


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=0, help="the first call's number; alone: print its timeline"
    )
    parser.add_argument("--calls", type=int, default=1)
    asked = parser.parse_args(arguments)
    if asked.calls == 1:
        played = play(asked.seed)
        sys.stdout.write(timeline(played) + "\n")
        return 1 if played.violations else 0
    began_s = time.perf_counter()
    kinds, where, _ = run(range(asked.seed, asked.seed + asked.calls))
    took_s = time.perf_counter() - began_s
    for kind, count in kinds.most_common():
        sys.stdout.write(f"{kind}: {count} of {asked.calls} calls, seeds {where[kind]}\n")
    sys.stdout.write(f"{asked.calls} calls in {took_s:.1f} s\n")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
