"""Exotel's Voicebot applet (AgentStream), a member of Twilio's family: names with underscores, linear audio in long chunks.

By Exotel's documents "WebSocket protocol" and "Working with the Stream and Voicebot Applet". Audio goes back in multiples of
320 bytes, and at least 3200 at once, or it is not played cleanly: 200 ms at 8 kHz, 100 ms above. Older flows announce no
format, or only `base64`: the audio is then linear, at the rate that the address asks for (?sample-rate=16000), else at 8 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aywa.adapters.transports.equipment.codec import AHEAD_S, Broken, Dialect, Handshake, Started, Traits
from aywa.adapters.transports.equipment.reading import inner, number, text
from aywa.adapters.transports.equipment.twilio import TwilioCodec, Words
from aywa.ports.media import AudioFormat

CHUNK_S, SLOW_CHUNK_S = 0.1, 0.2
_RATE_HZ = 8_000

EXOTEL = Traits(
    "exotel",
    (
        (AudioFormat.PCM16, 8_000),
        (AudioFormat.PCM16, 16_000),
        (AudioFormat.PCM16, 24_000),
        (AudioFormat.MULAW, 8_000),
    ),
    chunk_s=CHUNK_S,
    chunks_most=1,
    marks=True,
    clears=True,
    lead_s=AHEAD_S + CHUNK_S,
    order=True,
    stops=True,
)
WORDS = Words(
    stream="stream_sid",
    call=("call_sid",),
    parameters="custom_parameters",
    format="media_format",
    rate="sample_rate",
    encodings={
        "audio/x-raw": AudioFormat.PCM16,
        "audio/l16": AudioFormat.PCM16,
        "audio/x-l16": AudioFormat.PCM16,
        "raw/slin": AudioFormat.PCM16,
        "base64": AudioFormat.PCM16,
        "audio/x-mulaw": AudioFormat.MULAW,
    },
)


class ExotelCodec(TwilioCodec):
    """codec.Codec. rate_hz: of a stream that does not say."""

    def __init__(self, rate_hz: int = _RATE_HZ) -> None:
        super().__init__(EXOTEL, WORDS)
        self._rate_hz = rate_hz

    def started(self, start: Mapping[str, Any], found: Mapping[str, Any]) -> Started | Broken:
        """What `start` says, and what it leaves out."""
        form = inner(start, "media_format")
        encoding, _, rate = (text(form.get("encoding")) or "base64").lower().partition(";rate=")
        rate_hz = number(form.get("sample_rate")) or number(rate) or self._rate_hz
        if rate_hz == _RATE_HZ:
            self.traits = replace(EXOTEL, chunk_s=SLOW_CHUNK_S, lead_s=2 * SLOW_CHUNK_S)
        whole = {**start, "media_format": {"encoding": encoding, "sample_rate": rate_hz}}
        return super().started(whole, found)


def _make(handshake: Handshake) -> ExotelCodec:
    return ExotelCodec(number(handshake.query.get("sample-rate")) or _RATE_HZ)


DIALECTS: Mapping[str, Dialect] = {"exotel": Dialect(EXOTEL, _make)}
