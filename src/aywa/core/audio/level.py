"""How loud something is. Levels are dBFS: 0 is a full-scale square wave, SILENCE_DB stands for nothing at all."""

from __future__ import annotations

import numpy as np

from aywa.core.audio.frame import Floats

SILENCE_DB = -100.0
_SILENCE_POWER = np.float32(10 ** (SILENCE_DB / 10))


def rms(samples: Floats) -> float:
    """The root of the mean square, 0..1; 0 for no samples."""
    if samples.size == 0:
        return 0.0
    return float(np.sqrt(np.dot(samples, samples) / samples.size))


def dbfs(samples: Floats) -> float:
    """The level of the samples."""
    power = rms(samples) ** 2
    return SILENCE_DB if power <= _SILENCE_POWER else float(10 * np.log10(power))


def block_levels(samples: Floats, blocks: int) -> Floats:
    """Levels of so many equal blocks along the last axis: [..., n] becomes [..., blocks]."""
    cut = samples.reshape(*samples.shape[:-1], blocks, samples.shape[-1] // blocks)
    power: Floats = np.einsum("...i,...i->...", cut, cut) / np.float32(cut.shape[-1])
    np.maximum(power, _SILENCE_POWER, out=power)
    levels: Floats = np.float32(10) * np.log10(power)
    return levels
