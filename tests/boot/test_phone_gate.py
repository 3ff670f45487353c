"""The gate closes under load and opens again, on a clock that jumps."""

from __future__ import annotations

import asyncio

import pytest

from aywa.boot.phone_gate import Gate

pytestmark = pytest.mark.virtual_time


async def test_it_closes_after_two_busy_seconds_and_opens_after_two_quiet_ones() -> None:
    shares = iter([0.5, 0.95, 0.5, 0.95, 0.95, 0.85, 0.85, 0.7, 0.7, 0.7])
    used = 0.0

    def cpu_s() -> float:
        nonlocal used
        used += next(shares, 0.0)
        return used

    told: list[tuple[float, bool]] = []
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    gate = Gate(0.9, lambda closed: told.append((round(loop.time() - start_s), closed)), cpu_s)
    gate.start()
    await asyncio.sleep(9.5)
    gate.stop()
    await asyncio.sleep(5)
    # The first reading is where counting begins; one busy second alone changes nothing.
    assert told == [(4, True), (8, False)]
    assert not gate.closed


async def test_stopped_before_it_began() -> None:
    Gate(0.9, lambda closed: None).stop()
