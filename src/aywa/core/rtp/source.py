"""What comes in on a stream: numbers extended over their wraps, senders told apart, loss and jitter counted.

RFC 3550 6.4.1, A.1, A.3 and A.8. It takes the numbers of each packet and answers where the packet belongs; what is in it,
it refuses to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# RFC 3550 A.1: a step forward of less is loss, a step back of less is reordering; anything else is doubted once.
MOST_DROPOUT = 3000
MOST_MISORDER = 100
# A sender that was quiet for so long may be replaced by another at once; otherwise two packets in a row must say so.
QUIET_S = 0.1
# What take() answers for a packet that is not to be used.
REFUSED = -1

_HALF = 0x80000000
_WRAP = 0x100000000


class Source:
    """One sender (SSRC). Extended sequence numbers only grow, also when the sender starts its numbers anew: where they
    jump without loss they grow by MOST_DROPOUT or more.

    highest: the highest extended number. jitter_ticks: RFC 3550 6.4.1. restarts: how often the numbers jumped.
    """

    __slots__ = (
        "_bad", "_base", "_counted", "_expected_before", "_last_at_s", "_last_timestamp", "_received_before",
        "clock_hz", "duplicates", "highest", "jitter_ticks", "late", "received", "restarts", "ssrc", "wraps",
    )  # fmt: skip

    def __init__(self, ssrc: int, sequence: int, clock_hz: int, wraps: int = 1) -> None:
        self.ssrc = ssrc
        self.clock_hz = clock_hz
        # At least a wrap above zero, so that what comes late at the beginning has a number too.
        self.wraps = wraps
        self.highest = (wraps << 16) + sequence - 1
        self.jitter_ticks = 0.0
        self.received = 0
        self.late = 0
        self.duplicates = 0
        self.restarts = 0
        self._base = self.highest + 1
        self._bad = -1
        self._counted = 0
        self._expected_before = 0
        self._received_before = 0
        self._last_timestamp = 0
        self._last_at_s = -1.0

    def take(self, sequence: int, timestamp: int, now: float, timed: bool = True) -> int:
        """The packet's extended number, or REFUSED. timed: its timestamp says when its audio was; that of a telephone
        event does not."""
        highest = self.highest
        step = (sequence - highest) & 0xFFFF
        if step == 1:
            extended = self.highest = highest + 1
        elif step == 0:
            self.duplicates += 1
            self.received += 1
            return highest
        elif step < MOST_DROPOUT:
            extended = self.highest = highest + step
        elif step >= 0x10000 - MOST_MISORDER:
            self.late += 1
            extended = highest + step - 0x10000
            # Older than the first that was seen: it was not expected until now.
            self._base = min(self._base, extended)
            timed = False
        elif sequence == self._bad:
            extended = self._restart(sequence)
            timed = False
            self._last_at_s = -1.0
        else:
            self._bad = (sequence + 1) & 0xFFFF
            return REFUSED
        self.received += 1
        if timed:
            last_at_s = self._last_at_s
            if last_at_s >= 0:
                difference = (timestamp - self._last_timestamp) & 0xFFFFFFFF
                if difference >= _HALF:
                    difference -= _WRAP
                transit = (now - last_at_s) * self.clock_hz - difference
                self.jitter_ticks += (abs(transit) - self.jitter_ticks) * 0.0625
            self._last_at_s = now
            self._last_timestamp = timestamp
        return extended

    def take_row(self, timestamp: int, step_ticks: int, came_s: Sequence[float]) -> None:
        """Packets that came in order behind the last one, each step_ticks after the one before: as `take` for each of them.
        timestamp: of the last. came_s: when they came."""
        last_at_s, jitter_ticks, clock_hz = self._last_at_s, self.jitter_ticks, self.clock_hz
        for now in came_s:
            if last_at_s >= 0:
                transit = (now - last_at_s) * clock_hz - step_ticks
                jitter_ticks += (abs(transit) - jitter_ticks) * 0.0625
            last_at_s = now
        self._last_at_s, self.jitter_ticks = last_at_s, jitter_ticks
        self._last_timestamp = timestamp
        self.received += len(came_s)
        self.highest += len(came_s)

    @property
    def expected(self) -> int:
        """Packets that were sent, as far as the numbers tell."""
        return self._counted + self.highest - self._base + 1

    @property
    def reported(self) -> int:
        """The highest extended number as a report tells it, whose wraps begin at 0."""
        return self.highest - (self.wraps << 16)

    @property
    def lost(self) -> int:
        """Packets that did not come; duplicates make it less, even negative (RFC 3550 A.3)."""
        return self.expected - self.received

    @property
    def jitter_s(self) -> float:
        """The jitter in seconds."""
        return self.jitter_ticks / self.clock_hz

    def since_last(self) -> tuple[int, int]:
        """Packets expected and lost since this was asked last, for a report's fraction."""
        expected, received = self.expected, self.received
        new = expected - self._expected_before
        lost = new - (received - self._received_before)
        self._expected_before, self._received_before = expected, received
        return max(0, new), max(0, lost)

    def _restart(self, sequence: int) -> int:
        """The numbers go on a whole wrap further, so that nobody sees them go back."""
        self.restarts += 1
        self._counted += self.highest - self._base + 1
        extended = self.highest = self._base = ((self.highest >> 16) + 1 << 16) + sequence
        self._bad = -1
        return extended

    def to_dict(self) -> dict[str, Any]:
        """Plain values, to go on in another process whose clock is the same."""
        return {name: getattr(self, name) for name in self.__slots__}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Source:
        """What to_dict gave."""
        source = Source(0, 0, 1)
        for name in Source.__slots__:
            setattr(source, name, values[name])
        return source


