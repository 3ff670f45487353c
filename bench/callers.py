"""What the benchmarks that call a real runtime share: its start without any provider's key, the caller's voice, progress."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aywa.boot.demo import ASSISTANT, RATE_HZ, text
from aywa.boot.speech import Line, open_speech
from aywa.ports.media import AudioFormat
from aywa.testing.caller import Placed, ScriptedCaller
from aywa.testing.runtime import DevRuntime
from aywa.testing.script import Step

ELSEWHERE = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
"""Variables that would take the thinking off this machine."""


def tell(words: str) -> None:
    """Progress, for a person."""
    print(words, file=sys.stderr, flush=True)


@asynccontextmanager
async def runtime(*options: str) -> AsyncIterator[DevRuntime]:
    """A runtime with everything on this machine, in a home of its own, gone afterwards."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    with tempfile.TemporaryDirectory(prefix="aywa-bench-") as folder:
        async with DevRuntime(Path(folder), *options, environment=environment) as started:
            tell(f"ready after {started.cold_start_s:.2f} s")
            yield started


async def voice(lines: Iterable[Line]) -> dict[Line, bytes]:
    """Every line spoken, in telephone band."""
    tell("making the callers' voices")
    async with open_speech(voice=True) as speech:
        return {line: await speech.say(line, RATE_HZ) for line in lines}


async def place(
    started: DevRuntime, steps: Sequence[Step], assistant: Mapping[str, Any] = ASSISTANT
) -> Placed:
    """One call over the telephone's codec."""
    caller = ScriptedCaller(started.url, started.key, audio=AudioFormat.MULAW)
    return await caller.call(assistant, steps)


def label(line: Line) -> str:
    """What a table calls the line."""
    return text(line)
