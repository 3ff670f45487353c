"""G.722 at 64 kbit/s by the package G722: 16 kHz both ways, 25 us a frame each.

Its memory cannot be read out: a stream that goes on in another process starts a fresh one, which settles within a frame.
"""

from __future__ import annotations

from array import array
from importlib import import_module

from aywa.core.rtp.plan import Codec
from aywa.ports.codec import CodecUnavailable

_BITS_PER_S = 64_000


class G722Coding:
    """One stream both ways."""

    codec = Codec.G722

    def __init__(self) -> None:
        try:
            library = import_module("G722")
        except ImportError:
            raise CodecUnavailable("G.722 needs the package G722") from None
        # One object's encoder and decoder share no state.
        self._library = library.G722(Codec.G722.rate_hz, _BITS_PER_S)

    def encode(self, pcm: bytes) -> bytes:
        """Half a byte a sample."""
        payload: bytes = self._library.encode(array("h", pcm))
        return payload

    def decode(self, payload: bytes) -> bytes:
        """Two samples a byte; any byte is audio."""
        samples: array[int] = self._library.decode(payload)
        return samples.tobytes()

    def conceal(self, samples: int, following: bytes | None = None) -> bytes:
        """Has no way of its own."""
        return b""
