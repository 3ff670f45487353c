"""The marks in one stream's audio: which are out, and what the far side's echo of one tells.

A mark stands behind some audio; its echo says that this much was played, now or within the way back. One that is sent while
the far side holds nothing comes back at once, and so measures the way there and back. Refuses to remember more than
MARKS_MOST marks, and to believe in one that was never sent.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

EVERY_S = 0.1
"""So much audio lies between two marks."""
IDLE_S = 0.5
"""After that long with nothing to play, the far side is thought to hold nothing."""
PROBE_EVERY_S = 2.0
"""Not more often than that the way is measured."""
PATIENCE_S = 2.0
"""A mark that has not come back so long after it should have will not come."""
TRIES = 3
"""So many marks are sent to a far side of which none ever came back: it does not know them."""
MARKS_MOST = 128
_WAYS = 4


@dataclass(frozen=True, slots=True)
class _Out:
    """place_s: of the audio before it. due_s: when it should be played, by our clock. probe: sent when nothing was held."""

    place_s: float
    sent_s: float
    due_s: float
    probe: bool


class Marks:
    """missing: marks that never came back. unknown: echoes of none that is out, but for those that a clear gave up."""

    def __init__(self, prefix: str = "aywa") -> None:
        self.missing = 0
        self.unknown = 0
        self.returned = 0
        self._prefix = prefix
        self._number = 0
        # Names below this number were given up by a clear: their echoes say nothing.
        self._cleared = 0
        self._out: OrderedDict[str, _Out] = OrderedDict()
        self._sent_s = 0.0
        self._marked_s = 0.0
        self._until_s = float("-inf")
        self._probed_s = float("-inf")
        self._ways: deque[float] = deque(maxlen=_WAYS)

    @property
    def transit_s(self) -> float:
        """One way, as the quickest of the last probes has it; 0 before any."""
        return min(self._ways, default=0.0) / 2

    @property
    def out(self) -> int:
        """Marks that may still come back."""
        return len(self._out)

    @property
    def tried(self) -> bool:
        """Enough were sent in vain: no more are."""
        return not self.returned and self._number >= TRIES

    def sent(self, seconds: float, now: float) -> bool:
        """So much audio was sent; whether a mark is due behind it."""
        self._sent_s += seconds
        self._until_s = max(self._until_s, now) + seconds
        return self._sent_s - self._marked_s >= EVERY_S - 1e-9 and not self.tried

    def idle(self, now: float) -> bool:
        """The far side holds nothing, and has not for a while: a mark would come back at once."""
        return now > self._until_s + IDLE_S

    def wants_probe(self, now: float) -> bool:
        """It is time to measure the way, and it can be measured."""
        return self.idle(now) and now - self._probed_s >= PROBE_EVERY_S and not self.tried

    def put(self, now: float) -> str:
        """The name of a mark that is sent now, behind all that was sent before."""
        self._number += 1
        name = f"{self._prefix}-{self._number}"
        probe = self.idle(now)
        self._out[name] = _Out(self._sent_s, now, max(self._until_s, now), probe)
        if probe:
            self._probed_s = now
        self._marked_s = self._sent_s
        if len(self._out) > MARKS_MOST:
            self._out.popitem(last=False)
            self.missing += 1
        return name

    def came(self, name: str, now: float) -> tuple[float, float] | None:
        """A mark came back: how much is still to be played, and since when that is so (our clock). None: it says nothing."""
        out = self._out.pop(name, None)
        if out is None:
            cleared = self._was_cleared(name)
            self.returned += cleared
            self.unknown += not cleared
            return None
        self.returned += 1
        while self._out and next(iter(self._out.values())).place_s < out.place_s:
            # Audio is played in its order: who stood before it will not come.
            self._out.popitem(last=False)
            self.missing += 1
        if out.probe:
            self._ways.append(max(0.0, now - out.sent_s))
        return self._sent_s - out.place_s, now - self.transit_s

    def overdue(self, now: float) -> int:
        """Marks that should have come long ago: they are given up. How many."""
        before = self.missing
        while self._out and next(iter(self._out.values())).due_s + PATIENCE_S < now:
            self._out.popitem(last=False)
            self.missing += 1
        return self.missing - before

    def cleared(self, now: float) -> None:
        """The far side was told to throw away what it holds: the echoes that follow do not mean that anything was played."""
        self._out.clear()
        self._cleared = self._number + 1
        self._marked_s = self._sent_s
        self._until_s = now

    def _was_cleared(self, name: str) -> bool:
        prefix, _, number = name.rpartition("-")
        return (
            prefix == self._prefix
            and number.isascii()
            and number.isdigit()
            and len(number) <= 12
            and (0 < int(number) < self._cleared)
        )
