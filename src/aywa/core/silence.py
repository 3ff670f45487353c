"""The promise that the caller is never left in silence without a reason: measured while the call goes on.

A gap is time in which the caller hears nothing of us. Every moment of it has a reason from a closed list, or none.
It does not say what is to be done about it: it tells when the time without a reason runs out.
"""

from __future__ import annotations

from enum import StrEnum

from aywa.core import commands as do


class GapReason(StrEnum):
    """Why it may be quiet."""

    CALLER_HAS_FLOOR = "caller_has_floor"
    AWAITING_ANSWER = "awaiting_answer"
    MUTED = "muted"
    TAKEN_OVER = "taken_over"
    HELD = "held"
    PRESSING_KEYS = "pressing_keys"
    TOOL_SILENCED = "tool_silenced"


UNEXPLAINED = "unexplained"
GAP_S = 3.0
# When the time without a reason runs out: early enough for a phrase to be heard before the promise is broken.
ALARM_S = 2.6


class SilenceWatch:
    """`observe` after every change. unexplained: how many gaps broke the promise. longest_s: the longest time without a
    reason."""

    def __init__(self) -> None:
        self._quiet_from_s: float | None = None
        self._seen_s = 0.0
        self._reason: GapReason | None = None
        self._reasons: dict[str, float] = {}
        self._bare_from_s: float | None = None
        self._alarmed = False
        self._broken = False
        self.unexplained = 0
        self.longest_s = 0.0

    def observe(self, now: float, *, sounding: bool, reason: GapReason | None) -> list[do.Command]:
        """What the caller hears from now on, and why if it is nothing. Answers what goes on record."""
        self._count(now)
        # What was so until now is judged first: whoever looks late must not miss it.
        cmds = self._break(now)
        if sounding:
            return cmds + self._over(now)
        if self._quiet_from_s is None:
            self._quiet_from_s = now
            self._reasons = {}
        self._reason = reason
        if reason is not None:
            self._bare_from_s = None
            self._alarmed = self._broken = False
        elif self._bare_from_s is None:
            self._bare_from_s = now
        return cmds

    def end(self, now: float) -> list[do.Command]:
        """The call is over."""
        self._count(now)
        return self._break(now) + self._over(now)

    def alarm(self, now: float) -> bool:
        """True once per silence when its time without a reason is about to run out."""
        due_s = self._alarm_s
        if due_s is None or now < due_s:
            return False
        self._alarmed = True
        return True

    @property
    def deadline(self) -> float | None:
        """When it wants to be looked at again."""
        if self._bare_from_s is None or self._broken:
            return None
        return self._bare_from_s + GAP_S if self._alarmed else self._alarm_s

    @property
    def _alarm_s(self) -> float | None:
        return None if self._bare_from_s is None or self._alarmed else self._bare_from_s + ALARM_S

    def _count(self, now: float) -> None:
        if self._quiet_from_s is not None:
            name = UNEXPLAINED if self._reason is None else self._reason.value
            self._reasons[name] = self._reasons.get(name, 0.0) + max(0.0, now - self._seen_s)
        if self._bare_from_s is not None:
            self.longest_s = max(self.longest_s, now - self._bare_from_s)
        self._seen_s = max(self._seen_s, now)

    def _break(self, now: float) -> list[do.Command]:
        if self._bare_from_s is None:
            return []
        # The very sum that is the deadline: the difference may round to less, and the alarm would ring for ever.
        if self._broken or now < self._bare_from_s + GAP_S:
            return []
        self._broken = True
        self.unexplained += 1
        details = {"from_s": round(self._bare_from_s, 3)}
        return [do.RecordDecision("silence", "promise_broken", UNEXPLAINED, details)]

    def _over(self, now: float) -> list[do.Command]:
        from_s, self._quiet_from_s = self._quiet_from_s, None
        self._bare_from_s = None
        self._alarmed = self._broken = False
        if from_s is None or now - from_s <= GAP_S:
            return []
        reasons = {name: round(spent_s, 3) for name, spent_s in self._reasons.items() if spent_s >= 0.0005}
        return [do.RecordGap(round(from_s, 3), round(now, 3), reasons)]
