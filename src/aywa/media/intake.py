"""Keeps what came in on all legs for a slot, then has it taken leg after leg, and the voice batch runs behind that.

A frame handled alone, in a process that does something else between any two, costs three times what one among many does:
nothing of what it needs is in the processor's caches. Time is not lost: the voice batch waits for its slot anyway.
With few legs nothing is kept. Refuses to know what came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aywa.media.wheel import Wheel

# How many legs make it worth waiting a little, and how many worth waiting longer: a run of the voice detector costs as much as a
# dozen of its rows.
LEGS = (16, 32)
# Legs that are taken in one after the other before anybody else may run: a third of a millisecond. Their windows, five for eight
# frames, are about what one run of the detector takes.
AT_ONCE = 100


class Taker(Protocol):
    """A leg that something came in on."""

    def take_in(self) -> None:
        """Takes what came. Never raises."""


class Intake:
    """All legs of a plane. slots_s: how long what came may wait, with up to LEGS[0] legs, up to LEGS[1], and with more: the
    first is the voice batch's alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Wheel, slots_s: Sequence[float]) -> None:
        self._loop = loop
        self._wheel = wheel
        self._slots_s = slots_s
        self._legs = 0
        self._waiting: list[Taker] = []
        self.keeps = False
        self.batch_slot_s = slots_s[0]

    def opened(self) -> None:
        """One leg more."""
        self._count(1)

    def closed(self) -> None:
        """One leg less."""
        self._count(-1)

    def add(self, leg: Taker) -> None:
        """Something came in on the leg, for the first time since it was asked to take in what came."""
        self._waiting.append(leg)
        if len(self._waiting) == 1:
            self._wheel.at(self._loop.time() + self._slots_s[self._crowd], self._due)

    def _due(self) -> None:
        # Frames of the same slot leave first.
        self._loop.call_soon(self._take_all)

    def _take_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._take_some(waiting)

    def _take_some(self, waiting: list[Taker]) -> None:
        """Frames that became due meanwhile leave before the rest is taken."""
        for leg in waiting[:AT_ONCE]:
            leg.take_in()
        if len(waiting) > AT_ONCE:
            self._loop.call_soon(self._take_some, waiting[AT_ONCE:])

    def _count(self, change: int) -> None:
        self._legs += change
        self._crowd = sum(self._legs > some for some in LEGS)
        self.keeps = self._crowd > 0
        self.batch_slot_s = 0.0 if self.keeps else self._slots_s[0]
