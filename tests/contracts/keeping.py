"""What every store must know of calls that are kept for a time, and of those that went. A file gives `store` and inherits it."""

from __future__ import annotations

from aywa.core.webhooks import Delivery
from aywa.ports.store import RemovedCall, Store
from tests.contracts.outbox import claim, delivery, done
from tests.contracts.store import ORG, OTHER, call, projection, record

AT = "2026-01-01T00:00:00.000Z"
AT_MS = 1_767_225_600_000
LATER = "2026-01-02T00:00:00.000Z"
FAR = AT_MS * 2


async def ended(store: Store, call_id: str, org_id: str = ORG.id, *told: Delivery, expires: str = AT) -> None:
    """As the projector leaves a call that nothing more comes of."""
    done = projection(call_id, 1, org_id, status="ended", expiresAt=expires)
    await store.apply([record(call_id, 1, org_id)], [done], told)


async def due(store: Store, now_ms: int, limit: int = 100) -> list[str]:
    return [document.id for document in await store.calls.expired(now_ms, limit)]


class KeepingContract:
    async def test_a_call_is_due_when_its_time_is_over(self, store: Store) -> None:
        await store.calls.insert(call("made-before"), 0)
        for name, at in (("made-before", LATER), ("made-here", AT)):
            await ended(store, name, expires=at)
        await store.apply([record("for-good", 1)], [projection("for-good", 1, status="ended")])
        assert await due(store, AT_MS - 1) == []
        assert await due(store, AT_MS) == ["made-here"]
        assert await due(store, AT_MS + 86_400_000) == ["made-here", "made-before"]
        assert await due(store, FAR, 1) == ["made-here"]

    async def test_what_is_still_to_be_told_is_waited_for(self, store: Store) -> None:
        await ended(store, "a", ORG.id, delivery("report", "a"))
        assert await due(store, FAR) == []
        [claimed] = await claim(store.outbox, FAR)
        assert await due(store, FAR) == []
        await store.outbox.finish([done(claimed, FAR)], FAR)
        assert await due(store, FAR) == ["a"]

    async def test_what_went_is_on_record_and_nothing_of_it_is_left(self, store: Store) -> None:
        for name, org_id in (("a", ORG.id), ("b", ORG.id), ("c", OTHER.id)):
            await store.calls.insert(call(name, 10, org_id, assistant_id="assistant"), 0)
            await ended(store, name, org_id)
        assert await store.calls.delete(ORG.id, "a", 50, expired=True) is not None
        assert await store.calls.delete(ORG.id, "a", 60, expired=True) is None
        assert await store.calls.delete(OTHER.id, "c", 40) is not None
        assert await due(store, FAR) == ["b"]
        gone = [
            RemovedCall("a", ORG.id, "assistant", 10, 50, expired=True),
            RemovedCall("c", OTHER.id, "assistant", 10, 40, expired=False),
        ]
        assert await store.calls.removed(None, 10) == gone
        assert await store.calls.removed(None, 1) == gone[:1]
        assert await store.calls.removed(OTHER.id, 10) == gone[1:]
        assert await store.calls.gone(["a", "b", "none"]) == gone[:1]
        assert await store.calls.gone([]) == []
        assert await store.events(None, "a") == []
        # What comes late is dropped.
        await store.apply(
            [record("a", 2)], [projection("a", 2, status="ended", expiresAt=AT, messages=["x"])]
        )
        assert await store.calls.get(ORG.id, "a") is None
        assert await store.events(None, "a") == []
        assert await due(store, FAR) == ["b"]
