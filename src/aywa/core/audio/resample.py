"""Changes the rate of a stream by a polyphase low-pass filter, a block at a time; refuses irrational ratios.

The filter is one matrix: a row of it holds the input samples that one output sample depends on. A block of input with
its history is a vector, several blocks of one frame are the rows of a matrix, so a frame is one small product.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from aywa.core.audio.frame import Floats, to_float, to_pcm

# Zero crossings of the filter on each side, at the lower of the two rates: 2 ms of delay at 8 kHz.
_HALF_WIDTH = 16
# 60 dB of attenuation; the pass band then ends at 0.39 of the lower rate.
_KAISER_BETA = 5.65
_CUTOFF = 0.445
# Blocks of 4 ms divide every frame of the usual rates.
_BLOCKS_PER_SECOND = 250


class Resampler:
    """One stream from one rate to another. Feed it in any portions: the output is the same."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError(f"rates are positive: {from_hz} Hz to {to_hz} Hz")
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._block, self._matrix = _filter(from_hz, to_hz)
        self._history = len(self._matrix) - self._block
        self.delay_s = self._history / 2 / from_hz
        self._kept = np.zeros(self._history, np.float32)
        self._usual = 0
        self._prepare(self._block)

    def push(self, samples: Floats) -> Floats:
        """What the samples complete. Up to 4 ms may stay inside until the next push."""
        if self.from_hz == self.to_hz:
            return samples
        even = len(self._kept) == self._history and samples.size % self._block == 0
        if not even or samples.size == 0:
            return self._push_uneven(samples)
        if samples.size != self._usual:
            self._prepare(samples.size)
        self._stream[: self._history] = self._kept
        self._stream[self._history :] = samples
        # BLAS refuses rows that overlap, and copying this little is cheaper than doing without it.
        self._rows[:] = self._windows
        self._kept = self._stream[self._usual :].copy()
        product: Floats = self._rows @ self._matrix
        return product.ravel()

    def flush(self) -> Floats:
        """What is still inside, as if silence followed; then starts afresh."""
        rest = self.push(np.zeros(self._history // 2 + self._block - 1, np.float32))
        self._kept = np.zeros(self._history, np.float32)
        return rest

    def whole(self, samples: Floats) -> Floats:
        """A recording of its own: as long as before, and not delayed. Forgets what was pushed."""
        if self.from_hz == self.to_hz:
            return samples
        self._kept = np.zeros(self._history // 2, np.float32)
        padding = np.zeros(self._history + self._block, np.float32)
        filtered = self._push_uneven(np.concatenate((samples, padding)))
        self._kept = np.zeros(self._history, np.float32)
        return filtered[: -(-len(samples) * self.to_hz // self.from_hz)]

    def _push_uneven(self, samples: Floats) -> Floats:
        stream = np.concatenate((self._kept, samples))
        blocks = max(0, len(stream) - self._history) // self._block
        self._kept = stream[blocks * self._block :]
        product: Floats = _windows(stream, blocks, self._block, len(self._matrix)).copy() @ self._matrix
        return product.ravel()

    def _prepare(self, samples: int) -> None:
        """Makes the arrays for portions of this size, the usual case."""
        self._usual = samples
        self._stream = np.zeros(self._history + samples, np.float32)
        self._windows = _windows(self._stream, samples // self._block, self._block, len(self._matrix))
        self._rows = np.empty(self._windows.shape, np.float32)


def _windows(stream: Floats, blocks: int, block: int, width: int) -> Floats:
    """Overlapping rows, one for each block with its history, without a copy."""
    return as_strided(stream, (blocks, width), (block * stream.itemsize, stream.itemsize))


def resample(samples: Floats, from_hz: int, to_hz: int) -> Floats:
    """A whole recording: as long as before, and not delayed."""
    return Resampler(from_hz, to_hz).whole(samples)


def resample_pcm(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """The same for PCM16."""
    return pcm if from_hz == to_hz else to_pcm(resample(to_float(pcm), from_hz, to_hz))


@lru_cache(maxsize=64)
def _filter(from_hz: int, to_hz: int) -> tuple[int, Floats]:
    """The block's length in input samples, and the matrix [history + block, output samples of a block]."""
    common = gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    block = down * max(1, round(from_hz / _BLOCKS_PER_SECOND / down))
    # The width at the input's rate, kept even so that the delay is a whole number of input samples.
    half = _HALF_WIDTH * -(-max(from_hz, to_hz) // to_hz)
    history = 2 * half
    produced = block * up // down
    # Output n lies at input time n * down / up; input i of (history | block) at i - half, which is the delay.
    distance = np.arange(history + block)[:, None] - half - np.arange(produced)[None, :] * (down / up)
    return block, _low_pass(distance, min(1.0, to_hz / from_hz), half)


def _low_pass(distance: npt.NDArray[np.float64], ratio: float, half: int) -> Floats:
    """A windowed sinc by distance in input samples; each output's weights sum to 1, so that a constant stays one."""
    cutoff = 2 * _CUTOFF * ratio
    inside = np.clip(1 - (distance / half) ** 2, 0, None)
    weights = np.sinc(cutoff * distance) * np.i0(_KAISER_BETA * np.sqrt(inside)) * (np.abs(distance) <= half)
    matrix: Floats = (weights / weights.sum(axis=0)).astype(np.float32)
    return matrix
