"""AudioSocket's connections: bytes over TCP, in the place of a WebSocket's messages.

What they mean is the codec's, what becomes of them the stream's. Whom a stream is for, its UUID says, which comes after the
connection: so the door is asked with what `Started` holds. Refuses TLS, which Asterisk does not speak here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import cast

from aywa.adapters.transports.equipment.audiosocket import AudioSocket
from aywa.adapters.transports.equipment.codec import Handshake, Message
from aywa.adapters.transports.equipment.door import Peer
from aywa.adapters.transports.equipment.streams import Streams
from aywa.adapters.transports.websocket import unacknowledged_bytes

log = logging.getLogger(__name__)

PROTOCOL = "audiosocket"
CLOSED = "the far side closed the connection"


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """Times in seconds. networks: from where connections are taken, for the protocol knows no password. first_s: how long the
    first audio may take, before the usual rate is assumed. close_s: how long what was sent last may take to leave. probe_s:
    how long a silent connection is left alone before the kernel asks after it; lost_s: until one that does not answer is
    gone."""

    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    most_connections: int = 1_000
    first_s: float = 0.2
    close_s: float = 1.0
    probe_s: int = 10
    lost_s: int = 25


class TcpTransport:
    """All connections of the port."""

    def __init__(self, streams: Streams, settings: TcpSettings | None = None) -> None:
        self.streams = streams
        self.settings = settings or TcpSettings()
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(each, strict=False) for each in self.settings.networks
        )
        self._servers: list[asyncio.Server] = []
        self._connections: set[_Connection] = set()
        self._empty = asyncio.Event()

    async def start(self, hosts: Iterable[str], port: int) -> int:
        """Listens; answers the port (asked for 0, a free one)."""
        loop = asyncio.get_running_loop()
        for host in hosts:
            server = await loop.create_server(lambda: _Connection(self), host, port)
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Takes no more connections and closes those that are left; close the plane first to end calls in order."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.close(0, "shutdown")
        if self._connections:
            self._empty.clear()
            # Each cuts itself when its far side does not read.
            await self._empty.wait()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def refusal(self, remote: str) -> str:
        """Why a connection from there is not taken; empty: it is."""
        if len(self._connections) >= self.settings.most_connections:
            return "too many connections"
        if self.streams.full:
            return "too many streams wait to become a call"
        try:
            address = ip_address(remote.partition("%")[0])
        except ValueError:
            return "its address is none"
        mapped = getattr(address, "ipv4_mapped", None)
        if not any(
            one in network for one in (address, mapped) if one is not None for network in self._networks
        ):
            return "its network is not one of those that may connect"
        return ""

    def connected(self, connection: _Connection) -> None:
        """One more."""
        self._connections.add(connection)

    def disconnected(self, connection: _Connection) -> None:
        """One less."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()


class _Connection(asyncio.Protocol):
    """One connection: asyncio's protocol on one side, the stream's `Wire` on the other."""

    def __init__(self, owner: TcpTransport) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._codec = AudioSocket()
        # Set when the connection is there, before anybody else knows of this one.
        self._transport: asyncio.Transport
        self._stream: Peer | None = None
        self._first: asyncio.TimerHandle | None = None
        self._cut: asyncio.TimerHandle | None = None

    # --- from the socket -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is of no class of asyncio's.
        self._transport = transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        remote = str(peer[0]) if peer else ""
        why = self._owner.refusal(remote)
        if why:
            log.warning("a connection from %s was refused: %s", remote, why)
            transport.abort()
            return
        _keep_alive(transport.get_extra_info("socket"), self._owner.settings)
        self._owner.connected(self)
        handshake = Handshake(PROTOCOL, remote=remote)
        self._stream = self._owner.streams.stream(self._codec, handshake, self)
        self._first = self._loop.call_later(self._owner.settings.first_s, self._begin_without_audio)

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.received(data)

    def eof_received(self) -> None:
        """The far side sends no more: that is the end, as the protocol has it. What is still to be sent leaves."""
        self._gone("closed", CLOSED)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._first, self._cut):
            if timer is not None:
                timer.cancel()
        if exc is None or isinstance(exc, ConnectionError):
            # Who closes without having read everything resets the connection.
            self._gone("closed", CLOSED)
        else:
            self._gone("lost", f"the connection broke ({type(exc).__name__})")
        self._owner.disconnected(self)

    def _begin_without_audio(self) -> None:
        self._codec.hurry()
        if self._stream is not None:
            self._stream.received(b"")

    def _gone(self, cause: str, detail: str) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.gone(cause, detail)

    # --- Wire ----------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        if not self._transport.is_closing():
            self._transport.write(message.encode() if isinstance(message, str) else message)

    def close(self, code: int, reason: str) -> None:
        if self._cut is None:
            self._transport.close()
            self._cut = self._loop.call_later(self._owner.settings.close_s, self._transport.abort)

    def buffered_bytes(self) -> int:
        return self._transport.get_write_buffer_size() + unacknowledged_bytes(
            self._transport.get_extra_info("socket")
        )


def _keep_alive(connected: socket.socket | None, settings: TcpSettings) -> None:
    """A far side that is gone without a word is found out by the kernel."""
    if connected is None:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": settings.probe_s,
        "TCP_KEEPINTVL": max(1, settings.probe_s // 2),
        "TCP_USER_TIMEOUT": settings.lost_s * 1000,
    }
    for name, value in wanted.items():
        # Not every system has all of them.
        if (option := getattr(socket, name, None)) is not None:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
