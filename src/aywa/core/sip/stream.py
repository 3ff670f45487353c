"""Cuts a byte stream into messages by their Content-Length, and sees the keep-alives between (RFC 3261 18.3, RFC 5626 4.4.1).

Holds no more than one message. What cannot be cut ends the stream: after it nobody knows where the next message begins.
"""

from __future__ import annotations

from enum import StrEnum

from aywa.core.sip.message import BODY_MAX_BYTES, END_OF_HEAD, HEAD_MAX_BYTES, content_length, read_head
from aywa.core.sip.uri import Unreadable


class KeepAlive(StrEnum):
    """PING: two empty lines, to be answered with PONG_BYTES. PONG: the one line of an answer."""

    PING = "ping"
    PONG = "pong"


PING_BYTES = b"\r\n\r\n"
PONG_BYTES = b"\r\n"
# So many keep-alives in one reading are reported; who sends more gets no more answers for it.
KEEP_ALIVES_MAX = 8


class Framer:
    """One direction of one connection. broken: why nothing more can be read of it, empty while all is well."""

    def __init__(self) -> None:
        self.broken = ""
        self._held = bytearray()
        # The whole length of the message in front, once its head is known.
        self._wanted: int | None = None
        # How far the end of the head has been looked for already.
        self._searched = 0

    def receive(self, data: bytes) -> list[bytes | KeepAlive]:
        """What is whole now, in order. The last before a break may be a message that parse() refuses: it can be answered
        before the connection is closed."""
        if self.broken:
            return []
        self._held += data
        found: list[bytes | KeepAlive] = []
        alive = 0
        while self._held and not self.broken:
            if self._wanted is None:
                keep_alive = self._keep_alive()
                if keep_alive is not None:
                    alive += 1
                    if alive <= KEEP_ALIVES_MAX:
                        found.append(keep_alive)
                    continue
                if self._held.startswith((b"\r", b"\n")):
                    # One end of line so far: a pong, or half a ping. The next bytes tell; a pong asks for no answer.
                    break
                self._measure(found)
            if self._wanted is None or len(self._held) < self._wanted:
                break
            found.append(bytes(self._held[: self._wanted]))
            del self._held[: self._wanted]
            self._wanted, self._searched = None, 0
        return found

    def _keep_alive(self) -> KeepAlive | None:
        if self._held.startswith(PING_BYTES):
            del self._held[: len(PING_BYTES)]
            return KeepAlive.PING
        if self._held.startswith(PONG_BYTES) and len(self._held) > 2 and self._held[2:3] != b"\r":
            del self._held[: len(PONG_BYTES)]
            return KeepAlive.PONG
        if self._held[:1] == b"\n":
            del self._held[:1]
            return KeepAlive.PONG
        return None

    def _measure(self, found: list[bytes | KeepAlive]) -> None:
        end = END_OF_HEAD.search(self._held, self._searched, HEAD_MAX_BYTES + 4)
        if end is None:
            self._searched = max(0, len(self._held) - 3)
            if len(self._held) > HEAD_MAX_BYTES:
                self._break("too long", found)
            return
        _, headers, _ = read_head(bytes(self._held[: end.start()]))
        try:
            length = content_length(headers)
        except Unreadable:
            self._break("Content-Length", found)
            return
        if length is None:
            # Over a stream there must be one (RFC 3261 20.14).
            self._break("no Content-Length", found)
        elif length > BODY_MAX_BYTES:
            self._break("too long", found)
        else:
            self._wanted = end.end() + length

    def _break(self, why: str, found: list[bytes | KeepAlive]) -> None:
        self.broken = why
        found.append(bytes(self._held[: HEAD_MAX_BYTES + 1]))
        self._held.clear()
