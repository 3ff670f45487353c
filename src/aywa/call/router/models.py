"""Asks the call's models: the first route that is well, another when it does not answer, and both when it is slow.

A route that broke after its first token is not asked again here: what it said so far is the reply's to keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from aywa.call.router.attempt import Attempt, aside
from aywa.call.router.board import HealthBoard, Over, Tell, as_provider_error, failure_of, silent
from aywa.core.route_health import RouteHealth
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import Finished, Llm, LlmDelta, LlmRequest, TextDelta

# A route is asked a second time only if no other answered, and once.
RETRIES = 1
# Nobody is asked twice at once sooner than this, however quick the route usually is.
HEDGE_LEAST_S = 0.25
# How long the stream of a finished answer may take to end: with its end the connection can be used again.
END_S = 0.3
# The same route has had its time, or wants to be left alone.
NOT_AGAIN = frozenset(("deadline", "rate_limited", "quota"))


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """A model and how it is asked. name: what record and metrics call it. first_s, next_s: how long its first delta and each
    further one may take; first_of_many_s: the first one while another route could be asked instead."""

    llm: Llm
    model: str = ""
    temperature: float = 0.5
    max_tokens: int = 250
    first_s: float = 8.0
    next_s: float = 4.0
    first_of_many_s: float = 3.0
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Provider and model."""
        return f"{self.llm.name}/{self.model}" if self.model else self.llm.name


class ModelRouter:
    """The models of one call, in the order in which they are asked."""

    def __init__(
        self,
        routes: Sequence[ModelRoute],
        board: HealthBoard | None = None,
        tell: Tell = silent,
        *,
        hedges: bool = True,
    ) -> None:
        self._routes = tuple(routes)
        self._board = board or HealthBoard()
        self.tell = tell
        self._hedges = hedges

    def ask(self, request: LlmRequest, without: frozenset[str] = frozenset()) -> Answering:
        """Begins nothing yet: iterate the answer. without: routes that are not to be asked any more."""
        return Answering(self, request, without)

    async def warm(self, request: LlmRequest) -> None:
        """Makes the first route's next answer quick. Never raises."""
        route = self._order(frozenset(), silent)[0]
        await aside(route.llm.warm(self._request(route, request)))

    def at_leisure(self, max_tokens: int, within_s: float) -> ModelRouter:
        """The same models for what nobody waits for on the phone: longer answers, the likeliest words, nobody asked twice at
        once."""
        routes = [
            replace(route, max_tokens=max_tokens, temperature=0.0, first_s=within_s, first_of_many_s=within_s, next_s=within_s)
            for route in self._routes
        ]  # fmt: skip
        return ModelRouter(routes, self._board, self.tell, hedges=False)

    def has_other(self, without: frozenset[str]) -> bool:
        """There is a route that may still be asked."""
        return any(route.name not in without for route in self._routes)

    def health(self, route: ModelRoute) -> RouteHealth:
        """How it fares."""
        return self._board.of(route.name, route.llm)

    def over(self, route: ModelRoute) -> Over:
        """Who is told of its requests."""
        return self._board.over("llm", route.name)

    def _order(self, without: frozenset[str], tell: Tell) -> list[ModelRoute]:
        """Those that are well, then those that are not: a caller is worth a try at a route that was broken a moment ago."""
        now = asyncio.get_running_loop().time()
        left = [route for route in self._routes if route.name not in without]
        refused = {route.name: self.health(route).refuses(now) for route in left}
        well = [route for route in left if not refused[route.name]]
        if well and left and well[0] is not left[0]:
            tell("RouteSkipped", {"kind": "llm", "route": left[0].name, "code": refused[left[0].name]})
        return well + [route for route in left if refused[route.name]]

    @staticmethod
    def _request(route: ModelRoute, request: LlmRequest) -> LlmRequest:
        return replace(
            request,
            model=route.model,
            temperature=route.temperature,
            max_tokens=min(request.max_tokens, route.max_tokens),
            extra={**route.extra, **request.extra},
        )


