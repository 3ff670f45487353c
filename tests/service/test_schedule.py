"""The schedule's task: it looks when it is woken, when the next call is due, and after a store was away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Document
from aywa.service.schedule import LOOK_S, Schedule


@dataclass
class Waiting:
    """A store and the calls of it, in virtual time."""

    due_s: dict[str, float] = field(default_factory=dict)
    begun: list[tuple[str, float]] = field(default_factory=list)
    away: bool = False
    places: int = 1_000
    asked: int = 0

    def now_ms(self) -> int:
        return round(asyncio.get_running_loop().time() * 1000)

    async def due(self, now_ms: int, limit: int) -> list[Document]:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        names = [name for name, due_s in self.due_s.items() if due_s * 1000 <= now_ms]
        return [Document(name, "org", 0, 0, "{}") for name in names[:limit]]

    async def next_due_ms(self) -> int | None:
        return round(min(self.due_s.values()) * 1000) if self.due_s else None

    async def begin_due(self, document: Document) -> bool:
        if self.places == 0:
            return False
        self.places -= 1
        del self.due_s[document.id]
        self.begun.append((document.id, asyncio.get_running_loop().time()))
        return True


async def _running(waiting: Any) -> tuple[Schedule, asyncio.Task[None]]:
    schedule = Schedule(waiting, waiting, waiting.now_ms)
    task = asyncio.get_running_loop().create_task(schedule.run())
    await asyncio.sleep(0)
    return schedule, task


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.virtual_time
async def test_a_call_begins_at_its_time_and_a_new_one_is_not_slept_through() -> None:
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    waiting = Waiting({"later": start_s + 2.5})
    schedule, task = await _running(waiting)
    await asyncio.sleep(1)
    waiting.due_s["sooner"] = start_s + 1.25
    schedule.wake()
    await asyncio.sleep(3)
    assert [name for name, _ in waiting.begun] == ["sooner", "later"]
    assert [at_s - start_s for _, at_s in waiting.begun] == pytest.approx([1.25, 2.5], abs=0.01)
    await _stop(task)


@pytest.mark.virtual_time
async def test_what_another_process_wrote_is_found_and_a_store_that_is_away_is_asked_again() -> None:
    loop = asyncio.get_running_loop()
    waiting = Waiting(away=True)
    _, task = await _running(waiting)
    await asyncio.sleep(0.01)
    waiting.away = False
    waiting.due_s["theirs"] = loop.time()
    await asyncio.sleep(LOOK_S + 0.1)
    assert [name for name, _ in waiting.begun] == ["theirs"]
    asked = waiting.asked
    await asyncio.sleep(10 * LOOK_S)
    assert waiting.asked - asked <= 12
    await _stop(task)


@pytest.mark.virtual_time
async def test_those_that_wait_for_room_begin_in_their_order_as_soon_as_there_is_some() -> None:
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    waiting = Waiting({name: start_s + at_s for at_s, name in enumerate("abc")}, places=0)
    schedule, task = await _running(waiting)
    await asyncio.sleep(3)
    assert waiting.begun == []
    for places in (1, 2):
        waiting.places = places
        schedule.room()
        await asyncio.sleep(0.01)
    assert [name for name, _ in waiting.begun] == ["a", "b", "c"]
    asked = waiting.asked
    schedule.room()
    await asyncio.sleep(0.01)
    # Nobody waits: a call that ends costs the store nothing.
    assert waiting.asked == asked
    await _stop(task)


@pytest.mark.virtual_time
async def test_room_that_nobody_told_of_is_found_by_looking() -> None:
    waiting = Waiting({"a": asyncio.get_running_loop().time()}, places=0)
    _, task = await _running(waiting)
    await asyncio.sleep(LOOK_S / 2)
    waiting.places = 1
    await asyncio.sleep(LOOK_S)
    assert [name for name, _ in waiting.begun] == ["a"]
    await _stop(task)
