"""What every store must know of the calls that analytics has not been told of. A file gives `store` and inherits the class."""

from __future__ import annotations

import asyncio
import json

from aywa.ports.analytics import Backlog
from aywa.ports.store import Store
from tests.contracts.store import ORG, call, projection, record

LEASE = 1000
FAR = 10**15


async def told(store: Store, now: int = 0) -> list[tuple[str, int]]:
    """Tells all that waits."""
    claimed = await store.notches.claim(now, now + LEASE, 100)
    await store.notches.settle(claimed)
    return sorted((each.call_id, each.version) for each in claimed)


class NotchesContract:
    async def test_every_way_to_change_a_call_is_counted(self, store: Store) -> None:
        await store.calls.insert(call("a", 10), 0)
        assert await told(store) == [("a", 1)]
        await store.apply([record("a", 1)], [projection("a", 1, status="in-progress")])
        assert await told(store) == [("a", 2)]
        await store.calls.change(ORG.id, "a", 30, lambda body: body | {"name": "x"})
        await store.apply([record("b", 1)], [projection("b", 1, status="queued")])
        assert await told(store) == [("a", 3), ("b", 1)]
        await store.calls.delete(ORG.id, "a", 40)
        [gone] = await store.notches.claim(0, LEASE, 100)
        assert (gone.call_id, gone.version, gone.document, gone.created_ms) == ("a", 4, None, 10)
        await store.notches.settle([gone])
        assert await told(store, FAR) == []

    async def test_what_changes_nothing_of_a_call_is_not_told(self, store: Store) -> None:
        await store.apply([record("a", 1)], [projection("a", 1, status="queued")])
        assert await told(store) == [("a", 1)]
        for _ in range(2):
            await store.apply([record("a", 1), record("a", 2)], [projection("a", 1, status="queued")])
        assert await told(store, FAR) == []

    async def test_a_call_comes_with_its_newest_document_and_the_records_asked_for(
        self, store: Store
    ) -> None:
        records = [record("a", seq, n=seq) for seq in (1, 2, 3)]
        await store.apply(records, [projection("a", 3, status="ended", cost=0.5)])
        [one] = await store.notches.claim(0, LEASE, 100)
        assert one.document is not None
        body = json.loads(one.document)
        assert (one.org_id, body["cost"], body["status"]) == (ORG.id, 0.5, "ended")
        found = await store.notches.records("a", ["Happened", "Other"])
        assert [(seq, at_s, kind, data["n"]) for seq, at_s, kind, data in found] == [
            (seq, seq / 10, "Happened", seq) for seq in (1, 2, 3)
        ]
        assert await store.notches.records("a", ["Other"]) == []

    async def test_a_change_while_it_is_told_is_told_again(self, store: Store) -> None:
        await store.calls.insert(call("a"), 0)
        [claimed] = await store.notches.claim(0, LEASE, 100)
        await store.calls.change(ORG.id, "a", 20, lambda body: body)
        await store.notches.settle([claimed])
        assert (await store.notches.backlog()).calls == 1
        assert await told(store) == [("a", 2)]
        # Whoever comes late with what he claimed before settles nothing newer.
        await store.calls.change(ORG.id, "a", 20, lambda body: body)
        await store.notches.settle([claimed])
        assert await told(store) == [("a", 3)]

    async def test_what_is_claimed_is_nobody_else_s_until_it_is_let_go_or_its_lease_is_over(
        self, store: Store
    ) -> None:
        for name in ("a", "b"):
            await store.calls.insert(call(name), 0)
        first = await store.notches.claim(0, LEASE, 100)
        assert len(first) == 2
        assert await store.notches.claim(LEASE - 1, FAR, 100) == []
        await store.notches.release([each for each in first if each.call_id == "a"])
        [again] = await store.notches.claim(1, LEASE, 100)
        assert again.call_id == "a"
        assert len(await store.notches.claim(LEASE, 2 * LEASE, 100)) == 2

    async def test_of_several_who_claim_at_once_one_gets_a_call(self, store: Store) -> None:
        for index in range(20):
            await store.calls.insert(call(f"c{index:02}"), 0)
        found = await asyncio.gather(*(store.notches.claim(0, LEASE, 5) for _ in range(4)))
        names = [each.call_id for claimed in found for each in claimed]
        assert len(names) == len(set(names))

    async def test_the_longest_waiting_come_first_and_the_backlog_says_since_when(self, store: Store) -> None:
        assert await store.notches.backlog() == Backlog(0, None)
        for name, at_ms in (("a", 30), ("b", 10), ("c", 20)):
            await store.calls.insert(call(name, at_ms), 0)
        assert await store.notches.backlog() == Backlog(3, 10)
        # What waits goes on waiting since its first change.
        await store.calls.change(ORG.id, "b", 50, lambda body: body)
        claimed = await store.notches.claim(0, LEASE, 2)
        assert {each.call_id for each in claimed} == {"b", "c"}
        await store.notches.settle(claimed)
        assert await store.notches.backlog() == Backlog(1, 30)
        await store.calls.change(ORG.id, "b", 60, lambda body: body)
        assert await store.notches.backlog() == Backlog(2, 30)

    async def test_all_can_be_told_anew_as_something_newer(self, store: Store) -> None:
        for name in ("a", "b"):
            await store.calls.insert(call(name), 0)
        assert await told(store) == [("a", 1), ("b", 1)]
        assert await store.notches.again() == 2
        assert await store.notches.page("", 1) == [("a", 2)]
        assert await store.notches.page("a", 5) == [("b", 2)]
        assert await told(store) == [("a", 2), ("b", 2)]
