"""One side of the connection between brain and media process. Never waits: what the other side does not read is counted,
and whoever sends decides what that means.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from aywa.media.apart.messages import Frames, Message, pack

log = logging.getLogger(__name__)


class Pipe(asyncio.Protocol):
    """taken(message) is called for each; `lost` is done when there is no connection any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, taken: Callable[[Message], None]) -> None:
        self.lost: asyncio.Future[None] = loop.create_future()
        self._taken = taken
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    @property
    def waiting_bytes(self) -> int:
        """Sent, and not read by the other side."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, message: Message) -> None:
        """After the end it does nothing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(message))

    def close(self, *, at_once: bool = False) -> None:
        """After what was sent has been read, or at once."""
        if self._transport is not None:
            if at_once:
                self._transport.abort()
            else:
                self._transport.close()

    # --- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        try:
            whole = self._frames.push(data)
        except ValueError:
            log.exception("what the other process sends cannot be understood")
            self.close(at_once=True)
            return
        for message in whole:
            try:
                self._taken(message)
            except Exception:
                # Its values may be secret.
                log.exception("a message (%s) could not be taken", message.get("do") or message.get("is"))

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio says."""
        if not self.lost.done():
            self.lost.set_result(None)


async def open_pipe(
    loop: asyncio.AbstractEventLoop, stream: socket.socket, taken: Callable[[Message], None]
) -> Pipe:
    """On a connected Unix socket, which is the pipe's from now on."""
    stream.setblocking(False)
    _, pipe = await loop.create_unix_connection(lambda: Pipe(loop, taken), sock=stream)
    return pipe
