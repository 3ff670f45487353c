"""Changes the rate of a whole piece of audio: a polyphase windowed sinc. Keeps no state between pieces."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

_ZEROS = 16
"""Zero crossings of the sinc on each side: 32 taps a phase at the lower rate."""
_ROLL_OFF = 0.94
_BETA = 8.0


def resample(audio: Samples, from_hz: int, to_hz: int) -> Samples:
    """The same audio at another rate; its length is rounded up."""
    if from_hz == to_hz or not len(audio):
        return audio
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    phases = _phases(up, down)
    taps = phases.shape[1]
    half = taps // 2
    count = -(-len(audio) * up // down)
    padded = np.concatenate((np.zeros(half, np.float32), audio, np.zeros(taps + down, np.float32)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    out = np.empty(count, dtype=np.float32)
    for first in range(min(up, count)):
        start, phase = divmod(first * down, up)
        places = len(range(first, count, up))
        out[first::up] = windows[start : start + places * down : down][:places] @ phases[phase]
    return out


@cache
def _phases(up: int, down: int) -> Samples:
    """[up, taps]: the filter for each place between two input samples."""
    cutoff = _ROLL_OFF * min(1.0, up / down)
    half = math.ceil(_ZEROS / cutoff)
    distance = np.arange(-half, half + 1)[None, :] - np.arange(up)[:, None] / up
    window = np.i0(_BETA * np.sqrt(np.clip(1.0 - (distance / (half + 1)) ** 2, 0.0, None))) / np.i0(_BETA)
    taps = cutoff * np.sinc(cutoff * distance) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), dtype=np.float32)


def from_pcm16(pcm: bytes) -> Samples:
    """PCM16 LE into -1..1."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0


def to_pcm16(audio: Samples) -> bytes:
    """-1..1 into PCM16 LE, clipped."""
    return (np.clip(audio, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
