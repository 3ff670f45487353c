"""The whole product on one core, with the named vendors' wires: turn latency, CPU and memory a call, at 1, 50, 100 and 150 calls.

Three processes. On one core: the runtime as `aywa dev` runs it (HTTP API, host, media plane, Silero, sessions, router, recording,
journal, SQLite), without the local models; its providers are Deepgram nova-3, OpenAI's chat completions and ElevenLabs with
contexts, by their real adapters. On the other: the simulated vendors, and the callers: real WebSockets, mu-law 8 kHz, a frame
every 20 ms, espeak-ng's voices over a telephone line, starts spread over a turn and over the 20 ms of a frame.

Simulated Deepgram: partials every 300 ms +-30 %, a word 250 ms after its end, `Finalize` answered in 100 ms. Model: first token
after 300 ms, 60 tokens a second, three sentences. Voice: first audio 150 ms after a text, then 8 times real time. No jitter
but the partials'. The end of a turn is waited for 0.5 s, whatever was said (startSpeakingPlan); the cache of sentences is off.

Turn: last voiced frame sent -> the reply's first frame received, both at the caller. From the second turn of every call until
the first call is done: CPU (of the process, by the kernel's count, as a share of the core and a call; rig_cpu: of all others, of
their core: near 100 % it is the rig that is late), connections by turn: waited, those that a request or a recogniser waited
for; ahead, those made before anybody needed them; new, all that the vendors accepted. Memory: resident set with n calls
minus that with one, by further call. Underruns: PlayoutStarved on record. Premature: a reply's frame before the turn's last
voiced one. Discarded: requests to the model beyond one a turn.

Known systems on the same work (2 cores): 899-950 ms and 5.4 % a call at 10 (pipecat-ai 1.14), 1014 ms and 2.9 % (livekit-agents
1.8.9); 10-15 and 20-25 calls on one core before p95 doubles or audio underruns. Neither recorded.

Prints {"p50_ms_1", "p95_ms_1", "cpu_50", "memory_mb_100", "waited_connections_100", "underruns_150", ... "samples"} and the
same with `_50_tls` for TLS to the vendors.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import math
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import aiohttp
import numpy as np
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.processes import Program, answer, cpu_s, percentile, program, rss_mb

TURNS = 7
LOADS = {"1": 20, "50": TURNS, "100": TURNS, "150": TURNS, "50_tls": TURNS}
"""Calls, with TLS to the vendors or without -> turns of each."""
RATE_HZ = 8000
FRAME_S = 0.02
FRAME = 160
SILENCE = b"\xff" * FRAME
WAIT_S = 0.5
TURN_S = 7.0
"""Over which the calls' starts are spread: about what a turn takes, with its reply and the pauses."""
FIRST_TURN_S = 1.5
PAUSE_S = 0.8
"""After the reply's last frame, before the caller speaks again."""
PATIENCE_S = 5.0
VOICE_DBFS = -45.0
KEYS = {"deepgram": "", "openai": "/v1", "11labs": ""}
"""Provider -> path of its base URL at the simulators."""
SENTENCES = (
    "I would like to book a table for tomorrow evening please.",
    "can you tell me when you open in the morning.",
    "I have a question about my last invoice.",
    "what does it cost to send a parcel abroad.",
    "my internet connection stopped working last night.",
    "I want to change the date of my appointment.",
    "is it possible to pay with a credit card.",
    "where can I find the nearest parking garage.",
    "could you please check whether my order was shipped.",
    "do you still have rooms with a view of the lake.",
)
REPLIES = (
    "Sure, I can do that for you. It takes a moment. Is there more?",
    "Of course. Let me look that up right away. One moment please.",
    "Certainly, that is possible. I make a note of it. Shall I go on?",
    "Yes, we can do that. It will take a day. Is that fine?",
    "I understand. Let me see what I can do. Please hold the line.",
    "All right, I have made a note. You will get a mail. Anything else?",
    "Good question. We usually answer that within a day. Can you wait?",
    "No problem, I will take care of it. It is done. Anything else?",
)


