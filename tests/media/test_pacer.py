from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from aywa.media.pacer import Pacer, Run
from aywa.media.wheel import Wheel
from aywa.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time

FAR = ("127.0.0.1", 9)


class Desk:
    def __init__(self, slot_s: float = 0.005) -> None:
        self.loop = asyncio.get_running_loop()
        self.wheel = Wheel(self.loop, slot_s)
        self.pacer = Pacer(self.loop, self.wheel, slot_s)
        self.sent: list[tuple[float, bytes]] = []
        self.over: list[float] = []
        self.full = False

    def run(self, name: str, packets: int, then: Callable[[], None] | None = None) -> Run:
        def over() -> None:
            self.over.append(round(self.loop.time(), 6))
            if then is not None:
                then()

        return Run([f"{name}{number}".encode() for number in range(packets)], self.sendto, FAR, over)

    def sendto(self, packet: bytes, destination: tuple[str, int]) -> None:
        assert destination == FAR
        if self.full:
            raise BlockingIOError
        self.sent.append((round(self.loop.time(), 6), packet))

    def times(self, name: str) -> list[float]:
        return [at for at, packet in self.sent if packet.decode().startswith(name)]


async def test_packets_leave_on_their_beat_and_the_end_is_told_with_the_last() -> None:
    at = Desk()
    run = at.run("a", 3)
    assert at.pacer.begin(run, at.loop.time() + 0.015)
    assert run.left == 0
    await asyncio.sleep(0.05)
    assert at.times("a") == [0.015, 0.035]
    assert (run.left, at.over) == (2, [])
    await asyncio.sleep(0.05)
    assert at.times("a") == [0.015, 0.035, 0.055]
    assert at.over == [0.055]


async def test_runs_of_one_phase_leave_together_and_may_begin_a_frame_later() -> None:
    at = Desk()
    assert at.pacer.begin(at.run("a", 3), 0.01)
    assert at.pacer.begin(at.run("b", 2), 0.01)
    assert at.pacer.begin(at.run("c", 2), 0.03)
    # Nobody knows what is then.
    assert not at.pacer.begin(at.run("d", 2), 0.05)
    await asyncio.sleep(0.2)
    assert at.times("a") == [0.01, 0.03, 0.05]
    assert at.times("b") == [0.01, 0.03]
    assert at.times("c") == [0.03, 0.05]
    assert at.times("d") == []


async def test_what_is_halted_stays_and_another_may_take_its_place_at_once() -> None:
    at = Desk()
    run, later = at.run("a", 9), at.run("later", 9)
    assert at.pacer.begin(run, 0.0)
    assert at.pacer.begin(later, 0.02)
    await asyncio.sleep(0.01)
    at.pacer.halt(run)
    at.pacer.halt(later)
    at.pacer.halt(later)
    assert (run.left, later.left) == (1, 0)
    again = at.run("b", 2)
    assert at.pacer.begin(again, 0.02)
    await asyncio.sleep(0.2)
    assert at.times("a") == [0.0]
    assert at.times("b") == [0.02, 0.04]
    assert at.over == [0.04]


async def test_whoever_is_told_of_the_end_may_begin_the_next() -> None:
    at = Desk()

    def go_on() -> None:
        assert at.pacer.begin(at.run("b", 2), at.loop.time() + 0.02)

    assert at.pacer.begin(at.run("a", 2, go_on), 0.0)
    await asyncio.sleep(0.2)
    assert [moment for moment, _ in at.sent] == [0.0, 0.02, 0.04, 0.06]


async def test_the_past_an_empty_run_and_slots_that_do_not_fit_are_refused() -> None:
    at = Desk()
    await asyncio.sleep(1)
    assert not at.pacer.begin(at.run("a", 2), 0.9)
    assert not at.pacer.begin(at.run("a", 0), 1.0)
    assert not Desk(0.003).pacer.begin(at.run("a", 2), 1.0)


async def test_a_loop_that_was_held_up_for_longer_than_a_frame_asks_anew() -> None:
    at = Desk()
    run, other = at.run("a", 9), at.run("b", 9)
    assert at.pacer.begin(run, 0.0)
    await asyncio.sleep(0.001)
    assert isinstance(at.loop, VirtualTimeLoop)
    # A little late is late once.
    at.loop.hold_up(0.03)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert at.times("a") == [0.0, 0.031]
    assert at.pacer.begin(other, 0.04)
    at.loop.hold_up(0.05)
    await asyncio.sleep(0.1)
    assert (run.left, other.left) == (2, 0)
    assert at.over == [0.081, 0.081]


async def test_a_system_that_takes_no_packet_is_counted() -> None:
    at = Desk()
    at.full = True
    run = at.run("a", 2)
    assert at.pacer.begin(run, 0.0)
    await asyncio.sleep(0.1)
    assert (run.unsent, run.left, at.over) == (2, 2, [0.02])
