"""A STUN server on loopback, written from RFC 8489 by hand: tells what it sees, or what it is told to tell."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
        address = ip_address(seen[0])
        veil = bytes.fromhex("2112a442") + number
        packed = bytes(one ^ other for one, other in zip(address.packed, veil, strict=False))
        value = struct.pack("!BBH", 0, 1 if address.version == 4 else 2, seen[1] ^ 0x2112) + packed
        body = struct.pack("!HH", 0x0020, len(value)) + value
        return struct.pack("!HHI", 0x0101, len(body), 0x2112A442) + number + body

    def close(self) -> None:
        self._transport.close()


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
