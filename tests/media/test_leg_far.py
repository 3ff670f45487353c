"""A leg whose far side can take back: what the plane tells of it, and what is on its recording."""

from __future__ import annotations

import asyncio
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from aywa.core.events import MediaEvent, MediaWarned, PlayoutFinished, PlayoutPaused
from aywa.ports.media import AudioFormat, CloseLeg, Finish, LegPlan, Pause, Play, Resume
from tests.media.rig import FarSide, Rig, rig, square

pytestmark = pytest.mark.virtual_time
RATE_HZ = 8000


@dataclass
class Ear:
    """ports.media.FarSide."""

    transit_s: float = 0.0
    cleared: list[float] = field(default_factory=list)

    def clear(self) -> None:
        self.cleared.append(asyncio.get_running_loop().time())


class Call:
    """A leg with such a far side."""

    def __init__(
        self, here: Rig, recording: Path | None = None, audio: AudioFormat = AudioFormat.PCM16
    ) -> None:
        self.here = here
        self.ear = Ear()
        self.events: list[MediaEvent] = []
        self.plan = LegPlan(
            "leg",
            audio,
            RATE_HZ,
            here.loop.time(),
            self.events.append,
            None if recording is None else str(recording),
            0.2,
            paced=True,
            far=self.ear,
            batch=5,
        )
        self.far = FarSide(here.loop.time, frame_bytes=320)
        self.leg = here.plane.add_leg(self.plan, self.far)
        self.far.leg = self.leg

    def of(self, kind: type[MediaEvent]) -> list[MediaEvent]:
        return [event for event in self.events if isinstance(event, kind)]


async def test_frames_leave_together_ahead_and_a_pause_takes_them_back() -> None:
    async with rig() as here:
        call = Call(here)
        here.plane.send(Play("leg", 1, square(8000, RATE_HZ)))
        assert len(call.far.audio) == 2 * round(0.22 * RATE_HZ)
        await asyncio.sleep(0.5)
        here.plane.send(Pause("leg"))
        (paused,) = call.of(PlayoutPaused)
        assert isinstance(paused, PlayoutPaused)
        assert paused.position / RATE_HZ == pytest.approx(0.5, abs=0.006)
        assert call.ear.cleared == [here.loop.time()]
        assert len(call.far.audio) / 2 / RATE_HZ >= 0.62
        here.plane.send(Resume("leg", paused.position))
        here.plane.send(Finish("leg", 1))
        await asyncio.sleep(1)
        (finished,) = call.of(PlayoutFinished)
        assert isinstance(finished, PlayoutFinished)
        assert finished.position == RATE_HZ
        # Half a second was left when it went on, and all of it was played.
        assert finished.at_s == pytest.approx(1.0, abs=0.02)


async def test_marks_that_are_late_make_less_leave() -> None:
    async with rig() as here:
        call = Call(here)
        here.plane.send(Play("leg", 1, square(8000, 3 * RATE_HZ)))
        await asyncio.sleep(0.4)
        before = len(call.far.audio)
        call.leg.played(len(call.far.audio) / 2 / RATE_HZ - 0.1, here.loop.time())
        await asyncio.sleep(0.25)
        assert len(call.far.audio) == before
        await asyncio.sleep(0.3)
        assert len(call.far.audio) > before


@pytest.mark.parametrize("audio", [AudioFormat.PCM16, AudioFormat.MULAW])
async def test_the_recording_holds_what_was_heard_and_not_what_was_taken_back(
    audio: AudioFormat, tmp_path: Path
) -> None:
    async with rig() as here:
        Call(here, tmp_path / "call.wav", audio)
        here.plane.send(Play("leg", 1, square(8000, 2 * RATE_HZ)))
        await asyncio.sleep(0.6)
        here.plane.send(Pause("leg"))
        await asyncio.sleep(0.5)
        here.plane.send(Resume("leg", RATE_HZ * 6 // 10))
        await asyncio.sleep(0.3)
        here.plane.send(CloseLeg("leg", "done"))
        await asyncio.sleep(0.1)
        recording = await here.plane.recorded("leg")
        assert recording is not None
        with wave.open(str(recording.path)) as file:
            right = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 1]
        loud = np.abs(right) > 1000
        assert loud[: RATE_HZ * 59 // 100].mean() > 0.95
        assert not loud[RATE_HZ * 62 // 100 : RATE_HZ * 109 // 100].any()
        assert loud[RATE_HZ * 112 // 100 : RATE_HZ * 138 // 100].mean() > 0.95
        # What was taken back at the end is not on it, either.
        assert not loud[RATE_HZ * 143 // 100 :].any()


async def test_what_a_transport_found_is_a_warning_and_not_a_flood_of_them() -> None:
    async with rig() as here:
        call = Call(here)
        for _ in range(5):
            call.leg.warned("mark_missing", "none came back")
        call.leg.disconnected("lost")
        call.leg.warned("mark_missing", "none came back")
        call.leg.played(0.1, here.loop.time())
        warnings = call.of(MediaWarned)
        assert warnings == [MediaWarned("leg", "mark_missing", "none came back")]
