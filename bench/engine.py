"""What the engine adds to its own endpointing wait, with providers that answer at once, at 1 and at 50 calls.

One process holds the engine: picows, media plane, Silero, session, machines, journal on disk. Another is the callers: a
real WebSocket each, mu-law 8 kHz, a frame every 20 ms, spoken sentences cut at a loud vowel so that the last voiced frame is
beyond doubt. Added = (last voiced frame sent -> first reply frame received) - the wait that the settings give this text.

Prints {"engine_added_ms_p50_1_call", "engine_added_ms_p95_1_call", "..._50_calls", "samples": {...}}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from aywa.adapters.local import open_local
from aywa.adapters.local.silero import SileroVad
from aywa.adapters.transports.websocket import WebSocketTransport
from aywa.boot import models
from aywa.boot.artifacts import Artifacts
from aywa.boot.host import Host
from aywa.call.replies import ReplyRoutes
from aywa.call.session import Routes
from aywa.core.audio.frame import to_float
from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.core.turns.endpointing import SETTLED_TEXT_S
from aywa.journal.writer import JournalWriter
from aywa.media.plane import Plane
from aywa.ports.calls import CallPlan
from aywa.ports.media import AudioFormat
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult
from aywa.ports.tts import TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts

RATE_HZ = 8000
FRAME_S = 0.02
FRAME = 160
SILENCE = b"\xff" * FRAME
TURN_S = 2.0
FIRST_TURN_S = 1.5
TEXT = "please book a table for tonight"
SENTENCES = (
    "I would like a table for tomorrow afternoon",
    "When are you open on a Monday",
    "I need an appointment tomorrow at four",
)


# --- the engine's process --------------------------------------------------------------------------------------------


class InstantStream:
    """Knows the words as soon as it is asked, if there was voice since the last turn."""

    def __init__(self) -> None:
        self._results: asyncio.Queue[SttResult | None] = asyncio.Queue()
        self._voiced = False

    def feed(self, pcm: bytes) -> None:
        """Takes the audio, as a real one would."""

    def voice(self, active: bool) -> None:
        """Remembers that there was some."""
        self._voiced = self._voiced or active

    def finalize(self) -> None:
        """Answers now."""
        self._results.put_nowait(SttResult(TEXT if self._voiced else "", is_final=False, from_finalize=True))

    def commit(self) -> None:
        """The next turn begins."""
        self._voiced = False

    async def results(self) -> AsyncIterator[SttResult]:
        """What was asked for."""
        while (result := await self._results.get()) is not None:
            yield result

    async def close(self) -> None:
        """No more results."""
        self._results.put_nowait(None)


class InstantStt:
    """Opens instant streams."""

    name = "instant-stt"
    capabilities = SttCapabilities((8000,), interims=False, finalize=True, word_times=False)

    async def open(self, options: SttOptions) -> InstantStream:
        """At once."""
        return InstantStream()

    async def warm(self, options: SttOptions) -> None:
        """Nothing to dial."""

    async def close(self) -> None:
        """Nothing to close."""


async def serve(calls: int) -> None:
    """Prints the calls' URLs as one JSON line, then runs until its standard input closes."""
    loop = asyncio.get_running_loop()
    silero = models.require(["silero"]) / "silero" / "silero_vad.onnx"
    plane = Plane(loop, {RATE_HZ: SileroVad(silero, RATE_HZ)})
    with tempfile.TemporaryDirectory() as folder:
        journal = JournalWriter(Path(folder) / "journal", lambda written: None)
        writing = asyncio.create_task(journal.run())
        reply = ReplyRoutes(
            ScriptedLlm(lambda r: "Certainly. That is done."), ScriptedTts(), TtsOptions(RATE_HZ)
        )
        port = 0
        host = Host(
            plane,
            journal,
            Artifacts(Path(folder) / "artifacts"),
            lambda plan: Routes(InstantStt(), reply),
            lambda: f"ws://127.0.0.1:{port}",
            calls_max=calls,
        )
        transport = WebSocketTransport(plane, host.open_call)
        port = await transport.start("127.0.0.1", 0)
        urls = [host.prepare(_plan(number)) for number in range(calls)]
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.read)
        await host.close(5.0)
        await plane.close()
        await transport.close()
        await journal.close()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


def _plan(number: int) -> CallPlan:
    created_ms = round(time.time() * 1000)
    assistant = {"name": "bench", "clientMessages": []}
    return CallPlan(
        f"{number:08d}-bench", "org", "vapi.websocketCall", assistant, AudioFormat.MULAW, RATE_HZ, created_ms
    )


# --- the callers' process --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Turn:
    """One sentence: when its last voiced frame left, when the reply's first frame came."""

    sent_s: float
    heard_s: float | None = None


