"""The far side of a WebSocket on bare TCP, written from RFC 6455: it can break every rule of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """As a server sends it."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 65_536:
        return head + b"\x7e" + struct.pack("!H", len(payload)) + payload
    return head + b"\x7f" + struct.pack("!Q", len(payload)) + payload


def text(message: str) -> bytes:
    return frame(TEXT, message.encode())


def close(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


@dataclass(eq=False)
class Peer:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    line: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def handshake(self) -> None:
        key = self.headers["sec-websocket-key"] + _MAGIC
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        await self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
        )

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def get(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload."""
        head = await self.reader.readexactly(2)
        length = head[1] & 0x7F
        if length == 126:
            length = struct.unpack("!H", await self.reader.readexactly(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", await self.reader.readexactly(8))[0]
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(length)
        return head[0] & 0x0F, bytes(b ^ mask[i & 3] for i, b in enumerate(payload))

    async def get_close(self) -> tuple[int, bytes]:
        """Skips to the close frame: its code and the reason."""
        while True:
            opcode, payload = await self.get()
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:]

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class Far:
    """url: of WebSocket. peers: in order. gone: set when a connection is over."""

    url: str = ""
    peers: list[Peer] = field(default_factory=list)
    open: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def far_side(script: Script, *, upgrade: bool = True) -> AsyncIterator[Far]:
    """Runs the script for each connection, after the handshake unless it is told to do that itself."""
    far = Far()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        far.open += 1
        peer = Peer(reader, writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            peer.line = head[0]
            peer.headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
            }
            far.peers.append(peer)
            if upgrade:
                await peer.handshake()
            await script(peer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            far.open -= 1
            far.gone.set()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    far.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/path"
    try:
        yield far
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def echo(peer: Peer) -> None:
    """Sends back what it gets, and answers pings and a close."""
    while True:
        opcode, payload = await peer.get()
        await peer.send(frame(PONG if opcode == PING else opcode, payload))
        if opcode == CLOSE:
            return


async def swallow(peer: Peer) -> None:
    """Takes everything and says nothing, not even to a close."""
    while await peer.reader.read(65_536):
        pass


async def deaf(peer: Peer) -> None:
    """Takes nothing at all."""
    await asyncio.Event().wait()
