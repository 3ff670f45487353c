"""The outbox over the embedded store: the contract, and what is the whole store's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.outbox import DeliveryQuery, Outbox
from aywa.ports.store import Organisation, Store
from tests.contracts import outbox as contract
from tests.contracts.outbox import ORG, T, claim, delivery
from tests.contracts.store import call, projection, record


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    yield opened
    await opened.close()


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return store.outbox


class TestOutbox(contract.OutboxContract):
    pass


async def test_deliveries_are_written_with_the_calls_record_and_a_batch_that_comes_twice_writes_them_once(
    store: Store,
) -> None:
    batch = ([record("call", 1)], [projection("call", 1, status="ended")], [delivery("a", "call", 1)])
    await store.apply(*batch)
    now = (await store.outbox.list(ORG, DeliveryQuery()))[0].due_ms
    assert len(await claim(store.outbox, now)) == 1
    await store.apply(*batch)
    assert await claim(store.outbox, now + 10**6) == []


async def test_of_a_deleted_call_nothing_is_sent_and_nothing_kept(store: Store) -> None:
    await store.organisations.insert(Organisation(ORG, "one", 1))
    await store.calls.insert(call("call"), 0)
    await store.apply([], [], [delivery("a", "call", 1), delivery("b", "other", 1)])
    await claim(store.outbox, T * 10**7)
    await store.calls.delete(ORG, "call", 5)
    await store.apply([], [], [delivery("c", "call", 2), delivery("d")])
    left = [row.delivery.id for row in await store.outbox.list(ORG, DeliveryQuery())]
    assert left == ["d", "b"]
    assert await store.outbox.attempts(ORG, ["a"]) == []
