"""Opus by libopus through opuslib-next: 16 kHz mono out of whatever comes, speech at 32 kbit/s with in-band repair.

The library's functions are called with buffers of our own: its own wrapper turns every sample into a Python number.
Its memory cannot be read out: a stream that goes on in another process starts a fresh one, which settles within a frame.
"""

from __future__ import annotations

from ctypes import POINTER, c_char_p, c_int16, cast, create_string_buffer, string_at
from importlib import import_module
from typing import Any

from aywa.core.rtp.plan import Codec
from aywa.ports.codec import CodecUnavailable

# RFC 7587 4.2: no packet holds more than 120 ms.
MOST_SAMPLES = Codec.OPUS.rate_hz * 120 // 1000
_MOST_PAYLOAD = 1275
# RFC 7587 3.1.1: 16 to 20 kbit/s carry wideband speech, and the repair of a lost packet needs as much again.
_BITS_PER_S = 32_000
_COMPLEXITY = 5
_LOSS_PERCENT = 10
_NO_DATA = 0
_shorts = POINTER(c_int16)


class OpusCoding:
    """One stream both ways."""

    codec = Codec.OPUS

    def __init__(self) -> None:
        try:
            self._api = _Library()
        # The package raises a bare Exception when the shared library is missing.
        except Exception as error:  # noqa: BLE001
            raise CodecUnavailable(f"Opus needs the package opuslib-next and libopus: {error}") from None
        api = self._api
        self._encoder = api.classes.Encoder(Codec.OPUS.rate_hz, 1, "voip")
        self._encoder.bitrate = _BITS_PER_S
        self._encoder.complexity = _COMPLEXITY
        self._encoder.inband_fec = 1
        self._encoder.packet_loss_perc = _LOSS_PERCENT
        self._decoder = api.classes.Decoder(Codec.OPUS.rate_hz, 1)
        self._payload = create_string_buffer(_MOST_PAYLOAD)
        self._pcm = create_string_buffer(MOST_SAMPLES * 2)
        self._samples = cast(self._pcm, _shorts)

    def encode(self, pcm: bytes) -> bytes:
        """A frame of 2.5 to 60 ms (RFC 6716 2.1.4); another length is a ValueError, ours."""
        size: int = self._api.encode(
            self._encoder.encoder_state,
            cast(c_char_p(pcm), _shorts),
            len(pcm) // 2,
            self._payload,
            _MOST_PAYLOAD,
        )
        if size < 0:
            raise ValueError(f"Opus does not encode {len(pcm) // 2} samples: error {size}")
        return string_at(self._payload, size)

    def decode(self, payload: bytes) -> bytes:
        """Nothing for what libopus refuses."""
        return self._decoded(payload, len(payload), MOST_SAMPLES, repair=False) if payload else b""

    def conceal(self, samples: int, following: bytes | None = None) -> bytes:
        """The repair that the packet after it carries (RFC 6716 2.1.7), or libopus's guess."""
        wanted = min(samples, MOST_SAMPLES)
        if following:
            return self._decoded(following, len(following), wanted, repair=True)
        return self._decoded(None, _NO_DATA, wanted, repair=False)

    def _decoded(self, payload: bytes | None, size: int, samples: int, repair: bool) -> bytes:
        count: int = self._api.decode(
            self._decoder.decoder_state, payload, size, self._samples, samples, 1 if repair else 0
        )
        return string_at(self._pcm, count * 2) if count > 0 else b""


class _Library:
    """What is used of opuslib-next."""

    def __init__(self) -> None:
        self.classes: Any = import_module("opuslib_next.classes")
        self.encode: Any = import_module("opuslib_next.api.encoder").libopus_encode
        self.decode: Any = import_module("opuslib_next.api.decoder").libopus_decode
