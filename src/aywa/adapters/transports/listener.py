"""Listeners on the media port: a WebSocket at a call's listenUrl (contract 15.2), /live/{callId}/{key}/listen.

Audio goes out as binary messages, what is said about it as JSON text; a person who takes over sends audio the same way. Who
may listen and speak the door knows; this only carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from aywa.adapters.transports.socket import BINARY, TEXT, Socket, WebSocketSettings
from aywa.adapters.transports.websocket import Refusal, Upgrade

LIVE = "/live/"
"""Below this the port's paths are the listeners'."""
LISTEN = "listen"
_TARGET_MOST = 4_096


class Listener(Protocol):
    """One who listens. No method waits."""

    @property
    def remote_host(self) -> str:
        """From where."""

    def send(self, message: str | bytes) -> None:
        """Audio, or a text. Of a connection that is gone nothing comes."""

    def waiting_bytes(self) -> int:
        """Given to the connection, and not taken by the kernel yet."""

    def close(self, code: int, reason: str) -> None:
        """In order."""


class Door(Protocol):
    """Who is let in, and what becomes of it."""

    def look(self, call_id: str, key: str) -> Refusal | None:
        """Why nobody listens there with this key; None: they may."""

    def came(self, call_id: str, listener: Listener, token: str) -> None:
        """Somebody is at the listenUrl. token: an API key, where one was given."""

    def said(self, call_id: str, listener: Listener, text: str) -> None:
        """A text message."""

    def spoke(self, call_id: str, listener: Listener, pcm: bytes) -> None:
        """Audio."""

    def left(self, call_id: str, listener: Listener) -> None:
        """The connection is gone. Told once."""


class ListenerSockets:
    """adapters.transports.websocket.Paths, for those below LIVE."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def answer(self, path: str, headers: Mapping[str, str], settings: WebSocketSettings) -> Upgrade | Refusal:
        """As the protocol says."""
        plain, _, query = path.partition("?")
        parts = [unquote(part) for part in plain.removeprefix(LIVE).strip("/").split("/")]
        if len(path) > _TARGET_MOST or len(parts) != 3 or parts[2] != LISTEN:
            return _refuse("listeners connect to a call's monitor.listenUrl")
        refused = self._door.look(parts[0], parts[1])
        if refused is not None:
            return refused
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else dict(parse_qsl(query)).get("token", "")
        return Upgrade(_ListenerSocket(self._door, parts[0], token, settings))


def _refuse(message: str) -> Refusal:
    return Refusal(404, {"message": message, "error": "Not Found", "statusCode": 404})


class _ListenerSocket(Socket):
    """Listener."""

    def __init__(self, door: Door, call_id: str, token: str, settings: WebSocketSettings) -> None:
        super().__init__(settings)
        self._door = door
        self._call_id = call_id
        self._token = token

    def opened(self) -> None:
        """Somebody is there."""
        self._door.came(self._call_id, self, self._token)

    def binary(self, payload: bytes) -> None:
        """Audio."""
        self._door.spoke(self._call_id, self, payload)

    def text(self, text: str) -> None:
        """A message."""
        self._door.said(self._call_id, self, text)

    def ended(self, cause: str, detail: str) -> None:
        """The listener is gone."""
        self._door.left(self._call_id, self)

    def send(self, message: str | bytes) -> None:
        """As the protocol says."""
        connection = self._socket
        if not (connection.is_close_frame_sent or connection.is_disconnected):
            payload = message.encode() if isinstance(message, str) else message
            connection.send(TEXT if isinstance(message, str) else BINARY, payload)

    def waiting_bytes(self) -> int:
        """As the protocol says."""
        waiting: int = self._socket.underlying_transport.get_write_buffer_size()
        return waiting
