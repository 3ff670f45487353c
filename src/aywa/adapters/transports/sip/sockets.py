"""SIP's sockets: datagrams and streams on the ports that were asked for, and the streams that are opened towards others.

Hands over whole messages as bytes, sends bytes, says when a stream is gone. Nothing here waits except opening and closing,
and nothing that a far side does raises out of it. Refuses to read a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import cast

from aywa.adapters.transports.sip.door import BACKLOG, TlsDoor
from aywa.adapters.transports.sip.settings import SocketLimits
from aywa.core.sip.flow import Flow, Transport
from aywa.core.sip.stream import PONG_BYTES, Framer, KeepAlive

log = logging.getLogger(__name__)

Place = tuple[str, int]
# What is told of a far side by TLS that may be anybody.
NOT_BELIEVED = "its certificate is not believed"
Heard = Callable[[bytes, Flow], None]
Lost = Callable[[Flow, str], None]
Shuns = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Bound:
    """A port that is open."""

    transport: Transport
    place: Place


class Sockets:
    """heard(data, flow) gets each message; lost(flow, why) is told once of each stream that is gone or never came to be.
    shuns(host): whether nothing from there is heard; it may keep no stream either."""

    def __init__(
        self,
        heard: Heard,
        lost: Lost,
        limits: SocketLimits | None = None,
        shuns: Shuns = lambda host: False,
    ) -> None:
        self.limits = limits or SocketLimits()
        self.heard = heard
        self._lost = lost
        self._shuns = shuns
        self._datagrams: dict[Place, _Datagrams] = {}
        self._servers: list[tuple[Bound, asyncio.Server | TlsDoor]] = []
        self._streams: dict[str, _Stream] = {}
        self._by_remote: dict[tuple[str, Place], _Stream] = {}
        self._each: Counter[str] = Counter()
        self._opening: set[asyncio.Task[None]] = set()
        self._client_tls: ssl.SSLContext | None = None
        self._names: dict[Place, str] = {}
        self._numbers = count(1)
        self._closed = False

    # --- opening and closing -----------------------------------------------------------------------------------------

    async def open(
        self, transport: Transport, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> Bound:
        """Binds one port; 0: a free one. Raises OSError."""
        loop = asyncio.get_running_loop()
        if transport == "udp":
            listening = _datagram_socket(host, port, self.limits.receive_bytes)
            _, datagrams = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=listening)
            self._datagrams[datagrams.local] = datagrams
            return Bound("udp", datagrams.local)
        listening = _listening_socket(host, port)
        bound = Bound(transport, listening.getsockname()[:2])

        def accepted() -> _Stream:
            return _Stream(self, transport, None)

        server: asyncio.Server | TlsDoor
        if tls is None:
            server = await loop.create_server(accepted, sock=listening, backlog=BACKLOG)
        else:
            server = TlsDoor(listening, tls, self.limits.handshake_s, accepted, self._admits)
        self._servers.append((bound, server))
        return bound

    def _admits(self, host: str) -> bool:
        """Whether a connection from there may begin its handshake."""
        shaking = [server.shaking for _, server in self._servers if isinstance(server, TlsDoor)]
        each = self._each[host] + sum(door[host] for door in shaking)
        streams = len(self._streams) + sum(door.total() for door in shaking)
        room = streams < self.limits.connections and each < self.limits.connections_each
        return room and not self._shuns(host)

    def trust(self, client: ssl.SSLContext | None) -> None:
        """How certificates are checked of whom we connect to by TLS."""
        self._client_tls = client

    async def close(self) -> None:
        """Nothing is heard or sent any more."""
        self._closed = True
        for _, server in self._servers:
            server.close()
        for task in list(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for stream in list(self._streams.values()):
            stream.abort()
        for datagrams in self._datagrams.values():
            datagrams.close()
        for _, server in self._servers:
            await server.wait_closed()
        # What was closed says so in the loop's next turn.
        await asyncio.sleep(0)

    @property
    def bound(self) -> list[Bound]:
        """What is open."""
        udp = [Bound("udp", place) for place in self._datagrams]
        return udp + [bound for bound, _ in self._servers]

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, flow: Flow, data: bytes) -> None:
        """Never raises: a stream that cannot take it is told of by lost."""
        if self._closed:
            return
        if flow.transport == "udp":
            datagrams = self._datagrams.get(flow.local) or self._datagrams_for(flow.remote)
            if datagrams is not None:
                datagrams.send(data, flow.remote)
            return
        stream = self._streams.get(flow.connection_id or "") or self._by_remote.get(
            (flow.transport, flow.remote)
        )
        if stream is None:
            stream = self._begin(flow)
        if stream is not None:
            stream.send(data)

    def flow_to(self, transport: Transport, remote: Place, name: str = "") -> Flow | None:
        """The way there: an open stream, one to be opened, or the socket of the same family. None: there is none.
        name: whose certificate it must be."""
        if transport == "udp":
            datagrams = self._datagrams_for(remote)
            return None if datagrams is None else Flow("udp", datagrams.local, remote)
        stream = self._by_remote.get((transport, remote))
        if stream is not None:
            return stream.flow
        local = self.listening(transport, remote)
        if local is None and transport == "tcp":
            return None
        if transport == "tls" and name:
            self._names[remote] = name
            if len(self._names) > self.limits.connections:
                del self._names[next(iter(self._names))]
        return Flow(transport, local or ("", 0), remote)

    def listening(self, transport: str, remote: Place) -> Place | None:
        """Where we can be called back over this transport by somebody there."""
        family = ":" in remote[0]
        places = [bound.place for bound in self.bound if bound.transport == transport]
        return next((place for place in places if (":" in place[0]) == family), None)

    def has(self, flow: Flow) -> bool:
        """Whether the stream is there."""
        return flow.connection_id in self._streams

    def _datagrams_for(self, remote: Place) -> _Datagrams | None:
        family = ":" in remote[0]
        return next((one for place, one in self._datagrams.items() if (":" in place[0]) == family), None)

    def _begin(self, flow: Flow) -> _Stream | None:
        """A stream towards the flow's far side; what is sent waits until it is open."""
        if flow.connection_id:
            # That stream is gone; what belonged to it must not go to whoever is there now.
            asyncio.get_running_loop().call_soon(self._lost, flow, "the connection is gone")
            return None
        if len(self._streams) >= self.limits.connections:
            asyncio.get_running_loop().call_soon(self._lost, flow, "too many connections")
            return None
        stream = _Stream(self, flow.transport, flow)
        self._by_remote[(flow.transport, flow.remote)] = stream
        task = asyncio.get_running_loop().create_task(self._connect(stream, flow), name="sip: connect")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return stream

    async def _connect(self, stream: _Stream, flow: Flow) -> None:
        loop = asyncio.get_running_loop()
        tls = self._client_tls if flow.transport == "tls" else None
        if flow.transport == "tls" and tls is None:
            tls = self._client_tls = ssl.create_default_context()
        host, port = flow.remote
        # RFC 5922 7.3: the certificate is of the domain that was asked for, not of an address.
        name = self._names.get(flow.remote, host)
        try:
            async with asyncio.timeout(self.limits.connect_s):
                await loop.create_connection(
                    lambda: stream, host, port, ssl=tls, server_hostname=name if tls else None
                )
        except (OSError, TimeoutError) as error:
            stream.failed(f"cannot connect to {host} port {port} by {flow.transport}: {_why(error, name)}")

    # --- the streams' own news ---------------------------------------------------------------------------------------

    def opened(self, stream: _Stream, remote: Place) -> str | None:
        """A number for it; None: there are too many."""
        if self._closed or len(self._streams) >= self.limits.connections:
            return None
        if stream.accepted and (
            self._each[remote[0]] >= self.limits.connections_each or self._shuns(remote[0])
        ):
            return None
        number = f"{stream.transport}{next(self._numbers)}"
        self._streams[number] = stream
        self._by_remote[(stream.transport, remote)] = stream
        self._each[remote[0]] += 1
        return number

    def cut_off(self, host: str) -> None:
        """Closes whatever streams there are from there."""
        for stream in [each for each in self._streams.values() if each.flow.remote[0] == host]:
            stream.cut("nothing from there is heard")

    def gone(self, stream: _Stream, why: str) -> None:
        """It is closed, or never came to be."""
        flow = stream.flow
        if self._streams.pop(flow.connection_id or "", None) is not None:
            self._each[flow.remote[0]] -= 1
            if not self._each[flow.remote[0]]:
                del self._each[flow.remote[0]]
        if self._by_remote.get((flow.transport, flow.remote)) is stream:
            del self._by_remote[(flow.transport, flow.remote)]
        if not self._closed:
            self._lost(flow, why)


