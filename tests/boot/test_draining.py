from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from aywa.boot.draining import Drained, Draining

pytestmark = pytest.mark.virtual_time


@dataclass
class Part:
    busy_s: float
    drained: bool = False
    began: list[str] = field(default_factory=list)

    def drain(self) -> None:
        self.drained = True

    async def idle(self) -> None:
        await asyncio.sleep(self.busy_s)


def draining(*parts: Part, left: int = 0) -> tuple[Draining, list[str]]:
    stopped: list[str] = []

    def all_of() -> list[Drained]:
        return list(parts)

    return Draining(
        all_of, lambda: left, lambda: stopped.append("schedule"), lambda: 1_700_000_000_000
    ), stopped


async def test_it_waits_for_all_and_says_so_meanwhile() -> None:
    loop = asyncio.get_running_loop()
    parts = (Part(3), Part(4))
    one, stopped = draining(*parts)
    assert await one.check() is None
    began_s = loop.time()
    assert await one.run(60) == 0
    assert loop.time() - began_s == pytest.approx(7)
    assert all(part.drained for part in parts)
    assert stopped == ["schedule"]
    assert "draining since 2023-11-14T22:13:20" in str(await one.check())


async def test_it_waits_no_longer_than_it_may() -> None:
    loop = asyncio.get_running_loop()
    one, _ = draining(Part(1000), left=2)
    began_s = loop.time()
    assert await one.run(60) == 2
    assert loop.time() - began_s == pytest.approx(60)
    assert "2 calls run on" in str(await one.check())
