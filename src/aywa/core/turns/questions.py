"""A question about the turn's words as they stand: only the answer to the last asking counts, and it is awaited for a time."""

from __future__ import annotations


class Question:
    """One kind of question. limit_s: how long an answer is worth waiting for."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._about: tuple[str, str] | None = None
        self._pending = False
        self._asked_s = 0.0
        self.number = 0
        self.wait_s: float | None = None

    def is_new(self, said: str, heard: str) -> bool:
        """It was not yet asked about this."""
        return self._about != (said, heard)

    def ask(self, said: str, heard: str, now: float) -> None:
        """It is asked now; an earlier answer is no longer of use."""
        self.number += 1
        self._about = (said, heard)
        self._pending = True
        self._asked_s = now
        self.wait_s = None

    def answered(self, number: int, wait_s: float | None) -> bool:
        """Takes the answer; False if it came too late to count."""
        if number != self.number or not self._pending:
            return False
        self._pending = False
        self.wait_s = wait_s
        return True

    def forget(self) -> None:
        """Another turn begins."""
        self._about = None
        self._pending = False
        self.wait_s = None

    @property
    def awaited_until_s(self) -> float | None:
        """Until when the answer is waited for; None when none is under way."""
        return self._asked_s + self._limit_s if self._pending else None
