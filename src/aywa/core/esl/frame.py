"""Cuts what FreeSWITCH sends on an event socket into frames: header lines, an empty line, and a body of Content-Length bytes.

Holds no more than one frame. What cannot be cut ends the connection: after it nobody knows where the next frame begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# The answer to `connect` has all variables of a channel in its head; `show channels` is the longest body.
HEAD_MAX_BYTES = 1 << 18
BODY_MAX_BYTES = 1 << 24
END_OF_HEAD = b"\n\n"
_LENGTH_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """kind: of its Content-Type, in lower case; empty without. head: its lines as they came."""

    kind: str
    head: bytes = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def get(self, name: str) -> str:
        """The first header of that name, in whatever case; empty without."""
        return header(self.head, name)


class Framer:
    """One direction of one connection. broken: why nothing more can be read of it, empty while all is well."""

    def __init__(self) -> None:
        self.broken = ""
        self._held = bytearray()
        # Of the frame in front, once its head is known: where its body begins and ends.
        self._body: tuple[int, int] | None = None
        # How far the end of the head has been looked for already.
        self._searched = 0

    def receive(self, data: bytes) -> list[Frame]:
        """What is whole now, in order."""
        found: list[Frame] = []
        if self.broken:
            return found
        held = self._held
        held += data
        at = 0
        while True:
            if self._body is None:
                while at < len(held) and held[at] in b"\r\n":
                    at += 1
                if not self._measure(at):
                    break
            begin, end = self._body or (0, 0)
            if len(held) < end:
                break
            head = bytes(held[at : begin - len(END_OF_HEAD)])
            found.append(Frame(header(head, "content-type").lower(), head, bytes(held[begin:end])))
            at, self._body = end, None
            self._searched = at
        if self.broken:
            held.clear()
        elif at:
            del held[:at]
            self._searched -= at
            if self._body is not None:
                self._body = self._body[0] - at, self._body[1] - at
        return found

    def _measure(self, at: int) -> bool:
        """Finds out how long the frame at this place is; False: its head is not whole yet, or cannot be read."""
        held = self._held
        end = held.find(END_OF_HEAD, max(at, self._searched))
        if end < 0:
            self._searched = max(at, len(held) - 1)
            if len(held) - at > HEAD_MAX_BYTES:
                self.broken = "a head is too long"
            return False
        if end - at > HEAD_MAX_BYTES:
            self.broken = "a head is too long"
            return False
        said = header(bytes(held[at:end]), "content-length") or "0"
        if not (said.isascii() and said.isdigit()):
            self.broken = "Content-Length is no number"
            return False
        if len(said) > _LENGTH_MAX_DIGITS or int(said) > BODY_MAX_BYTES:
            self.broken = "a body is too long"
            return False
        begin = end + len(END_OF_HEAD)
        self._body = begin, begin + int(said)
        return True


def header(head: bytes, name: str) -> str:
    """The first header of that name, in whatever case; empty without."""
    wanted = name.lower()
    for line in head.decode("utf-8", "replace").split("\n"):
        given, _, value = line.partition(":")
        if given.strip().lower() == wanted:
            return value.strip()
    return ""
