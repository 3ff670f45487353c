"""A WAV file's sound as PCM16 of one channel, and a sound that is not too loud. Refuses what is not 16 bits."""

from __future__ import annotations

import struct
import wave
from typing import BinaryIO

import numpy as np

from aywa.core.audio.frame import shorts

RATES_HZ = (8_000, 48_000)
CHANNELS_MOST = 8
_FULL = 32767.0


class BadWav(Exception):
    """Its text says what is wrong with the file."""


def read_wav(file: BinaryIO, seconds_most: float) -> tuple[bytes, int]:
    """PCM16 of one channel, and its rate; of a longer sound the beginning. Raises BadWav."""
    try:
        with wave.open(file) as opened:
            channels, width, rate_hz = opened.getnchannels(), opened.getsampwidth(), opened.getframerate()
            pcm = opened.readframes(round(seconds_most * rate_hz))
    except (OSError, EOFError, ValueError, RuntimeError, struct.error, wave.Error) as error:
        # RuntimeError: a chunk that ends before it begins.
        raise BadWav(str(error) or "it is cut off") from error
    if width != 2 or not RATES_HZ[0] <= rate_hz <= RATES_HZ[1] or channels > CHANNELS_MOST:
        raise BadWav(f"it has {8 * width} bits at {rate_hz} Hz in {channels} channels")
    whole = pcm[: len(pcm) // (2 * channels) * 2 * channels]
    if not whole:
        raise BadWav("it is empty")
    mixed = shorts(whole).reshape(-1, channels).mean(axis=1)
    return np.rint(mixed).astype("<i2").tobytes(), rate_hz


def softened(pcm: bytes, most_db: float) -> bytes:
    """No louder than that (RMS, dBFS) over its whole length."""
    samples = shorts(pcm).astype(np.float64)
    rms = float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
    most = 10 ** (most_db / 20) * _FULL
    if rms <= most:
        return pcm
    return bytes(np.rint(samples * (most / rms)).astype("<i2").tobytes())
