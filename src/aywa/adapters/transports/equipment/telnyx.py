"""Telnyx media streaming, a member of Twilio's family: other names, other codecs, and messages that may come out of order.

By Telnyx's documents "Media Streaming over WebSockets" and "Stream call media over WebSocket". The way back exists where the
stream was asked for with stream_bidirectional_mode=rtp, and the same codec both ways. Where the call itself speaks G.722,
Telnyx cannot recode it, and streams that whatever it was asked for: it is heard as the u-law that goes back.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from aywa.adapters.transports.equipment.codec import (
    AHEAD_S,
    Audio,
    Broken,
    Dialect,
    Lost,
    Message,
    Passed,
    Received,
    Said,
    Started,
    Traits,
)
from aywa.adapters.transports.equipment.reading import inner, json_object, number, text
from aywa.adapters.transports.equipment.twilio import TwilioCodec, Words
from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.core.audio.resample import Resampler
from aywa.ports.media import AudioFormat

_MULAW_HZ, _G722_HZ, _G722_BITS_PER_S = 8_000, 16_000, 64_000
_G722 = "g722"

TELNYX = Traits(
    "telnyx",
    (
        (AudioFormat.MULAW, 8_000),
        (AudioFormat.ALAW, 8_000),
        (AudioFormat.PCM16, 8_000),
        (AudioFormat.PCM16, 16_000),
        (AudioFormat.PCM16, 24_000),
    ),
    marks=True,
    probes=True,
    clears=True,
    lead_s=AHEAD_S,
    order=True,
    stops=True,
)
WORDS = Words(
    stream="stream_id",
    call=("call_control_id",),
    parameters="custom_parameters",
    format="media_format",
    rate="sample_rate",
    # L16 is little-endian here, though it is called the payload of RTP.
    encodings={"pcmu": AudioFormat.MULAW, "pcma": AudioFormat.ALAW, "l16": AudioFormat.PCM16},
    order="sequence_number",
    order_in_media=False,
)


class _Wideband:
    """G.722 as u-law at 8 kHz."""

    def __init__(self) -> None:
        self._library = import_module("G722").G722(_G722_HZ, _G722_BITS_PER_S)
        self._resampler = Resampler(_G722_HZ, _MULAW_HZ)

    def mulaw(self, payload: bytes) -> bytes:
        samples: array[int] = self._library.decode(payload)
        return pcm_to_mulaw(to_pcm(self._resampler.push(to_float(samples.tobytes()))))


class TelnyxCodec(TwilioCodec):
    """codec.Codec."""

    def __init__(self) -> None:
        super().__init__(TELNYX, WORDS)
        self._wideband: _Wideband | None = None

    def receive(self, message: Message) -> Sequence[Received]:
        """As the seam says. Every message but `connected` is numbered, also those without audio."""
        found = json_object(message) if isinstance(message, str) else None
        if found is None:
            return (Broken("a message must be one JSON object, in a text"),)
        event = found.get("event")
        came = self._events.get(event) if isinstance(event, str) else None
        received = self.said(text(event), found) if came is None else came(found)
        if received and isinstance(received[0], Audio):
            if self._wideband is None:
                return received
            return (replace(received[0], payload=self._wideband.mulaw(received[0].payload)),)
        order = number(found.get("sequence_number"))
        return received if order is None else (*received, Passed(order))

    def started(self, start: Mapping[str, Any], found: Mapping[str, Any]) -> Started | Broken:
        """What `start` says."""
        form = inner(start, "media_format")
        if text(form.get("encoding")).lower() != _G722:
            return super().started(start, found)
        try:
            self._wideband = _Wideband()
        except ImportError:
            return Broken("the stream is G.722, and the package G722 is not installed", final=True)
        heard = {**start, "media_format": {"encoding": "pcmu", "sample_rate": _MULAW_HZ}}
        started = super().started(heard, found)
        note = "Telnyx streams this call in G.722, which it cannot recode: it is heard at 8 kHz."
        return replace(started, notes=(note,)) if isinstance(started, Started) else started

    def said(self, event: str, found: Mapping[str, Any]) -> Sequence[Received]:
        """Also that something we sent was not understood."""
        if event != "error":
            return super().said(event, found)
        payload = inner(found, "payload")
        code, title = text(payload.get("code"))[:20], text(payload.get("title"))[:80]
        return (
            (Lost(f"Telnyx did not take what was sent: {code} {title}".rstrip()),) if code else (Said(event),)
        )

    def text(self, event: str, **more: Any) -> str:
        """One message to the far side, which knows whose socket it is."""
        return json.dumps({"event": event, **more}, separators=(",", ":"))


DIALECTS: Mapping[str, Dialect] = {"telnyx": Dialect(TELNYX, lambda handshake: TelnyxCodec())}