# --- the runtime's process -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Engine:
    """What a runtime without local models has: the voice detector."""

    llm: Any
    tts: Any
    stt: Any
    turn_model: None = None

    @property
    def silero(self) -> Path:
        """The model's file."""
        from aywa.boot import models

        return models.require(["silero"]) / "silero" / "silero_vad.onnx"

    def vad(self, rate_hz: int) -> Any:
        """The runtime's own."""
        from aywa.adapters.local.silero import SileroVad

        return SileroVad(self.silero, rate_hz)

    async def ready(self) -> None:
        """At once."""


async def serve(data: Path, url: str) -> None:
    """Prints its address and key as one JSON line, and its counts for every line that it is given, until its standard input
    closes."""
    from aywa.boot.logs import configure_logs
    from aywa.boot.phone_settings import PhoneSettings
    from aywa.boot.runtime import Runtime
    from aywa.boot.settings import RuntimeSettings
    from aywa.ports.calls import ProviderKey
    from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts

    configure_logs()
    keys = {provider: ProviderKey("sim-bench", url + path) for provider, path in KEYS.items()}
    engine: Any = Engine(ScriptedLlm(), ScriptedTts(), ScriptedStt())
    phone = PhoneSettings(port=0)
    settings = RuntimeSettings(port=0, media_port=0, data=data, calls_max=1000, keys=keys, phone=phone)
    runtime = Runtime(settings, engine)
    try:
        await runtime.start()
        await runtime.ready()
        sip_port = 0 if runtime.phone_address is None else runtime.phone_address.port
        api, media = runtime.addresses.api, runtime.addresses.media
        figures = runtime.addresses.metrics
        answer(
            {"url": api, "media": media, "key": runtime.first.key, "sip_port": sip_port, "figures": figures}
        )
        while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            made, waited = runtime.connections
            answer({"made": made, "waited": waited})
    finally:
        await runtime.stop()


# --- the vendors' process --------------------------------------------------------------------------------------------


async def simulate(tls: Path | None, sentences: Sequence[Any], jitter: float) -> None:
    """Prints its address as one JSON line, then runs until its standard input closes."""
    from aywa.boot.tls import certificate, context
    from aywa.testing.vendors.plan import Plan, Plans
    from aywa.testing.vendors.server import SimulatedVendors

    plans = Plans(
        routes={
            "deepgram.listen": Plan(extra={"sentences": sentences}),
            "openai.chat": Plan(first_s=0.3, per_s=60, jitter=jitter),
            "elevenlabs.stream": Plan(first_s=0.15, realtime=8, jitter=jitter),
        }
    )
    plans.answer(
        "openai.chat", lambda body: REPLIES[crc32(str(body["messages"][-1]).encode()) % len(REPLIES)]
    )
    secure = None if tls is None else context(*certificate(tls, "127.0.0.1"))
    async with SimulatedVendors(plans, tls=secure) as vendors:
        answer({"url": vendors.url})
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


# --- the callers' process --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sentence:
    """frames: mu-law. last: which of them is the last with voice. words: text, start and end since the first with voice."""

    frames: tuple[bytes, ...]
    last: int
    words: tuple[tuple[str, float, float], ...]


def spoken() -> list[Sentence]:
    """All sentences, each by another voice, over the telephone line."""
    from bench.speech import voices

    return [_sentence(voices.ESPEAK[n % len(voices.ESPEAK)], text) for n, text in enumerate(SENTENCES)]


