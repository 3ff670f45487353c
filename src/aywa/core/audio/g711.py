"""G.711, mu-law and A-law. Refuses other codecs and other rates than 8 kHz.

Frames go through audioop (the standard library's until 3.12, then audioop-lts); long pieces are encoded by a table of the same
codes. It holds, for every 16-bit sample, the code whose value is nearest in the sense of the recommendation (by segments, not
by distance), so encode(decode(x)) == x for every code but mu-law's negative zero.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from aywa.core.audio.frame import Floats, to_float

with warnings.catch_warnings():
    # The library's own module is going away; the package that takes its place has the same name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

RATE_HZ = 8000
MULAW_SILENCE = b"\xff"
ALAW_SILENCE = b"\xd5"

_Codes = npt.NDArray[np.uint8]

_MULAW_BIAS = 0x84
# On the 14 bits that the recommendation works with.
_MULAW_BIAS_14 = _MULAW_BIAS >> 2
_MULAW_CLIP_14 = 8158


def _mulaw_codes() -> _Codes:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)
    biased = np.minimum(np.abs(sample >> 2), _MULAW_CLIP_14) + _MULAW_BIAS_14
    segment = np.floor(np.log2(biased)).astype(np.int64) - 5
    code = np.where(sample < 0, 0x80, 0) | segment << 4 | (biased >> (segment + 1)) & 0x0F
    codes: _Codes = (~code & 0xFF).astype(np.uint8)
    return codes


def _alaw_codes() -> _Codes:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)
    # The recommendation works on 13 bits, and negative numbers in one's complement.
    magnitude = np.where(sample < 0, ~sample, sample) >> 3
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 4, 0)
    step = magnitude >> np.maximum(segment, 1) & 0x0F
    code = np.where(sample < 0, 0, 0x80) | segment << 4 | step
    codes: _Codes = (code ^ 0x55).astype(np.uint8)
    return codes


# Up to here a call of audioop takes less time than numpy's look-up.
_SHORT_BYTES = 800
_MULAW_CODES = _mulaw_codes()
_ALAW_CODES = _alaw_codes()


_EVERY = bytes(range(256))
_MULAW_FLOATS = to_float(audioop.ulaw2lin(_EVERY, 2))
_ALAW_FLOATS = to_float(audioop.alaw2lin(_EVERY, 2))


def mulaw_to_float(codes: bytes) -> Floats:
    """Samples in -1..1 for mu-law."""
    return _MULAW_FLOATS.take(np.frombuffer(codes, np.uint8))


def alaw_to_float(codes: bytes) -> Floats:
    """Samples in -1..1 for A-law."""
    return _ALAW_FLOATS.take(np.frombuffer(codes, np.uint8))


def mulaw_to_pcm(codes: bytes) -> bytes:
    """PCM16 for mu-law."""
    return audioop.ulaw2lin(codes, 2)


def pcm_to_mulaw(pcm: bytes) -> bytes:
    """Mu-law for PCM16."""
    if len(pcm) <= _SHORT_BYTES:
        return audioop.lin2ulaw(pcm, 2)
    return _MULAW_CODES.take(np.frombuffer(pcm, "<u2")).tobytes()


def alaw_to_pcm(codes: bytes) -> bytes:
    """PCM16 for A-law."""
    return audioop.alaw2lin(codes, 2)


def pcm_to_alaw(pcm: bytes) -> bytes:
    """A-law for PCM16."""
    if len(pcm) <= _SHORT_BYTES:
        return audioop.lin2alaw(pcm, 2)
    return _ALAW_CODES.take(np.frombuffer(pcm, "<u2")).tobytes()
