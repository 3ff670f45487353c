"""Twilio's side of a bidirectional Media Stream, from its document "Media Streams - WebSocket Messages" and, for the
signature, "Secure your app: validating requests".

Twilio sends connected, start, media, dtmf, mark and stop, and takes media, mark and clear: mu-law, 8000 Hz, one channel.
A mark comes back when what was sent before it has been played, and for everything that a clear threw away.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping

from aywa.testing.equipment.base import (
    Audio,
    Clear,
    Equipment,
    Json,
    Mark,
    Message,
    NotTheProtocol,
    Told,
    compact,
    field_of,
    object_of,
    payload_of,
    text_of,
    written,
)
from aywa.testing.equipment.coding import Coding


def signature(token: str, url: str, form: Mapping[str, str] | None = None) -> str:
    """X-Twilio-Signature: the address and then each field's name and value, by name, under HMAC-SHA1."""
    signed = url + "".join(name + value for name, value in sorted((form or {}).items()))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode("ascii")


class TwilioEquipment(Equipment):
    """facts.secret: the account's auth token, for the signature."""

    name = "twilio"
    codings = (Coding.MULAW,)

    def headers(self, url: str) -> Mapping[str, str]:
        """As the base says."""
        return {"X-Twilio-Signature": signature(self.facts.secret, url)} if self.facts.secret else {}

    def opening(self) -> list[Message]:
        """connected, then start."""
        facts = self.facts
        start = {
            "accountSid": facts.account,
            "streamSid": facts.stream_id,
            "callSid": facts.call_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(facts.parameters),
        }
        return [
            compact({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
            self._event("start", {"start": start}),
        ]

    def media(self, payload: bytes) -> Message:
        """As the base says. The chunk counts from 1; the timestamp is in milliseconds since the stream began."""
        chunk = round(self._sent_s / self.chunk_s) + 1
        timestamp = str(round(self._sent_s * 1000))
        media = {"track": "inbound", "chunk": str(chunk), "timestamp": timestamp, "payload": written(payload)}
        return self._event("media", {"media": media})

    def press(self, digit: str) -> list[Message]:
        """As the base says."""
        return [self._event("dtmf", {"dtmf": {"track": "inbound_track", "digit": digit}})]

    def hang_up(self) -> list[Message]:
        """As the base says."""
        stop = {"accountSid": self.facts.account, "callSid": self.facts.call_id}
        return [self._event("stop", {"stop": stop})]

    def _take(self, message: Message) -> Iterator[Told]:
        said = object_of(text_of(message))
        event = field_of(said, "event")
        if event not in ("media", "mark", "clear"):
            raise NotTheProtocol(f"{event!r:.40} is no message to Twilio")
        if (stream := field_of(said, "streamSid")) != self.facts.stream_id:
            raise NotTheProtocol(f"streamSid {stream!r:.60} is not this stream's")
        match event:
            case "media":
                yield from self._played(payload_of(said, "media.payload"))
            case "mark":
                yield Mark(field_of(said, "mark.name"))
            case _:
                yield Clear()

    def _played(self, payload: bytes) -> Iterator[Told]:
        # "The media payload should not contain audio file type header bytes."
        if payload[:4] in (b"RIFF", b"ID3\x03", b"OggS"):
            raise NotTheProtocol("the payload has a file's header")
        if not payload:
            raise NotTheProtocol("the payload is empty")
        yield Audio(payload)

    def _mark_reached(self, name: str) -> Message:
        return self._event("mark", {"mark": {"name": name}})

    def _event(self, event: str, rest: Json) -> str:
        sequence = str(self.next_sequence())
        return compact(
            {"event": event, "sequenceNumber": sequence, **rest, "streamSid": self.facts.stream_id}
        )
