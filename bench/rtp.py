"""What RTP calls cost and how evenly they leave: G.711 in full duplex over real sockets on loopback, with the real voice
detector and recording.

The far side is another process, which sends each call's packets on a beat of its own, takes what comes, and dates it by
the kernel's clock: its own delays are not in the figures. Replies are short, so that many first packets are measured:
from the moment in which the reply's audio is given to the media plane to the packet's arrival. The last line on stdout is
one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import select
import shutil
import socket
import struct
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import numpy as np
import uvloop

from aywa.adapters.local.silero import SileroVad
from aywa.adapters.models.cache import models_dir
from aywa.boot.phone_settings import NORMAL, REALTIME
from aywa.boot.runtime import GC_THRESHOLDS
from aywa.core.audio.frame import FRAME_S, Floats
from aywa.core.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from aywa.core.events import MediaEvent, PlayoutFinished
from aywa.core.rtp.plan import Address, Codec, StreamPlan
from aywa.media.apart.edge import ApartEdge
from aywa.media.apart.leg import ApartLeg
from aywa.media.apart.plane import JoinedPlane
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.leg import RtpLeg
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.media import AudioFormat, Finish, LegPlan, Play
from aywa.ports.vad import Vad

HOST = "127.0.0.1"
RATE_HZ = 8000
FRAME = 160
# The far side's beat: every call has its own millisecond of the twenty.
BEATS = 20
REPLY_S = 2.0
PAUSE_S = 0.3
# linux/socket.h; not named by Python.
SO_TIMESTAMPNS = 35
GAP_S = 0.06


def _speech(seconds: float) -> bytes:
    """Something with syllables and pauses: a buzz, three times a second, with a breath now and then."""
    t = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    envelope = np.clip(np.sin(2 * np.pi * 3 * t), 0, 1) * (np.sin(2 * np.pi * 0.4 * t) > -0.3)
    pcm: bytes = (
        (buzz * envelope * 4000 + np.random.default_rng(1).normal(0, 20, t.size)).astype("<i2").tobytes()
    )
    return pcm


# --- the far side, in its own process ----------------------------------------------------------------------------


class _Phones:
    """All far ends. heard: per call, (arrival in ns of the wall clock, sequence number, marked)."""

    def __init__(self, calls: int) -> None:
        self.sockets: list[socket.socket] = []
        self.heard: list[list[tuple[int, int, bool]]] = [[] for _ in range(calls)]
        self._epoll = select.epoll()
        self._number: dict[int, int] = {}
        for number in range(calls):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.bind((HOST, 0))
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._epoll.register(opened.fileno(), select.EPOLLIN)
            self._number[opened.fileno()] = number
            self.sockets.append(opened)

    def ports(self) -> list[int]:
        return [opened.getsockname()[1] for opened in self.sockets]

    def take(self) -> None:
        """All that has come."""
        while ready := self._epoll.poll(0, 512):
            for descriptor, _ in ready:
                number = self._number[descriptor]
                data, extra, _, _ = self.sockets[number].recvmsg(512, 64)
                seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
                _, second, sequence = struct.unpack_from("!BBH", data)
                self.heard[number].append((seconds * 10**9 + nanoseconds, sequence, second >= 0x80))

    def speak(self, targets: list[int], pipe: Pipe) -> None:
        """Sends on the beat until the pipe says that it is enough."""
        mulaw = pcm_to_mulaw(_speech(10))
        frames = [mulaw[at : at + FRAME] for at in range(0, len(mulaw), FRAME)]
        turn, next_s = 0, time.monotonic()
        groups = [list(range(beat, len(targets), BEATS)) for beat in range(BEATS)]
        while not pipe.poll():
            beat, packet = turn % BEATS, turn // BEATS
            payload = frames[packet % len(frames)]
            for number in groups[beat]:
                header = struct.pack("!BBHII", 0x80, 0, packet & 0xFFFF, packet * FRAME, number)
                self.sockets[number].sendto(header + payload, (HOST, targets[number]))
            turn += 1
            next_s += FRAME_S / BEATS
            self.take()
            time.sleep(max(0.0, next_s - time.monotonic()))


def _far_side(calls: int, pipe: Pipe) -> None:
    phones = _Phones(calls)
    pipe.send(phones.ports())
    targets = pipe.recv()
    phones.speak(targets, pipe)
    pipe.recv()
    phones.take()
    pipe.send(phones.heard)


# --- the runtime's side ------------------------------------------------------------------------------------------


class _Silent:
    """Signalling that has nothing to say."""

    def hang_up(self, reason: str) -> None:
        """The bench ends its calls itself."""

    def media_lost(self, detail: str) -> None:
        raise AssertionError(detail)

    def send_keys(self, digits: str) -> bool:
        return False


@dataclass
class _Agent:
    """Says reply after reply on one leg. ready: when the audio of each was given to the plane, ns of the wall clock."""

    plane: Plane | JoinedPlane
    leg_id: str
    reply: bytes
    loop: asyncio.AbstractEventLoop
    ready: list[int] = field(default_factory=list)
    running: bool = True

    def speak(self) -> None:
        if not self.running:
            return
        number = len(self.ready) + 1
        self.ready.append(time.time_ns())
        self.plane.send(Play(self.leg_id, number, self.reply))
        self.plane.send(Finish(self.leg_id, number))

    def post(self, event: MediaEvent) -> None:
        if isinstance(event, PlayoutFinished):
            self.loop.call_later(PAUSE_S, self.speak)


def _pacing_ms(heard: list[list[tuple[int, int, bool]]], since_ns: int) -> tuple[list[float], int]:
    """How much later than its talkspurt's even beat each packet came, and how many gaps there were."""
    late: list[float] = []
    gaps = 0
    for call in heard:
        spurt: list[int] = []
        for at_ns, _, marked in [*call, (0, 0, True)]:
            if marked:
                # The first may leave off the beat; the silence after a reply waits for its own.
                body = np.array(spurt[1 : int(REPLY_S / FRAME_S)], np.float64) / 1e9
                if len(body) > 10 and spurt[0] > since_ns:
                    beat = body - FRAME_S * np.arange(len(body))
                    late += list((beat - np.median(beat)) * 1000)
                    gaps += int((np.diff(body) > GAP_S).sum())
                spurt = []
            spurt.append(at_ns)
    return late, gaps


