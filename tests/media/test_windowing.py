"""Frames cut together are the windows that each leg would have cut alone, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.core.audio.frame import Floats, to_float
from aywa.core.audio.g711 import alaw_to_float, alaw_to_pcm, mulaw_to_float, mulaw_to_pcm
from aywa.core.turns.voice import VoiceMoment, VoiceSettings
from aywa.core.turns.voice_rows import Doubles
from aywa.media.ear import Ear
from aywa.media.intake import Intake
from aywa.media.voices import Voices
from aywa.media.wheel import Wheel
from aywa.media.windowing import Windowing
from aywa.testing.virtual_time import run_virtual

ROWS = 5
# What a leg does next: how long its frame is, and whether it comes among others'.
AMONG, ALONE, ODD, SHORT = range(4)


@dataclass
class Detector:
    """Keeps the windows of each row."""

    rate_hz: int = 8000
    window_samples: int = 256
    windows: dict[int, list[bytes]] = field(default_factory=dict)

    def open(self) -> int:
        row = len(self.windows)
        self.windows[row] = []
        return row

    def close(self, row: int) -> None:
        """Its windows stay."""

    def score(self, rows: Sequence[int], windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert len(set(rows)) == len(rows)
        for row, window in zip(rows, windows, strict=True):
            self.windows[row].append(window.tobytes())
        return np.zeros(len(rows), np.float32)


class Mute:
    """A judge that asks for nothing."""

    def judged(self, probability: float, moment: VoiceMoment | None) -> None:
        """Every window is quiet."""

    def scores_full(self) -> None:
        """Not in these tests."""

    def score_failed(self) -> None:
        raise AssertionError("the detector failed")


class Dated(Voices):
    """Also keeps when the blocks of each row's windows arrived."""

    def __init__(self, detector: Detector) -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop, 0.005)
        super().__init__(loop, wheel, detector, Intake(loop, wheel, (0.005, 0.01, 0.02)), 3, VoiceSettings())
        self.dates: dict[int, list[list[float]]] = {row: [] for row in range(ROWS)}

    def heard(self, numbers: list[int], probabilities: Floats, levels: Floats, arrived: Doubles) -> None:
        for row, times in zip(numbers, arrived.tolist(), strict=True):
            self.dates[row].append(times)
        super().heard(numbers, probabilities, levels, arrived)


Steps = list[tuple[int, int]]


async def hear(
    steps: Steps, *, together: bool
) -> tuple[dict[int, list[bytes]], dict[int, list[list[float]]]]:
    """A step: which leg, and what comes on it. together: where it may be, it comes among others'."""
    loop = asyncio.get_running_loop()
    detector = Detector()
    voices = Dated(detector)
    codes = [(mulaw_to_float, mulaw_to_pcm), (alaw_to_float, alaw_to_pcm)]
    ears = [Ear(voices, 8000, Mute(), codes[row % 2][0]) for row in range(ROWS)]
    sound = np.random.default_rng(0)
    for number, (row, kind) in enumerate(steps):
        payload = sound.bytes({ODD: 83, SHORT: 96}.get(kind, 160))
        at_s = loop.time()
        if not (together and kind == AMONG and ears[row].hear_among(payload, at_s)):
            ears[row].hear(codes[row % 2][1](payload), at_s)
        if number % 3 == 0:
            await asyncio.sleep(0.007)
    await asyncio.sleep(0.1)
    return detector.windows, voices.dates


@given(
    st.lists(st.tuples(st.integers(0, ROWS - 1), st.sampled_from((AMONG, AMONG, AMONG, ALONE, ODD, SHORT))))
)
@settings(max_examples=60, deadline=None)
def test_windows_and_their_dates_are_those_of_a_leg_alone(steps: Steps) -> None:
    together = run_virtual(hear(steps, together=True))
    alone = run_virtual(hear(steps, together=False))
    assert together == alone


@pytest.mark.virtual_time
async def test_frames_of_many_legs_are_scored_together() -> None:
    detector = Detector()
    voices = Dated(detector)
    ears = [Ear(voices, 8000, Mute(), mulaw_to_float) for _ in range(3)]
    for _ in range(2):
        for ear in ears:
            assert ear.hear_among(b"\xff" * 160, 1.0)
        await asyncio.sleep(0.02)
    assert [len(windows) for windows in detector.windows.values()] == [1, 1, 1]
    assert voices.dates[0] == [[1.0] * 8]


@pytest.mark.virtual_time
async def test_what_waits_of_a_closed_leg_is_forgotten() -> None:
    detector = Detector()
    voices = Dated(detector)
    first, second = (Ear(voices, 8000, Mute(), mulaw_to_float) for _ in range(2))
    for ear in (first, second):
        for _ in range(2):
            ear.hear_among(b"\xff" * 160, 1.0)
    first.close()
    await asyncio.sleep(0.02)
    assert [len(windows) for windows in detector.windows.values()] == [0, 1]


@pytest.mark.virtual_time
async def test_a_leg_at_another_rate_is_heard_alone() -> None:
    ear = Ear(Dated(Detector()), 16000, Mute(), to_float)
    assert not ear.hear_among(bytes(640), 1.0)


def test_frames_that_are_no_whole_blocks_or_longer_than_a_window_are_refused() -> None:
    for frame in (100, 288):
        with pytest.raises(ValueError, match=f"frames of {frame} samples"):
            Windowing(256, 32, frame)