class _Datagrams(asyncio.DatagramProtocol):
    """One UDP port."""

    def __init__(self, owner: Sockets) -> None:
        self._owner = owner
        self._transport: asyncio.DatagramTransport
        self.local: Place = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.local = self._transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        # Keep-alives (RFC 5626 4.4, and what phones send instead) want no answer over UDP.
        if data.strip(b"\r\n\0 "):
            self._owner.heard(data, Flow("udp", self.local, (str(addr[0]), int(addr[1]))))

    def error_received(self, exc: Exception) -> None:
        # An ICMP refusal does not say whose message it was: the transaction's own timer does.
        log.debug("a datagram was refused: %r", exc)

    def send(self, data: bytes, remote: Place) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._transport.sendto(data, remote)

    def close(self) -> None:
        self._transport.abort()


class _Stream(asyncio.Protocol):
    """One TCP or TLS connection; wanted: the flow that it is opened for, None when the far side opened it."""

    def __init__(self, owner: Sockets, transport: Transport, wanted: Flow | None) -> None:
        self.transport = transport
        self.accepted = wanted is None
        self.flow = wanted or Flow(transport, ("", 0), ("", 0))
        self._owner = owner
        self._framer = Framer()
        self._socket: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._idle: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        # When the message that is being waited for has to be whole; None between messages.
        self._whole_by_s: float | None = None
        self._why = "closed by the far side"
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        remote: Place = self._socket.get_extra_info("peername")[:2]
        local: Place = self._socket.get_extra_info("sockname")[:2]
        number = self._owner.opened(self, self.flow.remote if not self.accepted else remote)
        if number is None:
            self._over = True
            self._socket.abort()
            return
        known = remote if self.accepted else self.flow.remote
        self.flow = Flow(self.transport, local, known, number)
        self._socket.set_write_buffer_limits(self._owner.limits.queue_bytes)
        self._heard_s = asyncio.get_running_loop().time()
        # Whoever connects has something to say; whom we connect to may wait for us.
        self._expect(self.accepted)
        if self._idle is None:
            self._look_after()
        for data in self._waiting:
            self._socket.write(data)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        self._heard_s = asyncio.get_running_loop().time()
        messages = self._framer.receive(data)
        if messages or self._whole_by_s is None:
            self._expect(self._framer.begun)
        for message in messages:
            if isinstance(message, bytes):
                self._owner.heard(message, self.flow)
            elif message is KeepAlive.PING:
                self.send(PONG_BYTES)
        if self._framer.broken and self._socket is not None:
            # Where the next message begins cannot be known any more (RFC 3261 18.3); the answer to this one may leave.
            self._why = f"not SIP: {self._framer.broken}"
            self._socket.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(self._why if exc is None else f"{self._why}: {exc}")

    def pause_writing(self) -> None:
        """It does not read what it asked for: nobody else waits for it."""
        self.cut("the far side does not read")

    def send(self, data: bytes) -> None:
        if self._over:
            return
        if self._socket is not None:
            self._socket.write(data)
            return
        self._waiting_bytes += len(data)
        if self._waiting_bytes <= self._owner.limits.queue_bytes:
            self._waiting.append(data)

    def failed(self, why: str) -> None:
        """It could not be opened."""
        self._end(why)

    def abort(self) -> None:
        """Cuts it."""
        self._over = True
        if self._idle is not None:
            self._idle.cancel()
        if self._socket is not None:
            self._socket.abort()

    def cut(self, why: str) -> None:
        """Closes it at once, which is told."""
        self._why = why
        if self._socket is not None:
            self._socket.abort()

    def _end(self, why: str) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if not self._over:
            self._over = True
            self._owner.gone(self, why)

    def _expect(self, whole: bool) -> None:
        """Whether a message has to become whole now, from now on."""
        if not whole:
            self._whole_by_s = None
            return
        loop = asyncio.get_running_loop()
        self._whole_by_s = due_s = loop.time() + self._owner.limits.whole_s
        if self._idle is None or due_s < self._idle.when():
            self._look_at(due_s)

    def _look_after(self) -> None:
        """Closes it when nothing came for long, or nothing whole."""
        self._idle = None
        now_s, limits = asyncio.get_running_loop().time(), self._owner.limits
        whole_by_s = self._whole_by_s
        if whole_by_s is not None and now_s >= whole_by_s:
            self.cut(f"no whole message within {limits.whole_s:.0f} s")
        elif now_s - self._heard_s >= limits.idle_s:
            self.cut(f"nothing came for {limits.idle_s:.0f} s")
        else:
            idle_s = self._heard_s + limits.idle_s
            self._look_at(idle_s if whole_by_s is None else min(idle_s, whole_by_s))

    def _look_at(self, due_s: float) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_at(due_s, self._look_after)