def _first_ms(agents: list[_Agent], heard: list[list[tuple[int, int, bool]]], since_ns: int) -> list[float]:
    """From each reply's audio to the next marked packet's arrival."""
    waits: list[float] = []
    for agent, call in zip(agents, heard, strict=True):
        marks = [at_ns for at_ns, _, marked in call if marked]
        for ready in agent.ready:
            after = [at_ns for at_ns in marks if at_ns >= ready]
            if ready > since_ns and after:
                waits.append((after[0] - ready) / 1e6)
    return waits


def _lost(heard: list[list[tuple[int, int, bool]]]) -> int:
    return sum(
        int(((np.diff([sequence for _, sequence, _ in call]) - 1) & 0xFFFF).sum()) for call in heard if call
    )


@dataclass(frozen=True)
class _Apart:
    """So many media processes. model: the voice detector's."""

    processes: int
    model: Path
    priority: str

    def command(self, settings: RtpSettings) -> tuple[str, ...]:
        plan = {"silero": str(self.model), "rtp": asdict(settings), "priority": self.priority}
        return (sys.executable, "-m", "aywa.boot.media_process", json.dumps(plan))


def _cpu_s(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    calls: int,
    seconds: float,
    vads: dict[int, Vad],
    folder: Path | None,
    apart: _Apart | None = None,
    *,
    tones: bool = False,
) -> dict[str, float | int | str]:
    """Runs so many calls for so long. folder: where to record, or None. apart: in media processes.
    tones: the far side has no telephone events, so keys are looked for in its sound."""
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_far_side, args=(calls, theirs), daemon=True)
    process.start()
    ports: list[int] = await asyncio.to_thread(pipe.recv)
    here = Plane(loop, vads)
    plane: Plane | JoinedPlane = here
    edge: RtpEdge | ApartEdge
    settings = RtpSettings(first_port=20_000, last_port=20_000 + 2 * calls + 199)
    if apart is None:
        edge = RtpEdge(loop, here, settings)
    else:
        edge = ApartEdge(loop, apart.command(settings), apart.processes, settings)
        plane = JoinedPlane(here, edge)
        edge.start()
        await edge.ready()
    reply = _speech(REPLY_S)
    agents: list[_Agent] = []
    legs: list[RtpLeg | ApartLeg] = []
    targets: list[int] = []
    for number, port in enumerate(ports):
        agent = _Agent(plane, f"leg{number}", reply, loop)
        events = None if tones else 101
        plan = StreamPlan(
            Codec.PCMU, 0, {0: Codec.PCMU},
            remote=Address(HOST, port), dtmf_type=events, dtmf_receive_type=events,
        )  # fmt: skip
        recording = None if folder is None else str(folder / f"{number}.wav")
        leg_plan = LegPlan(agent.leg_id, AudioFormat.MULAW, RATE_HZ, loop.time(), agent.post, recording)
        pair = edge.reserve(HOST)
        targets.append(pair.port)
        legs.append(edge.open(pair, plan, leg_plan, _Silent()))
        agents.append(agent)
    pipe.send(targets)
    for agent in agents:
        await asyncio.sleep((REPLY_S + PAUSE_S) / calls)
        agent.speak()
    await asyncio.sleep(1)
    # As the runtime does when it is ready.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    workers = edge.processes if isinstance(edge, ApartEdge) else []
    since_ns, before, wall = time.time_ns(), time.process_time(), time.perf_counter()
    apart_before = sum(_cpu_s(worker.pid) for worker in workers)
    await asyncio.sleep(seconds)
    took = time.perf_counter() - wall
    brain = (time.process_time() - before) / took
    media = (sum(_cpu_s(worker.pid) for worker in workers) - apart_before) / took
    cpu = brain + media
    for agent in agents:
        agent.running = False
    reports = [report for leg in legs if (report := leg.report()) is not None]
    received, missing = (sum(getattr(report, name) for report in reports) for name in ("received", "lost"))
    pipe.send("enough")
    pipe.send("enough")
    heard: list[list[tuple[int, int, bool]]] = await asyncio.to_thread(pipe.recv)
    await plane.close()
    if isinstance(edge, RtpEdge):
        edge.close()
    process.join()
    late, gaps = _pacing_ms(heard, since_ns)
    first = _first_ms(agents, heard, since_ns)
    return {
        "calls": calls,
        "recording": int(folder is not None),
        "processes": len(workers),
        "cpu_percent": round(cpu * 100, 1),
        "cpu_percent_brain": round(brain * 100, 1),
        "cpu_percent_per_call": round(cpu / calls * 100, 4),
        **_percentiles("pacing", np.abs(late)),
        **_percentiles("first_packet", first),
        "gaps": gaps,
        "packets": len(late),
        "replies": len(first),
        "received": received,
        "lost_in": missing,
        "lost_out": _lost(heard),
    }


