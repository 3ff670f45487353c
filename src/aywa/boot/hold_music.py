"""The music that callers hear on hold: a WAV file, read once at the start."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from aywa.boot.errors import CannotStart
from aywa.core.audio.frame import shorts

SECONDS_MOST = 300.0
RATES_HZ = (8_000, 48_000)
_MEND = "make one of 16 bits, for example with: ffmpeg -i FILE -ac 1 -ar 8000 -c:a pcm_s16le music.wav"


def read_music(path: Path | None) -> tuple[bytes, int]:
    """PCM16 of one channel, and its rate; nothing at all without a file. Raises CannotStart."""
    if path is None:
        return b"", 8_000
    try:
        with wave.open(str(path)) as file:
            channels, width, rate_hz = file.getnchannels(), file.getsampwidth(), file.getframerate()
            pcm = file.readframes(round(SECONDS_MOST * rate_hz))
    except (OSError, EOFError, wave.Error) as error:
        raise _refused(path, str(error)) from error
    if width != 2 or not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise _refused(path, f"it has {8 * width} bits at {rate_hz} Hz")
    whole = pcm[: len(pcm) // (2 * channels) * 2 * channels]
    if not whole:
        raise _refused(path, "it is empty")
    mixed = shorts(whole).reshape(-1, channels).mean(axis=1)
    return np.rint(mixed).astype("<i2").tobytes(), rate_hz


def _refused(path: Path, why: str) -> CannotStart:
    return CannotStart(f"RUNTIME_MEDIA_HOLD_MUSIC: {path} cannot be used: {why}; {_MEND}")
