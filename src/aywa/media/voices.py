"""The voices of all legs of one detector: their windows' scores, and which of them is worth a leg's attention.

Most windows say nothing new; they are noted for all legs together, and only the others are told one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import numpy as np

from aywa.core.audio.frame import Floats, frame_samples
from aywa.core.turns.voice import VoiceMoment, VoiceSettings
from aywa.core.turns.voice_rows import Doubles, VoiceRow, VoiceRows
from aywa.media.intake import Intake
from aywa.media.vad_batch import BLOCKS_PER_SECOND, VadBatch
from aywa.media.wheel import Wheel
from aywa.media.windowing import Windowing
from aywa.ports.vad import Vad

# Windows whose scores wait for `take_scores`: about 8 s.
SCORES_MOST = 256

# A row's frame as it came, and when.
Frames = list[tuple[int, bytes, float]]


class Judge(Protocol):
    """Whose voice it is. Never raises."""

    def judged(self, probability: float, moment: VoiceMoment | None) -> None:
        """The last window that is scored is worth a look: a voice may begin, began, ended or fades, or all are wanted."""

    def scores_full(self) -> None:
        """`take_scores` must be called now."""

    def score_failed(self) -> None:
        """The detector failed; the probability that follows is a guess by loudness."""


class Voices:
    """All rows of one detector."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wheel: Wheel, vad: Vad, intake: Intake, rows: int,
        settings: VoiceSettings,
    ) -> None:  # fmt: skip
        """intake: says how long a window may wait for others. rows: of one run."""
        self._loop = loop
        self._batch = VadBatch(loop, wheel, vad, intake, rows, self)
        self.rate_hz = vad.rate_hz
        self.window_samples = vad.window_samples
        self.window_s = self._batch.window_s
        self.block_samples = vad.rate_hz // BLOCKS_PER_SECOND
        self.blocks = vad.window_samples // self.block_samples
        self._rows = VoiceRows(self.window_s, self.blocks, settings)
        self._judges: dict[int, Judge] = {}
        # Frames that are cut together, by what makes numbers of them.
        self._windowing = Windowing(self.window_samples, self.block_samples, frame_samples(self.rate_hz))
        self._frames: dict[Callable[[bytes], Floats], Frames] = {}
        self._cutting = False
        self._watched = np.zeros(0, np.bool_)
        self._scores = np.zeros((0, SCORES_MOST), np.uint8)
        self._scored = np.zeros(0, np.int64)
        self._scores_from_s: Doubles = np.zeros(0)

    def open(self, judge: Judge) -> tuple[int, VoiceRow]:
        """A row for it, and what is known of the voice in it."""
        row = self._batch.open()
        while row >= len(self._watched):
            self._grow()
        self._judges[row] = judge
        self._watched[row] = False
        self._scored[row] = 0
        return row, VoiceRow(self._rows, row)

    def close(self, row: int) -> None:
        """Gives the row back; what waits for it is forgotten."""
        del self._judges[row]
        for frames in self._frames.values():
            frames[:] = [frame for frame in frames if frame[0] != row]
        self._batch.close(row)

    def add(self, row: int, window: Floats, arrived_s: list[float]) -> None:
        """A due window, and when each of its blocks arrived."""
        self._batch.add([row], window[None], np.array([arrived_s]))

    # --- frames of 20 ms at the detector's rate, cut together ---------------------------------------------------

    def frames(self, to_float: Callable[[bytes], Floats]) -> Frames:
        """Where rows that were joined put theirs; whoever puts the first one calls `cut_soon`."""
        return self._frames.setdefault(to_float, [])

    def join(self, row: int, samples: Floats, arrived_s: list[float]) -> None:
        """The row's frames come together with others' from now on. samples: of a window that is not full, whole blocks, and when
        each arrived."""
        self._windowing.take(row, samples, arrived_s)

    def part(self, row: int) -> tuple[Floats, list[float]]:
        """They do no longer; answers what `join` takes."""
        self._cut()
        return self._windowing.give(row)

    def cut_soon(self) -> None:
        """When all frames of this moment are there."""
        if not self._cutting:
            self._cutting = True
            self._loop.call_soon(self._cut)

    def _cut(self) -> None:
        self._cutting = False
        for to_float, frames in self._frames.items():
            came = frames.copy()
            frames.clear()
            while came:
                came = self._cut_round(to_float, came)

    def _cut_round(self, to_float: Callable[[bytes], Floats], came: Frames) -> Frames:
        """The first frame of each row. Answers the others."""
        first = {frame[0]: frame for frame in reversed(came)}
        rest: Frames = []
        if len(first) < len(came):
            rest = [frame for frame in came if first[frame[0]] is not frame]
            came = [frame for frame in came if first[frame[0]] is frame]
        numbers, payloads, at_s = zip(*came, strict=True)
        samples = to_float(b"".join(payloads)).reshape(len(came), -1)
        rows, windows, arrived_s = self._windowing.push(np.array(numbers), samples, np.array(at_s))
        if len(rows):
            self._batch.add(rows.tolist(), windows, arrived_s)
        return rest

    def watch(self, row: int, *, watched: bool) -> None:
        """Whether every window is to be told."""
        self._watched[row] = watched

    def scores(self, row: int) -> int:
        """How many windows' scores wait."""
        return int(self._scored[row])

    def take_scores(self, row: int) -> tuple[float, bytes]:
        """When the first of the waiting scores' windows began, and the probabilities as bytes, 255 for certain."""
        count = int(self._scored[row])
        self._scored[row] = 0
        return float(self._scores_from_s[row]), self._scores[row, :count].tobytes()

    # --- from the batch ----------------------------------------------------------------------------------------

    def failed(self, rows: list[int]) -> None:
        """The detector raised."""
        for row in rows:
            if row in self._judges:
                self._judges[row].score_failed()

    def heard(self, numbers: list[int], probabilities: Floats, levels: Floats, arrived: Doubles) -> None:
        """The oldest window of each of these rows that was not yet answered."""
        rows = np.array(numbers)
        likely = probabilities.astype(np.float64)
        moments = self._rows.heard(rows, likely, levels.astype(np.float64), arrived)
        self._note(rows, likely, arrived[:, -1] - self.window_s)
        telling = self._rows.notable(rows)
        telling |= self._watched[rows]
        if moments:
            telling |= np.isin(rows, list(moments))
        for place in np.flatnonzero(telling).tolist():
            row = numbers[place]
            # An earlier one may have ended this one.
            judge = self._judges.get(row)
            if judge is not None:
                judge.judged(float(likely[place]), moments.get(row))

    def _note(
        self, rows: np.ndarray[tuple[int], np.dtype[np.intp]], likely: Doubles, from_s: Doubles
    ) -> None:
        count = self._scored[rows]
        first = count == 0
        self._scores_from_s[rows[first]] = from_s[first]
        self._scores[rows, count] = np.clip(np.rint(likely * 255), 0, 255)
        self._scored[rows] = count + 1
        for row in rows[count + 1 == SCORES_MOST].tolist():
            self._judges[row].scores_full()

    def _grow(self) -> None:
        """Twice the rows."""
        more = max(16, len(self._watched))
        self._watched = np.concatenate((self._watched, np.zeros(more, np.bool_)))
        self._scores = np.concatenate((self._scores, np.zeros((more, SCORES_MOST), np.uint8)))
        self._scored = np.concatenate((self._scored, np.zeros(more, np.int64)))
        self._scores_from_s = np.concatenate((self._scores_from_s, np.zeros(more)))