class _Bare:
    """What no runtime can do without: each call's packets read, its windows scored, its packets sent; and nothing else. No
    numbers are looked at, nothing is decided, recorded, counted or told. It shows what a machine leaves for the rest."""

    def __init__(self, targets: list[int], vad: Vad) -> None:
        self.sockets: list[socket.socket] = []
        self.received = 0
        self._vad = vad
        self._rows = [vad.open() for _ in targets]
        self._audio = [b"" for _ in targets]
        self._epoll = select.epoll()
        self._number: dict[int, int] = {}
        self._addresses = [(HOST, port) for port in targets]
        self._packet = bytes(12 + FRAME)
        for number in range(len(targets)):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.bind((HOST, 0))
            opened.setblocking(False)
            self._epoll.register(opened.fileno(), select.EPOLLIN)
            self._number[opened.fileno()] = number
            self.sockets.append(opened)

    def close(self) -> None:
        self._epoll.close()
        for opened, row in zip(self.sockets, self._rows, strict=True):
            opened.close()
            self._vad.close(row)

    def run(self, seconds: float) -> float:
        """The share of a core that it takes."""
        slots = [list(range(slot, len(self.sockets), 4)) for slot in range(4)]
        began, before = time.monotonic(), time.process_time()
        turn = 0
        while (now := time.monotonic()) - began < seconds:
            for number in slots[turn % 4]:
                self.sockets[number].sendto(self._packet, self._addresses[number])
            self._read()
            if turn % 4 == 0:
                self._score()
            turn += 1
            time.sleep(max(0.0, began + turn * FRAME_S / 4 - now))
        return (time.process_time() - before) / (time.monotonic() - began)

    def _read(self) -> None:
        while ready := self._epoll.poll(0, 1024):
            for descriptor, _ in ready:
                number = self._number[descriptor]
                data, _source = self.sockets[number].recvfrom(512)
                self._audio[number] += mulaw_to_pcm(data[12:])
                self.received += 1

    def _score(self) -> None:
        size = 2 * self._vad.window_samples
        due = [number for number, audio in enumerate(self._audio) if len(audio) >= size]
        for at in range(0, len(due), 64):
            some = due[at : at + 64]
            windows = np.frombuffer(b"".join(self._audio[number][:size] for number in some), "<i2")
            batch: Floats = windows.reshape(len(some), -1).astype(np.float32) / np.float32(32768)
            self._vad.score([self._rows[number] for number in some], batch)
        for number in due:
            self._audio[number] = self._audio[number][size:]


