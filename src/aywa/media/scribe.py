"""Has the recordings' files written by one worker thread, what comes within a slot in one go.

A thread that is woken for every file takes the interpreter from the loop each time. And what is to be written is made ready
for a few recordings at once only: legs that began together are due together. Refuses to know what is written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from aywa.media.wheel import Wheel

# Recordings that are made ready at once: half a millisecond. After how long the next are. And after how many such times about
# all that are due have had their turn, however many they are.
AT_ONCE = 4
TURN_S = 0.005
TURNS = 100

Work = Callable[[], None]
Done = Callable[[Exception | None], None]


class Scribe:
    """Of all legs of a plane. slot_s: how long work may wait for more. executor: of one thread, so that the order holds."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wheel: Wheel, slot_s: float, executor: Callable[[], Executor]
    ) -> None:
        self._loop = loop
        self._wheel = wheel
        self._slot_s = slot_s
        self._executor = executor
        self._waiting: list[tuple[Work, Done]] = []
        self._due: deque[Callable[[], None]] = deque()

    def in_turn(self, make_ready: Callable[[], None]) -> None:
        """Calls it, in the loop, after what was due before. It never raises."""
        self._due.append(make_ready)
        if len(self._due) == 1:
            self._wheel.at(self._loop.time(), self._turn)

    def add(self, work: Work, done: Done) -> None:
        """Does the work in the thread, in order; then calls done in the loop, with what it raised."""
        self._waiting.append((work, done))
        if len(self._waiting) == 1:
            self._wheel.at(self._loop.time() + self._slot_s, self._slot_over)

    def _turn(self) -> None:
        # Frames of the same slot leave first.
        self._loop.call_soon(self._make_ready)

    def _make_ready(self) -> None:
        for _ in range(max(AT_ONCE, len(self._due) // TURNS)):
            if self._due:
                self._due.popleft()()
        if self._due:
            self._wheel.at(self._loop.time() + TURN_S, self._turn)

    def _slot_over(self) -> None:
        self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        portion, self._waiting = self._waiting, []
        works = [work for work, _ in portion]
        doing = self._loop.run_in_executor(self._executor(), _do, works)
        doing.add_done_callback(lambda done: _tell(portion, done))


def _do(works: Sequence[Work]) -> list[Exception | None]:
    errors: list[Exception | None] = []
    for work in works:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whoever wanted it is told
            errors.append(error)
        else:
            errors.append(None)
    return errors


def _tell(portion: Sequence[tuple[Work, Done]], doing: asyncio.Future[list[Exception | None]]) -> None:
    if doing.cancelled():
        return
    for (_, done), error in zip(portion, doing.result(), strict=True):
        done(error)
