"""Equipment that connects by WebSocket: the handshake's answer, and the shell around a stream.

An address is /media/{protocol}/{id}, with a token behind it or in the query, in `Authorization`, or in what the stream says of
itself: equipment differs in what it lets its user write. Whether it is good, the door knows; this only finds it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, unquote

from aywa.adapters.transports.equipment.codec import Dialect, Handshake, Message
from aywa.adapters.transports.equipment.streams import Streams
from aywa.adapters.transports.socket import BINARY, TEXT, Socket, WebSocketSettings
from aywa.adapters.transports.websocket import MEDIA, Refusal, Upgrade

_TARGET_MOST = 4_096

Look = Callable[[Handshake], Refusal | bool]
"""Whether a handshake can be refused as it stands; if not, whether its token proves all that is needed."""


class EquipmentSockets:
    """adapters.transports.websocket.Paths. dialects: by their name in the address. look: as the type says."""

    def __init__(self, streams: Streams, dialects: Mapping[str, Dialect], look: Look) -> None:
        self._streams = streams
        self._dialects = dialects
        self._look = look

    def answer(self, path: str, headers: Mapping[str, str], settings: WebSocketSettings) -> Upgrade | Refusal:
        """As the protocol says."""
        plain, _, query_text = path.partition("?")
        parts = [unquote(part) for part in plain.removeprefix(MEDIA).strip("/").split("/")]
        if len(path) > _TARGET_MOST or not 2 <= len(parts) <= 3 or not parts[1]:
            return refusal(404, "Not Found", "equipment connects to /media/{protocol}/{id}")
        dialect = self._dialects.get(parts[0])
        if dialect is None:
            known = ", ".join(sorted(self._dialects))
            return refusal(404, "Not Found", f"the protocol is none of {known}")
        query = dict(parse_qsl(query_text))
        token = parts[2] if len(parts) == 3 else query.pop("token", "") or _of_authorization(headers)
        handshake = Handshake(parts[0], parts[1], token, query, headers, path)
        found = self._look(handshake)
        if isinstance(found, Refusal):
            return found
        if not found and self._streams.full:
            # Who has proven nothing yet does not keep out who has.
            return refusal(503, "Service Unavailable", "too many streams wait to become a call")
        offered = [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]
        word = next((each for each in offered if each in dialect.words), "")
        return Upgrade(_EquipmentSocket(self._streams, dialect, handshake, settings), word)


def refusal(status: int, error: str, message: str) -> Refusal:
    """A handshake's answer."""
    return Refusal(status, {"message": message, "error": error, "statusCode": status})


def _of_authorization(headers: Mapping[str, str]) -> str:
    """A bearer's token, or the password of a pair."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        pair = base64.b64decode(rest, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return pair.partition(":")[2]


class _EquipmentSocket(Socket):
    """door.Wire."""

    def __init__(
        self, streams: Streams, dialect: Dialect, handshake: Handshake, settings: WebSocketSettings
    ) -> None:
        super().__init__(settings)
        self._streams = streams
        self._dialect = dialect
        self._handshake = handshake

    def opened(self) -> None:
        """It is a stream from now on, and a call when that begins."""
        handshake = self._handshake.of(self.remote_host)
        codec = self._dialect.make(handshake)
        stream = self._streams.stream(codec, handshake, self)
        # Without a step in between: it is the way of every message.
        self.text = self.binary = stream.received  # type: ignore[assignment, method-assign]
        self.ended = stream.gone  # type: ignore[method-assign]

    def send(self, message: Message) -> None:
        """As the protocol says."""
        connection = self._socket
        if not (connection.is_close_frame_sent or connection.is_disconnected):
            connection.send(TEXT if isinstance(message, str) else BINARY, message)
