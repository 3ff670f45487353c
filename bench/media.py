"""What the media plane costs and how evenly it paces: legs in full duplex in one process, with the real detector.

The connections are fake, so sockets are not in the figures. The driver that plays the callers is measured alone and
taken off. The last line on stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvloop

from aywa.adapters.local.silero import SileroVad
from aywa.adapters.models.cache import models_dir
from aywa.core.audio.frame import FRAME_S
from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.core.events import MediaEvent
from aywa.media.plane import Plane
from aywa.ports.media import AudioFormat, Finish, LegPlan, Play
from aywa.ports.vad import Vad

SLOTS = 4


@dataclass
class _Ear:
    """The far side: notes when each frame came."""

    times: list[float] = field(default_factory=list)

    def send_audio(self, frame: bytes) -> None:
        self.times.append(time.perf_counter())

    def quiet(self) -> None:
        """Nothing to do."""

    def send_text(self, text: str) -> None:
        """Nothing is said in text."""

    def send_dtmf(self, digits: str) -> bool:
        return False

    def close(self, code: int, reason: str) -> None:
        """Nothing to close."""

    def buffered_bytes(self) -> int:
        return 0


def _speech(rate_hz: int, seconds: float) -> bytes:
    """Something with syllables and pauses: a buzz, three times a second, with a breath now and then."""
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    envelope = np.clip(np.sin(2 * np.pi * 3 * t), 0, 1) * (np.sin(2 * np.pi * 0.4 * t) > -0.3)
    pcm: bytes = (
        (buzz * envelope * 4000 + np.random.default_rng(1).normal(0, 20, t.size)).astype("<i2").tobytes()
    )
    return pcm


class _Callers:
    """Gives every caller its frame each 20 ms, a quarter of them every 5 ms."""

    def __init__(self, take: list[Callable[[bytes], None]], frames: list[bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._frames = frames
        self._turn = 0
        self._next_s = self._loop.time()
        self._running = True
        self._speak()

    def stop(self) -> None:
        self._running = False

    def _speak(self) -> None:
        if not self._running:
            return
        slot, frame = self._turn % SLOTS, self._frames[self._turn // SLOTS % len(self._frames)]
        for take in self._take[slot::SLOTS]:
            take(frame)
        self._turn += 1
        self._next_s += FRAME_S / SLOTS
        self._loop.call_at(self._next_s, self._speak)


async def _alone(calls: int, frames: list[bytes], seconds: float) -> float:
    """CPU seconds a second of the driver."""

    def nothing(frame: bytes) -> None:
        pass

    callers = _Callers([nothing] * calls, frames)
    before = time.process_time()
    await asyncio.sleep(seconds)
    callers.stop()
    return (time.process_time() - before) / seconds


def _lateness_ms(ears: list[_Ear]) -> list[float]:
    """How much later than its own even beat each frame left; the lead's burst at the start is left out."""
    late: list[float] = []
    for ear in ears:
        times = np.array(ear.times[8:])
        beat = times - FRAME_S * np.arange(len(times))
        late += list((beat - beat.min()) * 1000)
    return late


async def measure(
    calls: int, audio: AudioFormat, rate_hz: int, seconds: float, vads: dict[int, Vad], folder: Path | None
) -> dict[str, float | int | str]:
    """Runs so many calls for so long. folder: where to record, or None."""
    loop = asyncio.get_running_loop()
    pcm = _speech(rate_hz, 10)
    inbound = pcm_to_mulaw(pcm) if audio is AudioFormat.MULAW else pcm
    size = len(inbound) // 500
    frames = [inbound[i : i + size] for i in range(0, len(inbound), size)]
    base = await _alone(calls, frames, min(3.0, seconds))
    plane = Plane(loop, vads)
    ears = [_Ear() for _ in range(calls)]
    events = 0

    def post(event: MediaEvent) -> None:
        nonlocal events
        events += 1

    legs = []
    for number, ear in enumerate(ears):
        recording = None if folder is None else str(folder / f"{number}.wav")
        legs.append(plane.add_leg(LegPlan(f"leg{number}", audio, rate_hz, loop.time(), post, recording), ear))
    callers = _Callers([leg.audio_received for leg in legs], frames)
    reply = pcm * (int(seconds / 10) + 2)
    for number in range(calls):
        await asyncio.sleep(0.0007)
        plane.send(Play(f"leg{number}", 1, reply))
        plane.send(Finish(f"leg{number}", 1))
    await asyncio.sleep(0.5)
    gc.collect()
    gc.freeze()
    before, wall = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    cpu = (time.process_time() - before) / (time.perf_counter() - wall)
    callers.stop()
    await plane.close()
    late = _lateness_ms(ears)
    p50, p99, p999 = np.percentile(late, [50, 99, 99.9])
    return {
        "calls": calls,
        "audio": f"{audio.value}/{rate_hz}",
        "recording": int(folder is not None),
        "cpu_percent_per_call": round((cpu - base) / calls * 100, 4),
        "driver_percent_per_call": round(base / calls * 100, 4),
        "pacing_p50_ms": round(float(p50), 3),
        "pacing_p99_ms": round(float(p99), 3),
        "pacing_p999_ms": round(float(p999), 3),
        "frames": len(late),
        "events_per_call_s": round(events / calls / seconds, 1),
    }


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=models_dir() / "silero" / "silero_vad.onnx")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 50, 150])
    parser.add_argument("--record", type=Path, help="record into this folder")
    arguments = parser.parse_args()
    vads: dict[int, Vad] = {rate: SileroVad(arguments.model, rate) for rate in (8000, 16000)}
    rows: dict[str, dict[str, float | int | str]] = {}
    for audio, rate_hz in ((AudioFormat.MULAW, 8000), (AudioFormat.PCM16, 16000)):
        for calls in arguments.calls:
            row = uvloop.run(measure(calls, audio, rate_hz, arguments.seconds, vads, arguments.record))
            print(row, flush=True)
            rows[f"{audio.name.lower()}_{calls}_calls"] = row
    print(json.dumps({**rows, "samples": min(int(row["frames"]) for row in rows.values())}))


if __name__ == "__main__":
    main()
