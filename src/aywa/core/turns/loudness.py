"""How loud this caller usually is in this call, learned from the turns that were taken.

Who speaks much quieter than that speaks to somebody else, or lies in the background. Levels in dBFS.
"""

from __future__ import annotations

# A voice shorter than this says little; one of a second counts fully.
LEAST_S = 0.2
FULL_S = 1.0
# The share of a new turn in what is usual, when it is louder and when it is quieter.
RISE = 0.5
FALL = 0.4


class Loudness:
    """Voices are pending until their turn is taken or forgotten."""

    def __init__(self) -> None:
        self._pending: list[tuple[float, float]] = []
        self._began_s = 0.0
        self.usual_db: float | None = None

    def voice_started(self, at_s: float) -> None:
        """A voice of the turn began."""
        self._began_s = at_s

    def voice_stopped(self, at_s: float, level_db: float | None) -> None:
        """It ended, and was this loud."""
        voice_s = at_s - self._began_s
        if level_db is not None and voice_s >= LEAST_S:
            self._pending.append((level_db, voice_s))

    def took(self) -> None:
        """The turn was taken: so the caller spoke to the agent."""
        voice_s = sum(seconds for _, seconds in self._pending)
        if voice_s:
            level_db = sum(level * seconds for level, seconds in self._pending) / voice_s
            if self.usual_db is None:
                self.usual_db = level_db
            share = (RISE if level_db > self.usual_db else FALL) * min(1.0, voice_s / FULL_S)
            self.usual_db += (level_db - self.usual_db) * share
        self.forget()

    def forget(self) -> None:
        """The turn was none: a cough, a word to somebody else."""
        self._pending.clear()
