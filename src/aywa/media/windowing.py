"""Cuts the frames of many rows into the detector's windows, all at once: what a row costs alone is mostly Python's.

Every block of a window keeps the arrival time of its frame. Refuses frames that are not whole blocks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aywa.core.audio.frame import Floats

Rows = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]


class Windowing:
    """window_samples, block_samples: of the detector. frame_samples: of a frame, no longer than a window; both whole blocks."""

    def __init__(self, window_samples: int, block_samples: int, frame_samples: int) -> None:
        if window_samples % block_samples or frame_samples % block_samples or frame_samples > window_samples:
            raise ValueError(
                f"frames of {frame_samples} samples do not fill windows of {window_samples} by {block_samples}"
            )
        self._block_samples = block_samples
        self._window = window_samples // block_samples
        self._places = np.arange(frame_samples // block_samples)
        # Of a window that lacks a block, and the frame that completes it.
        self._kept = self._window - 1 + len(self._places)
        self._filled: Rows = np.zeros(0, np.intp)
        self._samples: Floats = np.zeros((0, self._kept, block_samples), np.float32)
        self._arrived: Doubles = np.zeros((0, self._kept))

    def take(self, row: int, samples: Floats, arrived_s: list[float]) -> None:
        """What a row has of a window that is not full, from now on in here: whole blocks, and when each arrived."""
        while row >= len(self._filled):
            self._grow()
        blocks = len(arrived_s)
        self._filled[row] = blocks
        self._samples[row, :blocks] = samples.reshape(blocks, self._block_samples)
        self._arrived[row, :blocks] = arrived_s

    def give(self, row: int) -> tuple[Floats, list[float]]:
        """The same back: whoever asks has it now."""
        blocks = int(self._filled[row])
        self._filled[row] = 0
        arrived_s: list[float] = self._arrived[row, :blocks].tolist()
        return self._samples[row, :blocks].ravel(), arrived_s

    def push(self, rows: Rows, frames: Floats, at_s: Doubles) -> tuple[Rows, Floats, Doubles]:
        """A frame of each of these rows, [n, samples], and when it arrived; each was taken, and is there once. Answers the rows
        whose windows are full, these, [m, samples], and when their blocks arrived, [m, blocks]."""
        window, filled = self._window, self._filled[rows]
        each, places = rows[:, None], filled[:, None] + self._places
        self._samples[each, places] = frames.reshape(len(rows), len(self._places), self._block_samples)
        self._arrived[each, places] = at_s[:, None]
        filled += len(self._places)
        full = filled >= window
        due = rows[full]
        windows = self._samples[due, :window].reshape(len(due), window * self._block_samples)
        arrived = self._arrived[due, :window]
        rest = self._kept - window
        self._samples[due, :rest] = self._samples[due, window:]
        self._arrived[due, :rest] = self._arrived[due, window:]
        filled[full] -= window
        self._filled[rows] = filled
        return due, windows, arrived

    def _grow(self) -> None:
        """Twice the rows."""
        more = max(16, len(self._filled))
        self._filled = np.concatenate((self._filled, np.zeros(more, np.intp)))
        self._arrived = np.concatenate((self._arrived, np.zeros((more, self._kept))))
        fresh = np.zeros((more, self._kept, self._block_samples), np.float32)
        self._samples = np.concatenate((self._samples, fresh))
