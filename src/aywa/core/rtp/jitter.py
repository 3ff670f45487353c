"""Plays packets at a pace for who must be given audio on time: a bridge. Recognition takes them as they come (reorder.py).

The delay follows the jitter that was seen: nearly all packets are there when they are wanted, and no more delay than that.
It grows where a packet is waited for, and shrinks in the quiet, by a packet at a time; in speech only where it must.
Refuses to know codecs: who pulls conceals what is lost, and says whether what it heard last was quiet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from aywa.core.rtp.clock import SenderClock
from aywa.core.rtp.source import MOST_DROPOUT


class Fate(Enum):
    """What a slot carries. PLAY: the payload. LOST: a packet is missing, conceal it. STRETCH: conceal, the packet is still
    waited for. EMPTY: the sender is silent."""

    PLAY = "play"
    LOST = "lost"
    STRETCH = "stretch"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class JitterSettings:
    """least_s, most_s: between which the delay lies. on_time: the share of packets that must not come too late. start_s:
    the delay as long as nothing is known. memory: packets after which half is forgotten."""

    least_s: float = 0.0
    most_s: float = 0.4
    on_time: float = 0.98
    start_s: float = 0.04
    memory: int = 300


# More is no jitter any more, and nobody wants to hear it that late.
MOST_PACKETS = 100
# A packet missing and none after it: so many slots are stretched before the sender counts as silent.
_MOST_STRETCHED = 3
# In speech the delay shrinks only from so many packets of surplus on, and no more often than this.
_SURPLUS_IN_SPEECH = 3
_SHED_EVERY_S = 0.5
_BUCKET_S = 0.005
_SHORTEST_PACKET_S, _LONGEST_PACKET_S = 0.0025, 0.12
_GRAIN_S = 1e-6

_NOTHING = (Fate.EMPTY, b"")
_STRETCHED = (Fate.STRETCH, b"")
_MISSING = (Fate.LOST, b"")


class JitterBuffer:
    """push() takes what Inbound.take numbered, pull() gives one packet for each slot of `packet_s`.

    late, lost, shed, stretched: packets too late, never there, left out to be quicker, waited for.
    """

    def __init__(self, clock_hz: int, packet_ticks: int, settings: JitterSettings | None = None) -> None:
        self.settings = settings or JitterSettings()
        self.late = 0
        self.lost = 0
        self.shed = 0
        self.stretched = 0
        self.target_s = self.settings.start_s
        self.packet_ticks = packet_ticks
        self._clock = SenderClock(clock_hz)
        self._leaps = 0
        self._packets: dict[int, tuple[int, bytes]] = {}
        # The number to play next, None while silent; the ticks of what was played last.
        self._next: int | None = None
        self._floor = 0
        self._played_ticks = 0
        self._debt = 0
        self._last_shed_s = float("-inf")
        self._delays = np.zeros(int(self.settings.most_s / _BUCKET_S) + 1)
        self._seen = 0
        # (number, ticks) of the newest packet, and its distance from the one before.
        self._newest = (-1, 0)
        self._step = 0

    @property
    def packet_s(self) -> float:
        """How much audio a packet holds, as the sender's timestamps say."""
        return self.packet_ticks / self._clock.clock_hz

    @property
    def waiting(self) -> int:
        """Packets that are kept."""
        return len(self._packets)

    def push(self, number: int, timestamp: int, payload: bytes, now: float) -> None:
        """A packet came."""
        ticks, late_s = self._clock.came(timestamp, now)
        if self._clock.leaps != self._leaps:
            # Its time has nothing to do with what was before.
            self._leaps = self._clock.leaps
            self._clear()
        self._learn(late_s)
        newest, newest_ticks = self._newest
        if number > newest:
            if number == newest + 1:
                self._measure(ticks - newest_ticks)
            self._newest = (number, ticks)
        if number < (self._floor if self._next is None else self._next):
            self.late += 1
            return
        self._packets.setdefault(number, (ticks, payload))
        while len(self._packets) > MOST_PACKETS:
            oldest = min(self._packets)
            self.shed += 1
            del self._packets[oldest]
            if self._next is not None:
                self._next = max(self._next, oldest + 1)

    def pull(self, now: float, quiet: bool = False) -> tuple[Fate, bytes]:
        """What the slot that begins now carries. quiet: what was heard last would not be missed."""
        if self._next is None:
            if not self._packets:
                return _NOTHING
            first = min(self._packets)
            if not self._is_due(self._packets[first][0], now):
                return _NOTHING
            self._next = first
            self._played_ticks = self._packets[first][0] - self.packet_ticks
        if not self._packets:
            return self._starved()
        if self._next not in self._packets:
            return self._hole(now)
        ticks = self._packets[self._next][0]
        if ticks - self._played_ticks > 1.5 * self.packet_ticks and not self._is_due(ticks, now):
            # Nothing is missing, the sender was silent in between.
            return _NOTHING
        surplus_s = now - self._clock.due_s(ticks) - self.target_s
        if self._may_shed(surplus_s, quiet, now):
            self._last_shed_s = now
            self.shed += 1
            del self._packets[self._next]
            self._next += 1
        return self._play(self._next)

    def _measure(self, step: int) -> None:
        """How long packets are: what twice in a row was between them, as a pause is between two only."""
        if step == self._step and _SHORTEST_PACKET_S <= step / self._clock.clock_hz <= _LONGEST_PACKET_S:
            self.packet_ticks = step
        self._step = step

    def _play(self, number: int) -> tuple[Fate, bytes]:
        self._played_ticks, payload = self._packets.pop(number)
        self._next = number + 1
        self._debt = 0
        return Fate.PLAY, payload

    def _is_due(self, ticks: int, now: float) -> bool:
        return now >= self._clock.due_s(ticks) + self.target_s - _GRAIN_S

    def _may_shed(self, surplus_s: float, quiet: bool, now: float) -> bool:
        if self._next is None or self._next + 1 not in self._packets:
            return False
        if quiet:
            return surplus_s > self.packet_s
        return surplus_s > _SURPLUS_IN_SPEECH * self.packet_s and now - self._last_shed_s >= _SHED_EVERY_S

    def _starved(self) -> tuple[Fate, bytes]:
        """Nothing is there: it is late, or the sender is silent."""
        if self._debt >= _MOST_STRETCHED:
            self._clear()
            return _NOTHING
        return self._stretch()

    def _stretch(self) -> tuple[Fate, bytes]:
        self._debt += 1
        self.stretched += 1
        return _STRETCHED

    def _hole(self, now: float) -> tuple[Fate, bytes]:
        """Later ones are there."""
        following = min(self._packets)
        missing = following - (self._next or 0)
        ticks = self._packets[following][0] - missing * self.packet_ticks
        if missing < MOST_DROPOUT and self._debt < _MOST_STRETCHED and not self._is_due(ticks, now):
            # It is not late yet: if it comes, the delay has become what it was to be.
            return self._stretch()
        if missing >= MOST_DROPOUT or missing <= self._debt:
            # New numbers; or the slots that were stretched stand for what is missing.
            self.lost += 0 if missing >= MOST_DROPOUT else missing
            return self._play(following)
        gone = 1 + self._debt
        self.lost += gone
        self._next = following - missing + gone
        self._played_ticks += gone * self.packet_ticks
        self._debt = 0
        return _MISSING

    def _clear(self) -> None:
        self._packets.clear()
        self._floor = self._floor if self._next is None else self._next
        self._next = None
        self._debt = 0

    def _learn(self, late_s: float) -> None:
        """The delay that most packets need, from a histogram that forgets."""
        settings = self.settings
        self._seen += 1
        weight = max(1.0 / (self._seen + 10), 0.7 / settings.memory)
        delays = self._delays
        delays *= 1 - weight
        delays[min(int(late_s / _BUCKET_S) + 1, len(delays) - 1)] += weight
        known = float(delays.sum())
        bucket = int(np.searchsorted(np.cumsum(delays), settings.on_time * known))
        measured_s = bucket * _BUCKET_S
        # As long as little is known, what was assumed counts too.
        target_s = known * measured_s + (1 - known) * settings.start_s
        self.target_s = min(max(target_s, settings.least_s), settings.most_s)
