"""Sends what is ready on its beat: packets of many streams, one each 20 ms, and nobody is asked in between.

What is decided for each packet anew costs a few times what the packet does. So whoever has a stretch of packets whose
time is known gives them here, and takes back what has not left when something happens. Refuses to know what is in them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from math import ceil

from aywa.core.audio.frame import FRAME_S
from aywa.media.wheel import EARLY_S, Wheel

SendTo = Callable[[bytes, tuple[str, int]], object]


class Run:
    """A stretch of packets of one stream. over() is called when the last has left, or when the loop was held up for longer than
    a frame: then the rest is to be thought over. unsent: packets that the system did not take."""

    __slots__ = ("count", "destination", "over", "packets", "phase", "sendto", "unsent")

    def __init__(
        self,
        packets: Iterable[bytes],
        sendto: SendTo,
        destination: tuple[str, int],
        over: Callable[[], None],
    ) -> None:
        self.packets = deque(packets)
        self.sendto = sendto
        self.destination = destination
        self.over = over
        self.count = len(self.packets)
        self.unsent = 0
        self.phase = -1

    @property
    def left(self) -> int:
        """Packets that have left."""
        return self.count - len(self.packets)


class Pacer:
    """One per wheel, whose slots a frame is a multiple of; else nothing begins."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Wheel, slot_s: float) -> None:
        self._now = loop.time
        self._wheel = wheel
        self._slot_s = slot_s
        period = round(FRAME_S / slot_s)
        self._period = period if abs(period * slot_s - FRAME_S) < EARLY_S else 0
        self._runs: list[list[Run]] = [[] for _ in range(self._period)]
        # Those that begin a frame later than the others of their phase.
        self._later: list[list[Run]] = [[] for _ in range(self._period)]
        # The next slot of each phase in which there is something to send.
        self._slots = [0] * self._period

    def begin(self, run: Run, due_s: float) -> bool:
        """The first packet leaves in the slot of due_s (loop time), the others 20 ms apart. False: it cannot."""
        if not self._period or not run.packets:
            return False
        slot = ceil((due_s - EARLY_S) / self._slot_s)
        phase = slot % self._period
        runs, later = self._runs[phase], self._later[phase]
        if not runs and not later:
            if slot * self._slot_s < self._now() - EARLY_S:
                return False
            self._slots[phase] = slot
            self._arm(phase, slot)
        after = slot - self._slots[phase]
        if after not in (0, self._period):
            return False
        (later if after else runs).append(run)
        run.phase = phase
        return True

    def halt(self, run: Run) -> None:
        """What has not left stays where it is."""
        if run.phase >= 0:
            runs, later = self._runs[run.phase], self._later[run.phase]
            (later if run in later else runs).remove(run)
            run.phase = -1

    def _arm(self, phase: int, slot: int) -> None:
        self._wheel.at(slot * self._slot_s, lambda: self._send(phase, slot))

    def _send(self, phase: int, slot: int) -> None:
        runs, later = self._runs[phase], self._later[phase]
        if self._slots[phase] != slot or not (runs or later):
            # All were halted, and maybe others have begun.
            return
        if self._now() - slot * self._slot_s > FRAME_S:
            over = runs
            self._runs[phase] = []
        else:
            over = []
            # The way of nearly every packet that leaves.
            for run in runs:
                packets = run.packets
                try:
                    run.sendto(packets.popleft(), run.destination)
                except OSError:
                    run.unsent += 1
                if not packets:
                    over.append(run)
            if over:
                self._runs[phase] = [run for run in runs if run.packets]
        self._runs[phase] += later
        later.clear()
        if self._runs[phase]:
            self._slots[phase] = slot + self._period
            self._arm(phase, slot + self._period)
        for run in over:
            run.phase = -1
        for run in over:
            run.over()
