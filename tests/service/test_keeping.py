"""What goes of calls whose time is over, and what goes on after whoever removed it was stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Document, RemovedCall
from aywa.service import keeping as keepings
from aywa.service.keeping import LOOK_S, SETTLED_MS, Keeping


class Killed(BaseException):
    """As if by kill -9: nobody catches it."""


@dataclass
class World:
    """Calls with the time until which they are kept, and files. steps: how many more are taken before whoever takes them is
    killed; None: all."""

    expires_ms: dict[str, int] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    dead: list[RemovedCall] = field(default_factory=list)
    steps: int | None = None
    away: bool = False
    taken: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    told: int = 0

    async def expired(self, now_ms: int, limit: int) -> Sequence[Document]:
        if self.away:
            raise StoreUnavailable("away")
        due = [name for name, at_ms in self.expires_ms.items() if at_ms <= now_ms]
        return [Document(name, "org", 0, 0, '{"said": "planted"}') for name in sorted(due)[:limit]]

    async def delete(self, org_id: str, call_id: str, now_ms: int, *, expired: bool) -> Document | None:
        self._step()
        if call_id in self.taken or self.expires_ms.pop(call_id, None) is None:
            return None
        self.dead.append(RemovedCall(call_id, org_id, None, 0, now_ms, expired))
        return Document(call_id, org_id, 0, 0, "{}")

    async def gone(self, ids: Collection[str]) -> Sequence[RemovedCall]:
        return [call for call in self.dead if call.id in ids]

    async def remove(self, org_id: str, call_id: str) -> None:
        self._step()
        self.asked.append((org_id, call_id))
        self.files.discard(call_id)

    def _step(self) -> None:
        if self.steps == 0:
            raise Killed
        if self.steps is not None:
            self.steps -= 1

    def count(self) -> None:
        self.told += 1


def keeping(world: Any, now_ms: int = 10**12, files: bool = True) -> Keeping:
    return Keeping(world, world if files else None, lambda: now_ms, lambda: sorted(world.files), world.count)


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=2), st.integers(0, 3)), st.lists(st.integers(0, 5))
)
def test_killed_anywhere_no_call_goes_without_its_files(calls: dict[str, int], deaths: list[int]) -> None:
    world = World({name: day * 1000 for name, day in calls.items()}, set(calls))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keepings, "AT_ONCE", 2)
        for world.steps in deaths:
            try:
                asyncio.run(keeping(world, SETTLED_MS + 2000).remove_expired())
            except Killed:
                assert not {call.id for call in world.dead} & world.files
        world.steps = None
        asyncio.run(keeping(world, SETTLED_MS + 2000).remove_expired())
    kept = {name for name, day in calls.items() if day > 2}
    assert set(world.expires_ms) == world.files == kept
    assert all(call.expired for call in world.dead)


def test_a_call_is_left_alone_until_its_last_file_is_written() -> None:
    world = World({"a": 5000}, {"a"})
    assert asyncio.run(keeping(world, 5000 + SETTLED_MS - 1).remove_expired()) == 0
    assert world.told == 0
    assert asyncio.run(keeping(world, 5000 + SETTLED_MS).remove_expired()) == 1
    assert (world.files, world.told, world.asked) == (set(), 1, [("org", "a")])


def test_of_two_that_are_at_it_each_leaves_the_other_its_calls() -> None:
    world = World({"a": 0, "b": 0}, taken={"a"})
    assert asyncio.run(keeping(world).remove_expired()) == 1
    assert set(world.expires_ms) == {"a"}


def test_where_nothing_is_kept_as_a_file_the_rows_go() -> None:
    world = World({"a": 0})
    assert asyncio.run(keeping(world, files=False).remove_expired()) == 1
    assert world.asked == []


def test_files_of_calls_that_went_elsewhere_go_by_themselves() -> None:
    world = World(files={"a", "b", "c"}, dead=[RemovedCall("b", "org", None, 0, 1, expired=False)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keepings, "SWEPT_AT_ONCE", 1)
        assert asyncio.run(keeping(world).sweep()) == 1
    assert (world.files, world.asked) == ({"a", "c"}, [("org", "b")])


@pytest.mark.virtual_time
async def test_it_looks_again_and_again_and_waits_for_the_store() -> None:
    world = World({"a": 0}, {"a"}, away=True)
    task = asyncio.get_running_loop().create_task(keeping(world).run())
    with capture_logs() as logs:
        await asyncio.sleep(LOOK_S / 2)
        assert set(world.expires_ms) == {"a"}
        world.away = False
        await asyncio.sleep(LOOK_S)
        assert (world.expires_ms, world.files) == ({}, set())
        # One that went elsewhere meanwhile is found when it looks over its files again.
        world.files, world.dead = {"z"}, [replace(world.dead[0], id="z")]
        await asyncio.sleep(LOOK_S * keepings.SWEPT_EVERY)
        assert world.files == set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [log["event"] for log in logs] == ["retention_waits", "call_expired"]
    assert "planted" not in str(logs)
