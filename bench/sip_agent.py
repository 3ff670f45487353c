"""The whole product on one core over the telephone, with the named vendors' wires: bench/providers.py with its processes, its
vendors, its sentences and its clock, but the calls come in by SIP and are G.711 over RTP, a socket for each.

A caller is the softphone of aywa.testing (its own SIP and RTP, nothing shared with the runtime's). Every figure of
bench/providers.py has the same meaning, wire to wire: the turn begins with the packet of the last voiced frame and ends with the
first packet that is not silence (the runtime's stream goes on between replies: 0xFF, which no reply is full of). premature,
unanswered, underruns as there; refused: calls that were not answered by 200.

N_barge: N calls that speak into every reply, AFTER_S after they heard it begin: stop_ms from their first voiced packet (within
VOICE_DBFS of providers.py) to the arrival of the last packet of that reply: the last one that is no silence before QUIET_S of
nothing else. missed: barge-ins after which the reply went on for MISSED_S.

N_capture: besides, dumpcap (tshark's own) keeps every RTP packet of the loopback with the kernel's times. off_ms: the turn's
latency as the journal has it (RecordTurn) minus that in the capture, from the last audible frame (within AUDIBLE_DB of the
sentence's loudest one, as tests/media/test_voice_dating.py dates human speech) to the first packet that is no silence; off_ms_p50
and _p95 of its size, off_mean_ms with its sign. unmatched: turns that only one of them has.

N_two: N calls shared by two runtimes on the same core; two_workers_by_one: what the calls cost there, by what they cost in one.

Prints {"p50_ms_120", "p95_ms_120", "cpu_120", "underruns_120", ... "stop_ms_p95_20_barge", "off_ms_p50_120_capture", "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import math
import os
import re
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import uvloop
from picows import WSMsgType

from aywa.core.audio.frame import to_float
from aywa.core.audio.g711 import mulaw_to_pcm
from aywa.core.audio.level import rms
from aywa.testing.softphone.message import PCMU
from aywa.testing.softphone.phone import Phone, Setup
from aywa.testing.softphone.rtp import Rtp
from bench import providers
from bench.processes import percentile
from bench.providers import FIRST_TURN_S, SILENCE, TURN_S, VOICE_DBFS, Caller, Sentence, assistant

HOST = "127.0.0.1"
LOADS = {"1": 20, "50": 7, "120": 7, "120_two": 7, "150_capture": 7, "20_barge": 15}
WORKERS = {"two": 2}
"""Runtimes that share the core, and the calls."""
MEDIA_PORTS = (10_000, 10_999)
"""What PhoneSettings has."""
AFTER_S = (0.5, 0.62, 0.75, 0.88, 1.01, 1.14, 1.27)
QUIET_S = 0.3
MISSED_S = 1.0
AUDIBLE_DB = 40.0
DUMPCAP = "dumpcap"
SNAP_BYTES = 256
PATIENCE_S = 2.0


class Wire(Rtp):
    """The softphone's RTP without its counting: with a hundred calls the callers' core has other work."""

    came: Callable[[], None]

    def _came(self, data: bytes, age_s: float) -> None:
        if data[12:] != SILENCE and data[1] & 0x7F == PCMU:
            self.came()

    def send(self, kind: WSMsgType, frame: bytes, /) -> None:
        """A frame for the far side."""
        self._timestamp += len(frame)
        self._send(PCMU, frame, timestamp=self._timestamp)

    def disconnect(self) -> None:
        """The phone hangs up."""


@dataclass(slots=True)
class PhoneCaller(Caller):
    """barges: speaks into every reply. arrivals: of packets that are no silence."""

    barges: bool = False
    arrivals: list[float] = field(default_factory=list)

    def heard(self) -> None:
        """A packet of a reply."""
        now = time.perf_counter()
        self.arrivals.append(now)
        if self.barges and self.turns and now - self.last_frame_s < QUIET_S:
            # Still the one that was spoken into.
            self.last_frame_s = now
            return
        Caller.heard(self)

    def _is_over(self, now: float) -> bool:
        if self.barges and self.turns and self._at < 0 and self.turns[-1].heard_s < math.inf:
            return now >= self.turns[-1].heard_s + AFTER_S[len(self.turns) % len(AFTER_S)]
        return Caller._is_over(self, now)

    def stops_s(self) -> list[float]:
        """From each barge-in's first voiced packet to the last of the reply."""
        found: list[float] = []
        arrivals = np.array(self.arrivals)
        for before, turn, number in zip(self.turns, self.turns[1:], range(1, len(self.turns)), strict=False):
            if before.heard_s == math.inf:
                continue
            sentence = self.sentences[number % len(self.sentences)]
            voiced_s = turn.begins_s + providers.FRAME_S * first_voiced(sentence)
            after = arrivals[arrivals >= voiced_s - QUIET_S]
            pauses = np.flatnonzero(np.diff(after, append=math.inf) >= QUIET_S)
            last_s = float(after[pauses[0]]) if len(after) else voiced_s
            found.append(max(0.0, last_s - voiced_s))
        return found


