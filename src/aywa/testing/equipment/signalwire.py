"""SignalWire's side of a bidirectional <Stream>, from its document "cXML: <Stream>".

As Twilio's, with the codec chosen in the markup: mu-law at 8000 Hz, or L16 at 16000 or 24000 Hz, little endian. Keys have a
duration, the stop says nothing more, a clear is acknowledged beside the marks that it throws away, and a bearer token may stand
at the door. The document shows each event inside an envelope with a timestamp (`rawEvent`): `enveloped` says it that way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aywa.testing.equipment.base import (
    Audio,
    Clear,
    Equipment,
    Facts,
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
from aywa.testing.equipment.ear import EarSettings

_ENCODINGS = {Coding.MULAW: "audio/x-mulaw", Coding.LINEAR: "audio/x-L16"}


class SignalWireEquipment(Equipment):
    """facts.secret: the authBearerToken."""

    name = "signalwire"
    codings = (Coding.MULAW, Coding.LINEAR)
    rates_hz = (8000, 16000, 24000)

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
        enveloped: bool = False,
    ) -> None:
        super().__init__(facts, coding=coding, rate_hz=rate_hz, ear=ear)
        self.enveloped = enveloped

    def headers(self, url: str) -> Mapping[str, str]:
        """As the base says."""
        return {"Authorization": f"Bearer {self.facts.secret}"} if self.facts.secret else {}

    def opening(self) -> list[Message]:
        """connected, then start."""
        facts = self.facts
        start: dict[str, Any] = {
            "streamSid": facts.stream_id,
            "accountSid": facts.account,
            "callSid": facts.call_id,
            "tracks": ["inbound"],
            "mediaFormat": {
                "encoding": _ENCODINGS[self.coding],
                "sampleRate": self.rate_hz,
                "channels": 1,
            },
        }
        if facts.parameters:
            # "Appears only when parameters are defined."
            start["customParameters"] = dict(facts.parameters)
        connected = self._said({"event": "connected", "protocol": "Call", "version": "0.2.0"})
        return [connected, self._numbered("start", {"start": start})]

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        chunk = round(self._sent_s / self.chunk_s) + 1
        timestamp = str(round(self._sent_s * 1000))
        media = {"track": "inbound", "chunk": str(chunk), "timestamp": timestamp, "payload": written(payload)}
        return self._numbered("media", {"media": media})

    def press(self, digit: str) -> list[Message]:
        """As the base says."""
        return [self._streamed("dtmf", {"dtmf": {"duration": 100, "digit": digit}})]

    def hang_up(self) -> list[Message]:
        """As the base says."""
        return [self._numbered("stop", {})]

    def _take(self, message: Message) -> Iterator[Told]:
        said = object_of(text_of(message))
        event = field_of(said, "event")
        if event not in ("media", "mark", "clear"):
            raise NotTheProtocol(f"{event!r:.40} is no message to SignalWire")
        if (stream := field_of(said, "streamSid")) != self.facts.stream_id:
            raise NotTheProtocol(f"streamSid {stream!r:.60} is not this stream's")
        match event:
            case "media":
                payload = payload_of(said, "media.payload")
                if payload[:4] == b"RIFF":
                    raise NotTheProtocol("the payload has a file's header")
                yield Audio(payload)
            case "mark":
                yield Mark(field_of(said, "mark.name"))
            case _:
                yield Clear()

    def _mark_reached(self, name: str) -> Message:
        return self._streamed("mark", {"mark": {"name": name}})

    def _cleared(self, names: list[str]) -> list[Message]:
        return [self._streamed("clear", {}), *super()._cleared(names)]

    def _numbered(self, event: str, rest: Json) -> str:
        return self._said({"event": event, "sequenceNumber": str(self.next_sequence()), **rest})

    def _streamed(self, event: str, rest: Json) -> str:
        return self._said({"event": event, "streamSid": self.facts.stream_id, **rest})

    def _said(self, event: Json) -> str:
        if not self.enveloped:
            # The stream's id is where Twilio's messages have it, on all but the first.
            return compact(
                event if event["event"] == "connected" else {**event, "streamSid": self.facts.stream_id}
            )
        around: dict[str, Any] = {
            "timestamp": "2026-11-23T08:00:00.000Z",
            "direction": "outbound" if event["event"] == "clear" else "inbound",
            "eventType": event["event"],
        }
        if event["event"] != "connected":
            around["streamSid"] = self.facts.stream_id
        if "sequenceNumber" in event:
            around["sequenceNumber"] = event["sequenceNumber"]
        return compact({**around, "rawEvent": event})
