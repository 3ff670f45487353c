"""How loud something is. Levels are dBFS: 0 is a full-scale square wave, SILENCE_DB stands for nothing at all."""

from __future__ import annotations

import numpy as np

from aywa.core.audio.frame import FRAME_S, Floats

SILENCE_DB = -100.0
# A voice on a telephone is heard from about here on; what is softer is its breath, or the line.
AUDIBLE_DB = -50.0
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


def leading_silence_s(samples: Floats, rate_hz: int, least_db: float = AUDIBLE_DB) -> float:
    """How long it is before the first frame of 20 ms that can be heard; all of it where none can."""
    size = max(1, round(rate_hz * FRAME_S))
    for at in range(0, len(samples), size):
        if dbfs(samples[at : at + size]) >= least_db:
            return at / rate_hz
    return len(samples) / rate_hz
