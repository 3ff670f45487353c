"""A WebSocket client as every vendor's adapter needs it: connects, sends without waiting, ends in time, says why it ended.

Messages and the end come to a receiver by direct calls; it bounds what it keeps. Nothing here waits for the far side to
read: what it does not take ends the connection. Refuses compression, redirects and to try again (RFC 6455).
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.picows import WSCloseHandshake, WSCloseInfo

from aywa.adapters.wire.guard import INTERNAL, INTERNAL_MEND, Guard, InternalAddress
from aywa.adapters.wire.http import retry_after_s
from aywa.ports.errors import Fault, ProviderError

# picows tells of every connection, with its headers; what is to be known of it is in the ProviderError.
_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.CRITICAL)

# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_TEXT, _BINARY = WSMsgType.TEXT, WSMsgType.BINARY
_CONTINUATION, _CLOSE = WSMsgType.CONTINUATION, WSMsgType.CLOSE
_PROTOCOL_ERROR, _BAD_TEXT, _TOO_BIG = 1002, 1007, 1009
_MOST_FRAGMENTS = 1024
# Of several addresses each but the last is given up after so long.
_ADDRESS_S = 1.0
_KEY_HEADERS = frozenset("authorization xi-api-key x-api-key api-key".split())
_STATUS = re.compile(rb"^HTTP/\d\.\d (\d{3})")

Message = str | bytes


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """Times in seconds. connect_s: from the look-up of the name to the end of the handshake. close_s: how long the far side
    may take to answer a close. ping_s: silence from the far side before it is asked; lost_s: before it counts as gone.
    most_message_bytes: that it may send at once. most_waiting_bytes: that wait for it to read, the kernel's
    send_buffer_bytes not counted. most_messages: that wait for a receiver."""

    connect_s: float = 5.0
    close_s: float = 0.7
    ping_s: float = 10.0
    lost_s: float = 25.0
    most_message_bytes: int = 4 << 20
    most_waiting_bytes: int = 256 << 10
    send_buffer_bytes: int = 64 << 10
    most_messages: int = 256


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect for a route (ws or wss), and with which headers; both may hold secrets. key_mend, url_mend: what to
    change when the far side refuses the key, or is not there. tls: instead of the system's trust. guard: where a customer says
    where it goes."""

    route: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    key_mend: str = "check the key"
    url_mend: str = "check the address"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    guard: Guard | None = field(default=None, repr=False, compare=False)

    def error(
        self,
        code: str,
        message: str,
        fault: Fault = Fault.CONFIG,
        *,
        retryable: bool = False,
        mend: str = "",
        retry_after_s: float | None = None,
    ) -> ProviderError:
        """The route's failure."""
        return ProviderError(
            self.route,
            code,
            message,
            fault=fault,
            retryable=retryable,
            mend=mend,
            retry_after_s=retry_after_s,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to a handshake that was not 101. body: as much as came with the head. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Refine = Callable[[Refused], ProviderError | None]
"""What a vendor means with an answer; None: what the status says."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection is over. cause: "closed" by the far side, with its close_code and reason; "left" by us; "lost";
    "malformed"; "overlong"; "slow". A reason is the far side's own words: do not show it unless they are known ones."""

    cause: str
    close_code: int | None = None
    reason: str = field(default="", repr=False)

    def error(self, address: Address) -> ProviderError | None:
        """As a failure of the route, where the vendor's adapter knows nothing better; None if we left."""
        told = _ENDINGS.get(self.cause)
        if told is None:
            return None
        code, message, fault = told
        if self.cause == "closed":
            message += f" (close code {self.close_code})" if self.close_code else ""
        return address.error(code, message, fault, retryable=True)


_ENDINGS = {
    "closed": ("closed", "the far side closed the connection", Fault.PROVIDER),
    "lost": ("cut_short", "the connection broke", Fault.NETWORK),
    "malformed": ("malformed", "the far side broke the protocol of WebSocket", Fault.PROVIDER),
    "overlong": ("overlong", "a message was too big", Fault.PROVIDER),
    "slow": ("slow", "the far side does not read what it is sent", Fault.PROVIDER),
}
_NORMAL_CLOSE = 1000


class Receiver(Protocol):
    """Takes what comes. Both are called from the loop and must not raise."""

    def received(self, message: Message) -> None:
        """A whole message."""

    def ended(self, ending: Ending) -> None:
        """The connection is over; nothing follows. Called once."""


async def connect(
    address: Address, settings: WebSocketSettings | None = None, refine: Refine | None = None
) -> WebSocket:
    """Raises ProviderError. A cancelled connect leaves nothing open."""
    settings = settings or WebSocketSettings()
    _check(address)
    opened: list[socket.socket] = []

    async def dial(parsed: Any) -> socket.socket:
        opened.append(await _connected_socket(parsed.host, parsed.port, settings, address.guard))
        return opened[0]

    try:
        async with asyncio.timeout(settings.connect_s):
            _, listener = await ws_connect(
                lambda: WebSocket(address, settings),
                address.url,
                ssl_context=(address.tls or _trust()) if address.url.lower().startswith("wss:") else None,
                websocket_handshake_timeout=None,
                logger_name=_wire_log,
                max_frame_size=settings.most_message_bytes,
                extra_headers=dict(address.headers),
                max_redirects=0,
                socket_factory=dial,
            )
    except asyncio.CancelledError:
        _hang_up(opened)
        raise
    except TimeoutError:
        _hang_up(opened)
        raise address.error(
            "unreachable",
            f"no connection within {settings.connect_s:g} s",
            Fault.NETWORK,
            retryable=True,
            mend=address.url_mend,
        ) from None
    except WSError as error:
        raise _not_upgraded(address, error, refine) from None
    except ssl.SSLCertVerificationError as error:
        raise address.error(
            "unreachable",
            f"its certificate is not trusted: {error.verify_message}",
            Fault.CONFIG,
            mend=address.url_mend,
        ) from None
    except InternalAddress:
        raise address.error("internal_address", INTERNAL, mend=INTERNAL_MEND) from None
    except (OSError, UnicodeError) as error:
        raise address.error(
            "unreachable", type(error).__name__, Fault.NETWORK, retryable=True, mend=address.url_mend
        ) from None
    if not isinstance(listener, WebSocket):
        raise address.error(
            "unreachable", "the far side hung up during the handshake", Fault.NETWORK, retryable=True
        )
    return listener


class WebSocket(WSListener):
    """One connection, open from the beginning. Sending never waits and never raises: after the end it does nothing, and
    the receiver is told of the end. What comes before there is a receiver is kept for it."""

    def __init__(self, address: Address, settings: WebSocketSettings) -> None:
        self.address = address
        self.ending: Ending | None = None
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        # Set when the handshake is done, before anybody else knows of this connection.
        self._transport: WSTransport
        self._receiver: Receiver | None = None
        self._early: deque[Message] = deque()
        self._fragments: list[bytes] = []
        self._fragments_of = _CONTINUATION
        self._last_sign_s = self._loop.time()
        self._looking: asyncio.TimerHandle | None = None
        self._leaving = False
        self._gone = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        """Something that is sent may arrive."""
        return self.ending is None and not self._leaving

    @property
    def waiting_bytes(self) -> int:
        """Sent, and not yet taken by the kernel."""
        waiting: int = self._transport.underlying_transport.get_write_buffer_size()
        return waiting

    def receive(self, receiver: Receiver) -> None:
        """From now on messages go to the receiver; those that came before, at once."""
        self._receiver = receiver
        while self._early:
            receiver.received(self._early.popleft())
        if self.ending is not None:
            receiver.ended(self.ending)

    def send_text(self, text: str) -> None:
        """A text message."""
        if self.is_open:
            self._transport.send(_TEXT, text)

    def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """A binary message."""
        if self.is_open:
            self._transport.send(_BINARY, data)

    async def close(self) -> None:
        """Leaves in order, within close_s; without it, if the far side takes longer or this is cancelled."""
        if self.ending is None and not self._leaving:
            self._leaving = True
            self._transport.send_close(WSCloseCode.OK)
        try:
            async with asyncio.timeout(self._settings.close_s):
                await asyncio.shield(self._gone)
        except TimeoutError:
            self.abort()
            await asyncio.shield(self._gone)
        except asyncio.CancelledError:
            self.abort()
            raise

    def abort(self) -> None:
        """Leaves at once."""
        self._leaving = True
        self._transport.disconnect(False)

    # --- picows --------------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=self._settings.most_waiting_bytes)
        self._look_later()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._last_sign_s = self._loop.time()
        kind = frame.msg_type
        if kind == _CLOSE:
            self._closed_by_peer(transport, frame)
        elif self.ending is not None or transport.is_close_frame_sent:
            return
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._break_off("malformed", _PROTOCOL_ERROR)
        elif frame.fin and not self._fragments and kind in (_TEXT, _BINARY):
            self._deliver(kind, frame.get_payload_as_bytes())
        elif kind in (_TEXT, _BINARY, _CONTINUATION):
            self._fragment(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end(Ending("left" if self._leaving else self._cause(transport)))
        if self._looking is not None:
            self._looking.cancel()
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        """More than most_waiting_bytes wait. Called from within a send."""
        self._loop.call_soon(self._break_off, "slow", None)

    def resume_writing(self) -> None:
        """It is over by then."""

    # --- inside --------------------------------------------------------------------------------------------------

    def _fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        begun = bool(self._fragments)
        if begun != (kind == _CONTINUATION):
            self._break_off("malformed", _PROTOCOL_ERROR)
            return
        if not begun:
            self._fragments_of = kind
        self._fragments.append(frame.get_payload_as_bytes())
        if (
            sum(map(len, self._fragments)) > self._settings.most_message_bytes
            or len(self._fragments) > _MOST_FRAGMENTS
        ):
            self._break_off("overlong", _TOO_BIG)
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._deliver(self._fragments_of, message)

    def _deliver(self, kind: WSMsgType, payload: bytes) -> None:
        message: Message = payload
        if kind == _TEXT:
            try:
                message = payload.decode()
            except UnicodeDecodeError:
                self._break_off("malformed", _BAD_TEXT)
                return
        if self._receiver is not None:
            self._receiver.received(message)
        elif len(self._early) < self._settings.most_messages:
            self._early.append(message)
        else:
            self._break_off("overlong", _TOO_BIG)

    def _closed_by_peer(self, transport: WSTransport, frame: WSFrame) -> None:
        if not transport.is_close_frame_sent:
            self._end(Ending("closed", _number(frame.get_close_code()), _printable(frame.get_close_reason())))
            transport.send_close(WSCloseCode.OK)
        # What still waits to be sent must not keep the connection.
        transport.disconnect(self.waiting_bytes == 0)

    def _break_off(self, cause: str, close_code: int | None) -> None:
        """The far side's fault: no more of it is heard."""
        if self.ending is not None or self._leaving:
            return
        if close_code is not None:
            self._transport.send_close(WSCloseCode(close_code))
        self._end(Ending(cause))
        self._transport.disconnect(False)

    def _end(self, ending: Ending) -> None:
        if self.ending is not None:
            return
        self.ending = ending
        self._fragments.clear()
        if self._receiver is not None:
            self._receiver.ended(ending)

    def _cause(self, transport: WSTransport) -> str:
        """Why it ended if nobody said so: picows found a frame that it refuses, or the line broke."""
        handshake: WSCloseHandshake | None = transport.close_handshake
        sent: WSCloseInfo | None = None if handshake is None else handshake.sent
        if sent is None:
            return "lost"
        return "overlong" if _number(sent.code) == _TOO_BIG else "malformed"

    def _look_later(self) -> None:
        self._looking = self._loop.call_later(self._settings.ping_s, self._look)

    def _look(self) -> None:
        """Asks a silent far side for a sign of life; leaves one that gives none."""
        silent_s = self._loop.time() - self._last_sign_s
        if silent_s >= self._settings.lost_s:
            self._break_off("lost", None)
            return
        if silent_s >= self._settings.ping_s:
            self._transport.send_ping()
        self._look_later()


def websocket_url(base_url: str, path: str, default_scheme: str = "wss") -> str:
    """The base as it is configured (https, http, wss, ws, or without a scheme), as an address of a WebSocket."""
    scheme, colon, rest = base_url.strip().partition("://")
    if not colon:
        scheme, rest = default_scheme, base_url.strip()
    return f"{ {'https': 'wss', 'http': 'ws'}.get(scheme.lower(), scheme) }://{rest.rstrip('/')}{path}"


@cache
def _trust() -> ssl.SSLContext:
    """The system's certificates, read once: that takes tens of milliseconds."""
    return ssl.create_default_context()


def _check(address: Address) -> None:
    for name, value in address.headers.items():
        if not _is_plain(name) or not _is_plain(value):
            if name.lower() in _KEY_HEADERS:
                raise address.error("bad_key", "its key holds a line end or the like", mend=address.key_mend)
            raise address.error(
                "bad_request", "a header holds a line end or the like", mend="check the headers"
            )
    try:
        parsed = urlsplit(address.url)
        usable = parsed.scheme in ("ws", "wss") and bool(parsed.hostname) and parsed.port != 0
        names_user = "@" in parsed.netloc
    except ValueError:
        usable = names_user = False
    if not usable or not _is_plain(address.url) or " " in address.url or "#" in address.url:
        raise address.error("bad_url", "its address is not one of a WebSocket", mend=address.url_mend)
    if names_user:
        raise address.error("bad_url", "its address holds a user's name", mend=address.url_mend)


def _is_plain(text: str) -> bool:
    return text.isascii() and not any(ord(character) < 32 or ord(character) == 127 for character in text)


def _number(code: Any) -> int:
    # picows gives codes that it has no name for as numbers.
    return int(getattr(code, "value", code))


def _printable(reason: str | None) -> str:
    return "".join(character for character in reason or "" if character.isprintable())[:123]


async def _connected_socket(
    host: str, port: int, settings: WebSocketSettings, guard: Guard | None = None
) -> socket.socket:
    """To the first address of the name that answers, and may be reached. Raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        # A number needs no thread to look it up.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    error: OSError = OSError("the name has no address")
    for at, (family, kind, protocol, _, where) in enumerate(found):
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        try:
            if guard is not None:
                guard(str(where[0]), int(where[1]))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
            async with asyncio.timeout(None if at == len(found) - 1 else _ADDRESS_S):
                await loop.sock_connect(made, where)
            return made
        except OSError as failed:  # TimeoutError is one
            made.close()
            error = failed
        except BaseException:
            made.close()
            raise
    raise error


def _hang_up(opened: list[socket.socket]) -> None:
    """During a handshake nobody but picows holds the transport; with its socket shut down it closes."""
    for each in opened:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _not_upgraded(address: Address, error: WSError, refine: Refine | None) -> ProviderError:
    head: bytes = getattr(error, "raw_header", None) or b""
    status = _STATUS.match(head)
    if status is None or int(status[1]) == 101:
        if not head and not hasattr(error, "raw_header"):
            return address.error("bad_url", "its address is not one of a WebSocket", mend=address.url_mend)
        return address.error(
            "not_a_stream", "the handshake's answer is not one of WebSocket", mend=address.url_mend
        )
    # picows itself reads no head with a status that the standard library has no name for.
    lines = (line.partition(":") for line in head.decode("latin-1").splitlines()[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    refused = Refused(int(status[1]), headers, getattr(error, "raw_body", None) or b"")
    return (refine and refine(refused)) or refusal(address, refused)


_STATUS_CODES = {
    400: "bad_request",
    401: "unauthorized",
    402: "quota",
    403: "forbidden",
    404: "not_found",
    408: "deadline",
    429: "rate_limited",
}


def refusal(address: Address, refused: Refused) -> ProviderError:
    """What a status says."""
    status = refused.status
    mend = {401: address.key_mend, 403: address.key_mend, 404: address.url_mend}.get(status, "")
    if status in (402, 429):
        mend = "raise the quota, or wait"
    elif status < 400:
        mend = address.url_mend
    return address.error(
        _STATUS_CODES.get(status, "unavailable" if status >= 500 else "refused"),
        f"answered {status}",
        Fault.PROVIDER if status >= 500 or status == 408 else Fault.CONFIG,
        retryable=status >= 500 or status in (408, 429),
        mend=mend,
        retry_after_s=retry_after_s(
            {**refused.headers, "Retry-After": refused.headers.get("retry-after", "")}
        ),
    )
