"""The clock jumps, in order, exactly, and says so when nothing can happen any more."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time

import pytest

from aywa.testing import virtual_time
from aywa.testing.virtual_time import Deadlock, Livelock, run_virtual


def test_an_hour_passes_at_once() -> None:
    async def wait() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    started_s = time.monotonic()
    assert run_virtual(wait()) == 3600
    assert time.monotonic() - started_s < 1


@pytest.mark.virtual_time
async def test_the_marker_gives_a_test_its_own_clock_from_zero() -> None:
    loop = asyncio.get_running_loop()
    assert loop.time() == 0
    await asyncio.sleep(0.3)
    assert loop.time() == 0.3


async def test_without_the_marker_time_is_real() -> None:
    assert not isinstance(asyncio.get_running_loop(), virtual_time.VirtualTimeLoop)


@pytest.mark.virtual_time
async def test_timers_come_in_the_order_of_their_time_and_then_of_their_making() -> None:
    loop = asyncio.get_running_loop()
    seen: list[tuple[float, str]] = []

    def note(name: str) -> None:
        seen.append((loop.time(), name))

    for delay_s, name in [(0.2, "c"), (0.1, "a"), (0.1, "b"), (86_400 * 3, "d")]:
        loop.call_later(delay_s, note, name)
    await asyncio.sleep(86_400 * 4)
    assert seen == [(0.1, "a"), (0.1, "b"), (0.2, "c"), (86_400 * 3, "d")]


@pytest.mark.virtual_time
async def test_a_cancelled_timer_does_not_hold_the_clock() -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(100, lambda: None).cancel()
    await asyncio.sleep(1)
    assert loop.time() == 1


@pytest.mark.virtual_time
async def test_a_timeout_fires_when_what_it_guards_never_comes() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() == 30


def test_a_deadlock_names_the_waiting_tasks() -> None:
    async def listens_forever() -> None:
        await asyncio.Event().wait()

    async def call() -> None:
        await asyncio.sleep(2)
        await asyncio.create_task(listens_forever(), name="recogniser")

    with pytest.raises(
        Deadlock, match=r"at 2\.000 s .*recogniser \(.*listens_forever at test_virtual_time\.py:\d+\)"
    ):
        run_virtual(call())


def test_tasks_that_only_keep_each_other_busy_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "ROUNDS_WITHOUT_PROGRESS", 1000)

    async def spin() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(Livelock, match="spin"):
        run_virtual(spin())


@pytest.mark.virtual_time
async def test_the_clock_stands_while_a_thread_works() -> None:
    loop = asyncio.get_running_loop()
    go = threading.Event()
    rings = loop.call_later(5, lambda: None)
    work = loop.run_in_executor(None, go.wait, 10)
    loop.call_soon(go.set)
    assert await work
    assert loop.time() == 0
    rings.cancel()


@pytest.mark.virtual_time
async def test_a_socket_whose_far_side_is_in_the_same_loop_works() -> None:
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    _, far_writer = await asyncio.open_connection(sock=far)
    asyncio.get_running_loop().call_later(60, far_writer.write, b"ringing\n")
    assert await reader.readline() == b"ringing\n"
    assert asyncio.get_running_loop().time() == 60
    for each in (writer, far_writer):
        each.close()
        await each.wait_closed()


def test_a_socket_that_stays_silent_is_a_deadlock_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "PATIENCE_S", 0.01)

    async def listen() -> None:
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=near)
        try:
            await reader.readline()
        finally:
            writer.close()
            far.close()

    with pytest.raises(Deadlock, match="listen"):
        run_virtual(listen())


def test_the_same_program_runs_the_same_way_twice_and_fast() -> None:
    async def call(number: int, seen: list[tuple[float, int]]) -> None:
        for frame in range(100):
            await asyncio.sleep(0.02)
            if frame % 10 == 0:
                seen.append((asyncio.get_running_loop().time(), number))

    async def hundred_calls() -> list[tuple[float, int]]:
        seen: list[tuple[float, int]] = []
        async with asyncio.TaskGroup() as calls:
            for number in range(100):
                calls.create_task(call(number, seen))
        return seen

    started_s = time.monotonic()
    first = run_virtual(hundred_calls())
    assert time.monotonic() - started_s < 5
    assert first == run_virtual(hundred_calls())
