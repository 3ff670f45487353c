"""jambonz's side of the listen verb, from its document "listen", with bidirectional streaming on.

A text message with the call's attributes, sampleRate and mixType, then binary L16. Played are binary messages of L16 at the rate
of bidirectionalAudio (`played_hz`); disconnect, killAudio, mark and clearMarks are text. A mark comes back as "playout" when it
is reached, or as "cleared" after killAudio; after clearMarks not at all. Without streaming, playAudio plays a whole file and
playDone follows.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from aywa.testing.equipment.audio_fork import at_rate
from aywa.testing.equipment.base import (
    Ask,
    Audio,
    Clear,
    Equipment,
    Facts,
    HangUp,
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
)
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import EarSettings

DONE = "playDone"


class JambonzEquipment(Equipment):
    """facts.secret: "name:password" of wsAuth. streaming: of bidirectionalAudio."""

    name = "jambonz"
    codings = (Coding.LINEAR,)
    rates_hz = (8000, 16000, 24000, 48000, 64000)
    subprotocols = ("audio.jambonz.org",)

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
        streaming: bool = True,
        played_hz: int | None = None,
    ) -> None:
        super().__init__(facts, coding=coding, rate_hz=rate_hz, ear=ear)
        self.streaming = streaming
        self.played_hz = played_hz or self.rate_hz

    def headers(self, url: str) -> Mapping[str, str]:
        """As the base says."""
        if not self.facts.secret:
            return {}
        return {"Authorization": f"Basic {base64.b64encode(self.facts.secret.encode()).decode()}"}

    def query(self) -> Mapping[str, str]:
        """What the verb's url says: that what comes back must be files."""
        return {} if self.streaming else {"back": "files"}

    def opening(self) -> list[Message]:
        """The call's attributes."""
        facts = self.facts
        attributes: dict[str, Any] = {
            "callSid": facts.call_id,
            "direction": "inbound",
            "from": facts.caller,
            "to": facts.called,
            "callId": f"{facts.call_id}@127.0.0.1",
            "sipStatus": 200,
            "callStatus": "in-progress",
            "accountSid": facts.account,
            "applicationSid": "8c0f5f9e-5b1c-4b3b-9a6e-1f5d2b3c4d5e",
            "sampleRate": self.rate_hz,
            "mixType": "mono",
        }
        return [compact({**attributes, **facts.parameters})]

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        return payload

    def press(self, digit: str) -> list[Message]:
        """As the base says; with passDtmf."""
        return [compact({"event": "dtmf", "dtmf": digit, "duration": "1600"})]

    def _take(self, message: Message) -> Iterator[Told]:
        if isinstance(message, bytes):
            yield from self._binary(message)
            return
        said = object_of(message)
        match field_of(said, "type"):
            case "mark":
                yield Mark(field_of(said, "data.name"))
            case "clearMarks":
                yield Ask("clearMarks")
            case "killAudio":
                yield Clear()
            case "disconnect":
                yield HangUp()
            case "playAudio":
                yield from self._file(said)
            case kind:
                raise NotTheProtocol(f"{kind!r:.40} is no command of listen's")

    def _binary(self, message: bytes) -> Iterator[Told]:
        if not self.streaming:
            yield Violation("binary audio, and bidirectionalAudio.streaming is off")
        elif len(message) % 2:
            yield Violation(f"a message of {len(message)} bytes: no whole samples")
        else:
            yield Audio(at_rate(message, self.played_hz, self.rate_hz))

    def _file(self, said: Json) -> Iterator[Told]:
        if self.streaming:
            raise NotTheProtocol("playAudio, and bidirectionalAudio.streaming is on")
        if (kind := field_of(said, "data.audioContentType")) != "raw":
            raise NotTheProtocol(f"{kind!r:.40} is not played here")
        rate_hz = int(field_of(said, "data.sampleRate", object))
        yield Audio(at_rate(payload_of(said, "data.audioContent"), rate_hz, self.rate_hz))
        yield Mark(DONE)

    def _answer(self, ask: Ask, now_s: float) -> list[Message]:
        self.ear.forget_marks()
        return []

    def _mark_reached(self, name: str) -> Message:
        if not self.streaming and name == DONE:
            return compact({"type": DONE})
        return compact({"type": "mark", "data": {"name": name, "event": "playout"}})

    def _cleared(self, names: list[str]) -> list[Message]:
        if not self.streaming:
            return []
        return [compact({"type": "mark", "data": {"name": name, "event": "cleared"}}) for name in names]
