"""How audio is written on the equipment's wire: G.711 as this package codes it, and linear samples in either byte order.

Refuses codings that need a library: G.722, Opus, AMR-WB.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from aywa.testing.softphone.rtp import decode_alaw, encode_alaw
from aywa.testing.sound import decode_mulaw, encode_mulaw


class Coding(Enum):
    """A sample's form. LINEAR is 16 bit little endian, NETWORK the same big endian (RFC 3551, 4.5.11)."""

    LINEAR = "linear"
    NETWORK = "network"
    MULAW = "mulaw"
    ALAW = "alaw"

    @property
    def sample_bytes(self) -> int:
        """What one sample takes."""
        return 1 if self in (Coding.MULAW, Coding.ALAW) else 2

    def encode(self, pcm: bytes) -> bytes:
        """PCM16 LE as it goes onto the wire."""
        match self:
            case Coding.LINEAR:
                return pcm
            case Coding.NETWORK:
                return _swapped(pcm)
            case Coding.MULAW:
                return encode_mulaw(pcm)
            case Coding.ALAW:
                return encode_alaw(pcm)

    def decode(self, payload: bytes) -> bytes:
        """PCM16 LE of what came; half a sample at its end is no audio."""
        whole = payload[: len(payload) // self.sample_bytes * self.sample_bytes]
        match self:
            case Coding.LINEAR:
                return whole
            case Coding.NETWORK:
                return _swapped(whole)
            case Coding.MULAW:
                return decode_mulaw(whole)
            case Coding.ALAW:
                return decode_alaw(whole)


def _swapped(pcm: bytes) -> bytes:
    return np.frombuffer(pcm, "<i2").astype(">i2").tobytes()
