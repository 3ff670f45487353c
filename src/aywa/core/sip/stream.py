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
        # One end of line was seen, and nothing since.
        self._half_ping = False
        # How far the end of the head has been looked for already.
        self._searched = 0

    def receive(self, data: bytes) -> list[bytes | KeepAlive]:
        """What is whole now, in order. The last before a break may be a message that parse() refuses: it can be answered
        before the connection is closed."""
        if self.broken:
            return []
        self._held += data
        found: list[bytes | KeepAlive] = []
        while self._held and not self.broken:
            if self._wanted is None and self._held.startswith((b"\r", b"\n")):
                if not self._end_of_line(found):
                    break
                continue
            self._half_ping = False
            if self._wanted is None:
                self._measure(found)
            if self._wanted is None or len(self._held) < self._wanted:
                break
            found.append(bytes(self._held[: self._wanted]))
            del self._held[: self._wanted]
            self._wanted, self._searched = None, 0
        return found

    def _end_of_line(self, found: list[bytes | KeepAlive]) -> bool:
        """Between messages: takes one end of line away. False: the rest of it has not come yet."""
        if not self._held.startswith(PONG_BYTES):
            if len(self._held) == 1 and self._held == b"\r":
                return False
            del self._held[:1]
            return True
        del self._held[: len(PONG_BYTES)]
        if self._half_ping:
            kind: KeepAlive | None = KeepAlive.PING
        else:
            # One that ends what has come is a pong; should another follow it was half a ping.
            kind = None if self._held else KeepAlive.PONG
        self._half_ping = not self._half_ping
        if kind is not None and sum(isinstance(each, KeepAlive) for each in found) < KEEP_ALIVES_MAX:
            found.append(kind)
        return True

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
