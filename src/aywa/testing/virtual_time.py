"""An event loop whose clock jumps to the next timer as soon as nothing is ready.

Ten minutes of conversation pass in the time their callbacks take to run, and in the same order every time.
It refuses to guess: when nothing is ready and no timer is set, nothing can ever happen again, and it says which
tasks are waiting instead of hanging. Work in threads takes no virtual time: the clock stands until it is done.
Real sockets work, but their far side must live in the same loop, because the clock does not wait for the network.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# A loop that is busy this many rounds without a timer coming due is spinning.
ROUNDS_WITHOUT_PROGRESS = 1_000_000

# How long to wait, in real time, for a file descriptor when there is nothing else to wait for.
PATIENCE_S = 1.0

# The descriptor that wakes the loop from another thread.
_OWN_DESCRIPTORS = 1


class Deadlock(RuntimeError):
    """Nothing is ready, no timer is set, and tasks are still waiting."""


class Livelock(RuntimeError):
    """Callbacks keep each other busy and time cannot pass."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """asyncio on a clock of its own, which starts at 0."""

    # Declared by BaseEventLoop, where typing does not show it: a heap with the next timer first.
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        self._now_s = 0.0
        self._rounds = 0
        self._in_threads = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now_s

    def hold_up(self, seconds: float) -> None:
        """The process stood still: time has passed, and what fell due meanwhile is late."""
        self._now_s += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As ever, and counted, because a thread at work is a reason not to let time pass."""
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._thread_finished)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """As ever; it joins threads from a thread of its own, which run_in_executor does not see."""
        self._in_threads += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._in_threads -= 1

    def _thread_finished(self, _future: asyncio.Future[T]) -> None:
        self._in_threads -= 1

    def real_wait_s(self, timeout_s: float | None, descriptors: int) -> float | None:
        """How long the selector is to wait on the wall clock, given what asyncio asked for."""
        if timeout_s is not None and timeout_s <= 0:
            self._rounds += 1
            if self._rounds > ROUNDS_WITHOUT_PROGRESS:
                self._rounds = 0
                raise Livelock(f"time stands at {self._now_s:.3f} s; busy: {self._waiting()}")
            return 0
        self._rounds = 0
        if self._in_threads:
            return None
        if timeout_s is None and descriptors > _OWN_DESCRIPTORS:
            return PATIENCE_S
        return 0

    def jump(self, timeout_s: float | None) -> None:
        """No descriptor was ready, so the next thing to happen is a timer."""
        if timeout_s is None:
            raise Deadlock(f"at {self._now_s:.3f} s nothing can happen any more; waiting: {self._waiting()}")
        # Not `now + timeout`, which may round to just before the timer.
        self._now_s = max(self._now_s, self._scheduled[0].when())

    def _waiting(self) -> str:
        return "; ".join(sorted(map(_describe, asyncio.all_tasks(self)))) or "no task"


class _JumpingSelector(selectors.DefaultSelector):
    """Looks instead of waiting, and tells the loop when there was nothing to see."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(self._loop.real_wait_s(timeout, len(self.get_map())))
        if not ready and (timeout is None or timeout > 0):
            self._loop.jump(timeout)
        return ready


def _describe(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack(limit=1)
    place = f" at {stack[0].f_code.co_filename.rsplit('/', 1)[-1]}:{stack[0].f_lineno}" if stack else ""
    coro = task.get_coro()
    return f"{task.get_name()} ({getattr(coro, '__qualname__', coro)}{place})"


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a clock of its own, like asyncio.run."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