@dataclass(slots=True)
class Caller(WSListener):
    """One call: sends a frame every 20 ms on its own phase."""

    sentences: list[list[bytes]]
    turns_wanted: int
    transport: WSTransport | None = None
    turns: list[Turn] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    gone: bool = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The call is open."""
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Audio of the reply; events are of no interest here."""
        if frame.msg_type is WSMsgType.BINARY:
            turn = self.turns[-1] if self.turns else None
            if turn is not None and turn.heard_s is None:
                turn.heard_s = time.perf_counter()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The call is over."""
        self.gone = True

    async def speak(self, phase_s: float) -> None:
        """Turns at a steady distance, silence between them, exact pacing."""
        loop = asyncio.get_running_loop()
        begin = loop.time() + phase_s
        schedule = self._schedule(phase_s)
        for number, (frame, is_last) in enumerate(schedule):
            delay = begin + number * FRAME_S - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            if self.gone or self.transport is None:
                return
            self.transport.send(WSMsgType.BINARY, frame)
            if is_last:
                self.turns.append(Turn(time.perf_counter()))

    def _schedule(self, phase_s: float) -> list[tuple[bytes, bool]]:
        frames = [(SILENCE, False)] * round((FIRST_TURN_S + 3 * phase_s) / FRAME_S)
        for turn in range(self.turns_wanted):
            voiced = self.sentences[turn % len(self.sentences)]
            frames += [(frame, False) for frame in voiced[:-1]] + [(voiced[-1], True)]
            frames += [(SILENCE, False)] * round(TURN_S / FRAME_S)
        return frames


async def spoken() -> list[list[bytes]]:
    """The sentences as mu-law frames, cut behind a loud frame."""
    engine = await open_local(models.require(["silero"]), roles=("tts",))
    try:
        await engine.ready()
        return [await _sentence(engine, text) for text in SENTENCES]
    finally:
        await engine.close()


async def _sentence(engine: Any, text: str) -> list[bytes]:
    pcm = b"".join([c.pcm async for c in engine.tts.synthesize(text, TtsOptions(RATE_HZ))])
    samples = np.frombuffer(pcm[: len(pcm) // 320 * 320], "<i2")
    levels = np.sqrt(np.mean(to_float(samples.tobytes()).reshape(-1, FRAME) ** 2, axis=1))
    loud = np.flatnonzero(levels > 0.5 * levels.max())
    end = (
        int(loud[loud > len(levels) * 0.7][-1]) + 1 if (loud > len(levels) * 0.7).any() else int(loud[-1]) + 1
    )
    return [pcm_to_mulaw(samples[i * FRAME : (i + 1) * FRAME].tobytes()) for i in range(end)]


async def measure(calls: int, turns: int, sentences: list[list[bytes]]) -> list[float]:
    """Milliseconds added, a figure a turn."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--serve",
        str(calls),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        urls = json.loads(await process.stdout.readline())
        callers = [Caller(sentences, turns) for _ in urls]
        for url, caller in zip(urls, callers, strict=True):
            await ws_connect(lambda caller=caller: caller, url)
        # Starts spread over the 20 ms of a frame and over a turn, as calls are.
        await asyncio.gather(*(c.speak((n % 50) / 50 * 0.98 + 0.0004 * n) for n, c in enumerate(callers)))
        for caller in callers:
            if caller.transport is not None:
                caller.transport.disconnect()
    finally:
        process.stdin.close()
        await process.wait()
    measured = [t for c in callers for t in c.turns]
    whole = [(t.sent_s, t.heard_s) for t in measured if t.heard_s is not None]
    if len(whole) < len(measured):
        sys.stderr.write(f"{len(measured) - len(whole)} of {len(measured)} turns had no reply\n")
    return [(heard_s - sent_s - SETTLED_TEXT_S) * 1000 for sent_s, heard_s in whole]


def p95(values: list[float]) -> float:
    """The nearest-rank 95th percentile."""
    return sorted(values)[max(0, -(-95 * len(values) // 100) - 1)]


async def run() -> dict[str, Any]:
    """Both loads."""
    sentences = await spoken()
    figures: dict[str, Any] = {"samples": {}}
    for calls, turns in ((1, 42), (50, 5)):
        added = await measure(calls, turns, sentences)
        label = "1_call" if calls == 1 else f"{calls}_calls"
        figures[f"engine_added_ms_p50_{label}"] = round(statistics.median(added), 1)
        figures[f"engine_added_ms_p95_{label}"] = round(p95(added), 1)
        figures[f"engine_added_ms_max_{label}"] = round(max(added), 1)
        figures["samples"][f"engine_added_ms_p95_{label}"] = len(added)
        sys.stderr.write(
            f"{calls} calls: {len(added)} turns, added p50 {statistics.median(added):.1f} ms, p95 {p95(added):.1f}\n"
        )
    return figures


def main() -> None:
    """The benchmark, or the engine's process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=int, metavar="CALLS")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.serve:
            runner.run(serve(options.serve))
        else:
            sys.stdout.write(json.dumps(runner.run(run())) + "\n")


if __name__ == "__main__":
    main()
