"""Session timers (RFC 4028): both sides find out that a call is dead, without either having said so.

It settles the interval and who refreshes, and says when to refresh and when to give up. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aywa.core.sip.fields import parse_seconds, parse_value
from aywa.core.sip.uri import Unreadable

# RFC 4028 4, 5: the recommended interval, and the least one that may be.
INTERVAL_S = 1800
LEAST_S = 90
# RFC 4028 10: the call is given up so much before its end, or a third of the interval if that is less.
MARGIN_S = 32.0
# A refused refresh is not tried again sooner.
RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a Session-Expires field says. refresher: "uac", "uas", or empty."""

    interval_s: int
    refresher: str = ""

    def __str__(self) -> str:
        return f"{self.interval_s}" + (f";refresher={self.refresher}" if self.refresher else "")


def read(text: str | None) -> Asked | None:
    """A Session-Expires field; None when there is none, or none that can be read."""
    if not text:
        return None
    try:
        word, params = parse_value(text)
    except Unreadable:
        return None
    interval_s = parse_seconds(word, 0)
    refresher = (params.get("refresher") or "").lower()
    return Asked(interval_s, refresher if refresher in ("uac", "uas") else "") if interval_s else None


class SessionTimer:
    """One call's timer. wanted_s: what we ask for, 0 for none of our own; least_s: what we do not go below."""

    def __init__(self, wanted_s: int = INTERVAL_S, least_s: int = LEAST_S) -> None:
        self.least_s = max(least_s, LEAST_S)
        self.wanted_s = max(wanted_s, self.least_s) if wanted_s else 0
        self.interval_s = 0
        self.refreshes = False
        self._since = 0.0
        self._postponed: float | None = None

    # --- our requests ------------------------------------------------------------------------------------------------

    @property
    def asked(self) -> Asked | None:
        """For an INVITE or UPDATE of ours; who refreshes goes on doing so (RFC 4028 7.4)."""
        if self.interval_s:
            return Asked(self.interval_s, "uac" if self.refreshes else "uas")
        return Asked(self.wanted_s) if self.wanted_s else None

    def too_small(self, min_se: str | None) -> bool:
        """A 422 came with this Min-SE: whether asking again with it makes sense (RFC 4028 7.3)."""
        least_s = parse_seconds(min_se, 0)
        asked = self.asked
        if asked is None or least_s <= asked.interval_s:
            return False
        self.least_s = max(self.least_s, least_s)
        self.wanted_s = least_s
        if self.interval_s:
            self.interval_s = least_s
        return True

    def granted(self, session_expires: str | None, now: float) -> None:
        """A 2xx to a request of ours came; without the field there is no timer (RFC 4028 7.2)."""
        said = read(session_expires)
        self._settle(said, said is not None and said.refresher != "uas", now)

    # --- the far side's requests ---------------------------------------------------------------------------------------

    def refuses(self, session_expires: str | None, *, supported: bool) -> bool:
        """Whether to answer 422 with our least: only who knows of timers understands that (RFC 4028 9)."""
        said = read(session_expires)
        return said is not None and supported and said.interval_s < self.least_s

    def grant(self, session_expires: str | None, *, supported: bool, now: float) -> Asked | None:
        """A request is answered by 2xx: what to put into it, None for nothing (RFC 4028 9)."""
        said = read(session_expires)
        if said is None and not (supported and self.wanted_s):
            self._settle(None, False, now)
            return None
        interval_s = max(said.interval_s if said else self.wanted_s, self.least_s)
        # Who does not know of timers cannot refresh; who does and leaves it open refreshes too.
        refresher = ((said.refresher if said else "") or "uac") if supported else "uas"
        granted = Asked(interval_s, refresher)
        self._settle(granted, refresher == "uas", now)
        return granted

    def _settle(self, said: Asked | None, refreshes: bool, now: float) -> None:
        self.interval_s = max(said.interval_s, self.least_s) if said else 0
        self.refreshes = refreshes
        self._since = now
        self._postponed = None

    # --- time ----------------------------------------------------------------------------------------------------------

    @property
    def refresh_at(self) -> float | None:
        """When a refresh of ours is due: at half of the time (RFC 4028 10)."""
        if not self.interval_s or not self.refreshes:
            return None
        return self._since + self.interval_s / 2 if self._postponed is None else self._postponed

    def postpone(self, now: float) -> None:
        """A refresh was refused: the next one is due after half of the time that is left."""
        if (gone_at := self.gone_at) is not None:
            self._postponed = now + max((gone_at - now) / 2, RETRY_S)

    @property
    def gone_at(self) -> float | None:
        """When the call is given up for want of a refresh (RFC 4028 10)."""
        if not self.interval_s:
            return None
        return self._since + self.interval_s - min(MARGIN_S, self.interval_s / 3)

    # --- in another process ----------------------------------------------------------------------------------------------

    def to_dict(self, now: float) -> dict[str, Any]:
        """Plain values; times count from now."""
        return {
            "wanted_s": self.wanted_s,
            "least_s": self.least_s,
            "interval_s": self.interval_s,
            "refreshes": self.refreshes,
            "age_s": now - self._since,
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any], now: float) -> SessionTimer:
        """What to_dict gave."""
        made = SessionTimer(values["wanted_s"], values["least_s"])
        made.interval_s, made.refreshes = values["interval_s"], values["refreshes"]
        made._since = now - values["age_s"]
        return made