def _why(error: OSError | TimeoutError, name: str) -> str:
    """Why a connection could not be opened, for a person. name: whose certificate it had to be."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{NOT_BELIEVED} for {name}: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return error.strerror or str(error)


def _datagram_socket(host: str, port: int, receive_bytes: int) -> socket.socket:
    """A bound socket with room for a burst."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        made.setblocking(False)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def _listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket, listening, for streams."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setblocking(False)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def free_port(hosts: Iterable[str], wanted: int, tries: int = 20) -> int | None:
    """The first port from wanted on that is free on all hosts for both UDP and TCP; None when all are taken."""
    for port in range(wanted, min(wanted + tries, 65_536)):
        if all(_is_free(host, port) for host in hosts):
            return port
    return None


def any_free_port(hosts: Iterable[str], tries: int = 50) -> int:
    """One that the system gives and that is free on all hosts for both UDP and TCP. Raises OSError."""
    hosts = tuple(hosts)
    for _ in range(tries):
        with socket.socket(
            socket.AF_INET6 if ":" in hosts[0] else socket.AF_INET, socket.SOCK_STREAM
        ) as probe:
            probe.bind((hosts[0], 0))
            port: int = probe.getsockname()[1]
        if all(_is_free(host, port) for host in hosts):
            return port
    raise OSError(errno.EADDRINUSE, "no port is free for both UDP and TCP")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(family, kind) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