def first_voiced(sentence: Sentence) -> int:
    """Its first frame with voice."""
    for number, frame in enumerate(sentence.frames):
        pcm = np.frombuffer(mulaw_to_pcm(frame), "<i2").astype(np.float32)
        if float(np.sqrt(np.mean(pcm**2))) >= 32768 * 10 ** (VOICE_DBFS / 20):
            return number
    return 0


class Telephones:
    """providers.Line of softphones. off_ms: what was reported minus what was captured, of each turn; unmatched: how many had no
    partner."""

    def __init__(self, options: argparse.Namespace, *, barges: bool = False, captures: bool = False) -> None:
        self._options = options
        self._barges = barges
        self._captures = captures
        self._stack = AsyncExitStack()
        self._phones: list[Phone] = []
        self.callers: list[PhoneCaller] = []
        self.refused = 0
        self.off_ms: list[float] = []
        self.unmatched = 0
        self._flows: dict[str, tuple[int, int]] = {}
        self._sip_ids: dict[str, str] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="aywa-bench-"))
        self._dumpcap: asyncio.subprocess.Process | None = None

    async def place(
        self,
        http: aiohttp.ClientSession,
        runtime: Mapping[str, Any],
        calls: int,
        turns: int,
        sentences: Sequence[Sentence],
    ) -> list[Caller]:
        """As the protocol says."""
        port = runtime["sip_port"]
        made = await providers.ask(http, runtime, "/assistant", assistant())
        number = {
            "provider": "vapi",
            "name": "bench",
            "assistantId": made["id"],
            "sipUri": f"sip:bench@{HOST}:{port}",
        }
        await providers.ask(http, runtime, "/phone-number", number)
        if self._captures:
            await self._capture()
        begin_s = time.perf_counter() + FIRST_TURN_S + 0.05 * calls
        for at in range(calls):
            caller = PhoneCaller(sentences, turns, begin_s + at / calls * TURN_S, barges=self._barges)
            await self._dial(f"sip:bench@{HOST}:{port}", len(self.callers), caller)
            self.callers.append(caller)
        return list(self.callers[-calls:])

    async def _dial(self, uri: str, number: int, caller: PhoneCaller) -> None:
        phone = await self._stack.enter_async_context(
            Phone(Setup(user=f"caller{number}", payloads=(PCMU,), seed=number), lambda pcm: None)
        )
        phone.audio.close()
        made = await Wire.open(HOST, lambda pcm: None, phone._chance.getrandbits)
        made.came = caller.heard
        phone.audio = made
        if not await phone.dial(uri):
            self.refused += 1
            caller.gone = True
            return
        self._phones.append(phone)
        caller.transport = made
        if phone.dialog is not None and made.far is not None:
            self._flows[phone.dialog.call_id] = (made.local[1], made.far.port)

    async def _capture(self) -> None:
        """Keeps what passes over the loopback from now on."""
        first, last = MEDIA_PORTS
        self._dumpcap = await asyncio.create_subprocess_exec(
            DUMPCAP, "-i", "lo", "-P", "-q", "-B", "64", "-s", str(SNAP_BYTES), "-f", f"udp portrange {first}-{last}",
            "-w", str(self._folder / "rtp.pcap"), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._dumpcap.stderr is not None
        # It says so when it listens.
        while b"File:" not in (line := await self._dumpcap.stderr.readline()):
            if not line:
                raise SystemExit("dumpcap cannot capture here (it needs the right to)")

    async def hang_up(self, http: aiohttp.ClientSession, runtime: Mapping[str, Any]) -> None:
        """As the protocol says."""
        headers = {"Authorization": f"Bearer {runtime['key']}"}
        async with http.get(runtime["url"] + "/call?limit=1000", headers=headers) as response:
            for call in await response.json():
                self._sip_ids[str(call["id"])] = str(call.get("phoneCallProviderId"))
        await asyncio.gather(*(phone.hang_up() for phone in self._phones))
        await self._stack.aclose()
        if self._dumpcap is not None:
            self._dumpcap.send_signal(signal.SIGINT)
            await self._dumpcap.wait()

    def read(self, data: Path) -> None:
        """As the protocol says."""
        if self._captures:
            measured = captured(
                self._folder / "rtp.pcap", {frame for s in last_frames(self.callers) for frame in s}
            )
            for call_id, sip_id in self._sip_ids.items():
                wire = measured.get(self._flows.get(sip_id, (0, 0)), [])
                self._compare(reported(data / "runtime" / "artifacts", call_id), wire)
        shutil.rmtree(self._folder)

    def _compare(self, told: list[tuple[float, float]], wire: list[tuple[float, float]]) -> None:
        """Turns of one call, (when the reply began by the wall clock, latency in ms): those that began together are one."""
        left = list(wire)
        for began_s, latency_ms in told:
            near = min(left, key=lambda turn: abs(turn[0] - began_s), default=None)
            if near is None or abs(near[0] - began_s) > PATIENCE_S:
                self.unmatched += 1
                continue
            left.remove(near)
            self.off_ms.append(latency_ms - near[1])
        self.unmatched += len(left)

    def figures(self) -> dict[str, float]:
        """Beyond those of providers.Load."""
        row: dict[str, float] = {"refused": self.refused}
        if self._barges:
            stops = [1000 * stop for caller in self.callers for stop in caller.stops_s()]
            row |= {
                f"stop_ms_p{share}": round(percentile(stops or [math.nan], share), 1) for share in (50, 95)
            }
            row["stop_ms_max"] = round(max(stops, default=math.nan), 1)
            row["barge_ins"], row["missed"] = len(stops), sum(stop > 1000 * MISSED_S for stop in stops)
        if self._captures:
            sizes = [abs(off) for off in self.off_ms] or [math.nan]
            row |= {f"off_ms_p{share}": round(percentile(sizes, share), 1) for share in (50, 95)}
            row["off_ms_max"] = round(max(sizes), 1)
            row["off_mean_ms"] = round(statistics.fmean(self.off_ms or [math.nan]), 2)
            row["matched"], row["unmatched"] = len(self.off_ms), self.unmatched
        return row


def last_frames(callers: Sequence[Caller]) -> list[list[bytes]]:
    """The last audible frame of every sentence."""
    return [[last_audible(sentence.frames) for sentence in caller.sentences] for caller in callers[:1]]


def last_audible(frames: Sequence[bytes]) -> bytes:
    """The last one within AUDIBLE_DB of the loudest."""
    levels = [rms(to_float(mulaw_to_pcm(frame))) for frame in frames]
    least = max(levels) * 10 ** (-AUDIBLE_DB / 20)
    return next(
        frame for frame, level in zip(reversed(frames), reversed(levels), strict=True) if level >= least
    )


def captured(file: Path, lasts: set[bytes]) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """By the two ports of a call, the caller's first: (when the reply's first packet left, ms since the last voiced one)."""
    found: dict[tuple[int, int], list[tuple[float, float]]] = {}
    voiced_s: dict[tuple[int, int], float] = {}
    data = file.read_bytes()
    # Thousandths or millionths of a millisecond, by the mark at the beginning.
    unit_s = 1e-9 if struct.unpack_from("<I", data)[0] == 0xA1B23C4D else 1e-6
    at = 24
    first, last = MEDIA_PORTS
    while at + 16 <= len(data):
        seconds, part, kept, _ = struct.unpack_from("<IIII", data, at)
        packet = data[at + 16 : at + 16 + kept]
        at += 16 + kept
        # Ethernet, IPv4 without options, UDP, RTP without extensions: the loopback and these two sides.
        if len(packet) < 54 + len(SILENCE):
            continue
        source, target = struct.unpack_from("!HH", packet, 34)
        payload, now_s = packet[54 : 54 + len(SILENCE)], seconds + part * unit_s
        if payload == SILENCE:
            continue
        if first <= target <= last:
            if payload in lasts:
                voiced_s[source, target] = now_s
        elif (before_s := voiced_s.pop((target, source), None)) is not None:
            found.setdefault((target, source), []).append((now_s, 1000 * (now_s - before_s)))
    return found


def reported(artifacts: Path, call_id: str) -> list[tuple[float, float]]:
    """The call's turns by its journal: (when the reply began by the wall clock, latency in ms)."""
    turns: list[tuple[float, float]] = []
    epoch_s = 0.0
    for file in artifacts.glob(f"**/{call_id}/events.jsonl.gz"):
        with gzip.open(file, "rt") as lines:
            for row in map(json.loads, lines):
                if row.get("kind") == "CallStarted":
                    epoch_s = row["data"]["epoch_ms"] / 1000
                elif row.get("kind") == "RecordTurn":
                    turns.append((epoch_s + row["at"], row["data"]["latency_ms"]))
    return turns


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """All loads."""
    sentences = providers.spoken()
    figures: dict[str, Any] = {"samples": {}}
    alone_mb = 0.0
    for label in options.only.split(",") if options.only else LOADS:
        name, _, kind = label.partition("_")
        line = Telephones(options, barges=kind == "barge", captures=kind == "capture")
        load = await providers.measure(
            int(name),
            options.turns or LOADS.get(label, 7),
            sentences,
            options,
            line=line,
            workers=WORKERS.get(kind, 1),
        )
        alone_mb = load.rss_mb if name == "1" else alone_mb
        row = load.figures(int(name), alone_mb or load.rss_mb) | line.figures()
        for figure, value in row.items():
            figures[f"{figure}_{label}"] = value
            figures["samples"][f"{figure}_{label}"] = int(row.get("barge_ins", len(load.added_ms)))
        shown = "  ".join(f"{figure} {value:g}" for figure, value in row.items())
        sys.stderr.write(f"{label} calls, {len(load.added_ms)} turns, {load.seconds:.0f} s: {shown}\n")
    if "cpu_120_two" in figures and "cpu_120" in figures:
        figures["two_workers_by_one"] = round(figures["cpu_120_two"] / figures["cpu_120"], 3)
        figures["samples"]["two_workers_by_one"] = figures["samples"]["cpu_120_two"]
    return figures


def main() -> None:
    """The benchmark; its processes are those of bench/providers.py."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--only", default="", help=f"loads, such as {','.join(LOADS)}")
    parser.add_argument("--turns", type=int, default=0, help="of each call, instead of the usual number")
    parser.add_argument("--jitter", type=float, default=0.0, help="share by which model and voice are off")
    parser.add_argument("--profile", default="", help="where the runtime's profile is to be written")
    options = parser.parse_args()
    if shutil.which(DUMPCAP) is None and "capture" in (options.only or "capture"):
        raise SystemExit("dumpcap is not there: apt-get install tshark")
    options.cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, options.cores[:1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(json.dumps(runner.run(run(options))) + "\n")


if __name__ == "__main__":
    main()
