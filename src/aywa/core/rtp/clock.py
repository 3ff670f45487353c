"""A sender's clock seen from here: when its audio would have come without jitter, and how far its clock runs from ours.

The least transit of the last seconds is what the way takes by itself; what a packet took more is jitter. So a clock that
is 200 ppm off is followed within a millisecond, and nothing is ever counted up. Refuses to play or to keep audio.
"""

from __future__ import annotations

from collections import deque

# The least transit is looked for in this and the last window; at 200 ppm it lags behind by less than a millisecond.
WINDOW_S = 2.0
# Timestamps that say so much else than the clock are another beginning: a new sender, or one that came back.
LEAP_S = 1.0
# Windows that the skew is measured over: two minutes.
_SKEW_WINDOWS = 60
_LEAST_WINDOWS = 5

_HALF = 0x80000000
_WRAP = 0x100000000


class SenderClock:
    """came(timestamp, now) for each packet; everything else is asked. leaps: how often the timestamps began anew."""

    __slots__ = (
        "_best",
        "_best_before",
        "_minima",
        "_ticks",
        "_window_ends_s",
        "base_s",
        "clock_hz",
        "leaps",
    )

    def __init__(self, clock_hz: int) -> None:
        self.clock_hz = clock_hz
        self.leaps = -1
        # What the stream's time 0 would be on our clock, by the packet that was quickest.
        self.base_s = 0.0
        self._ticks = 0
        self._best = self._best_before = 0.0
        self._window_ends_s = 0.0
        self._minima: deque[tuple[float, float]] = deque(maxlen=_SKEW_WINDOWS)

    def came(self, timestamp: int, now: float) -> tuple[int, float]:
        """The timestamp over its wraps, and how much longer than the least the packet took, in seconds."""
        step = (timestamp - self._ticks) & 0xFFFFFFFF
        ticks = self._ticks + (step if step < _HALF else step - _WRAP)
        transit_s = now - ticks / self.clock_hz
        late_s = transit_s - self.base_s
        if self.leaps < 0 or abs(late_s) > LEAP_S:
            return self._begin(timestamp, now)
        self._ticks = ticks
        if now >= self._window_ends_s:
            self._minima.append((now, self._best))
            self._best_before, self._best = self._best, transit_s
            self._window_ends_s = now + WINDOW_S
        elif transit_s < self._best:
            self._best = transit_s
        self.base_s = min(self._best, self._best_before)
        return ticks, transit_s - self.base_s

    def due_s(self, ticks: int) -> float:
        """When a packet with these ticks comes, or would have come, at the earliest."""
        return self.base_s + ticks / self.clock_hz

    @property
    def skew_ppm(self) -> float | None:
        """By how much the sender's clock is slower than ours (negative: quicker), once there is enough to say."""
        count = len(self._minima)
        if count < _LEAST_WINDOWS:
            return None
        middle = sum(at for at, _ in self._minima) / count
        mean = sum(transit for _, transit in self._minima) / count
        spread = sum((at - middle) ** 2 for at, _ in self._minima)
        return 1e6 * sum((at - middle) * (transit - mean) for at, transit in self._minima) / spread

    def _begin(self, timestamp: int, now: float) -> tuple[int, float]:
        self.leaps += 1
        self._ticks = timestamp
        self.base_s = self._best = self._best_before = now - timestamp / self.clock_hz
        self._window_ends_s = now + WINDOW_S
        self._minima.clear()
        return timestamp, 0.0


# A recording is moved back into its place when it is off by half a frame; one frame of drift is what nobody hears.
SLIP_S = 0.01


class Timeline:
    """Where in our time a sender's audio lies, so that a recording of two clocks stays together.

    What follows on what was placed lies right behind it, whatever its jitter; when clocks drift, a slip of SLIP_S moves it.
    """

    __slots__ = ("_leaps", "_offset_s", "clock", "slips")

    def __init__(self, clock_hz: int) -> None:
        self.clock = SenderClock(clock_hz)
        self.slips = 0
        self._leaps = -1
        # What is added to the stream's own time.
        self._offset_s = 0.0

    def place(self, timestamp: int, now: float) -> float:
        """When the packet's audio was complete here, as if there were no jitter."""
        ticks, _ = self.clock.came(timestamp, now)
        base_s = self.clock.base_s
        if self.clock.leaps != self._leaps:
            self._leaps = self.clock.leaps
            self._offset_s = base_s
        elif abs(base_s - self._offset_s) > SLIP_S:
            self.slips += 1
            self._offset_s = base_s
        return self._offset_s + ticks / self.clock.clock_hz
