"""Silero VAD v6 in this process: scores the windows of many calls in one run. Decides nothing about turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aywa.adapters.local.onnx import session

_SHAPES = {16000: (512, 64), 8000: (256, 32)}
_STATE = 128
_MOST_ROWS = 64
"""Rows of one run: past this a batch gains nothing and holds up the timer wheel."""


class SileroVad:
    """A detector at one rate. rate_hz: 8000 or 16000; a window is 32 ms. Use from one thread."""

    def __init__(self, model: Path, rate_hz: int = 16000) -> None:
        self.rate_hz = rate_hz
        self.window_samples, self._context_samples = _SHAPES[rate_hz]
        self._session = session(model, arena=True)
        self._rate = np.array(rate_hz, dtype=np.int64)
        self._state = np.zeros((2, 0, _STATE), dtype=np.float32)
        self._context = np.zeros((0, self._context_samples), dtype=np.float32)
        self._input = np.zeros((_MOST_ROWS, self._context_samples + self.window_samples), dtype=np.float32)
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
        data = self._input[: len(rows)]
        data[:, : self._context_samples] = self._context[rows]
        data[:, self._context_samples :] = windows
        feeds = {"input": data, "state": self._state[:, rows], "sr": self._rate}
        probabilities, state = self._session.run(None, feeds)
        self._state[:, rows] = state
        self._context[rows] = windows[:, -self._context_samples :]
        return np.asarray(probabilities, dtype=np.float32)[:, 0]

    def _grow(self, size: int) -> None:
        have = len(self._context)
        state = np.zeros((2, size, _STATE), dtype=np.float32)
        context = np.zeros((size, self._context_samples), dtype=np.float32)
        state[:, :have], context[:have] = self._state, self._context
        self._state, self._context = state, context
        self._free.extend(reversed(range(have, size)))
