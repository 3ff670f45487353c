"""Calls over WebSocket: one binary message stream of raw audio each way, JSON text messages both ways.

Boot decides by path, token and headers which leg a connection is (`open_call`); this translates between the socket and the
media plane and sees to the handshake's answers and limits. Nothing is sent while nothing is played. Below some paths (`MEDIA`)
the port is somebody else's. Refuses compression, and to know what a call is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from aywa.adapters.transports.socket import BINARY, TEXT, Socket, WebSocketSettings, unacknowledged_bytes
from aywa.ports.media import Leg, LegPlan, MediaPlane

__all__ = [
    "Paths",
    "Refusal",
    "Upgrade",
    "WebSocketSettings",
    "WebSocketTransport",
    "unacknowledged_bytes",
]

log = logging.getLogger(__name__)
# picows tells of every connection and of every client's mistake; the call's own events do that here.
_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.CRITICAL)

MEDIA = "/media/"
"""Below this the port's paths are the equipment's."""
_SERVICE_RESTART = 1012


@dataclass(frozen=True, slots=True)
class Refusal:
    """The handshake's answer for a connection that is not a leg: an HTTP status and a JSON body."""

    status: int
    body: Mapping[str, Any]


OpenCall = Callable[[str, Mapping[str, str], Mapping[str, str]], LegPlan | Refusal]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The handshake's answer for equipment: what listens, and the subprotocol that was agreed on, if any."""

    socket: Socket
    word: str = ""


class Paths(Protocol):
    """Answers handshakes below a path of their own."""

    def answer(self, path: str, headers: Mapping[str, str], settings: WebSocketSettings) -> Upgrade | Refusal:
        """path: with its query, as it was written. Header names are in lower case."""


class WebSocketTransport:
    """open_call(path, query, headers) answers what a connection is to be. It may be asked in vain: the leg exists when
    LegConnected was posted. Header names are in lower case. paths: who answers below which path, in the place of open_call."""

    def __init__(
        self,
        plane: MediaPlane,
        open_call: OpenCall,
        settings: WebSocketSettings | None = None,
        paths: Mapping[str, Paths] | None = None,
    ) -> None:
        self.settings = settings or WebSocketSettings()
        self._paths = paths or {}
        self._plane = plane
        self._open_call = open_call
        self._legs: set[str] = set()
        self._sockets: set[Socket] = set()
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
        for connection in list(self._sockets):
            connection.close(_SERVICE_RESTART, "shutdown")
        self._all_gone = asyncio.Event()
        # Each connection cuts itself when its far side does not answer in time.
        if self._sockets:
            await self._all_gone.wait()
        await self._server.wait_closed()
        self._server = None

    def connected(self, connection: _Connection, plan: LegPlan) -> Leg:
        """The handshake is done: the connection becomes a leg."""
        self._legs.add(plan.leg_id)
        return self._plane.add_leg(plan, connection)

    def disconnected(self, leg_id: str) -> None:
        """The leg's connection is gone."""
        self._legs.discard(leg_id)

    def here(self, connection: Socket) -> None:
        """A socket is open."""
        self._sockets.add(connection)

    def gone(self, connection: Socket) -> None:
        """A socket is open no more."""
        self._sockets.discard(connection)
        if self._all_gone is not None and not self._sockets:
            self._all_gone.set()

    def _accept(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        try:
            answer = self._answer(request)
        except Exception:
            log.exception("a handshake failed")
            answer = _refuse(500, "Internal Server Error", "the call could not be opened")
        if isinstance(answer, LegPlan):
            answer = Upgrade(_Connection(self, answer, self.settings))
        if isinstance(answer, Upgrade):
            return self._upgrade(answer)
        body = json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/json"}
        response = WSUpgradeResponse.create_error_response(answer.status, body, headers)
        return WSUpgradeResponseWithListener(response, None)

    def _answer(self, request: WSUpgradeRequest) -> LegPlan | Upgrade | Refusal:
        target = request.path.decode("ascii", "replace")
        path, _, query = target.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        if len(self._sockets) >= self.settings.most_connections:
            return _refuse(503, "Service Unavailable", "too many connections")
        answer: LegPlan | Upgrade | Refusal
        below = next((paths for start, paths in self._paths.items() if path.startswith(start)), None)
        if below is not None:
            answer = below.answer(target, headers, self.settings)
        else:
            answer = self._open_call(unquote(path), dict(parse_qsl(query)), headers)
        if isinstance(answer, LegPlan) and answer.leg_id in self._legs:
            return _refuse(409, "Conflict", "the call is connected")
        if not isinstance(answer, Refusal) and headers.get("upgrade", "").lower() != "websocket":
            return _refuse(426, "Upgrade Required", "this address speaks WebSocket")
        return answer

    def _upgrade(self, answer: Upgrade) -> WSListener | WSUpgradeResponseWithListener:
        answer.socket.port = self
        if not answer.word:
            return answer.socket
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": answer.word})
        return WSUpgradeResponseWithListener(response, answer.socket)

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self.settings.sweep_s, self._look_after)

    def _look_after(self) -> None:
        """Pings those that are silent and cuts those that stay so."""
        self._sweep_later()
        for connection in list(self._sockets):
            connection.look_after()


def _refuse(status: int, error: str, message: str) -> Refusal:
    return Refusal(status, {"message": message, "error": error, "statusCode": status})


class _Connection(Socket):
    """One connection that is a leg: ports.media.Connection."""

    def __init__(self, owner: WebSocketTransport, plan: LegPlan, settings: WebSocketSettings) -> None:
        super().__init__(settings)
        self._owner = owner
        self._plan = plan
        self._leg: Leg | None = None

    # --- from the socket -----------------------------------------------------------------------------------------

    def opened(self) -> None:
        """It is a leg from now on."""
        self._leg = self._owner.connected(self, self._plan)

    def binary(self, payload: bytes) -> None:
        """Audio."""
        if self._leg is not None:
            self._leg.audio_received(payload)

    def text(self, text: str) -> None:
        """A control message."""
        if self._leg is not None:
            self._leg.text_received(text)

    def ended(self, cause: str, detail: str) -> None:
        """The leg ends."""
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.disconnected(cause, detail)

    def disconnected(self) -> None:
        """Another may have the leg."""
        self._owner.disconnected(self._plan.leg_id)

    # --- from the media plane ------------------------------------------------------------------------------------

    def send_audio(self, frame: bytes) -> None:
        """As the port says."""
        self._socket.send(BINARY, frame)

    def quiet(self) -> None:
        """A client knows when nothing comes."""

    def send_text(self, text: str) -> None:
        """As the port says."""
        self._socket.send(TEXT, text)

    def send_dtmf(self, digits: str) -> bool:
        """A client has no keys."""
        return False
