from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.media.wheel import Wheel
from aywa.testing.virtual_time import VirtualTimeLoop, run_virtual

pytestmark = pytest.mark.virtual_time


def wheel() -> Wheel:
    return Wheel(asyncio.get_running_loop(), 0.005)


async def test_a_callback_runs_in_its_slot() -> None:
    loop, ran = asyncio.get_running_loop(), list[float]()
    turning = wheel()
    for when in (0.02, 0.0211, 0.005):
        turning.at(when, lambda: ran.append(round(loop.time(), 6)))
    await asyncio.sleep(0.1)
    assert ran == [0.005, 0.02, 0.025]


async def test_one_loop_timer_for_all_and_none_when_nothing_is_due() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    turning = wheel()
    for _ in range(100):
        turning.at(0.01, lambda: None)
    assert len(loop._scheduled) == 1
    await asyncio.sleep(0.02)
    assert loop._scheduled == []


async def test_an_earlier_callback_turns_the_wheel_earlier() -> None:
    loop, ran = asyncio.get_running_loop(), list[float]()
    turning = wheel()
    turning.at(1.0, lambda: ran.append(loop.time()))
    turning.at(0.5, lambda: ran.append(loop.time()))
    await asyncio.sleep(2)
    assert ran == [0.5, 1.0]


async def test_a_cancelled_callback_does_not_run_and_cancelling_late_does_nothing() -> None:
    ran: list[int] = []
    turning = wheel()
    first, second = turning.at(0.01, lambda: ran.append(1)), turning.at(0.01, lambda: ran.append(2))
    first.cancel()
    await asyncio.sleep(0.02)
    second.cancel()
    assert ran == [2]


async def test_a_callback_may_set_the_next_one() -> None:
    loop, ran = asyncio.get_running_loop(), list[float]()
    turning = wheel()

    def again() -> None:
        ran.append(round(loop.time(), 6))
        if len(ran) < 4:
            turning.at(loop.time() + 0.02, again)

    turning.at(0.02, again)
    await asyncio.sleep(1)
    assert ran == [0.02, 0.04, 0.06, 0.08]


async def test_a_callback_that_raises_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[int] = []
    turning = wheel()
    turning.at(0.01, lambda: ran.append(1 // 0))
    turning.at(0.01, lambda: ran.append(2))
    turning.at(0.02, lambda: ran.append(3))
    with caplog.at_level(logging.ERROR):
        await asyncio.sleep(0.05)
    assert ran == [2, 3]
    assert "a timer's callback failed" in caplog.text


async def test_a_closed_wheel_forgets_everything() -> None:
    ran: list[int] = []
    turning = wheel()
    turning.close()
    turning.at(0.01, lambda: ran.append(1))
    turning.close()
    await asyncio.sleep(0.05)
    assert ran == []


@given(st.lists(st.floats(0, 3), max_size=40))
def test_never_early_and_at_most_a_slot_late(times: list[float]) -> None:
    async def run() -> list[tuple[float, float]]:
        loop, ran = asyncio.get_running_loop(), list[tuple[float, float]]()
        turning = wheel()
        for when in times:
            turning.at(when, lambda when=when: ran.append((when, loop.time())))  # type: ignore[misc]
        await asyncio.sleep(4)
        return ran

    ran = run_virtual(run())
    assert sorted(when for when, _ in ran) == sorted(times)
    assert all(when - 0.0007 <= at <= when + 0.0051 for when, at in ran)
