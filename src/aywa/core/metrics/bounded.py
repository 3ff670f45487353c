"""Keeps the number of a metric's series bounded, whatever comes from outside in its labels."""

from __future__ import annotations

from typing import Final

SERIES_MAX: Final = 200
"""Series of one metric. A histogram's series counts once."""
LABEL_MAX: Final = 80
"""Characters of a label's value."""
OTHER: Final = "other"
"""What stands for all label values beyond the limit."""


class Bounded:
    """One metric's label values. limit: so many of them are told apart."""

    def __init__(self, limit: int = SERIES_MAX) -> None:
        self._limit = limit
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._shown: set[tuple[str, ...]] = set()

    def of(self, labels: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
        """Under what these are counted, and whether that is their own."""
        found = self._known.get(labels)
        if found is not None:
            return found, True
        shown = tuple(label[:LABEL_MAX] for label in labels)
        if shown not in self._shown:
            if len(self._shown) >= self._limit:
                return (OTHER,) * len(labels), False
            self._shown.add(shown)
        if shown == labels:
            # What was shortened is not remembered: there may be any number of it.
            self._known[labels] = shown
        return shown, True
