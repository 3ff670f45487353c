"""Voice activity: how likely it is that a window of audio holds speech, for many calls in one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Vad(Protocol):
    """A detector at one rate. Rows of a batch are independent of each other."""

    rate_hz: int
    window_samples: int

    def open(self) -> int:
        """Gives a new row's handle, with fresh state. What was given back is given again: handles are small numbers, no more of
        them than rows were ever open at once, and tables are kept by them."""

    def close(self, row: int) -> None:
        """Gives the handle back."""

    def score(self, rows: Sequence[int], windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Takes [len(rows), window_samples] in -1..1; answers [len(rows)] probabilities. A row at most once a call."""
