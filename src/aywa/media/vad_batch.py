"""Collects due windows of all legs for a slot and scores them in as few runs of the detector as the rows allow.

Beside the probability each listener gets the levels of the window's short blocks, from the same pass over the audio.
A detector that fails costs nobody the call: loudness stands in for it, and the listener is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from aywa.core.audio.frame import Floats
from aywa.core.audio.level import block_levels
from aywa.media.intake import Intake
from aywa.media.wheel import Wheel
from aywa.ports.vad import Vad

log = logging.getLogger(__name__)

# Blocks of 4 ms: a frame of 20 ms holds whole ones, and so do windows of 32 ms.
BLOCKS_PER_SECOND = 250
_SCALE = np.float32(1 / 32768)
# What stands in for a detector that fails: louder than this is voice.
_LOUD_DB = -40.0


class Listener(Protocol):
    """Owner of a row."""

    def scored(self, probability: float, levels_db: Sequence[float]) -> None:
        """The oldest window that was not yet answered."""

    def score_failed(self) -> None:
        """The detector failed; the probability that follows is a guess by loudness."""


class VadBatch:
    """All rows of one detector."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wheel: Wheel, vad: Vad, intake: Intake, rows: int
    ) -> None:
        """intake: says how long a window may wait for others. rows: of one run."""
        self.rate_hz = vad.rate_hz
        self.window_samples = vad.window_samples
        self.window_s = vad.window_samples / vad.rate_hz
        self._blocks = vad.window_samples * BLOCKS_PER_SECOND // vad.rate_hz
        self._loop = loop
        self._wheel = wheel
        self._vad = vad
        self._intake = intake
        self._rows = rows
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._listeners: dict[int, Listener] = {}
        self._scheduled = False

    def open(self, listener: Listener) -> int:
        """A row for the listener."""
        row = self._vad.open()
        self._listeners[row] = listener
        return row

    def close(self, row: int) -> None:
        """Gives the row back; what waits for it is forgotten."""
        del self._listeners[row]
        self._waiting = deque(entry for entry in self._waiting if entry[0] != row)
        self._vad.close(row)

    def add(self, row: int, window: bytes) -> None:
        """A due window of PCM16; scored at the end of the slot."""
        self._waiting.append((row, window))
        if not self._scheduled:
            self._scheduled = True
            slot_s = self._intake.batch_slot_s
            if slot_s:
                self._wheel.at(self._loop.time() + slot_s, self._due)
            else:
                self._loop.call_soon(self._run)

    def _due(self) -> None:
        # Frames of the same slot leave first: a run takes a millisecond or two.
        self._loop.call_soon(self._run)

    def _run(self) -> None:
        """One run; what is left waits until frames that became due meanwhile have left."""
        if self._waiting:
            self._score(*self._take())
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            self._loop.call_soon(self._run)

    def _take(self) -> tuple[list[int], list[bytes]]:
        """The oldest windows, a row at most once; those that must wait keep their order."""
        taken: dict[int, bytes] = {}
        later: list[tuple[int, bytes]] = []
        while self._waiting and len(taken) < self._rows:
            row, window = self._waiting.popleft()
            if row in taken:
                later.append((row, window))
            else:
                taken[row] = window
        self._waiting.extendleft(reversed(later))
        return list(taken), list(taken.values())

    def _score(self, rows: list[int], windows: list[bytes]) -> None:
        samples = np.frombuffer(b"".join(windows), "<i2").astype(np.float32)
        samples *= _SCALE
        batch: Floats = samples.reshape(len(rows), self.window_samples)
        levels: list[list[float]] = block_levels(batch, self._blocks).tolist()
        try:
            probabilities: list[float] = self._vad.score(rows, batch).tolist()
        except Exception:
            log.exception("the voice detector failed")
            probabilities = [float(max(row) > _LOUD_DB) for row in levels]
            for row in rows:
                self._listeners[row].score_failed()
        for row, probability, row_levels in zip(rows, probabilities, levels, strict=True):
            # An earlier listener of this batch may have ended this one.
            if row in self._listeners:
                self._listeners[row].scored(probability, row_levels)
