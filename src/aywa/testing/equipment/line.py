"""The connection that equipment opens to a runtime: a WebSocket, or a stream of bytes over TCP. It carries messages and
refuses to understand them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp

from aywa.testing.equipment.base import Message

OPEN_S = 10.0
CLOSE_S = 3.0
_READ_BYTES = 65_536
_LONGEST_ANSWER = 300


class LineRefused(Exception):
    """No connection. status: of the answer to the handshake, or the code with which it was closed at once; 0: neither."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(
            f"{text} ({'HTTP' if status < 1000 else 'closed with'} {status})" if status else text
        )
        self.status = status


class Line(Protocol):
    """An open connection. `messages` ends when the far side has closed, or `close` was called."""

    close_code: int | None
    """Of the far side, where the connection has such a thing; None while it is open or when it was lost."""
    close_reason: str

    async def send(self, message: Message) -> None:
        """Sends one message. On a connection that is gone it does nothing."""

    def messages(self) -> AsyncIterator[Message]:
        """What comes, in order."""

    def stop_sending(self) -> None:
        """Closes this half of the connection alone (a half-closed socket)."""

    async def close(self) -> None:
        """Closes in order; does not wait longer than CLOSE_S."""

    async def cut(self) -> None:
        """Breaks the connection without a word."""


class WebSocketLine:
    """A WebSocket. An async context manager."""

    def __init__(self, http: aiohttp.ClientSession, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._ws = ws
        self.close_code: int | None = None
        self.close_reason = ""

    @classmethod
    async def open(
        cls,
        url: str,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> WebSocketLine:
        """Raises LineRefused."""
        http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(OPEN_S):
                ws = await http.ws_connect(
                    url,
                    headers=headers,
                    protocols=subprotocols,
                    max_msg_size=0,
                    autoclose=True,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    ssl=tls if tls is not None else True,
                )
        except aiohttp.WSServerHandshakeError as error:
            await http.close()
            raise LineRefused(error.status, str(error.message)[:_LONGEST_ANSWER]) from None
        except TimeoutError:
            await http.close()
            raise LineRefused(0, f"no answer within {OPEN_S:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            await http.close()
            raise LineRefused(0, " ".join(str(error).split())[:_LONGEST_ANSWER]) from None
        except BaseException:
            await http.close()
            raise
        return cls(http, ws)

    @property
    def subprotocol(self) -> str | None:
        """What the far side chose."""
        return self._ws.protocol

    async def send(self, message: Message) -> None:
        """As the protocol says."""
        with suppress(ConnectionError, aiohttp.ClientError, RuntimeError):
            if isinstance(message, bytes):
                await self._ws.send_bytes(message)
            else:
                await self._ws.send_str(message)

    async def messages(self) -> AsyncIterator[Message]:
        """As the protocol says."""
        while True:
            message = await self._ws.receive()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                break
            yield message.data
        if message.type is aiohttp.WSMsgType.CLOSE:
            self.close_reason = str(message.extra or "")[:_LONGEST_ANSWER]
        self.close_code = self._ws.close_code

    def stop_sending(self) -> None:
        """As the protocol says."""
        raw = self._ws.get_extra_info("socket")
        with suppress(OSError):
            raw.shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        """As the protocol says."""
        with suppress(ConnectionError, aiohttp.ClientError):
            await self._ws.close()
        self.close_code = self._ws.close_code
        await self._http.close()

    async def cut(self) -> None:
        """As the protocol says."""
        raw = self._ws.get_extra_info("socket")
        with suppress(OSError):
            raw.shutdown(socket.SHUT_RDWR)
        await self._http.close()


class TcpLine:
    """A stream of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.close_code: int | None = None
        self.close_reason = ""

    @classmethod
    async def open(cls, host: str, port: int) -> TcpLine:
        """Raises LineRefused."""
        try:
            async with asyncio.timeout(OPEN_S):
                return cls(*await asyncio.open_connection(host, port))
        except TimeoutError:
            raise LineRefused(0, f"no answer within {OPEN_S:.0f} s") from None
        except OSError as error:
            raise LineRefused(0, error.strerror or str(error)) from None

    async def send(self, message: Message) -> None:
        """As the protocol says."""
        assert isinstance(message, bytes)
        if not self._writer.is_closing():
            with suppress(ConnectionError):
                self._writer.write(message)
                await self._writer.drain()

    async def messages(self) -> AsyncIterator[Message]:
        """As the protocol says."""
        with suppress(ConnectionError):
            while data := await self._reader.read(_READ_BYTES):
                yield data

    def stop_sending(self) -> None:
        """As the protocol says."""
        with suppress(OSError):
            self._writer.write_eof()

    async def close(self) -> None:
        """As the protocol says."""
        self._writer.close()
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()

    async def cut(self) -> None:
        """As the protocol says."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


def with_query(url: str, query: Mapping[str, str]) -> str:
    """The address with more in its query."""
    if not query:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *query.items()])))


async def open_line(
    url: str, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
) -> Line:
    """ws:// and wss:// are WebSockets, tcp://host:port a stream of bytes. Raises LineRefused."""
    parts = urlsplit(url)
    if parts.scheme in ("ws", "wss"):
        return await WebSocketLine.open(url, headers, subprotocols)
    if parts.scheme == "tcp" and parts.hostname and parts.port:
        return await TcpLine.open(parts.hostname, parts.port)
    raise LineRefused(0, f"{url[:100]} is no ws://, wss:// or tcp://host:port")
