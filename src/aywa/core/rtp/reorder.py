"""Puts a stream's payloads in order again by waiting for a packet or two, no longer: recognition cannot wait.

Whoever is in order passes without a wait. A gap is called lost when more packets than the window came after it; the
window grows where packets turn out to have been late, not lost. Refuses to know the time: whoever calls does.
"""

from __future__ import annotations

from typing import Generic, TypeVar

# What waits; no number, since that is how many are lost.
T = TypeVar("T")

# So many missing in a row are no loss but another place in the stream.
_MOST_MISSING = 100
# Numbers that were given up and may still come late.
_MOST_GIVEN_UP = 256


class Reorder(Generic[T]):
    """next: the number that passes at once. lost: packets that were given up. late: those of them that came after that.
    duplicates: that had been here before. waiting: what waits for one that is missing, by number."""

    __slots__ = ("_given_up", "_least", "_most", "duplicates", "late", "lost", "next", "waiting", "window")

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self.waiting: dict[int, T] = {}
        # Ordered by age.
        self._given_up: dict[int, None] = {}
        self.window = least
        self.next = -1
        self.lost = 0
        self.late = 0
        self.duplicates = 0

    def put(self, number: int, item: T) -> list[T | int]:
        """What is due now: payloads in order, and between them how many are lost. For whatever is not simply the next
        one; the numbers are extended ones, and grow."""
        if self.next < 0:
            self.next = number
        behind = self.next - number
        if behind > 0:
            self._too_late(number, behind)
            return []
        if -behind > _MOST_MISSING:
            rest = self.flush()
            self.next = number + 1
            return [*rest, item]
        if number in self.waiting:
            self.duplicates += 1
            return []
        self.waiting[number] = item
        due = self._in_order()
        while len(self.waiting) > self.window:
            due += self._skip()
        return due

    def give_up(self) -> list[T | int]:
        """The next one is waited for no longer."""
        return self._skip() if self.waiting else []

    def flush(self) -> list[T | int]:
        """Nothing is waited for: all that is held."""
        due: list[T | int] = []
        while self.waiting:
            due += self._skip()
        return due

    def calm(self) -> None:
        """Nothing was late for a while."""
        self.window = max(self._least, self.window - 1)

    def _too_late(self, number: int, behind: int) -> None:
        if number not in self._given_up:
            self.duplicates += 1
            return
        del self._given_up[number]
        self.late += 1
        # So many had come after it.
        self.window = min(self._most, max(self.window, behind - 1))

    def _skip(self) -> list[T | int]:
        first = min(self.waiting)
        missing = first - self.next
        self.lost += missing
        self._given_up.update(dict.fromkeys(range(self.next, first)))
        while len(self._given_up) > _MOST_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]
        self.next = first
        return [missing, *self._in_order()]

    def _in_order(self) -> list[T | int]:
        due: list[T | int] = []
        held = self.waiting
        while self.next in held:
            due.append(held.pop(self.next))
            self.next += 1
        return due
