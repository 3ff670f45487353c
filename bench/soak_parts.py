"""What stands around the runtime in bench/soak.py: the caller's line and mouth, the customer's server, and an ear, a model and a
voice that keep nothing."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from aiohttp import web

from aywa.boot.pipeline import DeafVad
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta
from aywa.ports.media import Leg
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult, Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions

RATE_HZ = 16_000
FRAME_S = 0.02
SILENCE = bytes(round(RATE_HZ * FRAME_S) * 2)
VOICE = b"".join(
    struct.pack("<h", round(9000 * math.sin(2 * math.pi * 250 * n / RATE_HZ)))
    for n in range(round(RATE_HZ * FRAME_S))
)
WORDS = "what are your opening hours please and how much is it".split()
WORD_S = 0.25
SPOKEN_WORD_S = 0.2
FINALIZE_S = 0.1
TOOL = "look_up"
GOODBYE = "Goodbye and have a nice day"
FAILS_EVERY = 211
"""The model breaks so often, and is asked again."""
REFUSES_EVERY = 97
"""The customer's server answers 503 so often, and is tried again."""


class Detector(DeafVad):
    """ports.vad.Vad: loud is voice."""

    def score(self, rows: Sequence[int], windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """As the port says."""
        loud: npt.NDArray[np.float32] = (np.abs(windows).max(axis=1) > 0.05).astype(np.float32)
        return loud


class EarStream:
    """ports.stt.SttStream: a word for each quarter of a second of voice."""

    def __init__(self, rate_hz: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._results: asyncio.Queue[SttResult | None] = asyncio.Queue()
        self._word_bytes = round(WORD_S * rate_hz) * 2
        self._voiced = self._told = self._settled = 0

    def feed(self, pcm: bytes) -> None:
        """As the port says."""
        if pcm.strip(b"\0"):
            self._voiced += len(pcm)
            if (words := self._voiced // self._word_bytes) > self._told:
                self._told = words
                self._results.put_nowait(SttResult(self._text(), is_final=False))

    def voice(self, active: bool) -> None:
        """As the port says."""

    def finalize(self) -> None:
        """As the port says."""
        self._loop.call_later(FINALIZE_S, self._answer)

    def commit(self) -> None:
        """As the port says."""
        self._settled = self._told

    async def results(self) -> AsyncIterator[SttResult]:
        """As the port says."""
        while (result := await self._results.get()) is not None:
            yield result

    async def close(self) -> None:
        """As the port says."""
        self._results.put_nowait(None)

    def _answer(self) -> None:
        self._results.put_nowait(SttResult(self._text(), is_final=False, from_finalize=True))

    def _text(self) -> str:
        return " ".join(WORDS[n % len(WORDS)] for n in range(self._settled, self._told))


class Ear:
    """ports.stt.Stt."""

    name = "scripted-stt"
    capabilities = SttCapabilities((8000, RATE_HZ), interims=True, finalize=True, word_times=False)

    async def open(self, options: SttOptions) -> EarStream:
        """As the port says."""
        return EarStream(options.rate_hz)

    async def warm(self, options: SttOptions) -> None:
        """As the port says."""

    async def close(self) -> None:
        """As the port says."""


class Model:
    """ports.llm.Llm: asks the tool at the first turn, says goodbye at the third."""

    name = "scripted-llm"

    def __init__(self) -> None:
        self.asked = 0
        self.tools = 0
        self.broken = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """As the port says."""
        self.asked += 1
        number = self.asked
        await asyncio.sleep(0.15)
        if not number % FAILS_EVERY:
            self.broken += 1
            raise ProviderError(
                self.name, "unavailable", "scripted to fail", fault=Fault.PROVIDER, retryable=True
            )
        turns = sum(message.role == "user" for message in request.messages)
        if turns == 1 and request.tools and request.messages[-1].role == "user":
            self.tools += 1
            yield ToolCallDelta(0, f"call_{number}", TOOL, json.dumps({"what": f"the hours of day {number}"}))
            yield Finished("tool_calls", completion_tokens=8)
            return
        words = (GOODBYE if turns > 2 else "We are here from eight to six. Would you like to book?").split()
        for word in words:
            await asyncio.sleep(0.02)
            yield TextDelta(f"{word} ")
        yield Finished("stop", completion_tokens=len(words))

    async def warm(self, request: LlmRequest) -> None:
        """As the port says."""

    async def close(self) -> None:
        """As the port says."""


class Voice:
    """ports.tts.Tts: a steady tone, with its words' times."""

    name = "scripted-tts"
    capabilities = TtsCapabilities((8000, RATE_HZ), word_times=True)

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        """As the port says."""
        await asyncio.sleep(0.05)
        words = text.split()
        times = tuple(Word(w, n * SPOKEN_WORD_S, (n + 1) * SPOKEN_WORD_S) for n, w in enumerate(words))
        samples = round(len(words) * SPOKEN_WORD_S * options.rate_hz)
        yield TtsChunk(b"\x40\x10" * samples, options.rate_hz, times)

    async def warm(self, options: TtsOptions) -> None:
        """As the port says."""

    async def close(self) -> None:
        """As the port says."""


class Engine:
    """What a runtime asks of its local models (adapters.local.LocalEngine)."""

    turn_model = None
    silero = Path()

    def __init__(self) -> None:
        self.stt = Ear()
        self.tts = Voice()
        self.llm = Model()

    def vad(self, rate_hz: int) -> Detector:
        """A voice detector."""
        return Detector(rate_hz)

    async def ready(self) -> None:
        """There is nothing to load."""

    async def close(self) -> None:
        """Nor to end."""


@dataclass
class Customer:
    """The customer's server: answers tools, takes messages, and tells who waits that a call's report has come."""

    url: str = ""
    messages: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    _asked: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listens."""
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def close(self) -> None:
        """Listens no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        message = (await request.json())["message"]
        kind = str(message.get("type"))
        if kind == "tool-calls":
            self.messages[kind] += 1
            found = [{"toolCallId": each["id"], "result": "open"} for each in message["toolCallList"]]
            return web.json_response({"results": found})
        self._asked += 1
        if not self._asked % REFUSES_EVERY:
            self.refused += 1
            return web.Response(status=503)
        self.messages[kind] += 1
        if kind == "end-of-call-report":
            self.reasons[str(message.get("endedReason"))] += 1
            call_id = str(message.get("call", {}).get("id"))
            if (waiting := self.waiting.pop(call_id, None)) is not None and not waiting.done():
                waiting.set_result(None)
        return web.json_response({})


class Line:
    """ports.media.Connection in this process: counts what is heard, and is gone a moment after it was closed."""

    def __init__(self) -> None:
        self.leg: Leg | None = None
        self.frames = 0
        self.over = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def send_audio(self, frame: bytes) -> None:
        """As the port says."""
        self.frames += 1

    def quiet(self) -> None:
        """As the port says."""

    def send_text(self, text: str) -> None:
        """As the port says."""

    def send_dtmf(self, digits: str) -> bool:
        """As the port says."""
        return False

    def close(self, code: int, reason: str) -> None:
        """As the port says."""
        self._loop.call_later(0.01, self.gone)

    def buffered_bytes(self) -> int:
        """As the port says."""
        return 0

    def gone(self) -> None:
        """The far side is away."""
        if not self.over.is_set():
            self.over.set()
            assert self.leg is not None
            self.leg.disconnected("closed")


class Mouth:
    """Gives `send` a frame every 20 ms: voice in the spans (seconds), else silence, until it is told to stop or is done."""

    def __init__(self, send: Callable[[bytes], None], spans: Sequence[tuple[float, float]]) -> None:
        self._send = send
        self._spans = spans
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._number = 0
        self._timer = self._loop.call_soon(self._tick)

    def stop(self) -> None:
        """Nothing more is said."""
        self._timer.cancel()

    def _tick(self) -> None:
        at_s = self._number * FRAME_S
        self._number += 1
        self._timer = self._loop.call_at(self._began_s + self._number * FRAME_S, self._tick)
        self._send(VOICE if any(begin <= at_s < end for begin, end in self._spans) else SILENCE)


def assistant(url: str, **more: Any) -> dict[str, Any]:
    """One with a tool, whose server is told how its calls go."""
    server = {"url": url}
    tool = {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "Looks something up.",
            "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
        },
        "server": server,
    }
    model = {"provider": "custom-llm", "url": "http://localhost/local", "model": "local", "tools": [tool]}
    return {
        "name": "Soak",
        "firstMessage": "Hello, how can I help you?",
        "model": model,
        "endCallPhrases": [GOODBYE.lower()],
        "server": server,
        "serverMessages": ["status-update", "end-of-call-report", "tool-calls"],
        **more,
    }


VARIANTS: tuple[Mapping[str, Any], ...] = (
    {},
    {"backgroundSound": "office", "analysisPlan": {"summaryPlan": {"enabled": True}}},
    {"compliancePlan": {"hipaaEnabled": True}},
    {"stopSpeakingPlan": {"numWords": 2}, "artifactPlan": {"loggingEnabled": False}},
)
"""What assistants differ in."""
