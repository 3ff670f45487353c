"""A short conversation at a reception desk: what the runtime tells the page while it goes on."""

from __future__ import annotations

from tests.page.runtime import Call

TURNS = [
    {"endpointing": 386, "transcriber": 71, "model": 148, "voice": 33, "unattributed": 12},
    {"endpointing": 420, "transcriber": 64, "model": 512, "voice": 41, "unattributed": 9},
    {"endpointing": 310, "transcriber": 78, "model": 132, "voice": 29, "unattributed": 14},
]


async def _turn(call: Call, number: int) -> None:
    parts = TURNS[number - 1]
    await call.tell("turn-latency", turn=number, latencyMs=sum(parts.values()), parts=parts)


async def _caller(call: Call, text: str) -> None:
    await call.tell("floor", holder="caller")
    words = text.split()
    await call.tell("transcript", role="user", transcriptType="partial", transcript=" ".join(words[:-1]))
    await call.tell("transcript", role="user", transcriptType="final", transcript=text)


async def _assistant(call: Call, text: str) -> None:
    await call.tell("floor", holder="assistant")
    await call.tell("transcript", role="assistant", transcriptType="partial", transcript=text.split(",")[0])
    await call.tell("transcript", role="assistant", transcriptType="final", transcript=text)


async def _interrupted(call: Call, planned: str, heard: str, question: str) -> None:
    """In the order the runtime tells it: what was heard is known only after the interruption."""
    await call.tell("floor", holder="assistant")
    await call.tell("transcript", role="assistant", transcriptType="partial", transcript=planned)
    await call.tell("floor", holder="caller")
    await call.tell("transcript", role="user", transcriptType="partial", transcript=question.split(",")[0])
    await call.tell("user-interrupted", turnId="2")
    await call.tell("transcript", role="assistant", transcriptType="final", transcript=heard)
    await call.tell("transcript", role="user", transcriptType="final", transcript=question)


async def play_scene(call: Call) -> None:
    """Ends with the caller in the middle of a sentence."""
    await _assistant(call, "Bluebird Dental, good morning. How can I help you?")
    await _caller(call, "Hi, I'd like to move my appointment on Thursday, please.")
    await _turn(call, 1)
    await _interrupted(
        call,
        "Of course. I have Friday at ten, or Monday",
        "Of course. I have Friday at ten, or Monday at half",
        "Sorry, is Monday with the same doctor?",
    )
    await _turn(call, 2)
    await _assistant(call, "Yes, both are with Doctor Marsh.")
    await _caller(call, "Then Monday is fine.")
    await _turn(call, 3)
    await _assistant(call, "Good, I have moved it to Monday at half past two. Is there anything else?")
    await call.tell("floor", holder="caller")
    await call.tell("transcript", role="user", transcriptType="partial", transcript="no that's all thank")
