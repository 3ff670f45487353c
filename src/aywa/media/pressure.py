"""What a far side may do to us, counted: audio ahead of its clock, malformed frames, messages, audio it never takes.

Each answers what is to be done and refuses to do it. Time is an argument.
"""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """What becomes of a frame."""

    TAKE = "take it"
    REFUSE = "drop it"
    END = "end the leg"


# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_END, _REFUSE, _TAKE = Verdict.END, Verdict.REFUSE, Verdict.TAKE


class AudioClock:
    """Compares the audio that came with the time that passed.

    Taken audio may run `ahead_s` before the clock. Refused audio counts too: a client that is `end_s` ahead with it
    is flooding. One that was silent may make up for `late_s` of it.
    """

    def __init__(self, ahead_s: float, end_s: float, late_s: float) -> None:
        self._ahead_s = ahead_s
        self._end_s = end_s
        self._late_s = late_s
        self._taken_until: float | None = None
        self._sent_until = float("-inf")

    def came(self, seconds: float, now: float) -> Verdict:
        """A frame that sounds so long."""
        if self._taken_until is None:
            self._taken_until = self._sent_until = now
        # For every frame of every leg: comparing costs a quarter of what max() does.
        earliest, sent, taken = now - self._late_s, self._sent_until, self._taken_until
        self._sent_until = sent = (sent if sent > earliest else earliest) + seconds
        if sent - now > self._end_s:
            return _END
        taken = (taken if taken > earliest else earliest) + seconds
        if taken - now > self._ahead_s:
            return _REFUSE
        self._taken_until = taken
        return _TAKE


class TextQuota:
    """So many messages a second; `end` refused ones are a flood."""

    def __init__(self, per_s: int, end: int) -> None:
        self._per_s = per_s
        self._end = end
        self._since = float("-inf")
        self._count = 0
        self._refused = 0

    def came(self, now: float) -> Verdict:
        """A message."""
        if now - self._since >= 1.0:
            self._since = now
            self._count = 0
        self._count += 1
        if self._count <= self._per_s:
            return _TAKE
        self._refused += 1
        return _END if self._refused >= self._end else _REFUSE


class Backlog:
    """What the far side has not taken: too much of it for too long is a client that never reads."""

    def __init__(self, most_bytes: float, for_s: float) -> None:
        self._most_bytes = most_bytes
        self._for_s = for_s
        self._since: float | None = None

    def stands(self, waiting_bytes: int, now: float) -> Verdict:
        """REFUSE is said once, when it begins."""
        if waiting_bytes <= self._most_bytes:
            self._since = None
            return _TAKE
        if self._since is None:
            self._since = now
            return _REFUSE
        return _END if now - self._since >= self._for_s else _TAKE


class Sparingly:
    """Says a thing at most once a second, so that a flood of errors is not a flood of messages."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def may(self, code: str, now: float) -> bool:
        """Whether it is time to say it again."""
        if now - self._told.get(code, float("-inf")) < 1.0:
            return False
        self._told[code] = now
        return True
