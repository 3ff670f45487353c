"""Media sockets on one core: bench/providers.py with its processes, its vendors, its sentences and its clock, but the calls come
as Twilio's media streams (JSON, base64, mu-law); and media alone, without a brain.

A caller is equipment of the bench's own, by Twilio's document, with an ear on its own clock: it plays what it is sent, one after
the other, answers a mark when what stood before it was played, and a clear at once, with the marks that were out. Every figure of
bench/providers.py has the same meaning, wire to wire. ear_underruns: times that an ear ran dry in the middle of a reply.

N_barge: N calls that speak into every reply, AFTER_S after they heard it begin. clear_ms: from their first voiced frame (within
VOICE_DBFS of providers.py) to the arrival of the clear. off_ms: what the journal says was heard (PlayoutPaused, PlayoutDropped)
minus what the ear had played when the clear came, of each reply that was cleared; size. missed: barge-ins without a clear
within MISSED_S.

N_media: N streams in full duplex with the real voice detector, without a recording and without a brain: replies of 2 s, again
and again. cpu: of a core, all streams.

Prints {"p50_ms_150", "p95_ms_150", "cpu_150", "ear_underruns_150", "clear_ms_p95_20_barge", "off_ms_p95_20_barge",
"cpu_300_media", ... "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import gzip
import json
import math
import os
import re
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import uvloop
from picows import WSFrame, WSMsgType, WSTransport, ws_connect

from aywa.core.audio.g711 import mulaw_to_pcm
from bench import providers
from bench.processes import answer, cpu_s, percentile, program
from bench.providers import (
    FIRST_TURN_S,
    FRAME,
    FRAME_S,
    RATE_HZ,
    TURN_S,
    VOICE_DBFS,
    Caller,
    Sentence,
    assistant,
)

LOADS = {"1": 20, "150": 7, "20_barge": 15, "300_media": 0}
AFTER_S = (0.5, 0.62, 0.75, 0.88, 1.01, 1.14, 1.27)
MISSED_S = 1.0
GAP_S = 0.002
"""An ear that runs dry for less than this has not."""
REPLY_END_S = 0.3
"""Longer than that is a pause between replies."""
MEDIA_S = 20.0
REPLY_S = 2.0
PAUSE_S = 0.6


class Ear:
    """What the far side holds and has played, by its own clock. mark(name): one was passed, now."""

    def __init__(self, mark: Callable[[str], None]) -> None:
        self._mark = mark
        self._loop = asyncio.get_running_loop()
        self.until_s = 0.0
        self.begun_s = 0.0
        self.underruns = 0
        self._marks: deque[tuple[float, str]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.samples = 0
        """Of the reply that plays, given so far."""

    def take(self, samples: int) -> None:
        """Audio came."""
        now = self._loop.time()
        if now > self.until_s:
            dry_s = now - self.until_s
            if dry_s > REPLY_END_S or not self.samples:
                self.samples = 0
                self.begun_s = now
            elif dry_s > GAP_S:
                self.underruns += 1
            self.until_s = now
        self.until_s += samples / RATE_HZ
        self.samples += samples

    def passes(self, name: str) -> None:
        """A mark came, behind all that came before."""
        self._marks.append((self.until_s, name))
        if self._timer is None:
            self._next()

    def clear(self) -> int:
        """Throws away what is held; answers how many samples of the reply were played."""
        now = self._loop.time()
        held = max(0.0, self.until_s - now)
        played = self.samples - round(held * RATE_HZ)
        self.until_s = now
        self.samples = 0
        marks, self._marks = self._marks, deque()
        for _, name in marks:
            self._mark(name)
        return played

    def _next(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._marks and self._marks[0][0] <= now + 1e-4:
            self._mark(self._marks.popleft()[1])
        if self._marks:
            self._timer = self._loop.call_at(self._marks[0][0], self._next)


@dataclass(slots=True)
class TwilioCaller(Caller):
    """barges: speaks into every reply. clears: when they came, and what the ear had played then."""

    number: int = 0
    barges: bool = False
    clears: list[tuple[float, int]] = field(default_factory=list)
    ear: Any = None
    _socket: WSTransport | None = None
    _chunk: int = 0
    _stream: str = ""
    _spoken: list[list[str]] = field(default_factory=list)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done: the stream begins."""
        self._socket = transport
        self._stream = f"MZ{self.number:032x}"
        self.ear = Ear(self._passed)
        start = {
            "streamSid": self._stream,
            "accountSid": "AC" + "0" * 32,
            "callSid": f"CA{self.number:032x}",
            "tracks": ["inbound"],
            "customParameters": {"caller": str(self.number)},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE_HZ, "channels": 1},
        }
        self._say({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._say({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self._stream})
        self.transport = self

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """What the runtime says."""
        if frame.msg_type is not WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        event: str = message["event"]
        match event:
            case "media":
                self.ear.take(len(base64.b64decode(message["media"]["payload"])))
                self.heard()
            case "mark":
                self.ear.passes(message["mark"]["name"])
            case "clear":
                self.clears.append((time.perf_counter(), self.ear.clear()))
                if self.barges and self.turns:
                    # What came since the turn began was the old reply, gone on in a doubt.
                    self.turns[-1].heard_s = math.inf
            case _:
                pass

    def heard(self) -> None:
        """Audio of a reply: the one that was spoken into does not count as the next one's."""
        now = time.perf_counter()
        # Who has ended hears the answer, also when nothing was there to be cleared.
        if self.barges and self.turns and self._at >= 0 and not self._cleared_since(self.turns[-1].begins_s):
            self.last_frame_s = now
            return
        Caller.heard(self)

    def _cleared_since(self, at_s: float) -> bool:
        return len(self.turns) == 1 or any(when >= at_s for when, _ in self.clears[-2:])

    def send(self, kind: WSMsgType, frame: bytes, /) -> None:
        """A frame for the runtime."""
        self._chunk += 1
        payload = base64.b64encode(frame).decode("ascii")
        if self._socket is not None:
            self._socket.send(
                WSMsgType.TEXT,
                f'{{"event":"media","sequenceNumber":"{self._chunk + 1}","media":{{"track":"inbound","chunk":"{self._chunk}",'
                f'"timestamp":"{20 * self._chunk}","payload":"{payload}"}},"streamSid":"{self._stream}"}}',
            )

    def disconnect(self) -> None:
        """The caller hangs up."""
        if self._socket is not None and not self.gone:
            self._say(
                {"event": "stop", "stop": {"accountSid": "AC", "callSid": "CA"}, "streamSid": self._stream}
            )
            self._socket.disconnect()

    def _passed(self, name: str) -> None:
        self._say({"event": "mark", "streamSid": self._stream, "mark": {"name": name}})

    def _say(self, message: Mapping[str, Any]) -> None:
        if self._socket is not None and not self.gone:
            self._socket.send(WSMsgType.TEXT, json.dumps(message))

    def _is_over(self, now: float) -> bool:
        if self.barges and self.turns and self._at < 0 and self.turns[-1].heard_s < math.inf:
            return now >= self.turns[-1].heard_s + AFTER_S[len(self.turns) % len(AFTER_S)]
        if Caller._is_over(self, now):
            # What it holds has been heard, too.
            return self.ear is None or asyncio.get_running_loop().time() > self.ear.until_s
        return False

    def clear_s(self) -> list[float]:
        """From each barge-in's first voiced frame to the clear; inf without one."""
        found: list[float] = []
        for before, turn, number in zip(self.turns, self.turns[1:], range(1, len(self.turns)), strict=False):
            if before.heard_s == math.inf:
                continue
            sentence = self.sentences[number % len(self.sentences)]
            voiced_s = turn.begins_s + FRAME_S * first_voiced(sentence)
            after = [when - voiced_s for when, _ in self.clears if -0.1 <= when - voiced_s < MISSED_S]
            found.append(max(0.0, min(after, default=math.inf)))
        return found


def first_voiced(sentence: Sentence) -> int:
    """Its first frame with voice."""
    for number, frame in enumerate(sentence.frames):
        pcm = np.frombuffer(mulaw_to_pcm(frame), "<i2").astype(np.float32)
        if float(np.sqrt(np.mean(pcm**2))) >= 32768 * 10 ** (VOICE_DBFS / 20):
            return number
    return 0


class Streams:
    """providers.Line of Twilio's streams."""

    def __init__(self, *, barges: bool = False) -> None:
        self._barges = barges
        self.callers: list[TwilioCaller] = []
        self.off_ms: list[float] = []
        self.unmatched = 0

    async def place(
        self,
        http: aiohttp.ClientSession,
        runtime: Mapping[str, Any],
        calls: int,
        turns: int,
        sentences: Sequence[Sentence],
    ) -> list[Caller]:
        """As the protocol says."""
        made = await providers.ask(http, runtime, "/assistant", assistant())
        begin_s = time.perf_counter() + FIRST_TURN_S + 0.05 * calls
        for number in range(calls):
            caller = TwilioCaller(
                sentences, turns, begin_s + number / calls * TURN_S, number=number, barges=self._barges
            )
            await ws_connect(lambda caller=caller: caller, f"{runtime['media']}/media/twilio/{made['id']}")
            self.callers.append(caller)
            await asyncio.sleep(0.01)
        return list(self.callers)

    async def hang_up(self, http: aiohttp.ClientSession, runtime: Mapping[str, Any]) -> None:
        """As the protocol says."""
        for caller in self.callers:
            caller.disconnect()

    def read(self, data: Path) -> None:
        """The clears of each call, beside what its journal says was heard."""
        if not self._barges:
            return
        told = {}
        for file in data.glob("runtime/artifacts/**/events.jsonl.gz"):
            with gzip.open(file, "rt") as lines:
                events = [json.loads(line) for line in lines]
            name = next(
                (e["data"]["variables"].get("caller") for e in events if e["kind"] == "CallStarted"), None
            )
            told[name] = _cut(events)
        for caller in self.callers:
            cut, clears = told.get(str(caller.number), []), [played for _, played in caller.clears]
            # Who hangs up while a reply plays gets no clear for it.
            if len(clears) <= len(cut) <= len(clears) + 1:
                both = zip(cut, clears, strict=False)
                self.off_ms += [1000 * (said - played) / RATE_HZ for said, played in both]
            else:
                self.unmatched += 1

    def figures(self) -> dict[str, float]:
        """Beyond those of providers.Load."""
        row: dict[str, float] = {"ear_underruns": sum(caller.ear.underruns for caller in self.callers)}
        if self._barges:
            clears = [1000 * each for caller in self.callers for each in caller.clear_s()]
            told = [each for each in clears if each < math.inf]
            row |= {
                f"clear_ms_p{share}": round(percentile(told or [math.nan], share), 1) for share in (50, 95)
            }
            row["clear_ms_max"] = round(max(told, default=math.nan), 1)
            row["barge_ins"], row["missed"] = len(clears), len(clears) - len(told)
            sizes = [abs(off) for off in self.off_ms] or [math.nan]
            row |= {f"off_ms_p{share}": round(percentile(sizes, share), 1) for share in (50, 95)}
            row["off_ms_max"] = round(max(sizes), 1)
            row["off_mean_ms"] = round(statistics.fmean(self.off_ms or [math.nan]), 2)
            row["cleared"], row["unmatched"] = len(self.off_ms), self.unmatched
        return row


def _cut(events: Sequence[Mapping[str, Any]]) -> list[int]:
    """How much of each reply was heard when it was cut off while it played, since it began or went on."""
    found: list[int] = []
    since, state = 0, "idle"
    for event in events:
        kind, position = event["kind"], event.get("data", {}).get("position", 0)
        if kind == "PlayoutStarted":
            since, state = 0, "playing"
        elif kind == "PlayoutResumed":
            since, state = position if state == "paused" else since, "playing"
        elif kind == "PlayoutPaused" or (kind == "PlayoutDropped" and state == "playing"):
            found.append(position - since)
            state = "paused" if kind == "PlayoutPaused" else "idle"
        elif kind in ("PlayoutStarved", "PlayoutFinished", "PlayoutDropped"):
            state = "idle"
    return found


# --- media alone -----------------------------------------------------------------------------------------------------


def _speech(seconds: float) -> bytes:
    """Something with syllables and pauses: PCM16."""
    t = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    envelope = np.clip(np.sin(2 * np.pi * 3 * t), 0, 1) * (np.sin(2 * np.pi * 0.4 * t) > -0.3)
    pcm: bytes = (
        (buzz * envelope * 4000 + np.random.default_rng(1).normal(0, 20, t.size)).astype("<i2").tobytes()
    )
    return pcm


async def serve_media() -> None:
    """The media port with nobody behind it but replies. Prints its address as one JSON line."""
    import gc

    from aywa.adapters.local.silero import SileroVad
    from aywa.adapters.transports.equipment.codec import Handshake, Started
    from aywa.adapters.transports.equipment.sockets import EquipmentSockets
    from aywa.adapters.transports.equipment.streams import Streams as All
    from aywa.adapters.transports.equipment.twilio import DIALECTS
    from aywa.adapters.transports.websocket import MEDIA, Refusal, WebSocketTransport
    from aywa.boot import models
    from aywa.boot.runtime import GC_THRESHOLDS
    from aywa.core.events import LegConnected, MediaEvent, PlayoutFinished
    from aywa.media.plane import Plane
    from aywa.ports.media import AudioFormat, Finish, LegPlan, Play

    loop = asyncio.get_running_loop()
    file = models.require(["silero"]) / "silero" / "silero_vad.onnx"
    plane = Plane(loop, {RATE_HZ: SileroVad(file, RATE_HZ)})
    reply = _speech(REPLY_S)
    replies: dict[str, int] = {}

    def speak(leg_id: str) -> None:
        replies[leg_id] = replies.get(leg_id, 0) + 1
        plane.send(Play(leg_id, replies[leg_id], reply))
        plane.send(Finish(leg_id, replies[leg_id]))

    def post(event: MediaEvent) -> None:
        if isinstance(event, PlayoutFinished | LegConnected):
            loop.call_later(PAUSE_S, speak, event.leg_id)

    class Door:
        async def open(self, handshake: Handshake, started: Started) -> LegPlan:
            return LegPlan(started.call_id, AudioFormat.MULAW, RATE_HZ, loop.time(), post)

        def gave_up(self, call_id: str) -> None:
            """Nobody minds."""

    streams = All(plane, Door())
    transport = WebSocketTransport(
        plane,
        lambda path, query, headers: Refusal(404, {}),
        None,
        {MEDIA: EquipmentSockets(streams, DIALECTS, lambda _: True)},
    )
    port = await transport.start("127.0.0.1", 0)
    answer({"media": f"ws://127.0.0.1:{port}"})
    while await loop.run_in_executor(None, sys.stdin.readline):
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        answer({"replies": sum(replies.values())})
    await plane.close()
    await transport.close()


async def media_alone(calls: int, options: argparse.Namespace) -> dict[str, float]:
    """So many streams, each in full duplex."""
    pcm = _speech(10)
    from aywa.core.audio.g711 import pcm_to_mulaw

    mulaw = pcm_to_mulaw(pcm)
    frames = tuple(mulaw[at : at + FRAME] for at in range(0, len(mulaw), FRAME))
    async with program(
        __file__, "--serve-media", "1", core=options.cores[-1], profile=options.profile
    ) as runtime:
        callers = [Talker([Sentence(frames, 0, ())], 1, 0.0, number=number) for number in range(calls)]
        for caller in callers:
            await ws_connect(lambda caller=caller: caller, f"{runtime.said['media']}/media/twilio/x")
            await asyncio.sleep(0.01)
        ticking = asyncio.create_task(providers._tick(callers))
        await asyncio.sleep(3)
        begun = await runtime.ask()
        dry = sum(caller.ear.underruns for caller in callers)
        used_s, own_s, wall_s = cpu_s(runtime.pid), time.process_time(), time.perf_counter()
        await asyncio.sleep(MEDIA_S)
        took_s = time.perf_counter() - wall_s
        row = {
            "cpu": round(100 * (cpu_s(runtime.pid) - used_s) / took_s, 1),
            "rig_cpu": round(100 * (time.process_time() - own_s) / took_s, 1),
            "ear_underruns": sum(caller.ear.underruns for caller in callers) - dry,
            "replies": (await runtime.ask())["replies"] - begun["replies"],
            "gone": sum(caller.gone for caller in callers),
        }
        ticking.cancel()
        for caller in callers:
            caller.disconnect()
        await asyncio.sleep(0.5)
    return row


@dataclass(slots=True)
class Talker(TwilioCaller):
    """Speaks without end."""

    _frame: int = 0

    def tick(self) -> None:
        """Sends a frame."""
        if not self.gone and self.transport is not None:
            frames = self.sentences[0].frames
            self.send(WSMsgType.TEXT, frames[self._frame % len(frames)])
            self._frame += 1


# --- all loads -------------------------------------------------------------------------------------------------------


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """All loads."""
    wanted = options.only.split(",") if options.only else list(LOADS)
    sentences = providers.spoken() if any("media" not in label for label in wanted) else []
    figures: dict[str, Any] = {"samples": {}}
    alone_mb = 0.0
    for label in wanted:
        name, _, kind = label.partition("_")
        if kind == "media":
            row = await media_alone(int(name), options)
            samples = int(row["replies"])
        else:
            line = Streams(barges=kind == "barge")
            turns = options.turns or LOADS.get(label, 7)
            load = await providers.measure(int(name), turns, sentences, options, line=line)
            alone_mb = load.rss_mb if name == "1" else alone_mb
            row = load.figures(int(name), alone_mb or load.rss_mb) | line.figures()
            samples = int(row.get("barge_ins", len(load.added_ms)))
        for figure, value in row.items():
            figures[f"{figure}_{label}"] = value
            figures["samples"][f"{figure}_{label}"] = samples
        shown = "  ".join(f"{figure} {value:g}" for figure, value in row.items())
        sys.stderr.write(f"{label}: {samples} samples: {shown}\n")
    return figures


def main() -> None:
    """The benchmark; its processes are its own and those of bench/providers.py."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--only", default="", help=f"loads, such as {','.join(LOADS)}")
    parser.add_argument("--turns", type=int, default=0, help="of each call, instead of the usual number")
    parser.add_argument("--jitter", type=float, default=0.0, help="share by which model and voice are off")
    parser.add_argument("--profile", default="", help="where the runtime's profile is to be written")
    for name in ("core", "serve-media"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.cores = sorted(os.sched_getaffinity(0)) if options.core is None else [int(options.core)]
    os.sched_setaffinity(0, options.cores[:1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(KeyboardInterrupt):
        if options.serve_media:
            runner.run(serve_media())
        else:
            sys.stdout.write(json.dumps(runner.run(run(options))) + "\n")


if __name__ == "__main__":
    main()
