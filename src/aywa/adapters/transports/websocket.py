"""Calls over WebSocket: one binary message stream of raw audio each way, JSON text messages both ways (RFC 6455).

Boot decides by path, token and headers which leg a connection is (`open_call`); this translates between picows and the
media plane and sees to the handshake's answers, fragments, pings, close codes and limits. Nothing is sent while
nothing is played. Refuses compression, and to know what a call is.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)
from picows.picows import WSCloseHandshake, WSCloseInfo

from aywa.ports.media import Leg, LegPlan, MediaPlane

log = logging.getLogger(__name__)
# picows tells of every connection and of every client's mistake; the call's own events do that here.
_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.CRITICAL)

# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_TEXT, _BINARY = WSMsgType.TEXT, WSMsgType.BINARY
_CONTINUATION, _CLOSE = WSMsgType.CONTINUATION, WSMsgType.CLOSE
_PROTOCOL_ERROR, _BAD_TEXT, _TOO_BIG, _SERVICE_RESTART = 1002, 1007, 1009, 1012
_MOST_REASON_BYTES = 123


@dataclass(frozen=True, slots=True)
class Refusal:
    """The handshake's answer for a connection that is not a leg: an HTTP status and a JSON body."""

    status: int
    body: Mapping[str, Any]


OpenCall = Callable[[str, Mapping[str, str], Mapping[str, str]], LegPlan | Refusal]


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


class WebSocketTransport:
    """open_call(path, query, headers) answers what a connection is to be. It may be asked in vain: the leg exists when
    LegConnected was posted. Header names are in lower case."""

    def __init__(
        self, plane: MediaPlane, open_call: OpenCall, settings: WebSocketSettings | None = None
    ) -> None:
        self.settings = settings or WebSocketSettings()
        self._plane = plane
        self._open_call = open_call
        self._connections: dict[str, _Connection] = {}
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._all_gone: asyncio.Event | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listens; answers the port (asked for 0, a free one)."""
        self._server = await ws_create_server(
            self._accept,
            host,
            port,
            websocket_handshake_timeout=self.settings.handshake_s,
            max_frame_size=self.settings.most_bytes,
            logger_name=_wire_log,
            ssl=tls,
        )
        self._sweep_later()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Takes no more connections and closes those that are left; close the plane first to end calls in order."""
        if self._server is None or self._sweep is None:
            return
        self._sweep.cancel()
        self._server.close()
        for connection in list(self._connections.values()):
            connection.close(_SERVICE_RESTART, "shutdown")
        self._all_gone = asyncio.Event()
        # Each connection cuts itself when its far side does not answer in time.
        if self._connections:
            await self._all_gone.wait()
        await self._server.wait_closed()
        self._server = None

    def connected(self, connection: _Connection, plan: LegPlan) -> Leg:
        """The handshake is done: the connection becomes a leg."""
        self._connections[plan.leg_id] = connection
        return self._plane.add_leg(plan, connection)

    def disconnected(self, leg_id: str) -> None:
        """The connection is gone."""
        self._connections.pop(leg_id, None)
        if self._all_gone is not None and not self._connections:
            self._all_gone.set()

    def _accept(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        try:
            answer = self._answer(request)
        except Exception:
            log.exception("a handshake failed")
            answer = _refuse(500, "Internal Server Error", "the call could not be opened")
        if isinstance(answer, LegPlan):
            return _Connection(self, answer, self.settings)
        body = json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/json"}
        response = WSUpgradeResponse.create_error_response(answer.status, body, headers)
        return WSUpgradeResponseWithListener(response, None)

    def _answer(self, request: WSUpgradeRequest) -> LegPlan | Refusal:
        path, _, query = request.path.decode("ascii", "replace").partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        if len(self._connections) >= self.settings.most_connections:
            return _refuse(503, "Service Unavailable", "too many connections")
        answer = self._open_call(unquote(path), dict(parse_qsl(query)), headers)
        if isinstance(answer, LegPlan) and answer.leg_id in self._connections:
            return _refuse(409, "Conflict", "the call is connected")
        if isinstance(answer, LegPlan) and headers.get("upgrade", "").lower() != "websocket":
            return _refuse(426, "Upgrade Required", "this address speaks WebSocket")
        return answer

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self.settings.sweep_s, self._look_after)

    def _look_after(self) -> None:
        """Pings those that are silent and cuts those that stay so."""
        self._sweep_later()
        for connection in list(self._connections.values()):
            connection.look_after()


