"""One WebSocket of the media port, whatever is said over it (RFC 6455): whole messages out of frames and fragments, close codes,
pings, and what the far side has not taken. Who it belongs to is told what came, and once why it ended.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from dataclasses import dataclass
from typing import Protocol

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSCloseHandshake, WSCloseInfo

# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY
_CONTINUATION, _CLOSE = WSMsgType.CONTINUATION, WSMsgType.CLOSE
_PROTOCOL_ERROR, _BAD_TEXT, _TOO_BIG = 1002, 1007, 1009
_MOST_REASON_BYTES = 123
_MOST_FRAGMENTS = 1024


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """Times in seconds. most_bytes: of a message. ping_s: silence from the far side before it is asked; lost_s: before
    it counts as gone. close_s: how long it may take to answer a close."""

    most_bytes: int = 65_536
    most_connections: int = 2_000
    handshake_s: float = 5.0
    ping_s: float = 10.0
    lost_s: float = 25.0
    sweep_s: float = 2.5
    close_s: float = 3.0


class Port(Protocol):
    """Where sockets come from."""

    def here(self, connection: Socket) -> None:
        """A socket is open."""

    def gone(self, connection: Socket) -> None:
        """A socket is open no more."""


class Socket(WSListener):
    """picows's listener. A kind of it overrides `opened`, `binary`, `text`, `ended` and `disconnected`. port: set before the
    handshake is answered."""

    def __init__(self, settings: WebSocketSettings) -> None:
        self.port: Port
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        # Set when the handshake is done, before anybody else knows of this connection.
        self._socket: WSTransport
        self._over = False
        self._closing: asyncio.TimerHandle | None = None
        self._fragments: list[bytes] = []
        self._fragments_of = _CONTINUATION
        self._lost = ""
        self._last_sign_s = self._loop.time()

    # --- for those who override ----------------------------------------------------------------------------------

    def opened(self) -> None:
        """The handshake is done."""

    def binary(self, payload: bytes) -> None:
        """A whole binary message."""

    def text(self, text: str) -> None:
        """A whole text message."""

    def ended(self, cause: str, detail: str) -> None:
        """The far side is heard no more: closed, lost or malformed. Told once."""

    def disconnected(self) -> None:
        """The connection is gone."""

    # --- from the wire -------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._socket = transport
        self.port.here(self)
        self.opened()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._last_sign_s = self._loop.time()
        kind = frame.msg_type
        if kind == _CLOSE:
            self._closed_by_peer(transport, frame)
            return
        # picows still hands over the frame that it has just refused, for its size say: that is the end, not audio.
        if self._over or transport.is_close_frame_sent:
            return
        whole = frame.fin and not (self._fragments or frame.rsv1 or frame.rsv2 or frame.rsv3)
        if whole and kind == BINARY:
            self.binary(frame.get_payload_as_bytes())
        elif whole and kind == TEXT:
            self._text(frame.get_payload_as_bytes())
        elif kind in (BINARY, TEXT, _CONTINUATION):
            self._fragment(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self.port.gone(self)
        self.disconnected()
        self._gone(*self._cause(transport))

    def pause_writing(self) -> None:
        """Who sends watches his backlog."""

    def resume_writing(self) -> None:
        """As above."""

    def _text(self, message: bytes) -> None:
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self._break_off(_BAD_TEXT, "a text message must be UTF-8")
            return
        self.text(text)

    def _fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        """A part of a message (RFC 6455, 5.4)."""
        begun = bool(self._fragments)
        if frame.rsv1 or frame.rsv2 or frame.rsv3 or begun != (kind == _CONTINUATION):
            self._break_off(_PROTOCOL_ERROR, "a frame out of place")
            return
        if not begun:
            self._fragments_of = kind
        self._fragments.append(frame.get_payload_as_bytes())
        if (
            sum(map(len, self._fragments)) > self._settings.most_bytes
            or len(self._fragments) > _MOST_FRAGMENTS
        ):
            self._break_off(_TOO_BIG, "the message is too big")
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            if self._fragments_of == BINARY:
                self.binary(message)
            else:
                self._text(message)

    def _closed_by_peer(self, transport: WSTransport, frame: WSFrame) -> None:
        if transport.is_close_frame_sent:
            # It answers ours, or picows's to a frame that broke the protocol.
            transport.disconnect()
            self._gone(*self._cause(transport))
            return
        transport.send_close(WSCloseCode.OK)
        transport.disconnect()
        self._gone("closed", _code_and_reason(frame.get_close_code(), frame.get_close_reason()))

    def _break_off(self, code: int, reason: str) -> None:
        """The far side broke the protocol: no more of it is heard."""
        self.close(code, reason)
        self._gone("malformed", reason)

    def _gone(self, cause: str, detail: str) -> None:
        self._fragments.clear()
        if not self._over:
            self._over = True
            self.ended(cause, detail)

    def _cause(self, transport: WSTransport) -> tuple[str, str]:
        """Why a connection ended that nobody closed: what picows found wrong with a frame, or nothing known."""
        handshake: WSCloseHandshake | None = transport.close_handshake
        sent: WSCloseInfo | None = None if handshake is None else handshake.sent
        if self._lost or sent is None:
            return "lost", self._lost or "the connection broke"
        return "malformed", _code_and_reason(sent.code, sent.reason)

    # --- to the wire ---------------------------------------------------------------------------------------------

    @property
    def remote_host(self) -> str:
        """The far side's address; empty where it has none."""
        peer = self._socket.underlying_transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) and peer else ""

    def close(self, code: int, reason: str) -> None:
        """In order; a far side that does not answer in time is cut off."""
        if self._socket.is_close_frame_sent:
            return
        short = reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore")
        self._socket.send_close(WSCloseCode(code), short)
        self._closing = self._loop.call_later(self._settings.close_s, self.abort)

    def buffered_bytes(self) -> int:
        """Given to the connection, and not taken by the far side."""
        transport = self._socket.underlying_transport
        waiting: int = transport.get_write_buffer_size()
        return waiting + unacknowledged_bytes(transport.get_extra_info("socket"))

    # --- is it still there? --------------------------------------------------------------------------------------

    def look_after(self) -> None:
        """Asks a silent far side for a sign of life; cuts one that gives none."""
        silent_s = self._loop.time() - self._last_sign_s
        if silent_s >= self._settings.lost_s:
            self._lost = f"no sign of life for {silent_s:.0f} s"
            self.abort()
        elif silent_s >= self._settings.ping_s:
            self._socket.send_ping()

    def abort(self) -> None:
        """Cuts the connection without ceremony."""
        self._socket.disconnect(False)


def _code_and_reason(code: WSCloseCode, reason: str | None) -> str:
    # picows gives codes that it has no name for as numbers.
    return f"{getattr(code, 'value', code)} {reason or ''}".strip()


def unacknowledged_bytes(connected: socket.socket) -> int:
    """Bytes that the kernel still holds for the far side; 0 where it cannot be asked."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        # Closed a moment ago.
        return 0
    waiting: int = struct.unpack("i", answer)[0]
    return waiting
