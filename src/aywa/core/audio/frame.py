"""What a frame is, and PCM16 as numbers and back; refuses to know codecs.

PCM is 16 bit, little endian, one channel, unless a name says otherwise. Numbers are float32 in -1..1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Shorts = npt.NDArray[np.int16]

FRAME_S = 0.02
SAMPLE_BYTES = 2

_SCALE = np.float32(32768)
_LOWEST = np.float32(-32768)
_HIGHEST = np.float32(32767)


def frame_samples(rate_hz: int) -> int:
    """Samples in a frame of 20 ms."""
    return rate_hz // 50


def frame_bytes(rate_hz: int) -> int:
    """Bytes in a frame of 20 ms of PCM16."""
    return frame_samples(rate_hz) * SAMPLE_BYTES


def seconds(pcm: bytes, rate_hz: int) -> float:
    """How long it sounds."""
    return len(pcm) / (rate_hz * SAMPLE_BYTES)


def shorts(pcm: bytes) -> Shorts:
    """The samples, read-only, without a copy. An odd number of bytes is a ValueError."""
    return np.frombuffer(pcm, "<i2")


def to_float(pcm: bytes) -> Floats:
    """The samples in -1..1."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / _SCALE


def to_pcm(samples: Floats) -> bytes:
    """Rounded to the nearest step; what lies outside -1..1 is clipped."""
    scaled: Floats = np.rint(samples * _SCALE)
    np.minimum(scaled, _HIGHEST, out=scaled)
    np.maximum(scaled, _LOWEST, out=scaled)
    return scaled.astype("<i2").tobytes()


def silence(samples: int) -> bytes:
    """PCM16 that cannot be heard."""
    return bytes(samples * SAMPLE_BYTES)
