"""100 calls of 20 s on the virtual clock: the real session and machines, scripted voice, words, model and speech.

Prints {"wall_s", "identical", "calls", "turns", "records", "samples"}: wall_s is the slower of two runs, identical
whether every record of every call was the same in both.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
import time

import ormsgpack

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts
from aywa.testing.virtual_time import run_virtual

CALLS = 100
CALL_S = 20.0
ASSISTANT = {"firstMessage": "Hello, how can I help you?"}
QUESTIONS = (
    ("what", "are", "your", "opening", "hours"),
    ("I", "need", 0.35, "an", "appointment", "please"),
    ("how", "much", "is", 0.4, "a", "cleaning"),
    ("where", "do", "I", "find", "you"),
)


def script(seed: int) -> list[Utterance]:
    """Four turns; every fifth call interrupts, every seventh says mhm."""
    chance = random.Random(seed)
    at_s, utterances = 2.0, []
    for words in chance.sample(QUESTIONS, len(QUESTIONS)):
        utterances.append(Utterance(round(at_s + chance.random() * 0.3, 3), words))
        at_s += 4.5
    if seed % 5 == 0:
        utterances.append(Utterance(4.8, ("wait", "a", "second")))
    if seed % 7 == 0:
        utterances.append(Utterance(9.2, ("mhm",)))
    return sorted(utterances, key=lambda u: u.at_s)


async def run_calls() -> list[Rehearsal]:
    """All calls at once on one loop."""
    calls = [
        Rehearsal(
            ASSISTANT,
            llm=ScriptedLlm(lambda _: "Certainly. We are here from eight to six. Anything else?", 0.2, 0.02),
            tts=ScriptedTts(first_audio_s=0.08),
            stt=ScriptedStt(finalize_s=0.07),
            call_id=f"call-{number}",
        )
        for number in range(CALLS)
    ]
    await asyncio.gather(*(call.run(script(number), CALL_S) for number, call in enumerate(calls)))
    return calls


def run_once() -> tuple[float, str, list[Rehearsal]]:
    """Wall seconds, a digest of every record, the calls."""
    started = time.perf_counter()
    calls = run_virtual(run_calls())
    wall_s = time.perf_counter() - started
    digest = hashlib.sha256()
    for call in calls:
        for r in call.journal.records:
            digest.update(ormsgpack.packb([r.call_id, r.seq, r.at_s, r.role, r.kind, r.data]))
    return wall_s, digest.hexdigest(), calls


def main() -> None:
    """Runs twice and prints."""
    first_s, first, calls = run_once()
    second_s, second, _ = run_once()
    turns = sum(len(call.journal.of("RecordTurn")) for call in calls)
    records = sum(len(call.journal.records) for call in calls)
    sys.stderr.write(
        f"{CALLS} calls, {turns} turns, {records} records: {first_s:.2f} s and {second_s:.2f} s\n"
    )
    ended = all(call.ended_reason == "customer-ended-call" for call in calls)
    figures = {
        "wall_s": round(max(first_s, second_s), 3),
        "identical": first == second and ended,
        "calls": CALLS,
        "turns": turns,
        "records": records,
        "samples": CALLS,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
