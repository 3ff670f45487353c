"""Work of many recordings, done by one thread in portions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from aywa.media.scribe import AT_ONCE, TURN_S, TURNS, Scribe
from aywa.media.wheel import Wheel

pytestmark = pytest.mark.virtual_time


class Counted(ThreadPoolExecutor):
    """One thread; portions: how often it was given work."""

    def __init__(self) -> None:
        super().__init__(1)
        self.portions = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.portions += 1
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
async def hands() -> AsyncIterator[Counted]:
    with Counted() as executor:
        yield executor


def scribe(hands: Counted) -> Scribe:
    loop = asyncio.get_running_loop()
    return Scribe(loop, Wheel(loop, 0.005), 0.1, lambda: hands)


async def test_what_comes_within_a_slot_is_one_portion_in_its_order(hands: Counted) -> None:
    works, told, threads = scribe(hands), [], set()
    done: list[int] = []

    def work(number: int) -> None:
        threads.add(threading.get_ident())
        done.append(number)

    for number in range(20):
        works.add(partial(work, number), partial(lambda number, error: told.append((number, error)), number))
        await asyncio.sleep(0.004)
    assert done == []
    await asyncio.sleep(0.05)
    assert hands.portions == 1
    assert done == list(range(20))
    assert told == [(number, None) for number in range(20)]
    assert threads == {*threads} - {threading.get_ident()}


async def test_the_next_slot_begins_with_the_next_work(hands: Counted) -> None:
    works = scribe(hands)
    done: list[int] = []
    for number in range(3):
        works.add(partial(done.append, number), lambda error: None)
        await asyncio.sleep(0.2)
        assert done == list(range(number + 1))
    assert hands.portions == 3


async def test_one_that_fails_is_told_and_the_others_are_done(hands: Counted) -> None:
    works = scribe(hands)
    told: list[str] = []
    done: list[str] = []

    def fails() -> None:
        raise OSError(28, "No space left on device")

    works.add(partial(done.append, "before"), lambda error: told.append(repr(error)))
    works.add(fails, lambda error: told.append(type(error).__name__))
    works.add(partial(done.append, "after"), lambda error: told.append(repr(error)))
    await asyncio.sleep(0.2)
    assert done == ["before", "after"]
    assert told == ["None", "OSError", "None"]


async def test_of_many_that_are_due_together_a_few_are_made_ready_at_once(hands: Counted) -> None:
    works, loop = scribe(hands), asyncio.get_running_loop()
    when: list[tuple[int, float]] = []
    for number in range(40):
        works.in_turn(partial(lambda one: when.append((one, loop.time())), number))
    assert when == []
    await asyncio.sleep(1.0)
    assert [number for number, _ in when] == list(range(40))
    for at_s in {at_s for _, at_s in when}:
        assert sum(other == at_s for _, other in when) <= AT_ONCE
    assert when[-1][1] - when[0][1] <= 40 / AT_ONCE * 2 * TURN_S


async def test_however_many_are_due_all_have_their_turn_soon(hands: Counted) -> None:
    works = scribe(hands)
    when: list[int] = []
    for number in range(4000):
        works.in_turn(partial(when.append, number))
    await asyncio.sleep(2 * TURNS * TURN_S)
    assert len(when) >= 3000
    await asyncio.sleep(2.0)
    assert when == list(range(4000))
