"""Vonage's side of a WebSocket endpoint, from its document "WebSockets in the Vonage Voice API" and, for the token, "Signed
webhooks".

Binary messages of exactly 20 ms, L16 little endian at 8000, 16000 or 24000 Hz; the first message is text and says the form,
beside whatever the NCCO's headers held, at the top level. What is played must come in the same messages; at most 1024 of them
wait, and more are thrown away. {"action": "clear"} is answered by websocket:cleared, {"action": "notify"} by websocket:notify
when what came before was played. The door may ask for a signed JWT. There is no stop: the connection closes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any

from aywa.testing.equipment.base import (
    Audio,
    Clear,
    Equipment,
    Facts,
    Mark,
    Message,
    NotTheProtocol,
    Told,
    Violation,
    compact,
    field_of,
    object_of,
)
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import EarSettings

MOST_MESSAGES = 1024


def signed_jwt(secret: str, claims: Mapping[str, Any], body: bytes = b"") -> str:
    """HS256, with the SHA-256 of a body in payload_hash, as Vonage signs its webhooks."""
    claims = {**claims, "payload_hash": hashlib.sha256(body).hexdigest()} if body else dict(claims)
    signed = b".".join(_part(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims))
    return (signed + b"." + _part(hmac.new(secret.encode(), signed, hashlib.sha256).digest())).decode("ascii")


class VonageEquipment(Equipment):
    """facts.secret: the account's signature secret. facts.parameters: the NCCO's headers. issued_s: when the token is made."""

    name = "vonage"
    codings = (Coding.LINEAR,)
    rates_hz = (16000, 8000, 24000)

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
        issued_s: float = 0.0,
    ) -> None:
        ear = ear or EarSettings()
        most_s = min(ear.most_s, MOST_MESSAGES * self.chunk_s)
        super().__init__(
            facts, coding=coding, rate_hz=rate_hz, ear=EarSettings(ear.delay_s, ear.skew_ppm, most_s)
        )
        self._issued_s = issued_s
        self._payloads: dict[str, Any] = {}

    def headers(self, url: str) -> Mapping[str, str]:
        """As the base says."""
        if not self.facts.secret:
            return {}
        issued = round(self._issued_s)
        claims = {"iat": issued, "exp": issued + 300, "jti": self.facts.stream_id, "iss": "Vonage"}
        return {"Authorization": f"Bearer {signed_jwt(self.facts.secret, claims)}"}

    def opening(self) -> list[Message]:
        """websocket:connected."""
        form = {"event": "websocket:connected", "content-type": f"audio/l16;rate={self.rate_hz}"}
        return [compact({**form, **self.facts.parameters})]

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        return payload

    def press(self, digit: str) -> list[Message]:
        """As the base says."""
        return [compact({"event": "websocket:dtmf", "digit": digit, "duration": 260})]

    def _take(self, message: Message) -> Iterator[Told]:
        if isinstance(message, bytes):
            if len(message) != self.chunk_bytes:
                yield Violation(f"a message of {len(message)} bytes; each must have {self.chunk_bytes}")
            yield Audio(message)
            return
        said = object_of(message)
        match field_of(said, "action"):
            case "clear":
                yield Clear()
            case "notify":
                payload = field_of(said, "payload", dict)
                name = compact(payload)
                self._payloads[name] = payload
                yield Mark(name)
            case action:
                raise NotTheProtocol(f"{action!r:.40} is no action of Vonage's")

    def _mark_reached(self, name: str) -> Message:
        return compact({"event": "websocket:notify", "payload": self._payloads.pop(name, {})})

    def _cleared(self, names: list[str]) -> list[Message]:
        for name in names:
            self._payloads.pop(name, None)
        return [compact({"event": "websocket:cleared"})]


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
