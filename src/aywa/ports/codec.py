"""Audio codecs of a stream: PCM16 in and out, a packet at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aywa.core.rtp.plan import Codec


class CodecUnavailable(Exception):
    """The codec cannot be used here; the message says what to install."""


class Coding(Protocol):
    """One stream's encoder and decoder, with their memory. PCM is at the codec's rate."""

    codec: Codec

    def encode(self, pcm: bytes) -> bytes:
        """The payload for a packet's audio."""

    def decode(self, payload: bytes) -> bytes:
        """A packet's audio; nothing for what is none. Never raises."""

    def conceal(self, samples: int, following: bytes | None = None) -> bytes:
        """What may have been in the packet that is lost, from the codec's own memory or from the packet after it; nothing
        where the codec has no such thing."""


# Raises CodecUnavailable.
CodingMaker = Callable[[Codec], Coding]
