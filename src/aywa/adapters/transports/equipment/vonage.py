"""Vonage's WebSocket endpoint: linear audio in binary messages of 20 ms, JSON texts for everything else.

By Vonage's documents "WebSockets" (Voice API) and "NCCO reference", connect to a websocket. The first message names the format
(`content-type`) and carries the customer's own headers beside it. A `notify` comes back when what was sent before it was
played; a `clear` throws away what is queued, and is answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aywa.adapters.transports.equipment.codec import (
    AHEAD_S,
    Audio,
    Broken,
    Cleared,
    Dialect,
    Key,
    MarkPlayed,
    Message,
    Plain,
    Received,
    Said,
    Started,
    Stopped,
    Traits,
)
from aywa.adapters.transports.equipment.reading import inner, json_object, key, number, parameters, text
from aywa.ports.media import AudioFormat

VONAGE = Traits(
    "vonage",
    ((AudioFormat.PCM16, 16_000), (AudioFormat.PCM16, 8_000), (AudioFormat.PCM16, 24_000)),
    # "each message must be 20 ms of audio"
    chunks_most=1,
    marks=True,
    clears=True,
    lead_s=AHEAD_S,
)
_OWN = frozenset(("event", "content-type", "headers"))
_IDS = ("uuid", "call_uuid", "conversation_uuid", "conversation_id")
_MARK = "mark"


class VonageCodec(Plain):
    """codec.Codec."""

    def __init__(self) -> None:
        self.traits = VONAGE
        self._started = False
        self._events: dict[str, Callable[[dict[str, Any]], Sequence[Received]]] = {
            "websocket:connected": self._connected_came,
            "websocket:notify": self._notify_came,
            "websocket:cleared": lambda found: (Cleared(),),
            "websocket:dtmf": self._key_came,
            "websocket:hangup": lambda found: (Stopped(text(found.get("reason"))),),
            "websocket:disconnected": lambda found: (Stopped(text(found.get("reason"))),),
        }

    # --- what the far side says ----------------------------------------------------------------------------------

    def receive(self, message: Message) -> Sequence[Received]:
        """As the seam says."""
        if not isinstance(message, str):
            return (
                (Audio(bytes(message)),) if self._started else (Broken("audio before websocket:connected"),)
            )
        found = json_object(message)
        if found is None:
            return (Broken("a text must be one JSON object"),)
        event = found.get("event")
        came = self._events.get(event) if isinstance(event, str) else None
        if came is not None:
            return came(found)
        # Older platforms wrote a key without an event.
        if event is None and "dtmf" in found:
            return self._key_came(found)
        kind = text(event)[:40]
        return (Said(kind),) if kind else (Broken("a text without an event"),)

    def _connected_came(self, found: dict[str, Any]) -> Sequence[Received]:
        if self._started:
            return (Broken("a second websocket:connected"),)
        content_type, _, rate = text(found.get("content-type")).lower().replace(" ", "").partition(";rate=")
        rate_hz = number(rate)
        if content_type != "audio/l16" or (AudioFormat.PCM16, rate_hz) not in VONAGE.formats or not rate_hz:
            spoken = ", ".join(f"audio/l16;rate={hz}" for _, hz in VONAGE.formats)
            why = f"the stream's format, {content_type[:40]} at {rate_hz} Hz, is none of {spoken}"
            return (Broken(why, final=True),)
        self._started = True
        own = {name: value for name, value in found.items() if name not in _OWN}
        given = parameters(own | dict(inner(found, "headers")))
        call_id = next((given[name] for name in _IDS if given.get(name)), "")
        return (
            Started(
                call_id,
                call_id,
                AudioFormat.PCM16,
                rate_hz,
                given.get("from", ""),
                given.get("to", ""),
                given,
            ),
        )

    def _notify_came(self, found: dict[str, Any]) -> Sequence[Received]:
        name = text(inner(found, "payload").get(_MARK))
        return (MarkPlayed(name),) if name else (Said("websocket:notify"),)

    def _key_came(self, found: dict[str, Any]) -> Sequence[Received]:
        inside = found.get("dtmf")
        given = inside.get("digit") if isinstance(inside, dict) else inside
        pressed = key(found.get("digit", given))
        return (Key(pressed),) if pressed else (Broken("a key that no telephone has"),)

    # --- what it is told -------------------------------------------------------------------------------------------

    def audio(self, payload: bytes) -> Message:
        """As the seam says."""
        return payload

    def mark(self, name: str) -> Message | None:
        """As the seam says."""
        return _text("notify", payload={_MARK: name})

    def clear(self) -> Message | None:
        """As the seam says."""
        return _text("clear")


def _text(action: str, **more: Any) -> str:
    return json.dumps({"action": action, **more}, separators=(",", ":"))


DIALECTS: Mapping[str, Dialect] = {"vonage": Dialect(VONAGE, lambda handshake: VonageCodec())}
