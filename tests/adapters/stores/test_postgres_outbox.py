"""The outbox over PostgreSQL: the contract, several processes at once, and a database that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from aywa.adapters.stores.postgres import open_outbox
from aywa.adapters.stores.postgres.outbox import PostgresOutbox
from aywa.ports.journal import StoreUnavailable
from tests.adapters.stores.conftest import emptied
from tests.contracts import outbox as contract
from tests.contracts.outbox import T, claim, delivery, ids
from tests.peers.postgres import Postgres


@pytest.fixture
async def outbox(cluster: Postgres) -> AsyncIterator[PostgresOutbox]:
    opened = await open_outbox(cluster.address)
    await emptied(cluster.address)
    yield opened
    await opened.close()


class TestOutbox(contract.OutboxContract):
    pass


async def test_several_who_claim_at_once_get_each_delivery_once(outbox: PostgresOutbox) -> None:
    await outbox.enqueue([delivery(f"d{n}", f"call{n % 20}", n) for n in range(400)], T)
    claimed: list[str] = []
    while batch := await asyncio.gather(*(claim(outbox, limit=7, owner=f"w{n}") for n in range(4))):
        found = [one for part in batch for one in part]
        if not found:
            break
        assert len({one.delivery.call_id for one in found}) == len(found)
        claimed += ids(found)
        await outbox.finish([contract.done(one) for one in found], T)
    assert sorted(claimed) == sorted(f"d{n}" for n in range(400))


async def test_a_database_that_is_gone_is_told_as_such_and_taken_up_again(cluster: Postgres) -> None:
    outbox = await open_outbox(cluster.address)
    await outbox.enqueue([delivery("kept")], T)
    cluster.stop("immediate")
    try:
        with pytest.raises(StoreUnavailable):
            await claim(outbox)
    finally:
        cluster.start()
    assert "kept" in ids(await claim(outbox))
    await outbox.close()


async def test_who_cannot_connect_is_told_without_the_address(cluster: Postgres) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        await open_outbox("postgresql://somebody:secret@127.0.0.1:1/none")
    assert "secret" not in str(refused.value)
