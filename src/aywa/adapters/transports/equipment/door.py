"""What a stream of equipment needs of what is around it: a socket, somebody who knows calls, and other ways to the same call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from aywa.adapters.transports.equipment.codec import Handshake, Message, Started
from aywa.adapters.transports.equipment.settings import StreamSettings
from aywa.ports.media import LegPlan, MediaPlane


class Wire(Protocol):
    """The socket under a stream. No method waits, and none raises."""

    def send(self, message: Message) -> None:
        """One whole message."""

    def close(self, code: int, reason: str) -> None:
        """Closes in order; then the stream is told that it is `gone`. Codes are those of RFC 6455, 7.4."""

    def buffered_bytes(self) -> int:
        """Given to the socket, and not taken by the far side."""


@dataclass(frozen=True, slots=True)
class Turned:
    """The stream does not become a call. why: for the log and the far side, without secrets. later: it may be tried again."""

    why: str
    later: bool = False


class Door(Protocol):
    """Who says what becomes of a stream."""

    async def open(self, handshake: Handshake, started: Started) -> LegPlan | Turned:
        """Its leg; the call is prepared. The plan's format, rate and pace are set by the stream."""

    def gave_up(self, call_id: str) -> None:
        """Whose leg it was to be was gone before it was opened."""


class Control(Protocol):
    """Another way to a call's equipment, beside its socket: an API, an event socket. No method waits."""

    def hang_up(self, reason: str) -> None:
        """The brain closed the leg. Called once, after the socket was told."""

    def send_keys(self, digits: str) -> bool:
        """Asked where the socket carries no keys; False: not there either."""


class Peer(Protocol):
    """A stream, as the others see it."""

    def received(self, message: Message) -> None:
        """What the far side sent."""

    def gone(self, cause: str, detail: str) -> None:
        """The connection is no more; cause as LegEnded has it."""


class Home(Protocol):
    """What all streams share. waiting: those that have not become a call yet."""

    waiting: int
    settings: StreamSettings
    plane: MediaPlane
    door: Door
    loop: asyncio.AbstractEventLoop

    def joined(self, stream: Peer, call_id: str) -> None:
        """The stream is the call's leg."""

    def left(self, stream: Peer, call_id: str) -> None:
        """It is gone."""

    def opening(self, task: asyncio.Task[None]) -> None:
        """A stream asks the door."""

    def control(self, call_id: str) -> Control | None:
        """The other way to the call, if there is one."""