def _sentence(voice: str, text: str) -> Sentence:
    from aywa.core.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
    from aywa.testing.wire import voiced_frames
    from bench.speech import voices

    said = voices.speak(voice, text)
    line = voices.telephone(np.concatenate([said.pcm, np.zeros(voices.RATE_HZ // 10, np.int16)]))
    pcm = [line[at : at + FRAME].tobytes() for at in range(0, len(line) - FRAME + 1, FRAME)]
    frames = tuple(pcm_to_mulaw(frame) for frame in pcm)
    last = max(at for at, loud in enumerate(voiced_frames(pcm)) if loud)
    levels = [
        float(np.sqrt(np.mean(np.frombuffer(mulaw_to_pcm(frame), "<i2").astype(np.float32) ** 2)))
        for frame in frames
    ]
    begins_s = FRAME_S * next(at for at, rms in enumerate(levels) if rms >= 32768 * 10 ** (VOICE_DBFS / 20))
    words = tuple((w, round(a - begins_s, 3), round(b - begins_s, 3)) for w, a, b in said.words)
    return Sentence(frames, last, words)


@dataclass(slots=True)
class Turn:
    """begins_s, sent_s: the first and the last voiced frame left. heard_s: the reply's first frame came."""

    begins_s: float
    sent_s: float = math.inf
    heard_s: float = math.inf


class Sending(Protocol):
    """A way for frames."""

    def send(self, kind: WSMsgType, frame: bytes, /) -> None:
        """Leaves at once."""

    def disconnect(self) -> None:
        """The end."""


@dataclass(slots=True)
class Caller(WSListener):
    """One call. `tick` every 20 ms."""

    sentences: Sequence[Sentence]
    turns_wanted: int
    first_s: float
    transport: Sending | None = None
    turns: list[Turn] = field(default_factory=list)
    gone: bool = False
    last_frame_s: float = 0.0
    _at: int = -1
    _over_s: float = 0.0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The call is open."""
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Audio of the reply; events are of no interest here."""
        if frame.msg_type is WSMsgType.BINARY:
            self.heard()

    def heard(self) -> None:
        """A frame of the reply is there."""
        self.last_frame_s = time.perf_counter()
        if self.turns and self.turns[-1].heard_s == math.inf:
            self.turns[-1].heard_s = self.last_frame_s

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The call is over."""
        self.gone = True

    @property
    def answered(self) -> int:
        """Turns whose reply was heard to its end, or did not come."""
        return len(self.turns) - (not self._is_over(time.perf_counter()))

    @property
    def done(self) -> bool:
        """Nothing more to say."""
        return self.gone or self.answered >= self.turns_wanted

    def tick(self) -> None:
        """Sends a frame."""
        if self.gone or self.transport is None:
            return
        now = time.perf_counter()
        if self._at < 0 and len(self.turns) < self.turns_wanted and self._is_over(now):
            self._at = 0
            self.turns.append(Turn(now))
        if self._at < 0:
            self.transport.send(WSMsgType.BINARY, SILENCE)
            return
        sentence = self.sentences[(len(self.turns) - 1) % len(self.sentences)]
        self.transport.send(WSMsgType.BINARY, sentence.frames[self._at])
        if self._at == sentence.last:
            self.turns[-1].sent_s = time.perf_counter()
        self._at += 1
        if self._at == len(sentence.frames):
            self._at, self._over_s = -1, now

    def _is_over(self, now: float) -> bool:
        """The present turn is."""
        if not self.turns:
            return now >= self.first_s
        if self._at >= 0:
            return False
        if self.turns[-1].heard_s == math.inf:
            return now > self._over_s + PATIENCE_S
        return now > self.last_frame_s + PAUSE_S


@dataclass(slots=True)
class Load:
    """What came of a number of calls."""

    turns: list[Turn] = field(default_factory=list)
    seconds: float = 0.0
    steady_turns: int = 0
    cpu_s: float = 0.0
    rig_s: float = 0.0
    rss_mb: float = 0.0
    connections: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    events: Counter[str] = field(default_factory=Counter)

    @property
    def added_ms(self) -> list[float]:
        """Of the turns that were answered."""
        return [1000 * (t.heard_s - t.sent_s) for t in self.turns if t.sent_s <= t.heard_s < math.inf]

    def figures(self, calls: int, alone_mb: float) -> dict[str, float]:
        """For the table."""
        turns = len(self.turns)
        return {
            "p50_ms": round(statistics.median(self.added_ms or [math.nan]), 1),
            "p95_ms": round(p95(self.added_ms or [math.nan]), 1),
            "max_ms": round(max(self.added_ms, default=math.nan), 1),
            "cpu": round(100 * self.cpu_s / self.seconds / calls, 3),
            "rig_cpu": round(100 * self.rig_s / self.seconds, 1),
            "rss_mb": round(self.rss_mb, 1),
            "memory_mb": round((self.rss_mb - alone_mb) / max(1, calls - 1), 3),
            **{
                f"{kind}_connections": round(self.connections[kind] / max(1, self.steady_turns), 4)
                for kind in ("waited", "ahead", "new")
            },
            "underruns": self.events["PlayoutStarved"],
            "premature": sum(t.heard_s < t.sent_s for t in self.turns),
            "unanswered": sum(t.heard_s == math.inf for t in self.turns),
            "discarded": round((self.requests - turns) / max(1, turns), 3),
            "route_failures": self.events["RouteFailed"] + self.events["RouteSwitched"],
        }


class Line(Protocol):
    """What the calls are placed over."""

    async def place(
        self,
        http: aiohttp.ClientSession,
        runtime: Mapping[str, str],
        calls: int,
        turns: int,
        sentences: Sequence[Sentence],
    ) -> list[Caller]:
        """All calls, one after the other; each says its first words at a time of its own."""

    async def hang_up(self, http: aiohttp.ClientSession, runtime: Mapping[str, str]) -> None:
        """Ends them all."""

    def read(self, data: Path) -> None:
        """The runtime has ended: what its records say."""


async def measure(
    calls: int,
    turns: int,
    sentences: Sequence[Sentence],
    options: argparse.Namespace,
    *,
    tls: bool = False,
    line: Line | None = None,
    workers: int = 1,
) -> Load:
    """One load, with processes of its own. line: WebSockets by default. workers: runtimes that share the core and the calls."""
    line = line or WebSockets()
    with tempfile.TemporaryDirectory(prefix="aywa-bench-") as folder:
        data, load = Path(folder), Load()
        script = data / "sentences.json"
        _write(script, [sentence.words for sentence in sentences])
        async with AsyncExitStack() as stack:
            # Kept, or its own connections would count as the runtime's.
            kept = aiohttp.TCPConnector(keepalive_timeout=3600)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=kept))
            secure = ("--tls", str(data / "tls")) if tls else ()
            simulating = ("--simulate", str(script), "--jitter", str(options.jitter), *secure)
            vendors = await stack.enter_async_context(program(__file__, *simulating, core=options.cores[0]))
            url = vendors.said["url"]
            trust = {"SSL_CERT_FILE": str(data / "tls" / "certificate.pem")} if tls else {}
            async with AsyncExitStack() as serving:
                runtimes = [
                    await serving.enter_async_context(
                        program(
                            __file__, "--serve", str(data / name), "--vendors", url,
                            core=options.cores[-1], profile=options.profile, more=trust,
                        )
                    )
                    for name in ("runtime", *(f"runtime{number}" for number in range(1, workers)))
                ]  # fmt: skip
                callers: list[Caller] = []
                for number, runtime in enumerate(runtimes):
                    share = calls // workers + (number < calls % workers)
                    callers += await line.place(http, runtime.said, share, turns, sentences)
                ticking = asyncio.create_task(_tick(callers))
                await _steady(http, vendors, runtimes, callers, load)
                ticking.cancel()
                for runtime in runtimes:
                    await line.hang_up(http, runtime.said)
                load.requests = (await _counters(http, url))["requests"].get("openai.chat", 0)
                await asyncio.sleep(1.0)
        load.turns = [turn for caller in callers for turn in caller.turns]
        load.events = _events(data)
        line.read(data)
        return load


def _events(data: Path) -> Counter[str]:
    """How many of each kind all calls' records hold."""
    found: Counter[str] = Counter()
    for path in data.glob("runtime*/artifacts/**/events.jsonl.gz"):
        with gzip.open(path, "rt") as lines:
            found.update(json.loads(line).get("kind", "") for line in lines)
    return found


class WebSockets:
    """A call is a POST and a socket."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []

    async def place(
        self,
        http: aiohttp.ClientSession,
        runtime: Mapping[str, str],
        calls: int,
        turns: int,
        sentences: Sequence[Sentence],
    ) -> list[Caller]:
        """As the protocol says."""
        audio = {"format": "mulaw", "container": "raw", "sampleRate": RATE_HZ}
        body = {
            "assistant": assistant(),
            "transport": {"provider": "vapi.websocket", "audioFormat": audio},
        }
        begin_s = time.perf_counter() + FIRST_TURN_S + 0.05 * calls
        for number in range(calls):
            caller = Caller(sentences, turns, begin_s + number / calls * TURN_S)
            # Every body is another: the same one twice could be one client's second try.
            placed = await ask(http, runtime, "/call", {**body, "name": f"bench {number}"})
            await ws_connect(lambda caller=caller: caller, placed["transport"]["websocketCallUrl"])
            self.callers.append(caller)
        return self.callers[-calls:]

    async def hang_up(self, http: aiohttp.ClientSession, runtime: Mapping[str, str]) -> None:
        """As the protocol says."""
        for caller in self.callers:
            if caller.transport is not None:
                caller.transport.disconnect()

    def read(self, data: Path) -> None:
        """Nothing more than all lines."""


async def ask(
    http: aiohttp.ClientSession, runtime: Mapping[str, str], path: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """A POST to the runtime that must go well."""
    headers = {"Authorization": f"Bearer {runtime['key']}"}
    async with http.post(runtime["url"] + path, json=body, headers=headers) as response:
        placed: dict[str, Any] = await response.json()
    if response.status != 201:
        raise SystemExit(f"POST {path} answered {response.status}: {placed}")
    return placed


def assistant() -> dict[str, Any]:
    """Named vendors, one wait for all texts."""
    waits = dict.fromkeys(("onPunctuationSeconds", "onNoPunctuationSeconds", "onNumberSeconds"), WAIT_S)
    prompt = "You are the receptionist of a small hotel. Answer in three short sentences."
    return {
        "name": "bench",
        "firstMessageMode": "assistant-waits-for-user",
        # With many calls the first turn comes late: nobody is to be asked whether they are there.
        "messagePlan": {"idleTimeoutSeconds": 60},
        "clientMessages": [],
        "transcriber": {"provider": "deepgram", "model": "nova-3"},
        "model": {
            "provider": "openai",
            "model": "gpt-4.1",
            "messages": [{"role": "system", "content": prompt}],
        },
        "voice": {"provider": "11labs", "voiceId": "sim-voice", "cachingEnabled": False},
        "startSpeakingPlan": {"waitSeconds": WAIT_S, "transcriptionEndpointingPlan": waits},
    }


async def _tick(callers: Sequence[Caller]) -> None:
    """Every caller's frame every 20 ms, a tenth of them every 2 ms."""
    loop = asyncio.get_running_loop()
    phases = [callers[phase::10] for phase in range(10)]
    begin_s = loop.time()
    number = 0
    while True:
        delay_s = begin_s + number * FRAME_S / 10 - loop.time()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        for caller in phases[number % 10]:
            caller.tick()
        number += 1


async def _steady(
    http: aiohttp.ClientSession,
    vendors: Program,
    runtimes: Sequence[Program],
    callers: Sequence[Caller],
    load: Load,
) -> None:
    """Watches the calls to their end, and the processes from everybody's second turn until the first call is done."""
    await _connections(http, vendors, runtimes)
    await _until(lambda: all(caller.answered >= 1 for caller in callers))
    pids, simulator = [runtime.pid for runtime in runtimes], vendors.pid
    began_s, used_s = time.perf_counter(), sum(map(cpu_s, pids))
    rig_s = cpu_s(simulator) + time.process_time()
    before = await _connections(http, vendors, runtimes)
    await _until(lambda: any(caller.done for caller in callers))
    load.seconds = time.perf_counter() - began_s
    load.cpu_s = sum(map(cpu_s, pids)) - used_s
    load.rig_s = cpu_s(simulator) + time.process_time() - rig_s
    load.rss_mb = sum(map(rss_mb, pids))
    load.steady_turns = sum(began_s <= t.sent_s < math.inf for c in callers for t in c.turns)
    await _until(lambda: all(caller.done for caller in callers))
    load.connections = await _connections(http, vendors, runtimes)
    load.connections.subtract(before)


async def _connections(
    http: aiohttp.ClientSession, vendors: Program, runtimes: Sequence[Program]
) -> Counter[str]:
    """Until now, as both sides count them."""
    counts = [await runtime.ask() for runtime in runtimes]
    made, waited = (sum(each[name] for each in counts) for name in ("made", "waited"))
    accepted = (await _counters(http, vendors.said["url"]))["connections"]
    return Counter(waited=waited, ahead=made - waited, new=accepted)


async def _until(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.1)


async def _counters(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with http.get(url + "/_counters", ssl=False) as response:
        told: dict[str, Any] = await response.json()
        return told


def p95(values: Sequence[float]) -> float:
    """By the nearest rank."""
    return percentile(values, 95)


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """All loads."""
    sentences = spoken()
    figures: dict[str, Any] = {"samples": {}}
    alone = Load()
    for label in options.only.split(",") if options.only else LOADS:
        calls, tls = int(label.partition("_")[0]), label.endswith("_tls")
        turns = options.turns or LOADS.get(label, TURNS)
        load = await measure(calls, turns, sentences, options, tls=tls)
        if calls == 1:
            alone = load
        row = load.figures(calls, alone.rss_mb or load.rss_mb)
        for name, value in row.items():
            figures[f"{name}_{label}"] = value
            figures["samples"][f"{name}_{label}"] = len(load.added_ms)
        shown = "  ".join(f"{name} {value:g}" for name, value in row.items())
        sys.stderr.write(f"{label} calls, {len(load.added_ms)} turns, {load.seconds:.0f} s: {shown}\n")
    if "p95_ms_150" in figures and "p50_ms_1" in figures:
        figures["p95_150_by_p50_1"] = round(figures["p95_ms_150"] / figures["p50_ms_1"], 3)
        figures["samples"]["p95_150_by_p50_1"] = figures["samples"]["p95_ms_150"]
    return figures


def main() -> None:
    """The benchmark, or one of its processes."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--only", default="", help="calls at once, such as 1,50,50_tls")
    parser.add_argument("--turns", type=int, default=0, help="of each call, instead of the usual number")
    parser.add_argument("--jitter", type=float, default=0.0, help="share by which model and voice are off")
    parser.add_argument("--profile", default="", help="where the runtime's profile is to be written")
    for name in ("core", "serve", "vendors", "simulate", "tls"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # The callers and the vendors have the first core, the runtime the last; where there is one, they share it.
    options.cores = sorted(os.sched_getaffinity(0)) if options.core is None else [int(options.core)]
    os.sched_setaffinity(0, options.cores[:1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.serve:
            runner.run(serve(Path(options.serve), options.vendors))
        elif options.simulate:
            tls = Path(options.tls) if options.tls else None
            sentences = json.loads(Path(options.simulate).read_text())
            runner.run(simulate(tls, sentences, options.jitter))
        else:
            sys.stdout.write(json.dumps(runner.run(run(options))) + "\n")


if __name__ == "__main__":
    main()
