"""Reports about a stream (RTCP, RFC 3550 6): built, parsed, sent every five seconds, and what the far side's say of ours.

Hostile reports change nothing but the figures, and a round trip is only taken from an answer to a report that was sent.
Refuses feedback, extended reports and everything about more than two parties.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from aywa.core.rtp.packet import Sender
from aywa.core.rtp.source import Inbound, Source

# RFC 3550 6.2: the least interval. Each is between half and one and a half of it (6.3.1), the first half as long.
INTERVAL_S = 5.0
MOST_PACKETS = 32
MOST_BYTES = 2048
# RFC 3550 6.4: 1900 to 1970.
NTP_OFFSET_S = 2_208_988_800
LONGEST_ROUND_TRIP_S = 30.0
_REPORTS_KEPT = 8

_SENDER_REPORT, _RECEIVER_REPORT, _DESCRIPTION, _GOODBYE = 200, 201, 202, 203
_CNAME = 1

_HEADER = Struct("!BBHI")
_SENT = Struct("!IIIII")
_BLOCK = Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class Block:
    """What a receiver says of one stream. lost_share: since its last report, 0 to 1. highest: extended number. last_report,
    delay: as on the wire, in 1/65536 s."""

    ssrc: int
    lost_share: float
    lost: int
    highest: int
    jitter_ticks: int
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What a sender says of its stream. ntp: 64 bits."""

    ntp: int
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report, or a receiver report where `sent` is None."""

    ssrc: int
    sent: Sent | None
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The sources that leave."""

    ssrcs: tuple[int, ...]


def parse(data: bytes) -> list[Report | Goodbye] | None:
    """A compound packet's reports and goodbyes; None for what is none. Other kinds are stepped over. The first must be a
    report by RFC 3550 6.1; those of RFC 5506 need not, and both are taken."""
    if len(data) > MOST_BYTES or len(data) < 8:
        return None
    found: list[Report | Goodbye] = []
    start = 0
    for _ in range(MOST_PACKETS):
        if start == len(data):
            return found
        if len(data) - start < 4 or data[start] & 0xC0 != 0x80:
            return None
        end = start + 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
        if end > len(data):
            return None
        body_end = end
        if data[start] & 0x20:
            # RFC 3550 6.4.1: only the last of a compound is padded.
            if not 0 < data[end - 1] <= end - start - 4:
                return None
            body_end -= data[end - 1]
        record = _record(data[start + 1], data[start] & 0x1F, data[start + 4 : body_end])
        if record is not None:
            found.append(record)
        start = end
    return None


def _record(kind: int, count: int, body: bytes) -> Report | Goodbye | None:
    """None for another kind, and for one that is shorter than it says."""
    if kind == _GOODBYE:
        if len(body) < 4 * count:
            return None
        return Goodbye(tuple(int.from_bytes(body[4 * each : 4 * each + 4]) for each in range(count)))
    if kind not in (_SENDER_REPORT, _RECEIVER_REPORT):
        return None
    first = 24 if kind == _SENDER_REPORT else 4
    if len(body) < first + 24 * count:
        return None
    sent = None
    if kind == _SENDER_REPORT:
        high, low, timestamp, packets, octets = _SENT.unpack_from(body, 4)
        sent = Sent(high << 32 | low, timestamp, packets, octets)
    blocks = tuple(_block(body, first + 24 * each) for each in range(count))
    return Report(int.from_bytes(body[:4]), sent, blocks)


def _block(body: bytes, start: int) -> Block:
    ssrc, losses, highest, jitter, last_report, delay = _BLOCK.unpack_from(body, start)
    lost = losses & 0xFFFFFF
    # 24 bits with a sign: duplicates can make it negative.
    return Block(
        ssrc,
        (losses >> 24) / 256,
        lost - 0x1000000 if lost & 0x800000 else lost,
        highest,
        jitter,
        last_report,
        delay,
    )


def build(report: Report, cname: str, goodbye: bool = False) -> bytes:
    """A compound packet: the report, who sends it (RFC 3550 6.5.1), and a goodbye."""
    body = b"".join(
        _BLOCK.pack(
            block.ssrc,
            min(255, int(block.lost_share * 256)) << 24 | max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF,
            block.highest & 0xFFFFFFFF, min(block.jitter_ticks, 0xFFFFFFFF), block.last_report, block.delay,
        )
        for block in report.blocks
    )  # fmt: skip
    kind = _RECEIVER_REPORT
    if (sent := report.sent) is not None:
        kind = _SENDER_REPORT
        body = _SENT.pack(
            sent.ntp >> 32, sent.ntp & 0xFFFFFFFF, sent.timestamp, sent.packets & 0xFFFFFFFF, sent.octets & 0xFFFFFFFF
        ) + body  # fmt: skip
    name = cname.encode()[:255]
    items = bytes([_CNAME, len(name)]) + name
    # RFC 3550 6.5: at least one zero ends the chunk, and fills it up to a whole word.
    items += bytes(4 - len(items) % 4)
    data = _packet(kind, len(report.blocks), report.ssrc, body) + _packet(_DESCRIPTION, 1, report.ssrc, items)
    return data + _packet(_GOODBYE, 1, report.ssrc, b"") if goodbye else data


