"""A TCP proxy on loopback that does to a connection what networks do: cuts, resets, stalls, swallows, slows, refuses, holds up.

It counts connections and bytes and says when either side went away. It does not look into what it carries.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from urllib.parse import urlsplit

_READ_BYTES = 65_536
_SLICES_PER_S = 50


class Deed(StrEnum):
    """What is done to one direction. CUT: both sides are closed in order. RESET: both with a reset. STALL: no more is read,
    so the sender's buffers fill. SWALLOW: read, and thrown away."""

    CUT = "cut"
    RESET = "reset"
    STALL = "stall"
    SWALLOW = "swallow"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A deed after so many bytes of one direction."""

    deed: Deed
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """What one connection suffers. up: from the client to the server; down: the answer. *_bytes_s: no faster than that.
    refuse: reset as soon as it is accepted. half_open: accepted, everything read, nothing passed on."""

    up: Trouble | None = None
    down: Trouble | None = None
    up_bytes_s: float | None = None
    down_bytes_s: float | None = None
    refuse: bool = False
    half_open: bool = False


SOUND = NetworkFault()


@dataclass(eq=False)
class Line:
    """One connection through the proxy. over: both sides are closed. client_left: the client closed its side."""

    fault: NetworkFault
    up_bytes: int = 0
    down_bytes: int = 0
    client_left: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _stopped: dict[str, Deed] = field(default_factory=dict)

    def do(self, deed: Deed, *ways: str) -> None:
        """Now, to the ways named ("up", "down"), or to both. STALL takes hold with the next piece."""
        if deed in (Deed.CUT, Deed.RESET):
            for writer in self._writers:
                _end(writer, reset=deed is Deed.RESET)
        else:
            self._stopped.update(dict.fromkeys(ways or ("up", "down"), deed))


class FaultProxy:
    """`async with FaultProxy(url) as proxy`: proxy.url is the server's address through the proxy. plan.append(fault) is for
    the next connection, `fault` for all others."""

    def __init__(self, url: str, fault: NetworkFault = SOUND) -> None:
        self.fault = fault
        self.plan: deque[NetworkFault] = deque()
        self.lines: list[Line] = []
        self._far = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()

    async def __aenter__(self) -> FaultProxy:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_listening()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    @property
    def url(self) -> str:
        """The server's address, by way of the proxy."""
        return self._far._replace(netloc=f"127.0.0.1:{self._port}").geturl()

    @property
    def connections(self) -> int:
        """How many were made in all."""
        return len(self.lines)

    @property
    def open(self) -> int:
        """How many are open now."""
        return sum(not line.over.is_set() for line in self.lines)

    async def listen(self) -> None:
        """Takes connections (again), always on the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        """Connections are refused by the kernel; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def hold(self) -> None:
        """Of connections made from now on nothing is passed on until `release`: a handshake that takes its time."""
        self._passing.clear()

    def release(self) -> None:
        """Connections that were held go on, and new ones pass at once."""
        self._passing.set()

    def do(self, deed: Deed, *ways: str) -> None:
        """To every connection that is open, now."""
        for line in self.lines:
            if not line.over.is_set():
                line.do(deed, *ways)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        line = Line(self.plan.popleft() if self.plan else self.fault)
        line._writers.append(writer)
        self.lines.append(line)
        with suppress(OSError, asyncio.CancelledError):
            try:
                await self._serve(line, reader, writer)
            finally:
                for each in line._writers:
                    each.transport.abort()
                for each in line._writers:
                    with suppress(OSError):
                        await each.wait_closed()
                line.over.set()

    async def _serve(self, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = line.fault
        if fault.refuse:
            _end(writer, reset=True)
            return
        if fault.half_open:
            while await reader.read(_READ_BYTES):
                pass
            line.client_left.set()
            return
        await self._passing.wait()
        far_reader, far_writer = await asyncio.open_connection(self._far.hostname, self._far.port)
        line._writers.append(far_writer)
        ways = [
            asyncio.ensure_future(_carry(line, "up", reader, far_writer, fault.up, fault.up_bytes_s)),
            asyncio.ensure_future(_carry(line, "down", far_reader, writer, fault.down, fault.down_bytes_s)),
        ]
        try:
            await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _carry(
    line: Line,
    way: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    trouble: Trouble | None,
    bytes_s: float | None,
) -> None:
    most = _READ_BYTES if bytes_s is None else max(1, round(bytes_s / _SLICES_PER_S))
    with suppress(OSError):
        try:
            while piece := await reader.read(most):
                carried = line.up_bytes if way == "up" else line.down_bytes
                if way == "up":
                    line.up_bytes += len(piece)
                else:
                    line.down_bytes += len(piece)
                deed = line._stopped.get(way)
                if deed is None and trouble is not None:
                    left = trouble.after_bytes - carried
                    if left < len(piece):
                        writer.write(piece[: max(0, left)])
                        deed = trouble.deed
                        if deed in (Deed.CUT, Deed.RESET):
                            await writer.drain()
                            line.do(deed)
                            return
                        line.do(deed, way)
                if deed is Deed.STALL:
                    _ = await line.over.wait()
                elif deed is None:
                    writer.write(piece)
                    await writer.drain()
                    if bytes_s is not None:
                        await asyncio.sleep(len(piece) / bytes_s)
        finally:
            if way == "up" and reader.at_eof():
                line.client_left.set()
            # As on a wire: the end of one direction is passed on; the other may go on.
            if not writer.is_closing() and reader.at_eof():
                with suppress(OSError, NotImplementedError):
                    writer.write_eof()


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if writer.is_closing():
        return
    if not reset:
        writer.close()
        return
    connected: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
