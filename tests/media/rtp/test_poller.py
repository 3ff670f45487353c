"""Sockets are read at once while there are few, and by the clock when there are many."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aywa.media.rtp.poller import Poller
from aywa.media.rtp.settings import RtpSettings

pytestmark = pytest.mark.virtual_time

HOST = "127.0.0.1"


class Box:
    """A socket, and when what came was read."""

    def __init__(self, poller: Poller) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.setblocking(False)
        self.read: list[tuple[float, bytes]] = []
        self._poller = poller
        poller.add(self.socket, self._readable)

    def _readable(self, now: float) -> None:
        data = self.socket.recv(100)
        self.read.append((round(now, 6), data))
        if data == b"fail":
            raise ValueError("as asked")

    def close(self) -> None:
        self._poller.remove(self.socket)
        self._poller.remove(self.socket)
        self.socket.close()

    def get(self, data: bytes) -> None:
        """Sends it, and waits until the kernel has it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(data, self.socket.getsockname())
        assert select.select([self.socket], [], [], 1.0)[0]


@contextmanager
def boxes(count: int, eager_most: int = 2) -> Iterator[list[Box]]:
    settings = RtpSettings(poll_s=0.001, poll_few_s=0.002, few_most=4, eager_most=eager_most)
    poller = Poller(asyncio.get_running_loop(), settings)
    made = [Box(poller) for _ in range(count)]
    try:
        yield made
    finally:
        for box in made:
            box.close()
        poller.close()
        poller.close()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_few_are_read_at_once() -> None:
    with boxes(2) as (first, second):
        first.get(b"a")
        second.get(b"b")
        second.get(b"c")
        await settle()
        assert first.read == [(0.0, b"a")]
        assert second.read == [(0.0, b"b"), (0.0, b"c")]


async def test_many_are_read_by_the_clock() -> None:
    with boxes(3) as (first, *_, last):
        first.get(b"a")
        last.get(b"b")
        await settle()
        assert first.read == []
        await asyncio.sleep(0.003)
        assert first.read == [(0.002, b"a")]
        assert last.read == [(0.002, b"b")]
        await asyncio.sleep(0.5)
        first.get(b"c")
        await asyncio.sleep(0.003)
        assert len(first.read) == 2


async def test_a_crowd_is_read_more_often_from_the_next_reading_on() -> None:
    with boxes(5) as (first, *_, last):
        await asyncio.sleep(0.0001)
        first.get(b"a")
        await asyncio.sleep(0.0022)
        first.get(b"b")
        await asyncio.sleep(0.001)
        last.close()
        await asyncio.sleep(0.001)
        first.get(b"c")
        await asyncio.sleep(0.002)
        assert first.read == [(0.002, b"a"), (0.003, b"b"), (0.006, b"c")]


async def test_it_goes_back_to_reading_at_once() -> None:
    with boxes(3) as (first, *_, last):
        last.close()
        first.get(b"a")
        await settle()
        assert first.read == [(0.0, b"a")]


async def test_a_flood_on_one_does_not_hold_up_the_loop() -> None:
    with boxes(3) as (first, second, _):
        for _ in range(50):
            first.get(b"x")
        second.get(b"y")
        await asyncio.sleep(0.0021)
        assert len(first.read) == 2
        assert len(second.read) == 1
        await asyncio.sleep(0.05)
        assert len(first.read) == 50


async def test_one_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    with boxes(2) as (first, second), caplog.at_level(logging.CRITICAL):
        first.get(b"fail")
        second.get(b"b")
        first.get(b"c")
        await settle()
        assert [data for _, data in first.read] == [b"fail", b"c"]
        assert [data for _, data in second.read] == [b"b"]


async def test_one_may_close_another() -> None:
    poller = Poller(asyncio.get_running_loop(), RtpSettings(eager_most=8))
    first, second = Box(poller), Box(poller)

    def closing(now: float) -> None:
        first.socket.recv(100)
        second.close()

    poller.remove(first.socket)
    poller.add(first.socket, closing)
    first.get(b"a")
    second.get(b"b")
    await settle()
    assert len(second.read) <= 1
    first.close()
    poller.close()


async def test_without_epoll_the_loop_watches_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with boxes(3) as (first, second, _), caplog.at_level(logging.CRITICAL):
        first.get(b"a")
        second.get(b"fail")
        await settle()
        assert first.read == [(0.0, b"a")]
        assert len(second.read) == 1