def _packet(kind: int, count: int, ssrc: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, 1 + len(body) // 4, ssrc) + body


@dataclass(frozen=True, slots=True)
class RemoteView:
    """What the far side last said of what we send. round_trip_s: None until one was measured."""

    lost_share: float = 0.0
    lost: int = 0
    jitter_s: float = 0.0
    round_trip_s: float | None = None
    reports: int = 0


class Reports:
    """One stream's reports. chance() is between 0 and 1; wall_s: the wall clock's time when `now` is 0, for NTP's stamps.

    deadline: when `wake` wants to be called. Nothing is heard of a stream that nobody reports: that is no error.
    """

    def __init__(
        self, sender: Sender, inbound: Inbound, clock_hz: int, cname: str, chance: Callable[[], float], now: float,
        wall_s: float = 0.0,
    ) -> None:  # fmt: skip
        self.remote = RemoteView()
        self.deadline = now + INTERVAL_S / 2 * (0.5 + chance())
        self._sender = sender
        self._inbound = inbound
        self._clock_hz = clock_hz
        self._cname = cname
        self._chance = chance
        self._wall_s = wall_s + NTP_OFFSET_S
        # The middle 32 bits of the reports that were sent last, and when.
        self._sent: deque[tuple[int, float]] = deque(maxlen=_REPORTS_KEPT)
        self._packets_before = self._packets_long_before = sender.packets
        # Of the far side's last sender report: the middle of its stamp, when it came, and whose it was.
        self._heard = (0, 0.0, -1)

    def wake(self, now: float, ticks: int) -> bytes | None:
        """The report that is due, or None. ticks: our stream's clock now."""
        if now < self.deadline:
            return None
        self.deadline = now + INTERVAL_S * (0.5 + self._chance())
        return self._report(now, ticks)

    def goodbye(self, now: float, ticks: int) -> bytes:
        """The last report."""
        return self._report(now, ticks, goodbye=True)

    def receive(self, data: bytes, now: float) -> bool:
        """A datagram on the reports' port; whether it held any report. A goodbye is no end of a call: that is SIP's."""
        records = parse(data)
        if records is None:
            return False
        for record in records:
            if isinstance(record, Report):
                self._take(record, now)
        return bool(records)

    def _take(self, report: Report, now: float) -> None:
        if report.sent is not None:
            self._heard = (report.sent.ntp >> 16 & 0xFFFFFFFF, now, report.ssrc)
        for block in report.blocks:
            if block.ssrc == self._sender.ssrc:
                round_trip_s = self._round_trip_s(block, now)
                self.remote = RemoteView(
                    block.lost_share,
                    block.lost,
                    block.jitter_ticks / self._clock_hz,
                    self.remote.round_trip_s if round_trip_s is None else round_trip_s,
                    self.remote.reports + 1,
                )

    def _round_trip_s(self, block: Block, now: float) -> float | None:
        """RFC 3550 6.4.1, by our own clock: from our report to this one, without the time it lay there."""
        for stamp, sent_s in self._sent:
            if stamp == block.last_report:
                round_trip_s = now - sent_s - block.delay / 65536
                # Two clocks and their rounding may make a loopback's negative.
                return max(0.0, round_trip_s) if -0.01 <= round_trip_s <= LONGEST_ROUND_TRIP_S else None
        return None

    def _report(self, now: float, ticks: int, goodbye: bool = False) -> bytes:
        sender = self._sender
        sent = None
        # RFC 3550 6.4: a sender is who sent since the last report but one.
        if sender.packets != self._packets_long_before:
            ntp = int((now + self._wall_s) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
            sent = Sent(ntp, (sender.offset + ticks) & 0xFFFFFFFF, sender.packets, sender.octets)
            self._sent.append((ntp >> 16 & 0xFFFFFFFF, now))
        self._packets_long_before, self._packets_before = self._packets_before, sender.packets
        source = self._inbound.source
        blocks = () if source is None else (self._block(source, now),)
        return build(Report(sender.ssrc, sent, blocks), self._cname, goodbye)

    def _block(self, source: Source, now: float) -> Block:
        expected, lost = source.since_last()
        stamp, heard_s, ssrc = self._heard
        delay = 0
        if ssrc == source.ssrc:
            delay = min(int((now - heard_s) * 65536), 0xFFFFFFFF)
        else:
            stamp = 0
        share = lost / expected if expected else 0.0
        jitter = int(source.jitter_ticks)
        return Block(source.ssrc, share, source.lost, source.reported, jitter, stamp, delay)
