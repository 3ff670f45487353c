"""One waits for news that another has."""

from __future__ import annotations

import asyncio

import pytest

from aywa.adapters.wire.bell import Bell


async def waiting(bell: Bell) -> asyncio.Task[None]:
    """One who waits already."""
    task = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    return task


async def test_who_waits_goes_on_when_it_rings() -> None:
    bell = Bell()
    task = await waiting(bell)
    assert not task.done()
    bell.ring()
    bell.ring()
    await task
    again = await waiting(bell)
    assert not again.done()
    again.cancel()


async def test_who_comes_after_it_rang_does_not_wait_and_who_comes_then_does() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    await bell.wait()
    task = await waiting(bell)
    assert not task.done()
    bell.ring()
    await task


async def test_who_was_cancelled_waits_no_longer() -> None:
    bell = Bell()
    task = await waiting(bell)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    bell.ring()
    await bell.wait()


async def test_cancelled_just_as_it_rings_the_next_one_hears_it() -> None:
    bell = Bell()
    task = await waiting(bell)
    bell.ring()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    next_one = await waiting(bell)
    await next_one


async def test_two_who_wait_are_one_too_many() -> None:
    bell = Bell()
    task = await waiting(bell)
    with pytest.raises(RuntimeError, match="already"):
        await bell.wait()
    bell.ring()
    await task
