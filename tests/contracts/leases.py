"""What every store must do about whose a call is. A test file gives `store` and `other` (another process's, over the same
database), and inherits the class."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aywa.core.leases import Fence
from aywa.ports.leases import Buried, OwnedCall, Usurped
from aywa.ports.outbox import DeliveryQuery
from aywa.ports.store import Store
from tests.contracts.outbox import delivery
from tests.contracts.store import ORG, call, projection, record, tenants

__all__ = ["tenants"]

MINE, YOURS = Fence("a", 10**9), Fence("b", 10**9)


@pytest.mark.usefixtures("tenants")
class LeasesContract:
    async def test_tokens_only_grow(self, store: Store, other: Store) -> None:
        tokens = [await each.leases.join(name) for each, name in ((store, "a"), (other, "b"), (store, "a"))]
        assert tokens == sorted(set(tokens))
        taken, _ = await store.leases.take("a")
        assert taken > tokens[-1]

    async def test_each_beat_is_seen_by_all_who_have_joined(self, store: Store, other: Store) -> None:
        await store.leases.join("a")
        assert list(await store.leases.beat()) == ["a"]
        await other.leases.join("b")
        first, second = await other.leases.beat(), await other.leases.beat()
        assert first.keys() == second.keys() == {"a", "b"}
        assert (first["a"], first["b"] + 1) == (second["a"], second["b"])
        await other.leases.leave()
        assert list(await store.leases.beat()) == ["a"]

    async def test_a_name_belongs_to_who_joined_last(self, store: Store, other: Store) -> None:
        await store.leases.join("a")
        await other.leases.join("a")
        with pytest.raises(Usurped):
            await store.leases.beat()
        await store.leases.leave()
        assert list(await other.leases.beat()) == ["a"]

    async def test_what_a_process_begins_is_its_own(self, store: Store, other: Store) -> None:
        await store.leases.join("a")
        await store.calls.insert(call("one"), 0)
        await store.calls.insert(call("later", due_ms=20), 0)
        assert await store.calls.claim(ORG.id, "later", 21, lambda body: body | {"status": "queued"})
        await store.calls.insert(call("scheduled", due_ms=20), 0)
        for name in ("one", "later"):
            assert set(await other.apply([record(name, 1)], [], fence=YOURS)) == {name}
            assert not await store.apply([record(name, 1)], [], fence=MINE)
        assert not await other.apply([record("scheduled", 1)], [], fence=YOURS)

    async def test_a_call_that_begins_with_its_record_is_its_writer_s(self, store: Store) -> None:
        assert not await store.apply([record("one", 1)], [projection("one", 1, status="queued")], fence=MINE)
        assert set(await store.apply([record("one", 2)], [], fence=YOURS)) == {"one"}

    async def test_of_a_call_that_is_another_s_nothing_is_written(self, store: Store) -> None:
        await store.leases.join("a")
        await store.calls.insert(call("one"), 0)
        batch = (
            [record("one", 1), record("two", 1)],
            [projection("one", 1, status="in-progress"), projection("two", 1, status="queued")],
            [delivery("d1", "one", 1), delivery("d2", "two", 1), delivery("d3")],
        )
        assert set(await store.apply(*batch, fence=YOURS)) == {"one"}
        assert await store.events(None, "one") == []
        kept = await store.calls.get(ORG.id, "one")
        assert kept is not None
        assert '"in-progress"' not in kept.text
        assert len(await store.events(None, "two")) == 1
        assert {row.delivery.id for row in await store.outbox.list(ORG.id, DeliveryQuery())} == {"d2", "d3"}
        # Without a fence nothing is asked.
        assert not await store.apply(*batch)

    async def test_the_calls_of_who_is_dead_are_taken_once(self, store: Store, other: Store) -> None:
        token = await store.leases.join("a")
        await store.calls.insert(call("runs"), 0)
        await store.calls.insert(call("ended"), 0)
        await store.apply([], [projection("ended", 1, status="ended")])
        await other.leases.join("b")
        beats = await other.leases.beat()
        assert await other.leases.take("a", beats["a"] - 1) == (0, ())
        tried = await asyncio.gather(*(other.leases.take("a", beats["a"]) for _ in range(3)))
        [(new, taken)] = [each for each in tried if each[0]]
        assert taken == [OwnedCall("runs", ORG.id)]
        assert new > token
        assert set(await store.apply([record("runs", 1)], [], fence=Fence("a", token))) == {"runs"}
        assert not await other.apply([record("runs", 1)], [], fence=Fence("b", new))
        # What had ended is still its own: a late record of it is welcome.
        assert not await store.apply([record("ended", 2)], [], fence=Fence("a", token))
        with pytest.raises(Buried):
            await store.leases.beat()

    async def test_what_was_given_without_an_answer_is_found_and_nothing_else(
        self, store: Store, other: Store
    ) -> None:
        await store.leases.join("a")
        await store.calls.insert(call("runs"), 0)
        await other.leases.join("b")
        await other.calls.insert(call("own"), 0)
        token, found = await other.leases.unanswered()
        assert (token > 0, found) == (True, [])
        leases: Any = other.leases
        known = leases._token
        assert (await other.leases.take("a", (await other.leases.beat())["a"]))[0]
        # The answer never came.
        leases._token = known
        await other.calls.insert(call("own too"), 0)
        token, found = await other.leases.unanswered()
        assert found == [OwnedCall("runs", ORG.id)]
        assert not await other.apply([record("runs", 1), record("own", 1)], [], fence=Fence("b", token))
        assert (await other.leases.unanswered())[1] == []

    async def test_who_comes_back_has_what_is_still_his(self, store: Store, other: Store) -> None:
        await store.leases.join("a")
        await store.calls.insert(call("old"), 0)
        await other.leases.join("b")
        beats = await other.leases.beat()
        taken, _ = await other.leases.take("a", beats["a"])
        await store.calls.insert(call("new"), 0)
        again = await store.leases.join("a")
        assert again > taken
        token, owned = await store.leases.take("a")
        assert (token > again, owned) == (True, [OwnedCall("new", ORG.id)])
        # What was on its way before a call came back is late.
        await store.leases.take("b", (await store.leases.beat())["b"])
        assert set(await store.apply([record("old", 1)], [], fence=Fence("a", token))) == {"old"}
