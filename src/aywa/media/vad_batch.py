"""Collects due windows of all legs for a slot and scores them in as few runs of the detector as the rows allow.

Beside the probabilities the listener gets the levels of the windows' short blocks, from the same pass over the audio.
A detector that fails costs nobody the call: loudness stands in for it, and the listener is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aywa.core.audio.frame import Floats
from aywa.core.audio.level import block_levels
from aywa.core.turns.voice_rows import Doubles
from aywa.media.intake import Intake
from aywa.media.wheel import Wheel
from aywa.ports.vad import Vad

log = logging.getLogger(__name__)

# Blocks of 4 ms: a frame of 20 ms holds whole ones, and so do windows of 32 ms.
BLOCKS_PER_SECOND = 250
# What stands in for a detector that fails: louder than this is voice.
_LOUD_DB = -40.0


class Listener(Protocol):
    """Who has the rows."""

    def heard(self, rows: list[int], probabilities: Floats, levels_db: Floats, arrived_s: Doubles) -> None:
        """Of each of these rows the oldest window that was not yet answered: [n], and of its blocks [n, blocks]."""

    def failed(self, rows: list[int]) -> None:
        """The detector failed; the probabilities that follow are guesses by loudness."""


@dataclass(frozen=True, slots=True)
class _Due:
    """Windows that wait, a row at most once: [n, samples], and when their blocks arrived, [n, blocks]."""

    rows: list[int]
    windows: Floats
    arrived_s: Doubles

    def only(self, places: list[int]) -> _Due:
        """Some of them."""
        return _Due([self.rows[place] for place in places], self.windows[places], self.arrived_s[places])


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
        self.blocks = vad.window_samples * BLOCKS_PER_SECOND // vad.rate_hz
        self._loop = loop
        self._wheel = wheel
        self._vad = vad
        self._intake = intake
        self._rows = rows
        self._waiting: deque[_Due] = deque()
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
        waiting, self._waiting = self._waiting, deque()
        for due in waiting:
            if row in due.rows:
                others = due.only([place for place, each in enumerate(due.rows) if each != row])
                if not others.rows:
                    continue
                due = others
            self._waiting.append(due)
        self._vad.close(row)

    def add(self, rows: list[int], windows: Floats, arrived_s: Doubles) -> None:
        """Due windows of these rows, each at most once, [n, samples] in -1..1, and when their blocks arrived, [n, blocks].
        They are scored at the end of the slot."""
        self._waiting.append(_Due(rows, windows, arrived_s))
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
            self._score(self._take())
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            self._loop.call_soon(self._run)

    def _take(self) -> _Due:
        """The oldest windows, a row at most once; those that must wait keep their order."""
        taken: set[int] = set()
        run: list[_Due] = []
        later: list[_Due] = []
        while self._waiting and len(taken) < self._rows:
            due = self._waiting.popleft()
            if len(taken) + len(due.rows) > self._rows or not taken.isdisjoint(due.rows):
                places = [place for place, row in enumerate(due.rows) if row not in taken]
                places = places[: self._rows - len(taken)]
                chosen = set(places)
                later.append(due.only([place for place in range(len(due.rows)) if place not in chosen]))
                due = due.only(places)
            taken.update(due.rows)
            if due.rows:
                run.append(due)
        self._waiting.extendleft(reversed(later))
        if len(run) == 1:
            return run[0]
        return _Due(
            [row for due in run for row in due.rows],
            np.concatenate([due.windows for due in run]),
            np.concatenate([due.arrived_s for due in run]),
        )

    def _score(self, due: _Due) -> None:
        levels = block_levels(due.windows, self.blocks)
        try:
            probabilities: Floats = self._vad.score(due.rows, due.windows)
        except Exception:
            log.exception("the voice detector failed")
            probabilities = (levels.max(axis=1) > _LOUD_DB).astype(np.float32)
            self._listener.failed(due.rows)
            # Whoever was told may have ended.
            still = [place for place, row in enumerate(due.rows) if row in self._open]
            due, probabilities, levels = due.only(still), probabilities[still], levels[still]
        if due.rows:
            self._listener.heard(due.rows, probabilities, levels, due.arrived_s)