class Answering:
    """One answer, by whoever gives it. route: who that is, from the first delta on. Iterate once; `close` in any case."""

    def __init__(self, router: ModelRouter, request: LlmRequest, without: frozenset[str]) -> None:
        self._router = router
        self._ask = request
        self._left = router._order(without, router.tell)
        self._retries = RETRIES
        self._open: list[tuple[ModelRoute, Attempt[LlmDelta]]] = []
        self._bell = asyncio.Event()
        self.route: ModelRoute | None = None

    async def deltas(self) -> AsyncGenerator[LlmDelta, None]:
        """Raises ProviderError: of the route that was asked last, or of the one that broke in the middle."""
        route, attempt = await self._answering()
        self.route = route
        loop = asyncio.get_running_loop()
        since_s, finished = loop.time(), False
        while True:
            try:
                # After its last delta nothing is missing but the end of the stream.
                delta = await attempt.next(since_s + (min(END_S, route.next_s) if finished else route.next_s))
            except Exception as error:
                # Whoever is asked instead need not wait until this one has let go.
                self._drop(route, attempt)
                if finished:
                    return
                raise as_provider_error(error, route.name) from error
            if delta is None:
                return
            finished = finished or isinstance(delta, Finished)
            yield delta
            # Nothing, however often it comes, is not an answer.
            if not _is_nothing(delta):
                since_s = loop.time()

    async def close(self) -> None:
        """Stops whoever still answers."""
        opened, self._open = self._open, []
        if opened:
            _ = await asyncio.gather(*(attempt.close() for _, attempt in opened))

    async def _answering(self) -> tuple[ModelRoute, Attempt[LlmDelta]]:
        """The first that begins to answer; the others are let go."""
        self._begin()
        last: ProviderError | None = None
        while self._open:
            winner = await self._first()
            for route, attempt in list(self._open):
                failed = self._failed(route, attempt)
                if failed is None:
                    continue
                last = failed
                self._drop(route, attempt)
                self._instead(route, last)
            if winner is not None:
                others = [each for each in self._open if each[1] is not winner[1]]
                if others:
                    self._tell("RouteHedged", winner[0], won=True)
                for route, attempt in others:
                    if attempt.began_s < winner[1].began_s:
                        attempt.overtaken()
                    self._drop(route, attempt)
                return winner
        assert last is not None
        raise last

    async def _first(self) -> tuple[ModelRoute, Attempt[LlmDelta]] | None:
        """Waits until one answers, fails or is late; begins another beside one that is slower than it usually is."""
        loop = asyncio.get_running_loop()
        dues = [attempt.began_s + self._allowed_s(route) for route, attempt in self._open]
        hedge_s = self._hedge_s()
        self._bell.clear()
        if not any(attempt.over or attempt.first_s is not None for _, attempt in self._open):
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min([*dues, *([] if hedge_s is None else [hedge_s])])):
                    _ = await self._bell.wait()
        for route, attempt in self._open:
            # An answer without a word is told as it is when there is nobody else to ask.
            alone = not self._left and len(self._open) == 1
            if attempt.first_s is not None or (alone and attempt.empty):
                return route, attempt
        if hedge_s is not None and loop.time() >= hedge_s:
            slow = self._open[0][0]
            self._begin()
            self._tell("RouteHedged", self._open[-1][0], beside=slow.name)
        return None

    def _failed(self, route: ModelRoute, attempt: Attempt[LlmDelta]) -> ProviderError | None:
        """What became of an attempt that has not begun to answer: None while that may still happen."""
        if attempt.first_s is not None or (attempt.empty and not self._left and len(self._open) == 1):
            return None
        late = asyncio.get_running_loop().time() >= attempt.began_s + self._allowed_s(route) - 1e-6
        if attempt.over:
            error: Exception | None = attempt.error
            if error is None:
                error = ProviderError(
                    route.llm.name, "failed", "it answered nothing", fault=Fault.PROVIDER, retryable=True
                )
            return as_provider_error(error, route.name)
        if late:
            attempt.give_up(TimeoutError())
            return as_provider_error(TimeoutError(), route.name)
        return None

    def _instead(self, failed: ModelRoute, error: ProviderError) -> None:
        """Somebody else is asked, if nobody is already; at last the same route once more."""
        if self._open:
            return
        if not self._left and error.retryable and self._retries and error.code not in NOT_AGAIN:
            self._retries -= 1
            self._left.append(failed)
        if self._left:
            code = failure_of(error).code
            self._begin()
            new = self._open[-1][0]
            if new is failed:
                self._tell("RouteRetried", new, code=code)
            else:
                self._tell("RouteSwitched", new, before=failed.name, code=code)

    def _begin(self) -> None:
        route = self._left.pop(0)
        request = ModelRouter._request(route, self._ask)
        health = self._router.health(route)
        over = self._router.over(route)
        self._open.append(
            (route, Attempt(health, lambda: route.llm.stream(request), _says, self._bell.set, over))
        )

    def _drop(self, route: ModelRoute, attempt: Attempt[LlmDelta]) -> None:
        """It is not waited for any more, not even until it has let go."""
        attempt.let_go()
        self._open.remove((route, attempt))

    def _allowed_s(self, route: ModelRoute) -> float:
        return min(route.first_of_many_s, route.first_s) if self._left else route.first_s

    def _hedge_s(self) -> float | None:
        """When another is asked beside the only one that is being asked."""
        if not self._router._hedges or len(self._open) != 1 or not self._left:
            return None
        if self._router.health(self._left[0]).refuses(asyncio.get_running_loop().time()):
            # A route that is not well is a last resort, and no second chance.
            return None
        route, attempt = self._open[0]
        usual_s = self._router.health(route).first_s(0.95)
        return None if usual_s is None else attempt.began_s + max(usual_s, HEDGE_LEAST_S)

    def _tell(self, kind: str, route: ModelRoute, **fields: Any) -> None:
        self._router.tell(kind, {"kind": "llm", "route": route.name, **fields})


def _says(delta: LlmDelta) -> bool:
    return not isinstance(delta, Finished) and not _is_nothing(delta)


def _is_nothing(delta: LlmDelta) -> bool:
    return isinstance(delta, TextDelta) and not delta.text
