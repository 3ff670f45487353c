"""Puts packets back in order for who must not wait: recognition. One that is missing is waited for until `WINDOW` later
ones have come, and not at all when nothing is missing. Refuses to know time: playing at a pace is the jitter buffer's.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from aywa.core.rtp.source import MOST_DROPOUT

T = TypeVar("T")

# A packet that comes three packets late costs its listener 60 ms of every sentence in which one is lost.
WINDOW = 2


class Reorder(Generic[T]):
    """push(number, item) takes extended numbers as Inbound.take gives them; what it answers goes on in that order: how many
    packets are missing before it, and the item. duplicates and late count what was thrown away."""

    __slots__ = ("_next", "_waiting", "_window", "duplicates", "late", "lost")

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._next = -1
        self._waiting: dict[int, T] = {}
        self.duplicates = 0
        self.late = 0
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Packets that are kept because one before them is missing."""
        return len(self._waiting)

    def push(self, number: int, item: T) -> tuple[tuple[int, T], ...]:
        """What may go on now."""
        expected = self._next
        if number == expected and not self._waiting:
            self._next = number + 1
            return ((0, item),)
        if expected < 0:
            self._next = number + 1
            return ((0, item),)
        if number < expected:
            # Which of the two nobody can tell any more.
            self.late += 1
            return ()
        if number in self._waiting:
            self.duplicates += 1
            return ()
        if number - expected >= MOST_DROPOUT:
            # New numbers: what is kept belongs to the old ones, and nothing is missing in between.
            released = self.flush()
            self._next = number + 1
            return (*released, (0, item))
        self._waiting[number] = item
        return self._released(self._window)

    def flush(self) -> tuple[tuple[int, T], ...]:
        """All that is kept: nothing more is waited for."""
        return self._released(0)

    def _released(self, window: int) -> tuple[tuple[int, T], ...]:
        released = []
        waiting = self._waiting
        while waiting:
            missing = 0
            if self._next not in waiting:
                if len(waiting) <= window:
                    break
                lowest = min(waiting)
                missing = lowest - self._next
                self.lost += missing
                self._next = lowest
            released.append((missing, waiting.pop(self._next)))
            self._next += 1
        return tuple(released)
