"""Asks a STUN server which address it sees us at: the client's side of a Binding over UDP (RFC 8489), and nothing more of it.

One question at a time, sent again until it is answered or given up; it opens no socket. Whatever comes, nothing is raised,
and only an answer with our transaction's number from the server's own address counts.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

PORT: Final = 3478
Place = tuple[str, int]

# RFC 8489 5, 18.2, 18.3.
MAGIC: Final = 0x2112A442
BINDING_REQUEST: Final = 0x0001
BINDING_SUCCESS: Final = 0x0101
BINDING_ERROR: Final = 0x0111
MAPPED_ADDRESS: Final = 0x0001
ERROR_CODE: Final = 0x0009
XOR_MAPPED_ADDRESS: Final = 0x0020
FINGERPRINT: Final = 0x8028
# From here on what is not known may be passed over (RFC 8489 14).
OPTIONAL: Final = 0x8000
# What an answer may hold without our having to heed it: credentials and errors (RFC 8489 18.3.1), and where servers of RFC 3489
# say that they listen (0x0004, 0x0005).
_KNOWN: Final = frozenset(
    (MAPPED_ADDRESS, 0x0004, 0x0005, 0x0006, 0x0008, ERROR_CODE, 0x000A, 0x0014, 0x0015, 0x001C, 0x001E, XOR_MAPPED_ADDRESS)
)  # fmt: skip
_FINGERPRINT_XOR: Final = 0x5354554E
HEAD_BYTES: Final = 20
TRANSACTION_BYTES: Final = 12
# A longer answer carries nothing that was asked for.
LONGEST_BYTES: Final = 1500
_REASON_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Timers:
    """When the question is sent again (RFC 8489 6.2.1): after rto_s, then after twice as long each time, `sends` times in all;
    after the last one last_wait times rto_s are waited. The RFC's own 7 and 16 take 39.5 s; nobody who starts waits so long."""

    rto_s: float = 0.5
    sends: int = 4
    last_wait: float = 4.0


@dataclass(frozen=True, slots=True)
class Mapped:
    """The address that the server sees."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No address came. why: for a person."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server's own word that it does not tell."""

    status: int
    reason: str


Outcome = Mapped | Unanswered | Refused


class Question:
    """One Binding. `wake` sends it for the first time, too. token(count): bytes that nobody can guess. outcome: None while it is
    open."""

    def __init__(
        self, server: Place, token: Callable[[int], bytes], now: float, timers: Timers | None = None
    ) -> None:
        self.server = server
        self.outcome: Outcome | None = None
        self._timers = timers or Timers()
        self._transaction = token(TRANSACTION_BYTES)
        self._sent = 0
        self._due_s = now

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        return None if self.outcome is not None else self._due_s

    def wake(self, now: float) -> list[bytes]:
        """What is to be sent to the server now."""
        if self.outcome is not None or now < self._due_s:
            return []
        timers = self._timers
        if self._sent == timers.sends:
            self.outcome = Unanswered("it does not answer")
            return []
        self._sent += 1
        last = self._sent == timers.sends
        self._due_s = now + timers.rto_s * (timers.last_wait if last else 2 ** (self._sent - 1))
        return [request(self._transaction)]

    def receive(self, data: bytes, source: Place) -> None:
        """A datagram that came."""
        if self.outcome is not None or source != self.server:
            return
        answer = read(data)
        if answer is not None and answer.transaction == self._transaction:
            self.outcome = _outcome(answer)


@dataclass(frozen=True, slots=True)
class Answer:
    """A message that is well formed. attributes: the first of each kind."""

    kind: int
    transaction: bytes
    attributes: dict[int, bytes]


def request(transaction: bytes) -> bytes:
    """A Binding request, with its FINGERPRINT, by which what shares a port with other protocols is told from them."""
    head = struct.pack("!HHI", BINDING_REQUEST, 8, MAGIC) + transaction
    return head + struct.pack("!HHI", FINGERPRINT, 4, fingerprint(head))


def fingerprint(before: bytes) -> int:
    """RFC 8489 14.7: of all that stands before the attribute, its length in the head counted as if it were there."""
    return zlib.crc32(before) ^ _FINGERPRINT_XOR


def read(data: bytes) -> Answer | None:
    """None for what is no STUN message (RFC 8489 6.3), or one that was damaged on its way."""
    if not HEAD_BYTES <= len(data) <= LONGEST_BYTES or data[0] >> 6:
        return None
    kind, length, magic = struct.unpack_from("!HHI", data)
    if magic != MAGIC or length % 4 or length != len(data) - HEAD_BYTES:
        return None
    attributes: dict[int, bytes] = {}
    at = HEAD_BYTES
    while at < len(data):
        number, size = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) < size:
            return None
        if number == FINGERPRINT:
            # Whatever stands behind it is passed over (RFC 8489 14.7).
            good = value == fingerprint(data[:at]).to_bytes(4, "big") and at + 8 == len(data)
            return Answer(kind, data[8:HEAD_BYTES], attributes) if good else None
        attributes.setdefault(number, value)
        at += 4 + (size + 3) // 4 * 4
    return Answer(kind, data[8:HEAD_BYTES], attributes)


def _outcome(answer: Answer) -> Outcome | None:
    """What an answer to our question means; None: it is none."""
    if answer.kind not in (BINDING_SUCCESS, BINDING_ERROR):
        return None
    unknown = sorted(number for number in answer.attributes if number < OPTIONAL and number not in _KNOWN)
    if unknown:
        # RFC 8489 6.3.3: the answer is not to be used.
        return Unanswered(f"its answer needs attribute 0x{unknown[0]:04x} understood")
    if answer.kind == BINDING_ERROR:
        return _refused(answer.attributes.get(ERROR_CODE, b""))
    found = _address(answer.attributes.get(XOR_MAPPED_ADDRESS, b""), answer.transaction)
    # A server of before 2008 knows only the plain one (RFC 3489).
    found = found or _address(answer.attributes.get(MAPPED_ADDRESS, b""), None)
    return found or Unanswered("its answer names no address")


def _refused(value: bytes) -> Refused:
    """RFC 8489 14.8: the class in the third byte, the number in the fourth."""
    if len(value) < 4:
        return Refused(0, "")
    reason = value[4:].decode("utf-8", "replace")[:_REASON_CHARS]
    return Refused((value[2] & 7) * 100 + value[3], "".join(each for each in reason if each.isprintable()))


def _address(value: bytes, transaction: bytes | None) -> Mapped | None:
    """transaction: of an address that is veiled with it (RFC 8489 14.2), since some NATs rewrite what looks like theirs."""
    if len(value) not in (8, 20) or value[1] != (1 if len(value) == 8 else 2):
        return None
    port, address = int.from_bytes(value[2:4], "big"), value[4:]
    if transaction is not None:
        veil = MAGIC.to_bytes(4, "big") + transaction
        port ^= MAGIC >> 16
        address = bytes(one ^ other for one, other in zip(address, veil, strict=False))
    found = IPv4Address(address) if len(address) == 4 else IPv6Address(address)
    if not port or found.is_unspecified or found.is_multicast:
        return None
    return Mapped(str(found), port)
