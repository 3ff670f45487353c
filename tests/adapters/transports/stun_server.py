"""A STUN server on loopback, written from RFC 8489 by hand: tells what it sees, or what it is told to tell."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import cast

Place = tuple[str, int]


class StunServer(asyncio.DatagramProtocol):
    """says: another place than the true one. deaf: so many questions are not answered. error: the status to refuse with."""

    def __init__(self, says: Place | None = None, deaf: int = 0, error: int = 0) -> None:
        self.says = says
        self.deaf = deaf
        self.error = error
        self.asked: list[Place] = []
        self.place: Place = ("", 0)
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.place = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        source = (str(addr[0]), int(addr[1]))
        self.asked.append(source)
        if len(self.asked) > self.deaf:
            # Something else on the port first, then the answer.
            self._transport.sendto(b"not STUN", source)
            self._transport.sendto(self._answer(data[8:20], self.says or source), source)

    def _answer(self, number: bytes, seen: Place) -> bytes:
        if self.error:
            value = struct.pack("!HBB", 0, self.error // 100, self.error % 100) + b"No"
            body = struct.pack("!HH", 0x0009, len(value)) + value + b"\0\0"
            return struct.pack("!HHI", 0x0111, len(body), 0x2112A442) + number + body
        return told(number, seen)

    def close(self) -> None:
        self._transport.close()


def told(number: bytes, seen: Place) -> bytes:
    """A good answer to the question with that number."""
    address = ip_address(seen[0])
    veil = bytes.fromhex("2112a442") + number
    packed = bytes(one ^ other for one, other in zip(address.packed, veil, strict=False))
    value = struct.pack("!BBH", 0, 1 if address.version == 4 else 2, seen[1] ^ 0x2112) + packed
    body = struct.pack("!HH", 0x0020, len(value)) + value
    return struct.pack("!HHI", 0x0101, len(body), 0x2112A442) + number + body


@contextmanager
def stun_thread(says: Place) -> Iterator[Place]:
    """One for a program that is waited for: it answers from a thread, until the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                data, source = opened.recvfrom(2048)
                if not data:
                    return
                opened.sendto(told(data[8:20], says), source)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield opened.getsockname()
        finally:
            # An empty datagram is its end.
            opened.sendto(b"", opened.getsockname())
            thread.join()


@asynccontextmanager
async def stun_server(
    says: Place | None = None, deaf: int = 0, error: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[StunServer]:
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(
        lambda: StunServer(says, deaf, error), local_addr=(host, 0)
    )
    try:
        yield server
    finally:
        server.close()
        await asyncio.sleep(0)
