"""Plivo's side of a bidirectional audio stream, from its documents "Audio Streaming" and "Checkpoint event".

It sends start, media, dtmf, playedStream and clearedAudio, and takes playAudio, checkpoint, clearAudio and sendDTMF: mu-law at
8000 Hz or 16 bit little endian PCM at 8000 or 16000 Hz, played in the form that the stream was begun with. A checkpoint is
answered when what came before was played; after a clear it never is. The reference has no stop, the guide names one: `stops`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aywa.testing.equipment.base import (
    Audio,
    Clear,
    Equipment,
    Facts,
    Json,
    Keys,
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

CONTENT_TYPES = {Coding.MULAW: "audio/x-mulaw", Coding.LINEAR: "audio/x-l16"}
NONCE = "92463412687413612345"
_DIGITS = re.compile(r"[0-9*#A-Da-dwW]+")


def signature_v3(
    token: str, url: str, nonce: str, form: Mapping[str, str] | None = None, method: str = "POST"
) -> str:
    """X-Plivo-Signature-V3: of a POST the address, a dot, each field's name and value by name, a dot and the nonce; of a
    GET the address with its query, a dot and the nonce. HMAC-SHA256."""
    fields = "".join(name + value for name, value in sorted((form or {}).items()))
    signed = f"{url}.{nonce}"
    if method == "POST" and fields:
        signed = f"{url}{'' if '?' in url else '?'}{'.' if '?' in url else ''}{fields}.{nonce}"
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha256).digest()).decode(
        "ascii"
    )


class PlivoEquipment(Equipment):
    """facts.parameters: the extraHeaders. facts.secret: the account's auth token, for the signature."""

    name = "plivo"
    codings = (Coding.MULAW, Coding.LINEAR)
    rates_hz = (8000, 16000)

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
        stops: bool = False,
    ) -> None:
        super().__init__(facts, coding=coding, rate_hz=rate_hz, ear=ear)
        self.stops = stops

    def headers(self, url: str) -> Mapping[str, str]:
        """As the base says."""
        if not self.facts.secret:
            return {}
        made = signature_v3(self.facts.secret, url, NONCE, method="GET")
        return {"X-Plivo-Signature-V3": made, "X-Plivo-Signature-V3-Nonce": NONCE}

    def opening(self) -> list[Message]:
        """start."""
        facts = self.facts
        start: dict[str, Any] = {
            "callId": facts.call_id,
            "streamId": facts.stream_id,
            "accountId": facts.account,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": CONTENT_TYPES[self.coding], "sampleRate": self.rate_hz},
        }
        headers = ";".join(f"{name}={value}" for name, value in facts.parameters.items())
        return [
            compact(
                {
                    "event": "start",
                    "sequenceNumber": self.next_sequence(),
                    "start": start,
                    "extra_headers": headers,
                }
            )
        ]

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        chunk = round(self._sent_s / self.chunk_s) + 1
        timestamp = str(round(self._sent_s * 1000))
        media = {"track": "inbound", "timestamp": timestamp, "chunk": chunk, "payload": written(payload)}
        return self._event("media", {"media": media})

    def press(self, digit: str) -> list[Message]:
        """As the base says."""
        dtmf = {"track": "inbound", "digit": digit, "timestamp": str(round(self._sent_s * 1000))}
        return [self._event("dtmf", {"dtmf": dtmf})]

    def hang_up(self) -> list[Message]:
        """As the base says."""
        return [self._event("stop", {})] if self.stops else []

    def _take(self, message: Message) -> Iterator[Told]:
        said = object_of(text_of(message))
        match field_of(said, "event"):
            case "playAudio":
                yield self._played(said)
            case "checkpoint":
                self._mine(said)
                yield Mark(field_of(said, "name"))
            case "clearAudio":
                self._mine(said)
                yield Clear()
            case "sendDTMF":
                if not _DIGITS.fullmatch(digits := field_of(said, "dtmf")):
                    raise NotTheProtocol(f"{digits!r:.40} are no keys")
                yield Keys(digits)
            case event:
                raise NotTheProtocol(f"{event!r:.40} is no message to Plivo")

    def _played(self, said: Json) -> Audio:
        kind, rate_hz = field_of(said, "media.contentType"), int(field_of(said, "media.sampleRate", object))
        if (kind, rate_hz) != (CONTENT_TYPES[self.coding], self.rate_hz):
            raise NotTheProtocol(
                f"{kind}, {rate_hz} Hz on a stream of {CONTENT_TYPES[self.coding]}, {self.rate_hz} Hz"
            )
        return Audio(payload_of(said, "media.payload"))

    def _mine(self, said: Json) -> None:
        if (stream := field_of(said, "streamId")) != self.facts.stream_id:
            raise NotTheProtocol(f"streamId {stream!r:.60} is not this stream's")

    def _mark_reached(self, name: str) -> Message:
        return self._event("playedStream", {"name": name})

    def _cleared(self, names: list[str]) -> list[Message]:
        # "playedStream will only be emitted if the preceding events were played successfully."
        return [self._event("clearedAudio", {})]

    def _event(self, event: str, rest: Json) -> str:
        sequence = self.next_sequence()
        return compact({"sequenceNumber": sequence, "streamId": self.facts.stream_id, "event": event, **rest})


def facts_of_plivo(parameters: Mapping[str, str]) -> Facts:
    """Facts in Plivo's form: ids are UUIDs."""
    return Facts(
        call_id="12345678-1234-1234-1234-123456789abc",
        stream_id="87654321-4321-4321-4321-cba987654321",
        account="MAXXXXXXXXXXXXXXXXXX",
        parameters=parameters,
    )