class Inbound:
    """All that comes in on a stream: one source at a time, and who may follow it. changes: how often another followed.

    The extended numbers grow over a change too.
    """

    __slots__ = ("_candidate", "_last_at_s", "changes", "clock_hz", "source")

    def __init__(self, clock_hz: int) -> None:
        self.clock_hz = clock_hz
        self.source: Source | None = None
        self.changes = 0
        self._last_at_s = 0.0
        # SSRC and the sequence number that would confirm it.
        self._candidate = (-1, -1)

    def take(self, ssrc: int, sequence: int, timestamp: int, now: float, timed: bool = True) -> int:
        """As Source.take; a packet of another sender is refused until that one has followed."""
        source = self.source
        if source is None or source.ssrc != ssrc:
            source = self._follow(source, ssrc, sequence, now)
            if source is None:
                return REFUSED
        self._last_at_s = now
        return source.take(sequence, timestamp, now, timed)

    def take_row(self, timestamp: int, step_ticks: int, came_s: Sequence[float]) -> None:
        """As Source.take_row, of the present source."""
        if self.source is not None and came_s:
            self._last_at_s = came_s[-1]
            self.source.take_row(timestamp, step_ticks, came_s)

    def _follow(self, old: Source | None, ssrc: int, sequence: int, now: float) -> Source | None:
        if old is None:
            self.source = Source(ssrc, sequence, self.clock_hz)
            return self.source
        if now - self._last_at_s < QUIET_S and self._candidate != (ssrc, sequence):
            self._candidate = (ssrc, (sequence + 1) & 0xFFFF)
            return None
        self.changes += 1
        self._candidate = (-1, -1)
        self.source = Source(ssrc, sequence, self.clock_hz, (old.highest >> 16) + 2)
        return self.source

    def to_dict(self) -> dict[str, Any]:
        """Plain values, to go on in another process whose clock is the same."""
        return {
            "clock_hz": self.clock_hz,
            "source": None if self.source is None else self.source.to_dict(),
            "changes": self.changes,
            "last_at_s": self._last_at_s,
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Inbound:
        """What to_dict gave."""
        inbound = Inbound(values["clock_hz"])
        source = values["source"]
        inbound.source = None if source is None else Source.from_dict(source)
        inbound.changes = values["changes"]
        inbound._last_at_s = values["last_at_s"]
        return inbound
