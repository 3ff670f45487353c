"""SignalWire's <Stream>, a member of Twilio's family: the same messages, and linear audio where it was asked for.

By SignalWire's document "cXML: <Stream>". Its examples show every message inside another object, as `rawEvent`; whether it is
sent so or bare, it is understood. A clear is answered with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aywa.adapters.transports.equipment.codec import (
    AHEAD_S,
    Broken,
    Cleared,
    Dialect,
    Message,
    Received,
    Traits,
)
from aywa.adapters.transports.equipment.reading import json_object, text
from aywa.adapters.transports.equipment.twilio import TwilioCodec, Words
from aywa.ports.media import AudioFormat

SIGNALWIRE = Traits(
    "signalwire",
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
    encodings={
        "audio/x-mulaw": AudioFormat.MULAW,
        "audio/x-alaw": AudioFormat.ALAW,
        "audio/x-l16": AudioFormat.PCM16,
    }
)


class SignalWireCodec(TwilioCodec):
    """codec.Codec."""

    def __init__(self) -> None:
        super().__init__(SIGNALWIRE, WORDS)

    def receive(self, message: Message) -> Sequence[Received]:
        """As the seam says."""
        found = json_object(message) if isinstance(message, str) else None
        if found is None:
            return (Broken("a message must be one JSON object, in a text"),)
        raw = found.get("rawEvent")
        if isinstance(raw, dict):
            found = raw
        event = found.get("event")
        came = self._events.get(event) if isinstance(event, str) else None
        return self.said(text(event), found) if came is None else came(found)

    def said(self, event: str, found: Mapping[str, Any]) -> Sequence[Received]:
        """Also that what was queued is gone."""
        return (Cleared(),) if event == "clear" else super().said(event, found)


DIALECTS: Mapping[str, Dialect] = {"signalwire": Dialect(SIGNALWIRE, lambda handshake: SignalWireCodec())}
