"""G.711 as a Coding: no memory, and nothing that could fail."""

from __future__ import annotations

from aywa.core.audio import g711
from aywa.core.rtp.plan import Codec


class PcmuCoding:
    """mu-law."""

    codec = Codec.PCMU
    encode = staticmethod(g711.pcm_to_mulaw)
    decode = staticmethod(g711.mulaw_to_pcm)

    def conceal(self, samples: int, following: bytes | None = None) -> bytes:
        """Has no way of its own."""
        return b""


class PcmaCoding:
    """A-law."""

    codec = Codec.PCMA
    encode = staticmethod(g711.pcm_to_alaw)
    decode = staticmethod(g711.alaw_to_pcm)

    def conceal(self, samples: int, following: bytes | None = None) -> bytes:
        """Has no way of its own."""
        return b""
