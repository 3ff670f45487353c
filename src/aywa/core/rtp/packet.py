"""RTP packets in and out (RFC 3550 5.1), a few hundred nanoseconds each: plain tuples, no object for a packet.

What is not a packet is None, whatever it is. Refuses to know what a payload means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from typing import Any

# Payload type, marker, sequence number, timestamp, SSRC, payload.
Packet = tuple[int, bool, int, int, int, bytes]

HEADER_BYTES = 12
# Larger than any audio packet and than any path's datagram without fragments; the rest is not ours.
MOST_BYTES = 2048

_HEADER = Struct("!BBHII")
_unpack = _HEADER.unpack_from
_pack = _HEADER.pack
_VERSION_2 = 0x80
_PADDING, _EXTENSION, _SOURCES = 0x20, 0x10, 0x0F
_MARKER = 0x80


def parse(data: bytes) -> Packet | None:
    """The packet, or None for what is none."""
    size = len(data)
    if size < HEADER_BYTES or size > MOST_BYTES:
        return None
    first, second, sequence, timestamp, ssrc = _unpack(data)
    if first == _VERSION_2:
        # Nearly every packet: no padding, no extension, no contributing sources.
        return second & 0x7F, second >= _MARKER, sequence, timestamp, ssrc, data[HEADER_BYTES:]
    payload = _payload(data, first)
    if payload is None:
        return None
    return second & 0x7F, second >= _MARKER, sequence, timestamp, ssrc, payload


def _payload(data: bytes, first: int) -> bytes | None:
    if first & 0xC0 != _VERSION_2:
        return None
    start = HEADER_BYTES + 4 * (first & _SOURCES)
    if first & _EXTENSION:
        # RFC 3550 5.3.1: four bytes, of which the last two count the words that follow.
        if start + 4 > len(data):
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    end = len(data)
    if first & _PADDING:
        # The last byte counts the padding, itself included, which lies after everything else.
        if data[-1] == 0:
            return None
        end -= data[-1]
    return None if start > end else data[start:end]


def build(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes) -> bytes:
    """A packet without extension, padding or contributing sources. Numbers lie in their ranges."""
    return (
        _pack(_VERSION_2, payload_type | _MARKER if marker else payload_type, sequence, timestamp, ssrc)
        + payload
    )


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a shared port is a report (RFC 5761 4: packet types 192 to 223)."""
    return len(data) > 1 and 192 <= data[1] <= 223


class Sender:
    """One stream's numbers: sequence, timestamps, and the counts that its sender reports tell.

    Timestamps are absolute ticks of the stream: the sender adds its random offset and wraps. So a pause, a codec's change
    or another process continue where the clock is, and never jump back.
    """

    __slots__ = ("octets", "offset", "packets", "sequence", "ssrc", "timestamp")

    def __init__(self, ssrc: int, sequence: int, offset: int) -> None:
        self.ssrc = ssrc & 0xFFFFFFFF
        # Of the next packet.
        self.sequence = sequence & 0xFFFF
        self.offset = offset & 0xFFFFFFFF
        # As the last packet carried it.
        self.timestamp = self.offset
        self.packets = 0
        self.octets = 0

    def packet(self, payload_type: int, payload: bytes, ticks: int, marker: bool = False) -> bytes:
        """The next packet. ticks: the stream's clock at its first sample."""
        sequence = self.sequence
        timestamp = self.timestamp = (self.offset + ticks) & 0xFFFFFFFF
        self.sequence = (sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        second = payload_type | _MARKER if marker else payload_type
        return _pack(_VERSION_2, second, sequence, timestamp, self.ssrc) + payload

    def ahead(
        self, payload_type: int, payloads: Iterable[bytes], ticks: int, step_ticks: int
    ) -> Iterator[bytes]:
        """The next packets without a marker, step_ticks apart. They count when `count` says that they have left."""
        sequence, ssrc = self.sequence, self.ssrc
        timestamp = self.offset + ticks
        for payload in payloads:
            yield _pack(_VERSION_2, payload_type, sequence, timestamp & 0xFFFFFFFF, ssrc) + payload
            sequence = (sequence + 1) & 0xFFFF
            timestamp += step_ticks

    def count(self, packets: int, payload_bytes: int, ticks: int) -> None:
        """So many of those that were made ahead have left. ticks: the stream's clock at the last one's first sample."""
        self.sequence = (self.sequence + packets) & 0xFFFF
        self.timestamp = (self.offset + ticks) & 0xFFFFFFFF
        self.packets += packets
        self.octets += packets * payload_bytes

    def to_dict(self) -> dict[str, int]:
        """Plain values, to go on in another process."""
        return {name: getattr(self, name) for name in self.__slots__}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Sender:
        """What to_dict gave."""
        sender = Sender(values["ssrc"], values["sequence"], values["offset"])
        sender.timestamp, sender.packets, sender.octets = (
            values["timestamp"], values["packets"], values["octets"]
        )  # fmt: skip
        return sender
