"""The benchmarks' compressed clock: quick while nothing is to be done, and patient with threads and sockets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from bench.compressed import CREDIT_S, CompressedLoop

T = TypeVar("T")


def run(work: Callable[[], Awaitable[T]], speed: float) -> tuple[T, float, float]:
    """What it answers, and how long it took: on the loop's clock, and really."""

    async def main() -> T:
        return await work()

    made: list[CompressedLoop] = []

    def factory() -> CompressedLoop:
        made.append(CompressedLoop(speed))
        return made[0]

    began_s = time.perf_counter()
    with asyncio.Runner(loop_factory=factory) as runner:
        answer = runner.run(main())
    return answer, made[0].passed_s, time.perf_counter() - began_s


def test_what_is_waited_for_passes_quickly_and_in_order() -> None:
    woken: list[float] = []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(seconds)

    async def main() -> None:
        await asyncio.gather(*(wait(seconds) for seconds in (300.0, 0.02, 7.5)))

    _, passed_s, took_s = run(main, speed=100_000)
    assert woken == [0.02, 7.5, 300.0]
    assert passed_s == pytest.approx(300.0, abs=0.001)
    assert took_s < 10


def test_the_clock_stands_while_there_is_work() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began_s, until_s = loop.time(), time.perf_counter() + 0.01
        while time.perf_counter() < until_s:
            pass
        return loop.time() - began_s

    stood_s, _, _ = run(main, speed=1000)
    assert stood_s == 0


def test_a_thread_has_its_time() -> None:
    """Beside it a timer that never rests: on a clock that jumped, years would pass before the thread had said a word."""

    async def main() -> int:
        said = threading.Event()
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(1.0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        threading.Timer(0.02, said.set).start()
        _ = await asyncio.to_thread(said.wait, 30)
        ticking.cancel()
        return ticks

    ticks, passed_s, took_s = run(main, speed=100)
    assert ticks <= passed_s + 1
    assert passed_s <= 100 * (took_s + CREDIT_S) + 1


def test_the_process_s_clocks_go_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("time", "time_ns", "monotonic"):
        # Put back at the end.
        monkeypatch.setattr(time, name, getattr(time, name))
    before_s = time.time()

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CompressedLoop)
        loop.install()
        began_s, date_s = time.monotonic(), time.time()
        await asyncio.sleep(86_400)
        assert time.time_ns() / 1e9 == pytest.approx(time.time(), abs=0.001)
        return time.monotonic() - began_s, time.time() - date_s

    (passed_s, aged_s), _, _ = run(main, speed=1e9)
    assert passed_s == pytest.approx(86_400, abs=0.001)
    assert aged_s == pytest.approx(86_400, abs=0.001)
    assert time.time() == pytest.approx(before_s + 86_400, abs=60)
