from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from aywa.core.audio.frame import Floats, to_float
from aywa.core.turns.voice_rows import Doubles
from aywa.media.intake import Intake
from aywa.media.vad_batch import VadBatch
from aywa.media.wheel import Wheel
from tests.media.rig import LoudVad, square

pytestmark = pytest.mark.virtual_time


@dataclass
class Listener:
    scores: list[tuple[float, float]] = field(default_factory=list)
    levels: list[Sequence[float]] = field(default_factory=list)
    failures: int = 0
    batch: Scoring | None = None
    ends: int | None = None

    def scored(self, probability: float, levels_db: Sequence[float]) -> None:
        self.scores.append((round(asyncio.get_running_loop().time(), 6), probability))
        self.levels.append(levels_db)
        if self.batch is not None and self.ends is not None:
            self.batch.close(self.ends)
            self.ends = None

    def score_failed(self) -> None:
        self.failures += 1


class Scoring:
    """A batch whose rows belong to one Listener each."""

    def __init__(self, rows: int, vad: LoudVad) -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop, 0.005)
        intake = Intake(loop, wheel, (0.005, 0.01, 0.02))
        self.batch = VadBatch(loop, wheel, vad, intake, rows, self)
        self.listeners: dict[int, Listener] = {}

    def add(self, row: int, window: bytes) -> None:
        self.batch.add([row], to_float(window)[None], np.zeros((1, self.batch.blocks)))

    def open(self, listener: Listener) -> int:
        row = self.batch.open()
        self.listeners[row] = listener
        return row

    def close(self, row: int) -> None:
        del self.listeners[row]
        self.batch.close(row)

    def heard(self, rows: list[int], probabilities: Floats, levels_db: Floats, arrived_s: Doubles) -> None:
        assert arrived_s.shape == levels_db.shape
        for row, probability, levels in zip(rows, probabilities.tolist(), levels_db.tolist(), strict=True):
            if row in self.listeners:
                self.listeners[row].scored(probability, levels)

    def failed(self, rows: list[int]) -> None:
        for row in rows:
            if row in self.listeners:
                self.listeners[row].score_failed()


def batch(rows: int = 64, rate_hz: int = 8000) -> tuple[Scoring, LoudVad]:
    vad = LoudVad(rate_hz)
    return Scoring(rows, vad), vad


LOUD, QUIET = square(16384, 256), bytes(512)


async def test_the_windows_of_a_slot_are_one_run() -> None:
    scoring, vad = batch()
    ears = [Listener() for _ in range(5)]
    rows = [scoring.open(ear) for ear in ears]
    for row in rows:
        scoring.add(row, LOUD if row % 2 else QUIET)
        await asyncio.sleep(0.0005)
    await asyncio.sleep(0.02)
    assert vad.runs == [rows]
    assert [ear.scores for ear in ears] == [[(0.005, float(row % 2))] for row in rows]


async def test_levels_of_4_ms_come_with_it() -> None:
    scoring, _ = batch()
    ear = Listener()
    scoring.add(scoring.open(ear), square(16384, 128) + bytes(256))
    await asyncio.sleep(0.02)
    assert ear.levels[0] == pytest.approx([-6.02] * 4 + [-100] * 4, abs=0.01)


async def test_a_run_has_a_limit_of_rows() -> None:
    scoring, vad = batch(rows=4)
    rows = [scoring.open(Listener()) for _ in range(10)]
    for row in rows:
        scoring.add(row, QUIET)
    await asyncio.sleep(0.02)
    assert [len(run) for run in vad.runs] == [4, 4, 2]


async def test_a_row_is_in_a_run_once_and_its_windows_keep_their_order() -> None:
    scoring, vad = batch()
    first, second = Listener(), Listener()
    a, b = scoring.open(first), scoring.open(second)
    for window in (LOUD, QUIET, LOUD):
        scoring.add(a, window)
    scoring.add(b, LOUD)
    await asyncio.sleep(0.02)
    assert vad.runs == [[a, b], [a], [a]]
    assert [probability for _, probability in first.scores] == [1, 0, 1]


async def test_a_closed_row_is_forgotten_and_given_back() -> None:
    scoring, vad = batch()
    ear = Listener()
    row = scoring.open(ear)
    scoring.add(row, LOUD)
    scoring.close(row)
    await asyncio.sleep(0.02)
    assert ear.scores == []
    assert vad.open_rows == set()


async def test_a_listener_may_end_another_one_of_its_batch() -> None:
    scoring, _ = batch()
    ending, ended = Listener(batch=scoring), Listener()
    a, b = scoring.open(ending), scoring.open(ended)
    ending.ends = b
    scoring.add(a, LOUD)
    scoring.add(b, LOUD)
    await asyncio.sleep(0.02)
    assert len(ending.scores) == 1
    assert ended.scores == []


async def test_loudness_stands_in_for_a_detector_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    scoring, vad = batch()
    ear = Listener()
    row = scoring.open(ear)
    vad.fail = True
    with caplog.at_level(logging.CRITICAL):
        for window in (LOUD, QUIET):
            scoring.add(row, window)
            await asyncio.sleep(0.01)
    assert [probability for _, probability in ear.scores] == [1, 0]
    assert ear.failures == 2


async def test_windows_that_come_together_are_split_where_a_row_or_the_runs_length_asks_for_it() -> None:
    scoring, vad = batch(rows=3)
    ears = [Listener() for _ in range(4)]
    rows = [scoring.open(ear) for ear in ears]
    loud, quiet = to_float(LOUD), to_float(QUIET)
    arrived = np.zeros((4, 8))
    scoring.batch.add(rows, np.stack([loud, quiet, loud, quiet]), arrived)
    scoring.batch.add(rows[2:], np.stack([quiet, loud]), arrived[:2])
    await asyncio.sleep(0.02)
    assert vad.runs == [rows[:3], [rows[3], rows[2]], [rows[3]]]
    assert [[probability for _, probability in ear.scores] for ear in ears] == [[1], [0], [1, 0], [0, 1]]


async def test_a_closed_row_takes_nothing_of_those_that_came_with_it() -> None:
    scoring, vad = batch()
    ears = [Listener() for _ in range(3)]
    rows = [scoring.open(ear) for ear in ears]
    scoring.batch.add(rows, np.stack([to_float(LOUD)] * 3), np.zeros((3, 8)))
    scoring.close(rows[1])
    await asyncio.sleep(0.02)
    assert vad.runs == [[rows[0], rows[2]]]
    assert [len(ear.scores) for ear in ears] == [1, 0, 1]
