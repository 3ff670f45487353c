"""A stream on a real plane, with a wire that takes notes and a door that opens, or does not, when it is told to."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aywa.adapters.transports.equipment.codec import Codec, Handshake, Message, Started
from aywa.adapters.transports.equipment.door import Turned
from aywa.adapters.transports.equipment.settings import StreamSettings
from aywa.adapters.transports.equipment.streams import Streams
from aywa.adapters.transports.equipment.twilio import TwilioCodec
from aywa.core.events import MediaEvent
from aywa.ports.media import AudioFormat, LegPlan, MediaMessage
from tests.media.rig import Rig

E = TypeVar("E")
STREAM = "MZ1"
START = {
    "callSid": "CA1",
    "customParameters": {"order": "42"},
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
}


@dataclass
class Note:
    """door.Wire that notes what it gets, and when. full: what it says is waiting."""

    loop: asyncio.AbstractEventLoop
    sent: list[tuple[float, Message]] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    full: int = 0

    def send(self, message: Message) -> None:
        assert not self.closed
        self.sent.append((self.loop.time(), message))

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def buffered_bytes(self) -> int:
        return self.full

    def of(self, event: str) -> list[tuple[float, dict[str, Any]]]:
        """Twilio's messages of that kind."""
        found = [(at, json.loads(message)) for at, message in self.sent]
        return [(at, message) for at, message in found if message["event"] == event]

    @property
    def audio(self) -> bytes:
        return b"".join(base64.b64decode(message["media"]["payload"]) for _, message in self.of("media"))


@dataclass
class Gate:
    """door.Door. answer: what it answers; None: it raises. opens: it waits for this."""

    loop: asyncio.AbstractEventLoop
    events: list[MediaEvent] = field(default_factory=list)
    answer: Turned | str | None = "call"
    opens: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[Handshake, Started]] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    async def open(self, handshake: Handshake, started: Started) -> LegPlan | Turned:
        self.asked.append((handshake, started))
        await self.opens.wait()
        if self.answer is None:
            raise RuntimeError("a secret")
        if isinstance(self.answer, Turned):
            return self.answer
        return LegPlan(self.answer, AudioFormat.PCM16, 16_000, self.loop.time(), self.events.append)

    def gave_up(self, call_id: str) -> None:
        self.given_up.append(call_id)


class Desk:
    """Streams on one plane."""

    def __init__(self, codec: Codec | None = None, settings: StreamSettings | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.rig = Rig()
        self.gate = Gate(self.loop)
        self.gate.opens.set()
        self.streams = Streams(self.rig.plane, self.gate, settings)
        self.wire = Note(self.loop)
        self.handshake = Handshake("twilio", "name")
        self.stream = self.streams.stream(codec or TwilioCodec(), self.handshake, self.wire)

    def say(self, event: str, **more: Any) -> None:
        """A message of Twilio's."""
        self.stream.received(json.dumps({"event": event, "streamSid": STREAM, **more}))

    def speak(self, chunk: int | None = None, value: int = 0x7F) -> None:
        """20 ms of audio."""
        payload = base64.b64encode(bytes([value]) * 160).decode()
        media: dict[str, Any] = {"payload": payload} | ({} if chunk is None else {"chunk": str(chunk)})
        self.say("media", media=media)

    async def begin(self) -> None:
        """It becomes a call."""
        self.say("start", start=START)
        await self.settle()

    async def settle(self) -> None:
        """Whatever is ready is done."""
        for _ in range(5):
            await asyncio.sleep(0)

    def order(self, message: MediaMessage) -> None:
        """The brain's."""
        self.rig.plane.send(message)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.gate.events if isinstance(event, kind)]

    async def close(self) -> None:
        self.stream.gone("lost", "")
        await self.streams.close()
        await self.rig.plane.close()
