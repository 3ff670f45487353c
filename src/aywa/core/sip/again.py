"""Something that is sent again and again until it is acknowledged: a 2xx to an INVITE (RFC 3261 13.3.1.4), or a reliable
provisional answer (RFC 3262 3). It says when, and sends nothing."""

from __future__ import annotations

from aywa.core.sip.line import GIVE_UP_S, T1_S, T2_S
from aywa.core.sip.message import Response


class Again:
    """One response with its times. most_s: the longest pause, None for no limit to the doubling (RFC 3262)."""

    def __init__(self, key: str, response: Response, now: float, most_s: float | None = T2_S) -> None:
        self.key = key
        self.response = response
        self._most_s = most_s
        self._pause_s = T1_S
        self._next_at = now + T1_S
        self.gives_up_at = now + GIVE_UP_S

    @property
    def deadline(self) -> float:
        """When it wants to be looked at."""
        return min(self._next_at, self.gives_up_at)

    def lost(self, now: float) -> bool:
        """Whether nobody has acknowledged it for too long."""
        return now >= self.gives_up_at

    def due(self, now: float) -> bool:
        """Whether it is to be sent again now; the next time is set."""
        if now < self._next_at or self.lost(now):
            return False
        self._pause_s = self._pause_s * 2 if self._most_s is None else min(self._pause_s * 2, self._most_s)
        self._next_at = now + self._pause_s
        return True
