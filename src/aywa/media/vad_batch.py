"""Collects due windows of all legs for a slot and scores them in as few runs of the detector as the rows allow.

Beside the probabilities the listener gets the levels of the windows' short blocks, from the same pass over the audio.
A detector that fails costs nobody the call: loudness stands in for it, and the listener is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
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
    """Who has the rows."""

    def heard(self, rows: list[int], probabilities: Floats, levels_db: Floats) -> None:
        """Of each of these rows the oldest window that was not yet answered: [n] and [n, blocks]."""

    def failed(self, rows: list[int]) -> None:
        """The detector failed; the probabilities that follow are guesses by loudness."""


class VadBatch:
    """All rows of one detector."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wheel: Wheel,
        vad: Vad,
        intake: Intake,
        rows: int,
        listener: Listener,
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
        self._listener = listener
        self._open: set[int] = set()
        self._scheduled = False

    def open(self) -> int:
        """A new row."""
        row = self._vad.open()
        self._open.add(row)
        return row

    def close(self, row: int) -> None:
        """Gives the row back; what waits for it is forgotten."""
        self._open.remove(row)
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
        levels = block_levels(batch, self._blocks)
        try:
            probabilities: Floats = self._vad.score(rows, batch)
        except Exception:
            log.exception("the voice detector failed")
            probabilities = (levels.max(axis=1) > _LOUD_DB).astype(np.float32)
            self._listener.failed(rows)
            # Whoever was told may have ended.
            still = [place for place, row in enumerate(rows) if row in self._open]
            rows, probabilities, levels = (
                [rows[place] for place in still],
                probabilities[still],
                levels[still],
            )
        if rows:
            self._listener.heard(rows, probabilities, levels)
