"""All streams of equipment in this process, on whatever sockets, and the calls that they became."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aywa.adapters.transports.equipment.codec import Codec, Handshake
from aywa.adapters.transports.equipment.door import Control, Door, Peer, Wire
from aywa.adapters.transports.equipment.settings import StreamSettings
from aywa.adapters.transports.equipment.stream import Stream
from aywa.ports.media import Leg, MediaPlane


class Streams:
    """door.Home. waiting: streams that have not become a call yet."""

    def __init__(self, plane: MediaPlane, door: Door, settings: StreamSettings | None = None) -> None:
        self.settings = settings or StreamSettings()
        self.plane = plane
        self.door = door
        self.loop = asyncio.get_running_loop()
        self.waiting = 0
        self._calls: dict[str, Peer] = {}
        self._controls: dict[str, Control] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """Too many wait to become a call: no more are let in."""
        return self.waiting >= self.settings.waiting_most

    def stream(self, codec: Codec, handshake: Handshake, wire: Wire) -> Stream:
        """A connection was made."""
        return Stream(self, codec, handshake, wire)

    # --- calls -------------------------------------------------------------------------------------------------------

    def govern(self, call_id: str, control: Control) -> None:
        """The call can be reached another way, too, until it is forgotten."""
        self._controls[call_id] = control

    def forget(self, call_id: str) -> None:
        """The call cannot be reached that way any more."""
        self._controls.pop(call_id, None)

    def leg(self, call_id: str) -> Leg | None:
        """Of a call whose stream is connected."""
        stream = self._calls.get(call_id)
        return stream.leg if isinstance(stream, Stream) else None

    def transfer(self, call_id: str, to: str, tell: Callable[[bool], None]) -> bool:
        """Has the far side pass its caller on; False: no such stream, or its protocol cannot. tell(whether it did)."""
        stream = self._calls.get(call_id)
        return isinstance(stream, Stream) and stream.transfer(to, tell)

    async def close(self) -> None:
        """Nobody is let in any more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- door.Home -----------------------------------------------------------------------------------------------------

    def control(self, call_id: str) -> Control | None:
        """As the protocol says."""
        return self._controls.get(call_id)

    def joined(self, stream: Peer, call_id: str) -> None:
        """As the protocol says."""
        self._calls[call_id] = stream

    def left(self, stream: Peer, call_id: str) -> None:
        """As the protocol says."""
        if self._calls.get(call_id) is stream:
            del self._calls[call_id]

    def opening(self, task: asyncio.Task[None]) -> None:
        """As the protocol says."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
