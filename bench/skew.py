"""Telephones whose clocks are off: what of that shows after an hour, and after ten minutes of real time.

Two G.711 legs over real RTP sockets, joined with each other and recorded; one's clock runs 200 ppm slower than ours, the other's
200 ppm faster, and the way takes up to JITTER_S more by chance. Each talks in bursts with pauses between, and every CLICK_S there
is a click, of which it is known when it was sent. Where it lies in the recording, and when the other party hears it, is compared:
drift_ms is the difference between the latest and the earliest (the middle one of three in a row), from the tenth second on.
Without mending it would be 720 ms after an hour and 120 ms after ten minutes.

hour: on a clock that jumps. minutes: in real time (--minutes 10; it costs little, and nobody can hurry it).

Prints {"hour.slow.recorded_drift_ms", "hour.slow.heard_drift_ms", "hour.fast...", "minutes...", "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from aywa.boot.pipeline import DeafVad
from aywa.core.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from aywa.core.events import MediaEvent
from aywa.core.rtp.packet import build, is_rtcp, parse
from aywa.core.rtp.plan import Address, Codec, StreamPlan
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.media import AudioFormat, Join, LegPlan
from aywa.testing.softphone.network import Impairment, Network
from aywa.testing.virtual_time import run_virtual
from bench.impaired import Signals

PPM = 200
HOST = "127.0.0.1"
RATE_HZ = 8000
FRAME = 160
FRAME_S = 0.02
CLICK_S = 5.0
CLICK_FRAMES = round(CLICK_S / FRAME_S)
SETTLED_S = 10.0
JITTER_S = 0.01
# Talk and pause, in frames; the click falls into a pause, where nothing else is as loud.
TALK, PAUSE = 75, 25
CLICK = 30_000
LOUD = 20_000
NEAR_S = 0.5


def _frames() -> tuple[list[bytes], bytes]:
    """A period of talk and pause as G.711, and the frame with the click at its beginning."""
    t = np.arange(FRAME * TALK) / RATE_HZ
    talk = 3000 * np.sin(2 * np.pi * 180 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    floor = np.random.default_rng(1).normal(0, 8, FRAME * (TALK + PAUSE))
    pcm = (np.concatenate([talk, np.zeros(FRAME * PAUSE)]) + floor).astype("<i2").tobytes()
    mulaw = pcm_to_mulaw(pcm)
    click = np.zeros(FRAME, "<i2")
    click[:8] = CLICK
    return [mulaw[at : at + FRAME] for at in range(0, len(mulaw), FRAME)], pcm_to_mulaw(click.tobytes())


FRAMES, CLICKING = _frames()


@dataclass
class Telephone(asyncio.DatagramProtocol):
    """One far side. sent: when its clicks left, by the loop's clock. heard: where in the stream those of the other one lie; and
    began_s: when that stream's time 0 was, by the packet that was quickest."""

    ppm: int
    seed: int
    now: Callable[[], float]
    sent: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    began_s: float = float("inf")
    ticks: int = 0
    place: tuple[str, int] = ("", 0)
    target: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self.place = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        packet = None if is_rtcp(data) else parse(data)
        if packet is None or packet[0] != 0:
            return
        # Timestamps wrap, and may begin shortly before they do.
        self.ticks += (packet[3] - self.ticks + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        at_s = self.ticks / RATE_HZ
        self.began_s = min(self.began_s, self.now() - at_s)
        loud = np.flatnonzero(np.abs(np.frombuffer(mulaw_to_pcm(packet[5]), "<i2").astype(np.int32)) > LOUD)
        if len(loud):
            self.heard.append(at_s + int(loud[0]) / RATE_HZ)

    async def talk(self, seconds: float) -> None:
        """By its own clock."""
        network = Network(Impairment(jitter_s=JITTER_S, seed=self.seed))
        frame_s, start_s = FRAME_S * (1 + self.ppm / 1e6), self.now()
        for number in range(round(seconds / frame_s)):
            await asyncio.sleep(max(0.0, start_s + number * frame_s - self.now()))
            clicks = number % CLICK_FRAMES == CLICK_FRAMES - 1
            if clicks:
                self.sent.append(self.now())
            payload = CLICKING if clicks else FRAMES[number % (TALK + PAUSE)]
            data = build(0, False, number & 0xFFFF, number * FRAME, self.seed, payload)
            network.carry(lambda data=data: self._transport.sendto(data, self.target))  # type: ignore[misc]
        await asyncio.sleep(1.0)
        network.close()

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()


def _recorded(file: str, started_s: float, sent: list[float]) -> list[float]:
    """How much later than it was sent each click lies in the recording's left channel."""
    with wave.open(file) as opened:
        left = np.frombuffer(opened.readframes(opened.getnframes()), "<i2").reshape(-1, 2)[:, 0]
    found = []
    for at_s in sent:
        first = max(0, round((at_s - started_s - NEAR_S) * RATE_HZ))
        near = np.flatnonzero(left[first : first + round(2 * NEAR_S * RATE_HZ)] > LOUD)
        if len(near):
            found.append((first + int(near[0])) / RATE_HZ + started_s - at_s)
    return found


def _heard(sent: list[float], heard: list[float]) -> list[float]:
    """How long each click took to the other party."""
    found, arrived = [], iter(heard)
    came = next(arrived, None)
    for at_s in sent:
        while came is not None and came < at_s:
            came = next(arrived, None)
        if came is not None and came - at_s < NEAR_S:
            found.append(came - at_s)
    return found


def _figures(name: str, offsets: list[float]) -> dict[str, float]:
    """In ms. Of three in a row the middle one: a process that had to wait once for the core is no drift."""
    settled = [1000 * each for each in offsets[round(SETTLED_S / CLICK_S) :]]
    kept = [statistics.median(settled[at : at + 3]) for at in range(len(settled) - 2)]
    if not kept:
        return {f"{name}_drift_ms": float("inf")}
    quarter = max(1, len(kept) // 4)
    return {
        f"{name}_drift_ms": round(max(kept) - min(kept), 2),
        # What is left of it when the sawtooth of the mending is evened out.
        f"{name}_trend_ms": round(statistics.fmean(kept[-quarter:]) - statistics.fmean(kept[:quarter]), 2),
        f"{name}_delay_ms": round(statistics.fmean(kept), 2),
        f"{name}_clicks": len(offsets),
    }


async def measure(seconds: float, folder: Path) -> dict[str, dict[str, float]]:
    """Two telephones for so long."""
    loop = asyncio.get_running_loop()
    plane = Plane(loop, {RATE_HZ: DeafVad(RATE_HZ), 16_000: DeafVad(16_000)})
    edge = RtpEdge(loop, plane, RtpSettings(first_port=22_000, last_port=22_099))
    phones: dict[str, Telephone] = {}
    for number, (name, ppm) in enumerate((("slow", PPM), ("fast", -PPM))):
        phone = Telephone(ppm, number + 1, loop.time)
        await loop.create_datagram_endpoint(lambda phone=phone: phone, local_addr=(HOST, 0))  # type: ignore[misc]
        pair = edge.reserve(HOST)
        phone.target = (HOST, pair.port)
        plan = StreamPlan(Codec.PCMU, 0, {0: Codec.PCMU}, remote=Address(*phone.place))
        events: list[MediaEvent] = []
        edge.open(
            pair,
            plan,
            LegPlan(name, AudioFormat.MULAW, RATE_HZ, 0.0, events.append, str(folder / f"{name}.wav")),
            Signals(),
        )
        phones[name] = phone
    plane.send(Join("slow", "fast"))
    rest = random.Random(1)
    await asyncio.gather(
        *(_after(rest.uniform(0, FRAME_S), phone.talk(seconds)) for phone in phones.values())
    )
    recordings = {name: plane.recorded(name) for name in phones}
    await plane.close()
    edge.close()
    row: dict[str, dict[str, float]] = {}
    for name, phone in phones.items():
        phone.close()
        other = phones["fast" if name == "slow" else "slow"]
        recording = await recordings[name]
        assert recording is not None
        row[name] = {
            **_figures("recorded", _recorded(recording.path, recording.started_s, phone.sent)),
            **_figures("heard", _heard(phone.sent, [other.began_s + at_s for at_s in other.heard])),
        }
    return row


async def _after(seconds: float, talking: Any) -> None:
    await asyncio.sleep(seconds)
    await talking


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--hours", type=float, default=1.0, help="on a clock that jumps; 0: not")
    parser.add_argument("--minutes", type=float, default=10.0, help="in real time; 0: not")
    options = parser.parse_args()
    rows: dict[str, Mapping[str, Mapping[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="aywa-bench-") as folder:
        if options.hours:
            rows["hour"] = run_virtual(measure(3600 * options.hours, Path(folder) / "hour"))
            sys.stderr.write(f"hour: {rows['hour']}\n")
        if options.minutes:
            rows["minutes"] = uvloop.run(measure(60 * options.minutes, Path(folder) / "minutes"))
            sys.stderr.write(f"minutes: {rows['minutes']}\n")
    samples = {
        f"{name}.{side}.{figure}": row[side][f"{figure.partition('_')[0]}_clicks"]
        for name, row in rows.items()
        for side in row
        for figure in row[side]
        if not figure.endswith("_clicks") and f"{figure.partition('_')[0]}_clicks" in row[side]
    }
    sys.stdout.write(json.dumps({**rows, "samples": samples}) + "\n")


if __name__ == "__main__":
    main()
