"""500 simulated calls of about half a minute, recorded and replayed: the same decisions, and how fast.

The calls are random by their number: pauses in sentences, interruptions, "mhm", settings, providers of all speeds, failures.
Each is taken on the virtual clock and goes through the journal's own encoding. Then three questions:
is every decision the recorded one; does a what-if without a change give the recorded call again (`control_share`);
and how near does a what-if with a change come to the same caller really called with it (`what_if`)?

Prints {"identical_share", "decisions", "speed", "control_share", "what_if", "samples"}: speed in seconds of call for a second
of replay, reading the record included.
"""

from __future__ import annotations

import json
import random
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.journal.replay.identity import compare
from aywa.journal.replay.outcome import changes, outcome_of
from aywa.journal.replay.recording import Recording, read_recording
from aywa.journal.replay.what_if import simulate, what_if
from aywa.journal.segment import body_of, decode, encode
from aywa.ports.llm import LlmRequest
from aywa.service.overrides import merged
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts, broken
from aywa.testing.virtual_time import run_virtual

CALLS = 500
TRUTH_CALLS = 60
CALL_S = 28.0
WORDS = (
    "what are your opening hours and how much is a cleaning please I would like to book for two people at five yes no "
    "wait mhm okay thanks the um"
).split()
ANSWERS = (
    "Certainly. We are here from eight to six. Anything else?",
    "Yes.",
    "I am afraid that we have no free places on that day, but on Friday there are three of them. Shall I book one?",
)
TRIED: tuple[Mapping[str, Any], ...] = (
    {"startSpeakingPlan": {"waitSeconds": 1.2}},
    {"stopSpeakingPlan": {"numWords": 3}},
    {"stopSpeakingPlan": {"backoffSeconds": 2}},
)


def script(chance: random.Random) -> list[Utterance]:
    """A caller who speaks when he likes, into replies as well."""
    at_s, found = 1.5, []
    while at_s < CALL_S - 4:
        words: list[str | float] = []
        for _ in range(chance.choice((1, 2, 3, 5, 8))):
            words.append(chance.choice(WORDS))
            if chance.random() < 0.2:
                words.append(round(chance.uniform(0.2, 0.9), 3))
        words = words if isinstance(words[-1], str) else words[:-1]
        found.append(Utterance(round(at_s, 3), words, round(chance.uniform(0.15, 0.35), 3)))
        spoken_s = sum(0.3 if isinstance(item, str) else item for item in words)
        at_s += spoken_s + chance.choice((0.5, 1.2, 2.5, 4.0)) + chance.random()
    return found


def take(number: int, over: Mapping[str, Any] | None = None) -> list[bytes]:
    """The record of the call of this number, as it lies on disk. over: other settings."""
    chance = random.Random(number)
    llm = ScriptedLlm(_answer, round(chance.uniform(0.05, 0.9), 3), round(chance.uniform(0.0, 0.05), 3))
    voice = ScriptedTts(first_audio_s=round(chance.uniform(0.02, 0.3), 3), word_times=chance.random() < 0.5)
    ear = ScriptedStt(finalize_s=round(chance.uniform(0.02, 0.3), 3))
    assistant: dict[str, Any] = {"firstMessage": "Hello, how can I help you today?"}
    if over is None:
        for _ in range(chance.choice((0, 0, 1, 2))):
            llm.fail_next.append(broken("scripted"))
        assistant["firstMessageInterruptionsEnabled"] = chance.random() < 0.5
        if chance.random() < 0.4:
            counted = {
                "numWords": chance.choice((0, 1, 2, 3)),
                "backoffSeconds": chance.choice((0, 0.5, 1.0)),
            }
            assistant["stopSpeakingPlan"] = counted
        if chance.random() < 0.4:
            assistant["startSpeakingPlan"] = {"waitSeconds": chance.choice((0.2, 0.6, 1.2))}
    call = Rehearsal(merged(assistant, over or {}), llm=llm, tts=voice, stt=ear, call_id=f"call-{number}")
    run_virtual(call.run(script(random.Random(number)), CALL_S))
    return [encode(r.call_id, r.org_id, r.seq, r.at_s, r.role, r.kind, r.data) for r in call.journal.records]


def read(record: Sequence[bytes]) -> Recording:
    """The recording of a call's record."""
    return read_recording("call", [decode(body_of(framed)) for framed in record])


def _answer(request: LlmRequest) -> str:
    return ANSWERS[zlib.crc32(request.messages[-1].content.encode()) % len(ANSWERS)]


def replay_all() -> dict[str, Any]:
    """Takes every call and replays it."""
    identical = decisions = reproduced = 0
    called_s = replayed_s = 0.0
    for number in range(CALLS):
        record = take(number)
        started_s = time.perf_counter()
        recording = read(record)
        found = compare(recording)
        replayed_s += time.perf_counter() - started_s
        called_s += recording.length_s
        identical += found.identical and not recording.damage
        decisions += found.decisions
        if not found.identical:
            sys.stderr.write(f"call {number}: {found.difference}\n")
        if number < CALLS // 2:
            assert recording.started is not None
            reproduced += what_if(recording, found, recording.started.assistant).reproduced
    return {
        "identical_share": identical / CALLS,
        "decisions": decisions,
        "speed": round(called_s / replayed_s),
        "control_share": round(reproduced / (CALLS // 2), 4),
    }


def against_the_truth() -> list[dict[str, Any]]:
    """What the model says, and what the same callers got when they really were called with the settings."""
    found = []
    for over in TRIED:
        turns = right = 0
        counts = {"before": 0, "predicted": 0, "really": 0}
        for number in range(TRUTH_CALLS):
            recording = read(take(number, {}))
            identity = compare(recording)
            assert recording.started is not None
            predicted = simulate(recording, identity, merged(recording.started.assistant, over))
            before, told = outcome_of(identity.told), outcome_of(predicted.told)
            really = outcome_of(compare(read(take(number, over))).told)
            wrong = changes(really, told, None)
            turns += len(really.turns)
            right += len(really.turns) - len(wrong)
            for name, outcome in (("before", before), ("predicted", told), ("really", really)):
                counts[name] += len(outcome.interruptions)
        share = round(right / turns, 3)
        found.append({"settings": over, "turns": turns, "turns_right_share": share, "interruptions": counts})
    return found


def main() -> None:
    """Prints the figures."""
    figures = replay_all() | {"what_if": against_the_truth(), "samples": CALLS}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
