"""Telnyx's side of Media Streaming with bidirectional RTP, from its documents "Media Streaming over WebSockets" and the
AsyncAPI page "Stream call media over WebSocket".

The payload is that of RTP, without headers: PCMU, PCMA or L16 here (G722, Opus and AMR-WB need a library). L16 is little
endian, as those who use it report: the documents do not say. Frames may arrive out of order, so each has a number. What is
sent back must be between 20 ms and 30 s long. A mark comes back when what went before was played, at once when nothing is
queued, and after a clear. A token configured for the stream arrives in a header.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aywa.testing.equipment.base import (
    Ask,
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

LEAST_S, MOST_S = 0.02, 30.0
TOKEN = "x-telnyx-streaming-auth-token"
_ENCODINGS = {Coding.MULAW: "PCMU", Coding.ALAW: "PCMA", Coding.LINEAR: "L16"}


class TelnyxEquipment(Equipment):
    """facts.secret: the stream's auth token."""

    name = "telnyx"
    codings = (Coding.MULAW, Coding.ALAW, Coding.LINEAR)
    rates_hz = (8000, 16000)

    def headers(self, url: str) -> Mapping[str, str]:
        """As the base says."""
        return {TOKEN: self.facts.secret} if self.facts.secret else {}

    def opening(self) -> list[Message]:
        """connected, then start."""
        facts = self.facts
        start: dict[str, Any] = {
            "user_id": facts.account,
            "call_control_id": facts.call_id,
            "call_session_id": "ff55a038-6f5d-11ef-9692-02420aeffb1f",
            "from": facts.caller,
            "to": facts.called,
            "tags": [],
            "client_state": "",
            "custom_parameters": dict(facts.parameters),
            "media_format": {
                "encoding": _ENCODINGS[self.coding],
                "sample_rate": self.rate_hz,
                "channels": 1,
            },
        }
        connected = {"event": "connected", "version": "1.0.0"}
        if facts.secret:
            connected[TOKEN] = facts.secret
        return [compact(connected), self._event("start", {"start": start})]

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        chunk = round(self._sent_s / self.chunk_s) + 1
        timestamp = str(round(self._sent_s * 1000))
        media = {"track": "inbound", "chunk": str(chunk), "timestamp": timestamp, "payload": written(payload)}
        return self._event("media", {"media": media})

    def press(self, digit: str) -> list[Message]:
        """As the base says."""
        occurred = {"occurred_at": "2026-11-23T08:00:00.000000Z", "dtmf": {"digit": digit}}
        return [self._event("dtmf", occurred)]

    def error(self, code: int = 100003, title: str = "malformed_frame") -> list[Message]:
        """What Telnyx says of a frame that it could not use."""
        detail = {"code": code, "title": title, "detail": "The frame was not understood."}
        return [compact({"event": "error", "stream_id": self.facts.stream_id, "payload": detail})]

    def hang_up(self) -> list[Message]:
        """As the base says."""
        stop = {"user_id": self.facts.account, "call_control_id": self.facts.call_id}
        return [self._event("stop", {"stop": stop})]

    def _take(self, message: Message) -> Iterator[Told]:
        said = object_of(text_of(message))
        match field_of(said, "event"):
            case "media":
                payload = payload_of(said, "media.payload")
                length_s = len(payload) / self.coding.sample_bytes / self.rate_hz
                if not LEAST_S <= length_s <= MOST_S:
                    raise NotTheProtocol(f"a chunk of {length_s * 1000:.1f} ms; 20 ms to 30 s are allowed")
                yield Audio(payload)
            case "mark":
                yield Mark(field_of(said, "mark.name"))
            case "clear":
                yield Clear()
            case event:
                yield Ask("error")
                yield Violation(f"{event!r:.40} is no message to Telnyx")

    def _answer(self, ask: Ask, now_s: float) -> list[Message]:
        return self.error()

    def _mark_reached(self, name: str) -> Message:
        return self._event("mark", {"mark": {"name": name}})

    def _event(self, event: str, rest: Json) -> str:
        sequence = str(self.next_sequence())
        return compact(
            {"event": event, "sequence_number": sequence, "stream_id": self.facts.stream_id, **rest}
        )
