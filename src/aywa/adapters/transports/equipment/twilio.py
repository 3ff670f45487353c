"""Twilio Media Streams, and the family of protocols that is built like it: JSON texts with the audio in base64.

By Twilio's documents "Media Streams: WebSocket Messages" and "TwiML Voice: <Stream>". Only <Connect><Stream>, which has a way
back, is of use to a call. `Words` is what the members of the family call things; whatever else they do differently, they
say in a class of their own.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.adapters.transports.equipment.codec import (
    AHEAD_S,
    Audio,
    Broken,
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
from aywa.adapters.transports.equipment.reading import (
    base64_bytes,
    inner,
    json_object,
    key,
    number,
    parameters,
    text,
)
from aywa.ports.media import AudioFormat

_MULAW_HZ = 8_000
_HEARD = ("inbound", "inbound_track")


@dataclass(frozen=True, slots=True)
class Words:
    """The names of fields. stream: of every message. call, caller, called, parameters, format: inside `start`, of the first that
    is there. encodings: a format by its name in lower case. order_in_media: order is counted inside `media`."""

    stream: str = "streamSid"
    call: tuple[str, ...] = ("callSid",)
    caller: tuple[str, ...] = ("from",)
    called: tuple[str, ...] = ("to",)
    parameters: str = "customParameters"
    format: str = "mediaFormat"
    rate: str = "sampleRate"
    encodings: Mapping[str, AudioFormat] = field(default_factory=lambda: {"audio/x-mulaw": AudioFormat.MULAW})
    order: str = "chunk"
    order_in_media: bool = True


TWILIO = Traits(
    "twilio",
    ((AudioFormat.MULAW, _MULAW_HZ),),
    marks=True,
    probes=True,
    clears=True,
    lead_s=AHEAD_S,
    order=True,
    stops=True,
)


class TwilioCodec(Plain):
    """codec.Codec for the family."""

    def __init__(self, traits: Traits = TWILIO, words: Words | None = None) -> None:
        self.traits = traits
        self.words = words or Words()
        self.stream_id = ""
        self._order, self._order_in_media = self.words.order, self.words.order_in_media
        # How every message with audio begins, once the stream has.
        self._media = ""
        # Looked up by what is said: a method for each event.
        self._events: dict[str, Callable[[dict[str, Any]], Sequence[Received]]] = {
            "media": self._media_came,
            "start": self._start_came,
            "mark": self._mark_came,
            "dtmf": self._key_came,
            "stop": self._stop_came,
            "connected": self._connected_came,
        }

    # --- what the far side says ----------------------------------------------------------------------------------

    def receive(self, message: Message) -> Sequence[Received]:
        """As the seam says."""
        found = json_object(message) if isinstance(message, str) else None
        if found is None:
            return (Broken("a message must be one JSON object, in a text"),)
        event = found.get("event")
        if not isinstance(event, str):
            return (Broken("a message without an event"),)
        came = self._events.get(event)
        return self.said(text(event), found) if came is None else came(found)

    def said(self, event: str, found: Mapping[str, Any]) -> Sequence[Received]:
        """An event that the family does not share."""
        return (Said(event[:40]),)

    def started(self, start: Mapping[str, Any], found: Mapping[str, Any]) -> Started | Broken:
        """What `start` says."""
        words = self.words
        stream_id = text(found.get(words.stream)) or text(start.get(words.stream))
        if not stream_id:
            return Broken(f"start without {words.stream}", final=True)
        form = inner(start, words.format)
        encoding, rate_hz = text(form.get("encoding")).lower(), number(form.get(words.rate))
        audio_format = words.encodings.get(encoding)
        if (audio_format, rate_hz) not in self.traits.formats or audio_format is None or rate_hz is None:
            spoken = ", ".join(f"{each} at {hz} Hz" for each, hz in self.traits.formats)
            return Broken(
                f"the stream's format, {encoding[:40]} at {rate_hz} Hz, is none of {spoken}", final=True
            )
        return Started(
            stream_id,
            _first(start, words.call),
            audio_format,
            rate_hz,
            _first(start, words.caller),
            _first(start, words.called),
            parameters(inner(start, words.parameters)),
        )

    def _connected_came(self, found: dict[str, Any]) -> Sequence[Received]:
        return ()

    def _start_came(self, found: dict[str, Any]) -> Sequence[Received]:
        if self.stream_id:
            return (Broken("a second start"),)
        started = self.started(inner(found, "start"), found)
        if isinstance(started, Started):
            self.stream_id = started.stream_id
            self._media = self.text("media", media={"payload": "\n"}).rpartition("\\n")[0]
        return (started,)

    def _media_came(self, found: dict[str, Any]) -> Sequence[Received]:
        media = found.get("media")
        if not isinstance(media, dict):
            return (Broken("media without media"),)
        payload = base64_bytes(media.get("payload"))
        if payload is None or not self._media:
            return (Broken("audio before start" if payload is not None else "a payload must be base64"),)
        track = media.get("track")
        if track is not None and track not in _HEARD:
            # What we said ourselves, where a stream was asked for both tracks.
            return (Said("media of another track"),)
        order = (media if self._order_in_media else found).get(self._order)
        return (Audio(payload, None if order is None else number(order)),)

    def _mark_came(self, found: dict[str, Any]) -> Sequence[Received]:
        name = text(inner(found, "mark").get("name"))
        return (MarkPlayed(name),) if name else (Broken("a mark without a name"),)

    def _key_came(self, found: dict[str, Any]) -> Sequence[Received]:
        pressed = key(inner(found, "dtmf").get("digit"))
        return (Key(pressed),) if pressed else (Broken("a key that no telephone has"),)

    def _stop_came(self, found: dict[str, Any]) -> Sequence[Received]:
        return (Stopped(text(inner(found, "stop").get("reason"))),)

    # --- what it is told -------------------------------------------------------------------------------------------

    def text(self, event: str, **more: Any) -> str:
        """One message to the far side."""
        return json.dumps({"event": event, self.words.stream: self.stream_id, **more}, separators=(",", ":"))

    def audio(self, payload: bytes) -> Message:
        """As the seam says."""
        return f'{self._media}{b2a_base64(payload, newline=False).decode("ascii")}"}}}}'

    def mark(self, name: str) -> Message | None:
        """As the seam says."""
        return self.text("mark", mark={"name": name})

    def clear(self) -> Message | None:
        """As the seam says."""
        return self.text("clear")


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text(found[name]) for name in names if found.get(name)), "")


DIALECTS: Mapping[str, Dialect] = {"twilio": Dialect(TWILIO, lambda handshake: TwilioCodec())}
