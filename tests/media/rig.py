"""A plane on a clock that jumps, with a scripted detector, a far side that takes notes, and callers in real time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from aywa.core.audio.frame import FRAME_S
from aywa.core.events import MediaEvent
from aywa.media.leg import MediaLeg
from aywa.media.plane import Plane
from aywa.media.settings import MediaSettings
from aywa.ports.media import AudioFormat, LegPlan

E = TypeVar("E")


class LoudVad:
    """A detector for which loud is voice; it notes the rows of each run. fail: raises instead."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.window_samples = rate_hz * 32 // 1000
        self.runs: list[list[int]] = []
        self.open_rows: set[int] = set()
        self.fail = False
        self._rows = 0

    def open(self) -> int:
        self._rows += 1
        self.open_rows.add(self._rows)
        return self._rows

    def close(self, row: int) -> None:
        self.open_rows.remove(row)

    def score(self, rows: Sequence[int], windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self.fail:
            raise RuntimeError("no detector today")
        assert len(set(rows)) == len(rows)
        self.runs.append(list(rows))
        loud: npt.NDArray[np.float32] = (np.abs(windows).max(axis=1) > 0.05).astype(np.float32)
        return loud


@dataclass
class FarSide:
    """ports.media.Connection that notes what it gets and when. fail: raises instead."""

    now: Callable[[], float]
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    closed: list[tuple[float, int, str]] = field(default_factory=list)
    keys: str = ""
    has_keys: bool = False
    buffered: int = 0
    quieted: int = 0
    fail: bool = False
    answers_close: bool = True
    leg: MediaLeg | None = None
    frame_bytes: int = 640

    def send_audio(self, frame: bytes) -> None:
        self._may_fail()
        # Several may come together: it plays them one after the other.
        size = self.frame_bytes
        self.frames += [(self.now(), frame[at : at + size]) for at in range(0, len(frame), size)]

    def quiet(self) -> None:
        self._may_fail()
        self.quieted += 1

    def send_text(self, text: str) -> None:
        self._may_fail()
        self.texts.append(text)

    def send_dtmf(self, digits: str) -> bool:
        self._may_fail()
        self.keys += digits if self.has_keys else ""
        return self.has_keys

    def close(self, code: int, reason: str) -> None:
        self._may_fail()
        self.closed.append((self.now(), code, reason))
        if self.answers_close and self.leg is not None:
            asyncio.get_running_loop().call_later(0.001, self.leg.disconnected, "closed", "")

    def buffered_bytes(self) -> int:
        self._may_fail()
        return self.buffered

    def _may_fail(self) -> None:
        if self.fail:
            raise ConnectionResetError("gone")

    @property
    def times(self) -> list[float]:
        return [round(at, 6) for at, _ in self.frames]

    @property
    def audio(self) -> bytes:
        return b"".join(frame for _, frame in self.frames)

    @property
    def errors(self) -> list[str]:
        return [json.loads(text)["code"] for text in self.texts if json.loads(text).get("type") == "error"]


@dataclass
class Call:
    """A leg with its far side and its events."""

    leg: MediaLeg
    far: FarSide
    plan: LegPlan
    events: list[MediaEvent]
    times: list[float]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def names(self, but: Iterable[str] = ("VoiceScored", "PlayoutAdvanced")) -> list[str]:
        return [name for name in (type(event).__name__ for event in self.events) if name not in but]

    def frame(self, amplitude: int = 0) -> bytes:
        """A frame of a square wave."""
        if self.plan.format is AudioFormat.MULAW:
            return (b"\x90" if amplitude else b"\xff") * 160
        return square(amplitude, self.plan.rate_hz // 50)

    async def speak(self, seconds: float, amplitude: int = 8000) -> None:
        """Frames in real time."""
        for _ in range(round(seconds / FRAME_S)):
            await asyncio.sleep(FRAME_S)
            self.leg.audio_received(self.frame(amplitude))


def square(amplitude: int, samples: int) -> bytes:
    return (np.where(np.arange(samples) // 8 % 2, amplitude, -amplitude)).astype("<i2").tobytes()


def ramp(samples: int, start: int = 0) -> bytes:
    """Samples that tell their own place (from 1, so that none is silence)."""
    return ((np.arange(start, start + samples) % 30000) + 1).astype("<i2").tobytes()


def numbers(pcm: bytes) -> list[int]:
    return [int(value) for value in np.frombuffer(pcm, "<i2")]


class Rig:
    """Opens calls on one plane."""

    def __init__(self, settings: MediaSettings | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.vads = {8000: LoudVad(8000), 16000: LoudVad(16000)}
        self.plane = Plane(self.loop, self.vads, settings)

    def call(
        self,
        leg_id: str = "leg",
        audio: AudioFormat = AudioFormat.PCM16,
        rate_hz: int = 16000,
        recording: Path | None = None,
        lead_s: float | None = None,
    ) -> Call:
        events: list[MediaEvent] = []
        times: list[float] = []

        def post(event: MediaEvent) -> None:
            events.append(event)
            times.append(self.loop.time())

        path = None if recording is None else str(recording)
        plan = LegPlan(leg_id, audio, rate_hz, self.loop.time(), post, path, lead_s, lead_s is not None)
        far = FarSide(self.loop.time, frame_bytes=rate_hz // 50 * (1 if audio is AudioFormat.MULAW else 2))
        leg = self.plane.add_leg(plan, far)
        far.leg = leg
        return Call(leg, far, plan, events, times)


@asynccontextmanager
async def rig(**settings: float) -> AsyncIterator[Rig]:
    opened = Rig(replace(MediaSettings(), **settings))  # type: ignore[arg-type]
    try:
        yield opened
    finally:
        await opened.plane.close()
