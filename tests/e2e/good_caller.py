"""A caller without fault, as a process of its own, so that what the tests do beside it does not spoil its clock.

python -m tests.e2e.good_caller URL KEY PCM_FILE ROUNDS: asks the same question again and again, prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from aywa.testing.caller import ScriptedCaller
from aywa.testing.script import Pause, Say, Step, WaitReply
from aywa.testing.wire import latencies, pacing_late_ms, talkspurts

ASSISTANT = {
    "name": "Good",
    "firstMessage": "Hello, this is Robin. How can I help you?",
    "model": {
        "provider": "custom-llm",
        "url": "http://localhost/local",
        "model": "local",
        "messages": [
            {
                "role": "system",
                "content": "Opening hours: Monday to Friday from eight in the morning until six in the evening,"
                " Saturday from nine until one, and on the first Sunday of every month from ten until noon.",
            }
        ],
    },
}


async def main(url: str, key: str, pcm: bytes, rounds: int) -> None:
    asking: list[Step] = [Say(pcm, "hours"), WaitReply(quiet_s=0.7)]
    caller = ScriptedCaller(url, key)
    placed = await caller.call(ASSISTANT, [WaitReply(quiet_s=0.5), *asking * rounds, Pause(0.1)])
    record = placed.record
    holes = [
        (after.at_s - before.at_s) * 1000
        for spurt in talkspurts(record)
        for before, after in zip(spurt.frames, spurt.frames[1:], strict=False)
    ]
    result = {
        "ended_reason": placed.ended_reason,
        "latency_ms": [turn.frame_ms for turn in latencies(record)],
        "frames": len(record.received),
        "largest_hole_ms": max(holes, default=0.0),
        "own_lateness_ms": pacing_late_ms(record),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes(), int(sys.argv[4])))
