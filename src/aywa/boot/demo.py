"""Has the runtime called over a real socket by a caller with a synthesised voice, and scores the call at the wire.

What will be said is made before the call, what was heard is recognised after it: while the call lasts, only the
caller's frames share the machine with the runtime. Prints nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aywa.boot.speech import Line, Speech, open_speech
from aywa.boot.store import home
from aywa.ports.media import AudioFormat
from aywa.testing.caller import Placed, ScriptedCaller
from aywa.testing.runtime import DevRuntime, MemoryWatch, is_ready, listening_pid
from aywa.testing.scorecard import Scorecard, score
from aywa.testing.script import Backchannel, BargeIn, Pause, Say, Step, WaitReply
from aywa.testing.sound import hum
from aywa.testing.truth import Verdict, compare, history, replies
from aywa.testing.wire import Samples

RATE_HZ = 8000
# A person takes the floor when the other has been silent for about so long.
QUIET_S = 0.7
# Under a backchannel a reply may halt until the runtime knows what it was; only this much silence is its end.
BACKCHANNEL_QUIET_S = 2.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Short enough for the smallest model, which repeats a greeting that says too much.
PROMPT = """You are Robin, the receptionist of Harbour Street Dental, on the phone.
Answer the caller's question in one or two short spoken sentences. No lists, no markup, no code.
Opening hours: Monday to Friday from eight in the morning until six in the evening, Saturday from nine until one.
Prices: a check-up costs forty dollars, a cleaning costs sixty dollars, and whitening starts at two hundred dollars.
Address: fourteen Harbour Street, opposite the public library, two minutes on foot from the central station.
Parking: there are six free places behind the building, and the large car park on Mill Lane is one minute away.
Services: check-ups, cleaning, whitening, fillings, crowns, and help on the same day when something hurts.
"""
ASSISTANT: Mapping[str, Any] = {
    "name": "Harbour Street Dental",
    "firstMessage": "Hello, this is Robin. How can I help you?",
    "model": {
        "provider": "custom-llm",
        "url": "http://localhost/local",
        "model": "local",
        "temperature": 0,
        "maxTokens": 90,
        "messages": [{"role": "system", "content": PROMPT}],
    },
    "startSpeakingPlan": {"speculationEnabled": True},
}

HOURS: Line = ("Hello,", 0.35, "what are your opening hours on Saturday?")
PARKING: Line = ("And could you tell me,", 0.4, "where can I park my car?")
PRICE: Line = ("Thank you.", 0.45, "How much is a cleaning?")
SERVICES: Line = ("I would also like to know,", 0.3, "what services do you offer?")
ADDRESS: Line = ("Wait, please.", 0.3, "What is your address?")
BOOKING: Line = ("Fine.", 0.35, "Can I book an appointment for Monday?")
MHM = "mhm"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """What came of it. peak_rss_mb: of the runtime's processes, None where that cannot be told."""

    scorecard: Scorecard
    verdicts: tuple[Verdict, ...]
    placed: Placed
    peak_rss_mb: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """A runtime to call."""

    url: str
    key: str


async def running(url: str) -> bool:
    """Whether a runtime answers there and is ready."""
    return await is_ready(url)


async def run(target: Target | None, options: Sequence[str], tell: Tell) -> Demo:
    """Calls the target, or a runtime of its own, started with the options. Raises CallerError, RuntimeFailed, ProviderError."""
    async with AsyncExitStack() as stack:
        if target is None:
            tell("starting a runtime")
            runtime = await stack.enter_async_context(DevRuntime(home(), *options))
            target, memory = Target(runtime.url, runtime.key), runtime.memory
            tell(f"ready at {target.url} after {runtime.cold_start_s:.1f} s")
        else:
            memory = _watch(target.url)
            stack.callback(memory.close if memory else bool)
        tell("making the caller's voice")
        async with open_speech(voice=True) as speech:
            steps = await script(speech)
        tell(f"calling {target.url}")
        caller = ScriptedCaller(target.url, target.key, audio=AudioFormat.MULAW, on_step=_teller(tell))
        placed = await caller.call(ASSISTANT, steps)
        peak_mb = memory.peak_mb() if memory else None
        tell(f"the call is over ({placed.ended_reason}); recognising what was heard")
        verdicts = await verify(placed)
    return Demo(score([placed.record], verdicts), tuple(verdicts), placed, peak_mb)


async def script(speech: Speech) -> list[Step]:
    """Five questions, one of them with a "mhm" under its answer, another with its answer talked down."""
    said = {
        line: await speech.say(line, RATE_HZ) for line in (HOURS, PARKING, PRICE, SERVICES, ADDRESS, BOOKING)
    }

    def ask(line: Line) -> Say:
        return Say(said[line], text(line))

    quiet = WaitReply(quiet_s=QUIET_S)
    return [
        quiet, ask(HOURS), quiet,
        ask(PARKING), Backchannel(hum(RATE_HZ), 1.0, MHM), WaitReply(quiet_s=BACKCHANNEL_QUIET_S),
        ask(PRICE), quiet,
        ask(SERVICES), BargeIn(said[ADDRESS], 1.0, text(ADDRESS)), quiet,
        ask(BOOKING), quiet,
        Pause(0.3),
    ]  # fmt: skip


async def verify(placed: Placed) -> list[Verdict]:
    """Recognises what the caller heard of each reply, and holds it against the call's history."""
    record = placed.record
    found = replies(record, history(record, placed.call))
    async with open_speech(ear=True) as speech:
        heard = [await speech.recognise(reply.audio.tobytes(), record.rate_hz) for reply in found]
    words = iter(heard)

    def recognised(_: Samples) -> str:
        return next(words)

    return compare(found, recognised)


def text(line: Line) -> str:
    """The words of a line, its pauses as dots."""
    return " ".join(part if isinstance(part, str) else "…" for part in line)


def _watch(url: str) -> MemoryWatch | None:
    """Finds the process behind an address on this machine."""
    parts = urlsplit(url)
    pid = listening_pid(parts.port or 80) if parts.hostname in _LOOPBACK else None
    return MemoryWatch(pid) if pid else None


def _teller(tell: Tell) -> Callable[[Step], None]:
    def step_began(step: Step) -> None:
        match step:
            case Say():
                tell(f"caller: {step.label}")
            case BargeIn():
                tell(f"caller, into the reply: {step.label}")
            case Backchannel():
                tell(f"caller, under the reply: {step.label}")
            case _:
                pass

    return step_began


def run_blocking(target: Target | None, options: Sequence[str], tell: Tell) -> Demo:
    """As `run`, from outside of a loop."""
    return asyncio.run(run(target, options, tell))
