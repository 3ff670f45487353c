"""Ports: even ones in turn, drained before they are used again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aywa.media.rtp.poller import Poller
from aywa.media.rtp.ports import NoPorts, PortPair, RtpPorts
from aywa.media.rtp.settings import RtpSettings

pytestmark = pytest.mark.virtual_time

HOST = "127.0.0.1"


def free_range(pairs: int) -> int:
    """The first port of so many pairs that nobody has now."""
    for first in range(41_000, 60_000, 2 * pairs):
        probes: list[socket.socket] = []
        try:
            for port in range(first, first + 2 * pairs):
                probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                probes.append(probe)
                probe.bind((HOST, port))
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
        return first
    raise AssertionError("no free ports")


@contextmanager
def ports(pairs: int, turn: int = 0) -> Iterator[tuple[RtpPorts, int]]:
    loop = asyncio.get_running_loop()
    first = free_range(pairs)
    settings = RtpSettings(first_port=first, last_port=first + 2 * pairs - 1, drain_s=1.0, rest_s=5.0)
    poller = Poller(loop, settings)
    pool = RtpPorts(loop, poller, settings, lambda many: turn % many)
    try:
        yield pool, first
    finally:
        pool.close()
        poller.close()


async def test_a_pair_is_an_even_port_and_the_next() -> None:
    with ports(3) as (pool, first):
        pair = pool.reserve(HOST)
        assert (pair.host, pair.port, pair.rtcp_port) == (HOST, first, first + 1)
        assert pair.audio.getsockname() == (HOST, first)
        assert pair.reports.getsockname() == (HOST, first + 1)
        assert pair.audio.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xB8
        assert pool.free == 2


async def test_the_first_port_cannot_be_foretold() -> None:
    with ports(3, turn=2) as (pool, first):
        assert [pool.reserve(HOST).port for _ in range(3)] == [first + 4, first, first + 2]


async def test_ports_of_others_are_passed_over() -> None:
    with ports(2) as (pool, first):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((HOST, first + 1))
            assert pool.reserve(HOST).port == first + 2
            with pytest.raises(NoPorts, match="1 in use"):
                pool.reserve(HOST)
        assert pool.reserve(HOST).port == first


async def test_a_host_that_is_not_ours_is_told_at_once() -> None:
    with ports(2) as (pool, _):
        with pytest.raises(OSError, match="assign"):
            pool.reserve("192.0.2.1")
        assert pool.free == 2


async def test_a_pair_is_drained_and_rests_before_it_is_used_again() -> None:
    with ports(1) as (pool, first):
        pair = pool.reserve(HOST)
        pair.release()
        pair.release()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.sendto(b"late", (HOST, first))
            late.sendto(b"late", (HOST, first + 1))
        await asyncio.sleep(0.5)
        assert pair.late == 2
        with pytest.raises(NoPorts, match="1 at rest"):
            pool.reserve(HOST)
        await asyncio.sleep(0.6)
        assert pair.audio.fileno() == -1
        assert pool.free == 0
        await asyncio.sleep(5.0)
        assert pool.reserve(HOST).port == first


async def test_the_longest_unused_is_next() -> None:
    with ports(3) as (pool, first):
        held: list[PortPair] = [pool.reserve(HOST) for _ in range(2)]
        held[1].release()
        await asyncio.sleep(0.5)
        held[0].release()
        await asyncio.sleep(10)
        assert [pool.reserve(HOST).port - first for _ in range(3)] == [4, 2, 0]


async def test_a_certain_port_can_be_had() -> None:
    with ports(3) as (pool, first):
        assert pool.reserve(HOST, first + 2).port == first + 2
        assert [pool.reserve(HOST).port for _ in range(2)] == [first, first + 4]
        with pytest.raises(OSError, match="in use"):
            pool.reserve(HOST, first)


async def test_six_is_as_good_as_four() -> None:
    with ports(1) as (pool, first):
        pair = pool.reserve("::1")
        assert pair.audio.getsockname()[:2] == ("::1", first)


@pytest.mark.parametrize(("first", "last"), [(5001, 5002), (5000, 5000), (0, 100), (65_534, 70_000)])
async def test_a_range_without_a_pair_is_refused(first: int, last: int) -> None:
    loop = asyncio.get_running_loop()
    poller = Poller(loop, RtpSettings())
    with pytest.raises(ValueError, match="no pair of ports"):
        RtpPorts(loop, poller, RtpSettings(first_port=first, last_port=last), lambda many: 0)
    poller.close()
