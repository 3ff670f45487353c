"""One request: what came in order, its end, and that whoever waits for it is never held up, whatever the route does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aywa.call.router import attempt as module
from aywa.call.router.attempt import CLOSE_S, Attempt, aside
from aywa.call.router.board import failure_of
from aywa.core.route_health import Circuit, RouteHealth
from aywa.ports.errors import ProviderError
from aywa.testing.scripted_providers import broken
from tests.call.router.routes import Scripted, about, now, others

pytestmark = pytest.mark.virtual_time


def begun(script: list[Any], health: RouteHealth | None = None) -> tuple[Attempt[Any], Scripted, RouteHealth]:
    route, health = Scripted([script]), health or RouteHealth("one")
    return Attempt(health, lambda: route.play("?"), lambda item: item != "nothing"), route, health


async def all_of(attempt: Attempt[Any], by_s: float = 100.0) -> list[Any]:
    came: list[Any] = []
    while (item := await attempt.next(by_s)) is not None:
        came.append(item)
    return came


async def test_what_came_is_given_in_order_and_then_none_again_and_again() -> None:
    attempt, route, health = begun(["nothing", 0.5, "a", 1.0, "b"])
    assert await all_of(attempt) == ["nothing", "a", "b"]
    assert await attempt.next(0.0) is None
    assert (attempt.first_s, attempt.empty, attempt.error) == (0.5, False, None)
    await attempt.close()
    assert (route.closed, health.active, health.failures) == (1, 0, 0)
    assert not others()


async def test_what_the_route_raises_comes_after_what_it_said() -> None:
    attempt, _, health = begun(["a", broken("one")])
    assert await attempt.next(1.0) == "a"
    for _ in range(2):
        with pytest.raises(ProviderError):
            _ = await attempt.next(1.0)
    await attempt.close()
    assert (health.failures, health.last_code, health.active) == (1, "unavailable", 0)


async def test_too_late_is_the_routes_failure_once() -> None:
    attempt, route, health = begun([5.0, "a"])
    with pytest.raises(TimeoutError):
        _ = await attempt.next(2.0)
    assert now() == 2.0
    attempt.give_up(RuntimeError())
    await attempt.close()
    await attempt.close()
    assert (health.failures, health.last_code, health.active, health.requests) == (1, "deadline", 0, 1)
    assert (route.closed, others()) == (1, set())


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.6])
async def test_hanging_up_is_neither_failure_nor_success(after_s: float) -> None:
    health = RouteHealth("one")
    for _ in range(2):
        health.begin(0.0)
        health.end(failure_of(broken("one")), 0.0)
    attempt, _, _ = begun([0.5, "a", 5.0], health)
    await asyncio.sleep(after_s)
    await attempt.close()
    assert (health.active, health.failures) == (0, 2)
    health.begin(1.0)
    health.end(failure_of(broken("one")), 1.0)
    # Two failures stand unless it had begun to answer.
    assert (health.status(1.0).circuit == Circuit.OPEN) == (after_s < 0.5)


async def test_closed_before_its_task_began_it_never_asks() -> None:
    attempt, route, health = begun(["a"])
    await attempt.close()
    assert (route.asked, health.active, health.requests, others()) == ([], 0, 1, set())


async def test_a_route_that_hangs_on_is_waited_for_a_moment_and_not_forgotten() -> None:
    attempt, route, health = begun(["a", "stuck", "late", "later"])
    assert await attempt.next(1.0) == "a"
    await attempt.close()
    assert now() == about(CLOSE_S)
    assert (health.active, len(others())) == (0, 1)
    assert others() <= module._LEAVING
    route.free.set()
    await asyncio.sleep(0.1)
    assert (route.closed, others(), module._LEAVING, health.failures) == (1, set(), set(), 0)


async def test_letting_go_waits_for_nothing_and_cancels_once() -> None:
    attempt, route, _ = begun(["stuck"])
    await asyncio.sleep(0)
    attempt.let_go()
    attempt.let_go()
    await attempt.close()
    assert (now(), route.cancelled) == (about(CLOSE_S), 1)
    route.free.set()
    await asyncio.sleep(0.1)


async def test_one_that_was_given_up_and_talks_on_is_not_listened_to() -> None:
    attempt, route, health = begun(["stuck", *["more"] * 100])
    await asyncio.sleep(0)
    attempt.let_go()
    await asyncio.sleep(0)
    route.free.set()
    await asyncio.sleep(0.1)
    assert (list(attempt._came), route.closed, health.status(now()).first_p50_s) == ([], 1, None)


async def test_a_failure_counts_although_its_stream_is_slow_to_close() -> None:
    """The consumer is told at once, and lets go: that must not turn the failure into a hang-up."""

    class Handle:
        def __aiter__(self) -> Handle:
            return self

        async def __anext__(self) -> Any:
            raise broken("one")

        async def aclose(self) -> None:
            await asyncio.sleep(0.5)

    health = RouteHealth("one")
    attempt: Attempt[Any] = Attempt(health, Handle, lambda item: True)
    with pytest.raises(ProviderError):
        _ = await attempt.next(5.0)
    await attempt.close()
    assert (health.failures, health.last_code, health.active) == (1, "unavailable", 0)


async def test_a_cancellation_within_the_route_is_its_failure() -> None:
    attempt, _, health = begun([asyncio.CancelledError()])
    with pytest.raises(ProviderError) as raised:
        _ = await attempt.next(1.0)
    assert (raised.value.code, health.failures) == ("cancelled", 1)


async def test_more_than_anybody_takes_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    attempt, route, health = begun(["a"] * 100)
    await asyncio.sleep(0.1)
    assert (route.closed, health.last_code, len(attempt._came)) == (1, "overlong", 5)
    await attempt.close()


async def test_whoever_closes_and_is_cancelled_leaves_nothing_forgotten() -> None:
    attempt, route, _ = begun(["stuck"])
    await asyncio.sleep(0)
    closing = asyncio.create_task(attempt.close())
    await asyncio.sleep(0.1)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    assert module._LEAVING
    route.free.set()
    await asyncio.sleep(0.1)
    assert not module._LEAVING


async def test_a_stream_that_cannot_be_begun() -> None:
    def refuses() -> AsyncIterator[Any]:
        raise KeyError("secret")

    health = RouteHealth("one")
    attempt: Attempt[Any] = Attempt(health, refuses, lambda item: True)
    with pytest.raises(KeyError):
        _ = await attempt.next(1.0)
    await attempt.close()
    assert (health.last_code, health.active) == ("KeyError", 0)


async def test_work_aside_holds_up_nobody_and_its_failure_is_told() -> None:
    route = Scripted()
    task = asyncio.create_task(aside(route.hang()))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (task.cancelled(), now()) == (True, about(0.1 + CLOSE_S))
    route.free.set()
    await asyncio.sleep(0.1)
    assert not others()

    async def fails() -> None:
        raise broken("one")

    with pytest.raises(ProviderError):
        await aside(fails())
