"""Plivo's audio streams: JSON texts with the audio in base64, checkpoints for marks.

By Plivo's documents "Audio Streaming Protocol Reference" and "The Stream element" (bidirectional="true"). A checkpoint is told
as played only when everything before it was: what a clearAudio threw away is told by clearedAudio alone.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aywa.adapters.transports.equipment.codec import (
    AHEAD_S,
    PARAMETERS_MOST,
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

PLIVO = Traits(
    "plivo",
    (
        (AudioFormat.MULAW, 8_000),
        (AudioFormat.PCM16, 8_000),
        (AudioFormat.PCM16, 16_000),
        (AudioFormat.PCM16, 24_000),
    ),
    marks=True,
    clears=True,
    lead_s=AHEAD_S,
    order=True,
)
_ENCODINGS = {"audio/x-mulaw": AudioFormat.MULAW, "audio/x-l16": AudioFormat.PCM16}
_CONTENT_TYPES = {audio_format: name for name, audio_format in _ENCODINGS.items()}


class PlivoCodec(Plain):
    """codec.Codec."""

    def __init__(self) -> None:
        self.traits = PLIVO
        self._stream_id = ""
        self._media = ""
        self._events: dict[str, Callable[[dict[str, Any]], Sequence[Received]]] = {
            "media": self._media_came,
            "start": self._start_came,
            "playedStream": self._played_came,
            "clearedAudio": lambda found: (Cleared(),),
            "dtmf": self._key_came,
            "stop": lambda found: (Stopped(text(inner(found, "stop").get("reason"))),),
        }

    # --- what the far side says ----------------------------------------------------------------------------------

    def receive(self, message: Message) -> Sequence[Received]:
        """As the seam says."""
        found = json_object(message) if isinstance(message, str) else None
        if found is None:
            return (Broken("a message must be one JSON object, in a text"),)
        event = found.get("event")
        came = self._events.get(event) if isinstance(event, str) else None
        if came is not None:
            return came(found)
        kind = text(event)[:40]
        return (Said(kind),) if kind else (Broken("a message without an event"),)

    def _start_came(self, found: dict[str, Any]) -> Sequence[Received]:
        if self._stream_id:
            return (Broken("a second start"),)
        start = inner(found, "start")
        stream_id = text(start.get("streamId")) or text(found.get("streamId"))
        if not stream_id:
            return (Broken("start without streamId", final=True),)
        form = inner(start, "mediaFormat")
        encoding, _, rate = text(form.get("encoding")).lower().partition(";rate=")
        rate_hz = number(form.get("sampleRate")) or number(rate)
        audio_format = _ENCODINGS.get(encoding)
        if audio_format is None or rate_hz is None or (audio_format, rate_hz) not in PLIVO.formats:
            spoken = ", ".join(f"{each} at {hz} Hz" for each, hz in PLIVO.formats)
            why = f"the stream's format, {encoding[:40]} at {rate_hz} Hz, is none of {spoken}"
            return (Broken(why, final=True),)
        self._stream_id = stream_id
        played = {"contentType": _CONTENT_TYPES[audio_format], "sampleRate": rate_hz, "payload": "\n"}
        self._media = _text("playAudio", media=played).rpartition("\\n")[0]
        return (
            Started(
                stream_id,
                text(start.get("callId")),
                audio_format,
                rate_hz,
                text(start.get("from")),
                text(start.get("to")),
                _extra_headers(found.get("extra_headers")),
            ),
        )

    def _media_came(self, found: dict[str, Any]) -> Sequence[Received]:
        media = found.get("media")
        if not isinstance(media, dict):
            return (Broken("media without media"),)
        payload = base64_bytes(media.get("payload"))
        if not self._stream_id or payload is None:
            return (Broken("audio before start" if payload is not None else "a payload must be base64"),)
        if media.get("track", "inbound") != "inbound":
            return (Said("media of another track"),)
        return (Audio(payload, number(media.get("chunk"))),)

    def _played_came(self, found: dict[str, Any]) -> Sequence[Received]:
        name = text(found.get("name"))
        return (MarkPlayed(name),) if name else (Broken("a playedStream without a name"),)

    def _key_came(self, found: dict[str, Any]) -> Sequence[Received]:
        pressed = key(inner(found, "dtmf").get("digit"))
        return (Key(pressed),) if pressed else (Broken("a key that no telephone has"),)

    # --- what it is told -------------------------------------------------------------------------------------------

    def audio(self, payload: bytes) -> Message:
        """As the seam says."""
        return f'{self._media}{b2a_base64(payload, newline=False).decode("ascii")}"}}}}'

    def mark(self, name: str) -> Message | None:
        """As the seam says."""
        return _text("checkpoint", streamId=self._stream_id, name=name)

    def clear(self) -> Message | None:
        """As the seam says."""
        return _text("clearAudio", streamId=self._stream_id)

    def keys(self, digits: str) -> Sequence[Message]:
        """As the seam says."""
        return (_text("sendDTMF", dtmf=digits),)


def _text(event: str, **more: Any) -> str:
    return json.dumps({"event": event, **more}, separators=(",", ":"))


def _extra_headers(value: Any) -> dict[str, str]:
    """The customer's own, as Plivo writes them: name=value, with semicolons or commas between; or an object."""
    if isinstance(value, dict):
        return parameters(value)
    given = text(value)
    written = json_object(given) if given.startswith("{") else None
    if written is not None:
        return parameters(written)
    pairs = [each.partition("=") for each in given.replace(";", ",").split(",")]
    return {name.strip(): each.strip() for name, _, each in pairs[:PARAMETERS_MOST] if name.strip()}


DIALECTS: Mapping[str, Dialect] = {"plivo": Dialect(PLIVO, lambda handshake: PlivoCodec())}
