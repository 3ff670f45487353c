"""Exotel's side of the Voicebot applet, from its documents "WebSocket protocol" and "Working with the Stream and Voicebot
Applet".

Names with underscores, numbers as text, 16 bit little endian PCM at 8000, 16000 or 24000 Hz, in messages of 100 ms. What is
played must be a multiple of 320 bytes, between 3.2 kB and 100 kB a message. The door may ask for basic authentication; the rate
and at most three parameters stand in the address.
"""

from __future__ import annotations

import base64
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
    Violation,
    compact,
    field_of,
    object_of,
    payload_of,
    text_of,
    written,
)
from aywa.testing.equipment.coding import Coding

STEP_BYTES = 320
LEAST_BYTES, MOST_BYTES = 3200, 100_000


class ExotelEquipment(Equipment):
    """facts.secret: "key:token" of basic authentication."""

    name = "exotel"
    codings = (Coding.LINEAR,)
    rates_hz = (8000, 16000, 24000)
    chunk_s = 0.1

    def headers(self, url: str) -> Mapping[str, str]:
        """As the base says."""
        if not self.facts.secret:
            return {}
        return {"Authorization": f"Basic {base64.b64encode(self.facts.secret.encode()).decode()}"}

    def query(self) -> Mapping[str, str]:
        """As the base says."""
        rate = {"sample-rate": str(self.rate_hz)} if self.rate_hz != 8000 else {}
        return {**rate, **self.facts.parameters}

    def opening(self) -> list[Message]:
        """connected, then start."""
        facts = self.facts
        start = {
            "stream_sid": facts.stream_id,
            "call_sid": facts.call_id,
            "account_sid": facts.account,
            "from": facts.caller,
            "to": facts.called,
            "custom_parameters": dict(facts.parameters),
            "media_format": {"encoding": "audio/x-raw", "sample_rate": str(self.rate_hz), "bit_rate": "16"},
        }
        return [compact({"event": "connected"}), self._event("start", {"start": start})]

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        chunk = round(self._sent_s / self.chunk_s) + 1
        media = {
            "chunk": str(chunk),
            "timestamp": str(round(self._sent_s * 1000)),
            "payload": written(payload),
        }
        return self._event("media", {"media": media})

    def press(self, digit: str) -> list[Message]:
        """As the base says."""
        return [self._event("dtmf", {"dtmf": {"digit": digit, "duration": "100"}})]

    def hang_up(self) -> list[Message]:
        """As the base says."""
        stop = {"call_sid": self.facts.call_id, "account_sid": self.facts.account, "reason": "callended"}
        return [self._event("stop", {"stop": stop})]

    def _take(self, message: Message) -> Iterator[Told]:
        said = object_of(text_of(message))
        event = field_of(said, "event")
        if event not in ("media", "mark", "clear"):
            raise NotTheProtocol(f"{event!r:.40} is no message to Exotel")
        if (stream := field_of(said, "stream_sid")) != self.facts.stream_id:
            raise NotTheProtocol(f"stream_sid {stream!r:.60} is not this stream's")
        match event:
            case "media":
                payload = payload_of(said, "media.payload")
                if len(payload) % STEP_BYTES:
                    yield Violation(f"a chunk of {len(payload)} bytes is no multiple of {STEP_BYTES}")
                elif not LEAST_BYTES <= len(payload) <= MOST_BYTES:
                    yield Violation(
                        f"a chunk of {len(payload)} bytes; {LEAST_BYTES} to {MOST_BYTES} are allowed"
                    )
                yield Audio(payload)
            case "mark":
                yield Mark(field_of(said, "mark.name"))
            case _:
                yield Clear()

    def _mark_reached(self, name: str) -> Message:
        return self._event("mark", {"mark": {"name": name}})

    def _event(self, event: str, rest: Json) -> str:
        sequence = str(self.next_sequence())
        return compact(
            {"event": event, "sequence_number": sequence, "stream_sid": self.facts.stream_id, **rest}
        )
