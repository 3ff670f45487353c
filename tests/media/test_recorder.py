"""Recordings by the sample, on a clock that stands while the worker writes."""

from __future__ import annotations

import asyncio
import os
import random
import wave
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from aywa.core.audio.g711 import mulaw_to_pcm
from aywa.media import recorder
from aywa.media.recorder import Recorder, Recording
from aywa.media.scribe import Scribe
from aywa.media.wheel import Wheel
from tests.media.rig import numbers, ramp

pytestmark = pytest.mark.virtual_time

RATE = 8000
FRAME = 160
Make = Callable[..., Recorder]


def stereo(path: Path) -> tuple[list[int], list[int]]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return [int(x) for x in frames[:, 0]], [int(x) for x in frames[:, 1]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    with ThreadPoolExecutor(1) as executor:

        def build(
            path: Path = tmp_path / "calls" / "a.wav",
            width: int = 2,
            decode: Callable[[bytes], bytes] = lambda frame: frame,
            lost: Callable[[str], None] = lambda detail: None,
            paced: bool = False,
        ) -> Recorder:
            loop = asyncio.get_running_loop()
            scribe = Scribe(loop, Wheel(loop, 0.005), 0.0, lambda: executor)
            return Recorder(loop, scribe, str(path), RATE, width, decode, lost, paced)

        yield build


def now() -> float:
    return asyncio.get_running_loop().time()


async def finish(tape: Recorder) -> tuple[Recording, list[int], list[int]]:
    done = await tape.close(now(), 0.0)
    return done, *stereo(Path(done.path))


async def test_left_ends_when_it_arrived_and_right_begins_when_it_is_heard(make: Make) -> None:
    await asyncio.sleep(3)
    tape = make()
    await asyncio.sleep(0.1)
    tape.heard(ramp(FRAME), now(), 0.06)
    tape.sent(ramp(FRAME, 1000), now())
    tape.sent(ramp(FRAME, 2000), now() + 0.02)
    await asyncio.sleep(0.1)
    done, left, right = await finish(tape)
    assert (done.started_s, done.lost) == (3.0, "")
    assert done.seconds == pytest.approx(0.2)
    assert left == [0] * 640 + numbers(ramp(FRAME)) + [0] * 800
    assert right == [0] * 800 + numbers(ramp(FRAME, 1000)) + numbers(ramp(FRAME, 2000)) + [0] * 480


async def test_jitter_moves_nothing_and_a_gap_is_silence(make: Make) -> None:
    tape = make()
    for number, pause in enumerate((0.02, 0.075, 0.0, 0.0, 0.005, 0.12)):
        await asyncio.sleep(pause)
        tape.heard(ramp(FRAME, number * FRAME), now(), 0.06)
    _, left, _ = await finish(tape)
    assert left[: 5 * FRAME] == numbers(ramp(5 * FRAME))
    assert left[5 * FRAME :] == [0] * (1760 - 160 - 5 * FRAME) + numbers(ramp(FRAME, 5 * FRAME))


async def test_flushing_changes_nothing(make: Make, tmp_path: Path) -> None:
    whole, parts = make(tmp_path / "whole.wav"), make(tmp_path / "parts.wav")
    for number in range(100):
        await asyncio.sleep(0.02)
        for tape in (whole, parts):
            tape.heard(ramp(FRAME, number * FRAME), now(), 0.06)
            tape.sent(ramp(FRAME, number * FRAME), now() + 0.06)
        if number % 7 == 0:
            parts.flush(now(), 30)
    assert (await finish(whole))[1:] == (await finish(parts))[1:]


async def test_the_file_is_valid_at_any_time(make: Make, tmp_path: Path) -> None:
    tape = make()
    await asyncio.sleep(0.1)
    tape.heard(ramp(FRAME), now(), 0.06)
    await asyncio.sleep(0.2)
    tape.flush(now(), 30)
    await asyncio.sleep(0.01)
    left, right = stereo(tmp_path / "calls" / "a.wav")
    assert len(left) == len(right) == 800
    assert left[640:] == numbers(ramp(FRAME))
    await finish(tape)


async def test_audio_that_comes_after_a_flush_is_never_placed_before_it(make: Make) -> None:
    tape = make()
    tape.heard(ramp(FRAME), now(), 0.06)
    await asyncio.sleep(0.25)
    tape.flush(now(), 30)
    tape.flush(now(), 30)
    tape.heard(ramp(FRAME, FRAME), now() - 0.21, 0.06)
    tape.sent(ramp(FRAME), now() - 0.21)
    _, left, right = await finish(tape)
    assert left[400 : 400 + FRAME] == numbers(ramp(FRAME, FRAME))
    assert right[400 : 400 + FRAME] == numbers(ramp(FRAME))


async def test_frames_whose_clock_is_off_by_a_sample_are_still_in_a_row(make: Make) -> None:
    tape = make()
    for number in range(10):
        tape.sent(ramp(FRAME, number * FRAME), 0.02 * number + 0.00009 * (number % 2))
    _, _, right = await finish(tape)
    assert right == numbers(ramp(10 * FRAME))


async def test_mulaw_is_decoded(make: Make) -> None:
    tape = make(width=1, decode=mulaw_to_pcm)
    tape.heard(b"\x80" * FRAME, now(), 0.06)
    _, left, _ = await finish(tape)
    assert left == [32124] * FRAME


async def test_a_path_that_cannot_be_written_is_said_once_and_costs_nothing_else(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    tape = make(tmp_path / "file" / "a.wav", lost=said.append)
    for _ in range(3):
        tape.heard(ramp(FRAME), now(), 0.06)
        tape.sent(ramp(FRAME), now())
        tape.flush(now(), 30)
        await asyncio.sleep(0.02)
    done = await tape.close(now(), 0.0)
    assert len(said) == 1
    assert said[0] == done.lost
    assert done.seconds == 0


async def test_a_disk_that_fills_up_keeps_what_was_written(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    tape = make(lost=said.append)
    tape.heard(ramp(FRAME), now(), 0.06)
    tape.flush(now() + 0.22, 30)
    await asyncio.sleep(0.02)
    write = recorder._write_all

    def full(file: BinaryIO, data: bytes, at: int) -> None:
        if at:
            write(file, data[:99], at)
            raise OSError(28, "No space left on device")
        write(file, data, at)

    monkeypatch.setattr(recorder, "_write_all", full)
    tape.heard(ramp(FRAME), now(), 0.06)
    tape.flush(now() + 0.24, 30)
    await asyncio.sleep(0.02)
    done, left, _ = await finish(tape)
    assert left == numbers(ramp(FRAME))
    assert said == [done.lost]
    assert "No space left" in done.lost
    assert os.stat(done.path).st_size == 44 + FRAME * 4


async def test_a_disk_that_is_too_slow_loses_audio_instead_of_memory(make: Make) -> None:
    said: list[str] = []
    tape = make(lost=said.append)
    tape.flush(now() + 40, 30)
    tape.flush(now() + 41, 30)
    tape.flush(now() + 42, 30)
    assert said == ["the disk is too slow"]
    assert (await tape.close(now(), 0.0)).lost == "the disk is too slow"


async def test_a_file_that_grows_too_big_is_cut(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_MOST_BYTES", 1000)
    tape = make()
    await asyncio.sleep(0.1)
    done = await tape.close(now(), 0.0)
    assert "4 GB" in done.lost


async def test_a_close_that_fails_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = make()
    real = tape._file.close

    def fails() -> None:
        real()
        raise OSError("gone")

    monkeypatch.setattr(tape._file, "close", fails)
    assert (await tape.close(now(), 0.0)).lost == "OSError: gone"


async def test_nobody_need_wait_for_it(make: Make) -> None:
    tape = make()
    done = tape.close(now(), 0.0)
    done.cancel()
    await asyncio.sleep(0.1)
    assert done.cancelled()


@pytest.mark.parametrize("ppm", [2000, -2000, 0])
async def test_a_far_sides_clock_that_runs_off_moves_its_audio_by_less_than_a_frame(
    make: Make, ppm: int
) -> None:
    """Ten times the drift of the worst telephones, for a tenth of an hour."""
    chance = random.Random(ppm)
    tape, loop, count = make(paced=True), asyncio.get_running_loop(), 18_000
    beat_s = 0.02 * (1 + ppm / 1e6)
    for number in range(count):
        loop.call_at(beat_s * (number + 1) + chance.uniform(0, 0.015), hear, tape, number)
    for _ in range(round(count * beat_s) + 1):
        await asyncio.sleep(1)
        tape.flush(now(), 30)
    _, left, _ = await finish(tape)
    places: dict[int, int] = {}
    for place, value in enumerate(left):
        places.setdefault(value, place)
    off = [places[number % 30_000 + 1] - round(number * beat_s * RATE) for number in range(200, count)]
    assert max(map(abs, off)) <= FRAME
    # Without drift nothing is moved at all.
    assert ppm or len(set(off)) == 1


def hear(tape: Recorder, number: int) -> None:
    tape.heard((number % 30_000 + 1).to_bytes(2, "little") * FRAME, now(), 0.06)
