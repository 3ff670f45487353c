"""What is at the other end of a network namespace's cable: a name server that knows made-up names and no others, and behind each
name a server of this machine."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peers.netns import Namespace

DNS_PORT = 53
START_S = 10.0
_A, _IN = 1, 1
_READ_BYTES = 65_536


@dataclass
class Beyond:
    """ports: name -> the port on which it is reached, always at apart.host. asked: whose addresses anybody wanted."""

    apart: Namespace
    resolver: Path
    ports: dict[str, int] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def place(self, name: str) -> str:
        """name:port."""
        return f"{name}:{self.ports[name]}"

    def command(self, *command: str) -> tuple[str, ...]:
        """As it is run inside, where names are looked up here."""
        lay = f'mount --bind {self.resolver} /etc/resolv.conf && exec "$@"'
        return self.apart.command("sh", "-c", lay, "sh", *command)


@contextmanager
def beyond(apart: Namespace, folder: Path, names: Mapping[str, int | Path | None]) -> Iterator[Beyond]:
    """names: each with the port on loopback, or the socket's file, of who is behind it; None: whoever listens there himself."""
    resolver = folder / "resolv.conf"
    resolver.write_text(f"nameserver {apart.host}\n")
    made = Beyond(apart, resolver)
    ready: Future[Callable[[], object]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(made, names, ready)), name="beyond")
    thread.start()
    try:
        stop = ready.result(START_S)
        try:
            yield made
        finally:
            stop()
    finally:
        thread.join()


async def _serve(
    made: Beyond, names: Mapping[str, int | Path | None], ready: Future[Callable[[], object]]
) -> None:
    """Until `ready`'s result is called."""
    loop, stopped, host = asyncio.get_running_loop(), asyncio.Event(), made.apart.host
    try:
        async with AsyncExitStack() as stack:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Names(host, frozenset(names), made.asked), (host, DNS_PORT)
            )
            stack.callback(transport.close)
            for name, behind in names.items():
                if behind is not None:
                    server = await asyncio.start_server(_relay_to(behind), host, 0)
                    stack.callback(server.close)
                    made.ports[name] = server.sockets[0].getsockname()[1]
            ready.set_result(lambda: loop.call_soon_threadsafe(stopped.set))
            await stopped.wait()
    except Exception as error:
        if ready.done():
            raise
        ready.set_exception(error)


def _relay_to(behind: int | Path) -> Any:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(behind, int):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", behind)
        else:
            far_reader, far_writer = await asyncio.open_unix_connection(behind)
        try:
            await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
        finally:
            for each in (far_writer, writer):
                each.transport.abort()

    return relay


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_READ_BYTES):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


class _Names(asyncio.DatagramProtocol):
    """RFC 1035, as far as a resolver needs it: addresses of IPv4, no others, and that a name does not exist."""

    def __init__(self, host: str, known: frozenset[str], asked: set[str]) -> None:
        self._host, self._known, self._asked = host, known, asked
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        labels, at = [], 12
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length
        question, kind = data[12 : at + 5], int.from_bytes(data[at + 1 : at + 3], "big")
        name = ".".join(labels).lower()
        self._asked.add(name)
        flags = 0x8180 if name in self._known else 0x8183
        answer = b""
        if name in self._known and kind == _A:
            octets = bytes(int(octet) for octet in self._host.split("."))
            answer = struct.pack("!HHHIH", 0xC00C, _A, _IN, 60, 4) + octets
        head = struct.pack("!HHHHHH", int.from_bytes(data[:2], "big"), flags, 1, bool(answer), 0, 0)
        assert self._transport is not None
        self._transport.sendto(head + question + answer, addr)