def _refuse(status: int, error: str, message: str) -> Refusal:
    return Refusal(status, {"message": message, "error": error, "statusCode": status})


class _Connection(WSListener):
    """One connection: picows's listener on one side, ports.media.Connection on the other."""

    def __init__(self, owner: WebSocketTransport, plan: LegPlan, settings: WebSocketSettings) -> None:
        self._owner = owner
        self._plan = plan
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        # Set when the handshake is done, before anybody else knows of this connection.
        self._socket: WSTransport
        self._leg: Leg | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._fragments: list[bytes] = []
        self._fragments_of = _CONTINUATION
        self._lost = ""
        self._last_sign_s = self._loop.time()

    # --- from the wire -----------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._socket = transport
        self._leg = self._owner.connected(self, self._plan)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._last_sign_s = self._loop.time()
        kind = frame.msg_type
        if kind == _CLOSE:
            self._closed_by_peer(transport, frame)
            return
        leg = self._leg
        # picows still hands over the frame that it has just refused, for its size say: that is the end, not audio.
        if leg is None or transport.is_close_frame_sent:
            return
        whole = frame.fin and not (self._fragments or frame.rsv1 or frame.rsv2 or frame.rsv3)
        if whole and kind == _BINARY:
            leg.audio_received(frame.get_payload_as_bytes())
        elif kind in (_BINARY, _TEXT, _CONTINUATION):
            self._message(leg, kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._owner.disconnected(self._plan.leg_id)
        self._gone(*self._cause(transport))

    def pause_writing(self) -> None:
        """The leg itself watches its backlog."""

    def resume_writing(self) -> None:
        """As above."""

    def _message(self, leg: Leg, kind: WSMsgType, frame: WSFrame) -> None:
        """A whole message, or a part of one (RFC 6455, 5.4)."""
        begun = bool(self._fragments)
        if frame.rsv1 or frame.rsv2 or frame.rsv3 or begun != (kind == _CONTINUATION):
            self._break_off(_PROTOCOL_ERROR, "a frame out of place")
            return
        if not begun:
            self._fragments_of = kind
        self._fragments.append(frame.get_payload_as_bytes())
        if sum(map(len, self._fragments)) > self._settings.most_bytes or len(self._fragments) > 1024:
            self._break_off(_TOO_BIG, "the message is too big")
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._deliver(leg, message)

    def _deliver(self, leg: Leg, message: bytes) -> None:
        if self._fragments_of == _BINARY:
            leg.audio_received(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self._break_off(_BAD_TEXT, "a text message must be UTF-8")
            return
        leg.text_received(text)

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
        leg, self._leg = self._leg, None
        self._fragments.clear()
        if leg is not None:
            leg.disconnected(cause, detail)

    def _cause(self, transport: WSTransport) -> tuple[str, str]:
        """Why a connection ended that nobody closed: what picows found wrong with a frame, or nothing known."""
        handshake: WSCloseHandshake | None = transport.close_handshake
        sent: WSCloseInfo | None = None if handshake is None else handshake.sent
        if self._lost or sent is None:
            return "lost", self._lost or "the connection broke"
        return "malformed", _code_and_reason(sent.code, sent.reason)

    # --- from the media plane ----------------------------------------------------------------------------------

    def send_audio(self, frame: bytes) -> None:
        self._socket.send(_BINARY, frame)

    def quiet(self) -> None:
        """A client knows when nothing comes."""

    def send_text(self, text: str) -> None:
        self._socket.send(_TEXT, text)

    def send_dtmf(self, digits: str) -> bool:
        return False

    def close(self, code: int, reason: str) -> None:
        if self._socket.is_close_frame_sent:
            return
        short = reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore")
        self._socket.send_close(WSCloseCode(code), short)
        self._closing = self._loop.call_later(self._settings.close_s, self.abort)

    def buffered_bytes(self) -> int:
        transport = self._socket.underlying_transport
        waiting: int = transport.get_write_buffer_size()
        return waiting + unacknowledged_bytes(transport.get_extra_info("socket"))

    # --- is it still there? ------------------------------------------------------------------------------------

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
