"""The softphone's sockets: SIP over UDP, TCP or TLS, IPv4 or IPv6. Hands over whole messages; keeps no state of calls."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from aywa.testing.softphone.message import Framer, Message, NotSip, host_port, parse
from aywa.testing.softphone.network import Impairment, Network

Place = tuple[str, int]
Heard = Callable[[Message, Place], None]
_READ = 65_536


class Line(Protocol):
    """Sends messages, and tells of those that come."""

    transport: str
    local: Place

    async def reach(self, to: Place) -> Place:
        """The address of ours at which `to` can answer; a stream is opened. Raises OSError."""

    async def send(self, data: bytes, to: Place) -> None:
        """Raises OSError when a stream cannot be opened."""

    async def close(self) -> None:
        """Nothing comes any more."""


async def open_line(
    transport: str,
    host: str,
    port: int,
    heard: Heard,
    certificate: tuple[Path, Path] | None = None,
    network: Impairment | None = None,
) -> Line:
    """Binds and listens; port 0: a free one. certificate: of a TLS line that others connect to. network: what its datagrams go
    through. Raises OSError."""
    if transport == "udp":
        return await _Datagrams.open(host, port, heard, network or Impairment())
    streams = _Streams(transport, heard)
    await streams.open(host, port, certificate)
    return streams


async def host_towards(uri: str) -> str:
    """The address of this machine from which a SIP URI is reached. Raises NotSip, OSError."""
    host, port, _ = host_port(uri)
    loop = asyncio.get_running_loop()
    family, _, _, _, place = (await loop.getaddrinfo(host, port or 5060, type=socket.SOCK_DGRAM))[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Sends nothing: it only asks the system for the way.
        probe.connect(place)
        return str(probe.getsockname()[0])


class _Datagrams(asyncio.DatagramProtocol):
    transport = "udp"

    def __init__(self, heard: Heard, network: Impairment) -> None:
        self._heard = heard
        self._out, self._in = Network(network, "SIP out"), Network(network, "SIP in")
        self._socket: asyncio.DatagramTransport
        self.local: Place = ("", 0)

    @classmethod
    async def open(cls, host: str, port: int, heard: Heard, network: Impairment) -> _Datagrams:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_datagram_endpoint(lambda: cls(heard, network), local_addr=(host, port))
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.DatagramTransport, transport)
        self.local = self._socket.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        try:
            message = parse(data)
        except NotSip:
            return
        self._in.carry(lambda: self._heard(message, (str(addr[0]), int(addr[1]))))

    async def reach(self, to: Place) -> Place:
        return self.local

    async def send(self, data: bytes, to: Place) -> None:
        self._out.carry(lambda: self._socket.sendto(data, to))

    async def close(self) -> None:
        self._out.close()
        self._in.close()
        self._socket.close()
        await asyncio.sleep(0)


class _Streams:
    """One connection for each far side: those that connect, and those that are connected to."""

    def __init__(self, transport: str, heard: Heard) -> None:
        self.transport = transport
        self.local: Place = ("", 0)
        self._heard = heard
        self._server: asyncio.Server | None = None
        self._writers: dict[Place, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int, certificate: tuple[Path, Path] | None) -> None:
        tls = None
        if self.transport == "tls":
            if certificate is None:
                # It only dials: nobody can connect to a TLS line without a certificate.
                self.local = (host, port or 5061)
                return
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*certificate)
        self._server = await asyncio.start_server(self._accept, host, port, ssl=tls)
        self.local = self._server.sockets[0].getsockname()[:2]

    async def reach(self, to: Place) -> Place:
        writer = await self._connected(to)
        if self._server is not None:
            return self.local
        own: Place = writer.get_extra_info("sockname")[:2]
        return own

    async def send(self, data: bytes, to: Place) -> None:
        (await self._connected(to)).write(data)

    async def _connected(self, to: Place) -> asyncio.StreamWriter:
        writer = self._writers.get(to)
        if writer is None or writer.is_closing():
            tls = None
            if self.transport == "tls":
                # The softphone is pointed at runtimes with a certificate of their own making.
                tls = ssl.create_default_context()
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
            reader, writer = await asyncio.open_connection(*to, ssl=tls)
            self._serve(reader, writer, to)
        return writer

    async def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serve(reader, writer, writer.get_extra_info("peername")[:2])

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: Place) -> None:
        self._writers[to] = writer
        task = asyncio.get_running_loop().create_task(self._read(reader, writer, to), name="softphone: line")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: Place) -> None:
        framer = Framer()
        try:
            while data := await reader.read(_READ):
                for whole in framer.push(data):
                    self._heard(parse(whole), to)
        except (NotSip, OSError):
            pass
        finally:
            if self._writers.get(to) is writer:
                del self._writers[to]
            writer.close()
