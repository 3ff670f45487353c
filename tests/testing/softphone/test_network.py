"""The bad network of the softphone, and a call over it, on a clock that jumps."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from aywa.testing.script import Pause
from aywa.testing.softphone.network import Impairment, Network
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Answer, Dial, Softphone

pytestmark = pytest.mark.virtual_time


async def carried(impairment: Impairment, count: int = 2000) -> tuple[Network, list[tuple[int, float]]]:
    """What arrived: its number, and how long it took."""
    loop = asyncio.get_running_loop()
    network, arrived = Network(impairment), []
    for number in range(count):
        began_s = loop.time()

        def arrive(number: int = number, began_s: float = began_s) -> None:
            arrived.append((number, round(loop.time() - began_s, 9)))

        network.carry(arrive)
        await asyncio.sleep(0.02)
    await asyncio.sleep(1.0)
    return network, arrived


async def test_a_good_one_changes_nothing() -> None:
    network, arrived = await carried(Impairment(), 100)
    assert arrived == [(number, 0.0) for number in range(100)]
    assert (network.lost, network.doubled, network.carried) == (0, 0, 100)


async def test_a_bad_one_does_what_it_says() -> None:
    network, arrived = await carried(Impairment(0.05, 0.06, 0.02))
    assert network.lost == pytest.approx(100, abs=30)
    assert network.doubled == pytest.approx(40, abs=20)
    assert len(arrived) == 2000 - network.lost + network.doubled
    delays = [took_s for _, took_s in arrived]
    assert 0 <= min(delays) < 0.001
    assert 0.059 < max(delays) <= 0.06
    numbers = [number for number, _ in arrived]
    overtaken = sum(after < before for before, after in pairwise(numbers))
    assert overtaken > 200


async def test_the_same_seed_does_the_same() -> None:
    bad = Impairment(0.1, 0.05, 0.1, seed=7)
    assert (await carried(bad, 200))[1] == (await carried(bad, 200))[1]
    assert (await carried(replace(bad, seed=8), 200))[1] != (await carried(bad, 200))[1]


async def test_what_is_under_way_at_the_end_does_not_arrive() -> None:
    network, arrived = Network(Impairment(delay_s=0.1)), []
    network.carry(lambda: arrived.append(1))
    network.close()
    await asyncio.sleep(1.0)
    assert not arrived


async def test_a_call_comes_about_all_the_same() -> None:
    bad = Setup(seed=1, network=Impairment(0.2, 0.06, 0.1, seed=3))
    waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    called = Softphone(replace(bad, seed=2), on_ready=waiting.set_result)
    answering = asyncio.create_task(called.call(Answer(ring_s=1.0), [Pause(3.0)]))
    talked = await Softphone(bad).call(Dial(await waiting), [Pause(2.0)])
    other = await answering
    assert talked.connected
    assert other.connected
    assert talked.phone.audio.arrivals.lost > 0
    assert talked.phone.audio.arrivals.duplicates > 0
    assert talked.phone.audio.arrivals.reordered > 0
