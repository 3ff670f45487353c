"""How many places a route's connections are to have, so that no request waits for a handshake: those that were in use at once
of late, and some more.

A place is a request at a time: a whole connection of HTTP, a context of a voice's WebSocket. It is given the time and dials
nothing itself: who has the connections makes what is missing, in the background, and lets go what is too much.
"""

from __future__ import annotations

from collections import deque
from math import ceil

SPARE_LEAST = 2
"""Places more than were in use at once, at least: for two more requests while a handshake takes its time."""
SPARE_SHARE = 0.2
"""And as a share of those that were in use at once."""
SPARE_MOST = 32
"""And at most."""
PEAK_S = 240.0
"""For how long the most that were in use at once is remembered: no longer than an idle connection is kept, or those that go
because nobody needs them would be made again. A route that nobody used for so long keeps nothing ready."""
AGAIN_S = 1.0
AGAIN_MOST_S = 60.0
"""After a connection that could not be made, or that the far side closed while nobody used it, none is made ahead of need for so
long: each time twice as long, until one has been of use."""


class Reserve:
    """Of one route, or of one address of it. least: places that are spare, at least."""

    def __init__(self, least: int = SPARE_LEAST) -> None:
        self._least = least
        # When so many were in use at once: later ones are smaller.
        self._peaks: deque[tuple[float, int]] = deque()
        self._not_before_s = 0.0
        self._again_s = AGAIN_S

    def used(self, places: int, now: float) -> None:
        """So many are in use since now; none: soon some will be."""
        while self._peaks and self._peaks[-1][1] <= places:
            self._peaks.pop()
        self._peaks.append((now, places))

    def most(self, now: float) -> int:
        """In use at once, of late."""
        while self._peaks and self._peaks[0][0] < now - PEAK_S:
            self._peaks.popleft()
        return self._peaks[0][1] if self._peaks else 0

    def spare(self, now: float) -> int:
        """Places that are wanted beside those."""
        most = self.most(now)
        return min(max(self._least, ceil(SPARE_SHARE * most)), SPARE_MOST) if self._peaks else 0

    def lacking(self, places: int, now: float) -> int:
        """Places to be made now, ahead of need. places: those that there are or are about to be, used or free."""
        return 0 if now < self._not_before_s else max(0, self.most(now) + self.spare(now) - places)

    def put_off(self, now: float) -> float:
        """One could not be made, or was not kept by the far side. Answers for how long none is lacking."""
        if now >= self._not_before_s:
            self._not_before_s = now + self._again_s
            self._again_s = min(2 * self._again_s, AGAIN_MOST_S)
        return self._not_before_s - now

    def served(self) -> None:
        """A connection was of use."""
        self._again_s = AGAIN_S

    def has_too_many(self, places: int, one: int, now: float) -> bool:
        """Of so many places, used or free, one connection's are not needed."""
        return places - one >= self.most(now) + self.spare(now)
