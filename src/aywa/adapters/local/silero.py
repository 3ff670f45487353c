"""Silero VAD v6 in this process: scores the windows of many calls in one run. Decides nothing about turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aywa.adapters.local.onnx import session
from aywa.adapters.local.silero_graph import FRAMES, STATE, batched

_SHAPES = {16000: (512, 64), 8000: (256, 32)}
"""By rate: samples of a window, and of what is seen again before it. The latter is a quarter of a frame."""
_MOST_ROWS = 64
"""Rows of one run: past this a batch gains nothing and holds up the timer wheel."""


class SileroVad:
    """A detector at one rate. rate_hz: 8000 or 16000; a window is 32 ms. Use from one thread."""

    def __init__(self, model: Path, rate_hz: int = 16000) -> None:
        self.rate_hz = rate_hz
        self.window_samples, self._context_samples = _SHAPES[rate_hz]
        fft = 4 * self._context_samples
        self._session = session(batched(model, fft), arena=True)
        self._state = np.zeros((2, 0, STATE), dtype=np.float32)
        self._context = np.zeros((0, self._context_samples), dtype=np.float32)
        self._seen = self._context_samples + self.window_samples
        self._input = np.zeros((_MOST_ROWS, self._seen + self._context_samples), dtype=np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(self._input, fft, axis=1)[:, :: fft // 2]
        self._middle = frames[..., fft // 2]
        self._left, self._right = frames[..., 1 : fft // 2], frames[..., : fft // 2 : -1]
        self._even = np.zeros((_MOST_ROWS, FRAMES, fft // 2), dtype=np.float32)
        self._odd = np.zeros((_MOST_ROWS, FRAMES, fft // 2 - 1), dtype=np.float32)
        self._free: list[int] = []
        self._grow(_MOST_ROWS)

    def open(self) -> int:
        """Gives a new row's handle, with fresh state."""
        if not self._free:
            self._grow(2 * len(self._context))
        row = self._free.pop()
        self._state[:, row] = 0.0
        self._context[row] = 0.0
        return row

    def close(self, row: int) -> None:
        """Gives the handle back."""
        if row in self._free or not 0 <= row < len(self._context):
            raise ValueError(f"row {row} is not open")
        self._free.append(row)

    def score(self, rows: Sequence[int], windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Takes [len(rows), window_samples] in -1..1; answers [len(rows)] probabilities. A row at most once a call."""
        if windows.shape != (len(rows), self.window_samples):
            raise ValueError(f"{len(rows)} rows of {self.window_samples} samples wanted, got {windows.shape}")
        scores = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _MOST_ROWS):
            batch = slice(start, start + _MOST_ROWS)
            scores[batch] = self._run(np.asarray(rows[batch], dtype=np.intp), windows[batch])
        return scores

    def _run(self, rows: npt.NDArray[np.intp], windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        count, seen = len(rows), self._seen
        data = self._input[:count]
        data[:, : self._context_samples] = self._context[rows]
        data[:, self._context_samples : seen] = windows
        data[:, seen:] = data[:, seen - 2 : seen - 2 - self._context_samples : -1]  # mirrored at the end
        even, odd = self._even[:count], self._odd[:count]
        np.add(self._left[:count], self._right[:count], out=even[..., :-1])
        even[..., -1] = self._middle[:count]
        np.subtract(self._left[:count], self._right[:count], out=odd)
        state = self._state[:, rows]
        feeds = {"even": even, "odd": odd, "hidden": state[:1], "cell": state[1:]}
        probabilities, hidden, cell = self._session.run(None, feeds)
        self._state[0, rows], self._state[1, rows] = hidden[0], cell[0]
        self._context[rows] = windows[:, -self._context_samples :]
        return np.asarray(probabilities, dtype=np.float32)[:, 0]

    def _grow(self, size: int) -> None:
        have = len(self._context)
        state = np.zeros((2, size, STATE), dtype=np.float32)
        context = np.zeros((size, self._context_samples), dtype=np.float32)
        state[:, :have], context[:have] = self._state, self._context
        self._state, self._context = state, context
        self._free.extend(reversed(range(have, size)))