def bare(calls: int, seconds: float, vad: Vad) -> dict[str, float | int | str]:
    """The floor of this machine: see _Bare."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_far_side, args=(calls, theirs), daemon=True)
    process.start()
    loop = _Bare(pipe.recv(), vad)
    pipe.send([opened.getsockname()[1] for opened in loop.sockets])
    _ = loop.run(2.0)
    cpu = loop.run(seconds)
    pipe.send("enough")
    pipe.send("enough")
    pipe.recv()
    process.join()
    loop.close()
    return {"calls": calls, "cpu_percent": round(cpu * 100, 1), "received": loop.received}


def _percentiles(name: str, values: object) -> dict[str, float]:
    shares = np.percentile(np.asarray(values), [50, 99, 99.9])
    return {
        f"{name}_p{share}_ms": round(float(value), 3)
        for share, value in zip((50, 99, 999), shares, strict=True)
    }


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=models_dir() / "silero" / "silero_vad.onnx")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--calls", type=int, nargs="+", default=[400])
    parser.add_argument("--priority", type=int, default=-15, help="niceness; needs the right to it")
    parser.add_argument("--processes", type=int, default=0, help="media processes beside this one; 0: none")
    parser.add_argument("--only", choices=("recorded", "unrecorded", "bare"))
    parser.add_argument("--tones", action="store_true", help="phones without telephone events (RFC 4733)")
    arguments = parser.parse_args()
    vads: dict[int, Vad] = {RATE_HZ: SileroVad(arguments.model, RATE_HZ)}
    try:
        os.setpriority(os.PRIO_PROCESS, 0, arguments.priority)
    except PermissionError:
        print("no right to a higher priority (CAP_SYS_NICE): pacing will suffer", flush=True)
    apart = None
    if arguments.processes:
        priority = REALTIME if arguments.priority < 0 else NORMAL
        apart = _Apart(arguments.processes, arguments.model, priority)
    rows: dict[str, dict[str, float | int | str]] = {}
    if arguments.only in (None, "bare"):
        for calls in arguments.calls:
            rows[f"bare_{calls}"] = bare(calls, arguments.seconds, vads[RATE_HZ])
            print(rows[f"bare_{calls}"], flush=True)
    for name in ("recorded", "unrecorded"):
        if arguments.only not in (None, name):
            continue
        for calls in arguments.calls:
            folder = Path(tempfile.mkdtemp(prefix="aywa-bench-")) if name == "recorded" else None
            try:
                row = uvloop.run(
                    measure(calls, arguments.seconds, vads, folder, apart, tones=arguments.tones)
                )
            finally:
                if folder is not None:
                    shutil.rmtree(folder)
            print(row, flush=True)
            rows[f"{name}_{calls}"] = row
    samples = {
        f"{name}.{figure}": row.get("replies" if figure.startswith("first") else "packets", 1)
        for name, row in rows.items()
        for figure in row
    }
    print(json.dumps({**rows, "samples": samples}))


if __name__ == "__main__":
    main()
