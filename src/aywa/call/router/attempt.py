"""One request to one route, read by a task of its own: whoever waits for it is never held up by a route that hangs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from math import inf
from typing import Any, Generic, TypeVar

from aywa.call.router.board import Over, failure_of, nobody
from aywa.core.route_health import RouteHealth
from aywa.ports.errors import Fault, ProviderError

T = TypeVar("T")

# How long a stream may take to let go; after that nobody waits for it any more.
CLOSE_S = 1.0
# A loop's timer may fire a hair before its time.
ROUNDING_S = 1e-6
# What came and was not taken yet.
MAX_WAITING = 20_000
# Those that have not let go yet: kept until they do, or the loop would forget them.
_LEAVING: set[asyncio.Task[Any]] = set()


class Attempt(Generic[T]):
    """Begins at once. `next` gives what came, in order; None at the end. `close` in any case."""

    def __init__(
        self,
        health: RouteHealth,
        stream: Callable[[], AsyncIterator[T]],
        counts: Callable[[T], bool],
        rings: Callable[[], None] = lambda: None,
        tell: Over = nobody,
    ) -> None:
        """counts: whether an item is of an answer. rings: called whenever something came, the end too. tell: is told of it once,
        when it is over."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._health = health
        self._counts = counts
        self._rings = rings
        self._tell = tell
        self._came: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        # Ends the wait, or looks too early: with every item the time moves on, and a timer costs more than a look.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = inf
        self._error: Exception | None = None
        self._over = False
        self._ended = False
        self._left = False
        self.began_s = loop.time()
        self.first_s: float | None = None
        health.begin(self.began_s)
        self._task = loop.create_task(self._read(stream), name=f"asking {health.name}")

    @property
    def ready(self) -> bool:
        """`next` would not wait."""
        return bool(self._came) or self._over

    @property
    def over(self) -> bool:
        """No more comes."""
        return self._over

    @property
    def empty(self) -> bool:
        """It ended well, and said nothing."""
        return self._over and self._error is None and self.first_s is None

    @property
    def error(self) -> Exception | None:
        """What the route raised."""
        return self._error

    def give_up(self, error: Exception) -> None:
        """It is not waited for any more, and that is the route's doing."""
        self._end(error)

    def overtaken(self) -> None:
        """Another, asked later, answered sooner: how long this one would have taken nobody knows, but longer than until now."""
        if not self._ended and self.first_s is None:
            self._health.waited(self._loop.time() - self.began_s)

    async def next(self, by_s: float) -> T | None:
        """What comes next. Raises TimeoutError when nothing came by that time of the loop's clock, and what the route raised,
        ProviderError or not."""
        while not self.ready:
            if self._loop.time() >= by_s - ROUNDING_S:
                late = TimeoutError()
                self._end(late)
                raise late
            await self._wait(by_s)
        if self._came:
            return self._came.popleft()
        if self._error is not None:
            raise self._error
        return None

    def let_go(self) -> None:
        """Lets the route know that no more is wanted, and does not wait for it."""
        self._end(None)
        if self._left or self._task.done():
            return
        # Once: another cancellation would hit the route while it tidies up.
        self._left = True
        _ = self._task.cancel()
        _keep(self._task)

    async def close(self) -> None:
        """Lets the route know that no more is wanted, and waits for it a moment."""
        self.let_go()
        if not self._task.done():
            _ = await asyncio.wait({self._task}, timeout=CLOSE_S)

    async def _wait(self, by_s: float) -> None:
        """Until something came, or the time: maybe earlier."""
        if by_s < self._timer_s:
            self._stop_timer()
            self._timer_s = by_s
            self._timer = self._loop.call_at(by_s, self._time_came)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _time_came(self) -> None:
        self._stop_timer()
        self._wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_s = None, inf

    async def _read(self, stream: Callable[[], AsyncIterator[T]]) -> None:
        source: AsyncIterator[T] | None = None
        try:
            source = stream()
            async for item in source:
                if self._ended:
                    # Nobody takes it any more, whatever the route makes of being cancelled.
                    break
                if self.first_s is None and self._counts(item):
                    self.first_s = self._loop.time() - self.began_s
                    self._health.answered(self.first_s, self._loop.time())
                if len(self._came) >= MAX_WAITING:
                    raise ProviderError(
                        self._health.name, "overlong", "it sends more than anybody takes",
                        fault=Fault.PROVIDER, retryable=True,
                    )  # fmt: skip
                self._came.append(item)
                self._ring()
        except asyncio.CancelledError:
            if self._task.cancelling():
                raise
            # Nobody stopped this request: something inside the route was cancelled.
            self._error = ProviderError(
                self._health.name, "cancelled", "it gave up", fault=Fault.PROVIDER, retryable=True
            )
        except Exception as error:  # noqa: BLE001 - a route may fail in any way; who waits for it is told
            self._error = error
        finally:
            self._over = True
            self._end(self._error)
            self._ring()
            close = getattr(source, "aclose", None)
            if close is not None:
                # Its last words change nothing.
                with suppress(Exception):
                    await close()

    def _end(self, error: BaseException | None) -> None:
        self._stop_timer()
        if not self._ended:
            self._ended = True
            failure, now = None if error is None else failure_of(error), self._loop.time()
            self._health.end(failure, now, answered=self.first_s is not None)
            self._tell(self.began_s, now, self.first_s, "" if failure is None else failure.code)

    def _ring(self) -> None:
        self._wake()
        self._rings()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def aside(work: Coroutine[Any, Any, T], close_s: float = CLOSE_S) -> T:
    """What comes of the work. Who waits for it and is cancelled waits no longer than close_s for it to end: work that does not
    let itself be cancelled holds up nobody."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        _ = await asyncio.wait({task})
    finally:
        if not task.done():
            _ = task.cancel()
            _keep(task)
            _ = await asyncio.wait({task}, timeout=close_s)
    return task.result()


def _keep(task: asyncio.Task[Any]) -> None:
    _LEAVING.add(task)
    task.add_done_callback(_gone)


def _gone(task: asyncio.Task[Any]) -> None:
    _LEAVING.discard(task)
    if not task.cancelled():
        # Its last words change nothing.
        _ = task.exception()
