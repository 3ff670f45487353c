"""The store in PostgreSQL: the contract, and what is its own: several who start, write and migrate at once, an outage, errors
that tell no secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from aywa.adapters.stores.postgres import engine, open_postgres
from aywa.adapters.stores.postgres.store import PostgresStore
from aywa.ports.journal import StoreUnavailable
from aywa.ports.outbox import DeliveryQuery
from aywa.ports.store import Conflict, Document, ListQuery, Span, Store
from tests.adapters.stores.conftest import emptied
from tests.contracts import store as contract
from tests.contracts.keeping import KeepingContract
from tests.contracts.leases import LeasesContract
from tests.contracts.notches import NotchesContract
from tests.contracts.outbox import ORG, T, claim, delivery
from tests.contracts.sealed import SealedContract
from tests.contracts.store import call, document, ids, projection, record, tenants
from tests.peers.postgres import Postgres

__all__ = ["tenants"]


@pytest.fixture
async def store(cluster: Postgres) -> AsyncIterator[PostgresStore]:
    opened = await open_postgres(cluster.address)
    await emptied(cluster.address)
    yield opened
    await opened.close()


class TestAccounts(contract.AccountsContract):
    pass


class TestDocuments(contract.DocumentsContract):
    pass


class TestCredentials(contract.CredentialsContract):
    pass


class TestPhoneNumbers(contract.PhoneNumbersContract):
    pass


class TestCalls(contract.CallsContract):
    pass


class TestProjection(contract.ProjectionContract):
    pass


class TestSealed(SealedContract):
    pass


class TestKeeping(KeepingContract):
    pass


class TestLeases(LeasesContract):
    pass


class TestNotches(NotchesContract):
    pass


# --- several at once -------------------------------------------------------------------------------------------


@pytest.fixture
async def other(store: PostgresStore, cluster: Postgres) -> AsyncIterator[PostgresStore]:
    """Another process's, over the same database."""
    opened = await open_postgres(cluster.address)
    yield opened
    await opened.close()


@pytest.mark.usefixtures("tenants")
async def test_changes_of_two_processes_are_all_kept(store: Store, other: Store) -> None:
    await store.assistants.insert(document("a", 5))
    await asyncio.gather(
        *(
            each.assistants.change(contract.ORG.id, "a", 6, lambda body, key=f"{name}{n}": body | {key: 1})  # type: ignore[misc]
            for n in range(10)
            for name, each in (("ours", store), ("theirs", other))
        )
    )
    kept = await store.assistants.get(contract.ORG.id, "a")
    assert kept is not None
    assert {f"{name}{n}" for n in range(10) for name in ("ours", "theirs")} <= json.loads(kept.text).keys()


async def test_of_two_processes_one_claims_a_scheduled_call(store: Store, other: Store) -> None:
    await store.calls.insert(call("a", due_ms=20), 0)

    async def claimed(by: Store) -> bool:
        return await by.calls.claim(ORG, "a", 21, lambda body: body | {"status": "queued"}) is not None

    assert sum(await asyncio.gather(*(claimed(by) for by in (store, other) * 4))) == 1


async def test_an_idempotency_key_is_used_once_by_two_processes(store: Store, other: Store) -> None:
    async def made(by: Store, name: str) -> bool:
        try:
            await by.calls.insert(call(name, idempotency="k"), 0)
        except Conflict:
            return False
        return True

    tried = [made(by, f"c{n}") for n, by in enumerate((store, other) * 4)]
    assert sum(await asyncio.gather(*tried)) == 1


async def test_batches_of_two_projectors_about_the_same_calls_both_arrive(store: Store, other: Store) -> None:
    """In whatever order they name them: neither waits for the other in a circle."""
    names = [f"{round_}-{n}" for round_ in range(4) for n in range(40)]
    for round_ in range(4):
        own = [name for name in names if name.startswith(f"{round_}-")]
        batches = [
            by.apply(
                [record(name, seq) for name in order],
                [projection(name, seq, status="in-progress", last=seq) for name in order],
                [delivery(f"d{seq % 2}-{name}", name, seq) for name in order],
            )
            for seq, by, order in ((1, store, own), (2, other, own[::-1]), (3, store, own[::-1]))
        ]
        await asyncio.gather(*batches)
    for name in names[::7]:
        assert [event.seq for event in await store.events(None, name)] == [1, 2, 3]
    assert len(await store.unended()) == len(names)
    assert len(await store.outbox.list(ORG, DeliveryQuery(limit=1000))) == 2 * len(names)


async def test_a_call_that_is_deleted_while_it_is_projected_leaves_nothing(
    store: Store, other: Store
) -> None:
    for round_ in range(10):
        name = f"call-{round_}"
        await store.calls.insert(call(name), 0)
        await asyncio.gather(
            other.apply([record(name, 1)], [projection(name, 1, status="ended")], [delivery(name, name, 1)]),
            store.calls.delete(ORG, name, 20),
        )
        assert await store.events(None, name) == []
        assert await store.outbox.list(ORG, DeliveryQuery(call_id=name)) == []


# --- what is the whole store's ---------------------------------------------------------------------------------


async def test_deliveries_are_written_with_the_call_and_not_without_it(store: Store) -> None:
    await store.calls.insert(call("a", idempotency="k"), 0, [delivery("one", "a", 1)])
    with pytest.raises(Conflict):
        await store.calls.insert(call("b", idempotency="k"), 0, [delivery("two", "b", 1)])
    assert [row.delivery.id for row in await store.outbox.list(ORG, DeliveryQuery())] == ["one"]
    batch = [record("a", 2)], [projection("a", 2, status="ended")], [delivery("three", "a", 2)]
    for _ in range(2):
        await store.apply(*batch)
    assert {row.delivery.id for row in await store.outbox.list(ORG, DeliveryQuery())} == {"one", "three"}


async def test_of_a_deleted_call_nothing_is_sent_and_nothing_kept(store: Store) -> None:
    await store.calls.insert(call("call"), 0)
    await store.apply([], [], [delivery("a", "call", 1), delivery("b", "other", 1)])
    await claim(store.outbox, T * 10**7)
    await store.calls.delete(ORG, "call", 5)
    await store.apply([], [], [delivery("c", "call", 2), delivery("d")])
    left = {row.delivery.id for row in await store.outbox.list(ORG, DeliveryQuery())}
    assert left == {"d", "b"}
    assert await store.outbox.attempts(ORG, ["a"]) == []


NASTY = "a\0b\ud800"


@pytest.mark.usefixtures("tenants")
async def test_texts_that_postgresql_cannot_keep_find_nothing_and_break_nothing(store: Store) -> None:
    assert await store.assistants.get(contract.ORG.id, NASTY) is None
    assert await store.calls.earlier(ORG, NASTY, 0) is None
    assert await store.outbox.list(ORG, DeliveryQuery(call_id=NASTY, ids=(NASTY,))) == []
    await store.credentials.insert(document("c", 5, provider="openai", name=NASTY))
    found = await store.credentials.usable(contract.ORG.id, (), [NASTY])
    assert [each.id for each in found] == ["c"]


async def test_figures_of_documents_that_jsonb_cannot_hold(store: Store) -> None:
    said: dict[str, Any] = {
        "cost": 0.25,
        "endedReason": "hung up",
        "messages": [{"message": f"{NASTY} \\ud800 \U0001f600"}],
    }
    await store.apply([], [projection("a", 1, status="ended", **said)])
    paths = ("cost", "messages", "endedReason", f"x.{NASTY}")
    [(_, found)] = await store.calls.figures(ORG, Span(), paths, 10)
    assert (found[0], found[2], found[3]) == (0.25, "hung up", None)
    assert found[1][0]["message"].endswith(" \ufffd\ufffd") or "\\ufffd" in found[1][0]["message"]


# --- errors ----------------------------------------------------------------------------------------------------


async def test_a_failing_driver_is_translated_and_quotes_nothing(fresh: str) -> None:
    store = await open_postgres(fresh)
    connection = await asyncpg.connect(fresh)
    await connection.execute("DROP TABLE assistants")
    await connection.close()
    with pytest.raises(StoreUnavailable, match="UndefinedTableError") as caught:
        await store.assistants.insert(Document("a", "o", 1, 1, '{"firstMessage": "sesame"}'))
    assert "sesame" not in str(caught.value)
    await store.close()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://somebody:sesame@127.0.0.1:1/none",
        "postgresql://somebody:sesame@127.0.0.1:none/none",
        "postgresql://somebody:sesame@[::1/none",
    ],
)
async def test_who_cannot_connect_is_told_without_the_password(address: str) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        await open_postgres(address)
    assert "sesame" not in str(refused.value)


async def test_a_server_that_can_only_be_read_is_not_ready(fresh: str) -> None:
    store = await open_postgres(fresh)
    await store.check()
    await store.close()
    connection = await asyncpg.connect(fresh)
    await connection.execute(
        f"ALTER DATABASE {await connection.fetchval('SELECT current_database()')}"
        " SET default_transaction_read_only = on"
    )
    await connection.close()
    store = await open_postgres(fresh)
    with pytest.raises(StoreUnavailable, match="can only be read"):
        await store.check()
    await store.close()


@pytest.mark.usefixtures("tenants")
async def test_a_database_that_was_gone_is_used_again_by_the_next_statement(
    store: Store, cluster: Postgres
) -> None:
    await store.assistants.insert(document("a", 5))
    await store.apply([record("c", 1)], [projection("c", 1, status="in-progress")])
    cluster.stop("immediate")
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await store.assistants.list(contract.ORG.id, ListQuery())
            with pytest.raises(StoreUnavailable):
                await store.apply([record("c", 2)], [])
            with pytest.raises(StoreUnavailable):
                await store.check()
    finally:
        cluster.start()
    await store.check()
    assert ids(await store.assistants.list(contract.ORG.id, ListQuery())) == ["a"]
    await store.apply([record("c", 2)], [])
    assert [event.seq for event in await store.events(None, "c")] == [1, 2]


@pytest.mark.usefixtures("tenants")
async def test_a_server_that_was_started_again_unnoticed_costs_nobody_an_error(
    store: Store, cluster: Postgres
) -> None:
    await store.assistants.insert(document("a", 5))
    await store.apply([record("c", 1)], [])
    cluster.stop()
    cluster.start()
    # The connections' ends arrive.
    for _ in range(5):
        await asyncio.sleep(0)
    assert ids(await store.assistants.list(contract.ORG.id, ListQuery())) == ["a"]
    assert len(await store.events(None, "c")) == 1


async def test_who_stands_still_in_a_transaction_holds_nobody_up_for_long(
    fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process that was stopped, or whose cable was pulled, in the middle of one."""
    monkeypatch.setattr(engine, "ABANDONED_S", 0.3)
    one, other = await open_postgres(fresh), await open_postgres(fresh)
    await one.leases.join("a")
    touch = text("UPDATE nodes SET beat = beat + 1 WHERE id = 'a'")
    with pytest.raises(StoreUnavailable):  # noqa: PT012 - it is let go of while it stands still
        async with one._database.write() as standing_still:
            await standing_still.execute(touch)
            async with asyncio.timeout(10), other._database.write() as waiting:
                await waiting.execute(touch)
    for _ in range(2):
        async with one._database.pool.acquire() as pooled:
            assert await pooled.fetchval("SHOW idle_in_transaction_session_timeout") == "300ms"
    await one.close()
    await other.close()


@pytest.mark.all
async def test_connections_that_are_cut_in_the_middle_of_batches_lose_and_double_nothing(
    store: PostgresStore, cluster: Postgres
) -> None:
    """As the projector does it: what was not acknowledged comes again, whether it was written or not."""
    names, seqs, cut = [f"call-{n}" for n in range(5)], range(1, 21), 0
    ended = asyncio.Event()

    async def cuts() -> None:
        nonlocal cut
        knife = await asyncpg.connect(cluster.address)
        while not ended.is_set():
            cut += await knife.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'aywa' AND pid <> pg_backend_pid() AND random() < 0.5"
            )
            await asyncio.sleep(0.003)
        await knife.close()

    async def patiently(ask: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await ask()
            except StoreUnavailable:
                await asyncio.sleep(0.001)
            else:
                return

    async def projects() -> None:
        for seq in seqs:
            status = "ended" if seq == seqs[-1] else "in-progress"
            batch = (
                [record(name, seq) for name in names],
                [projection(name, seq, status=status) for name in names],
                [delivery(f"{name}-{seq}", name, seq) for name in names],
            )
            await patiently(lambda batch=batch: store.apply(*batch))  # type: ignore[misc]

    cutting = asyncio.create_task(cuts())
    try:
        await projects()
    finally:
        ended.set()
        await cutting
    assert cut > 0
    found: list[list[int]] = []
    for name in names:
        await patiently(lambda: store.events(None, "none"))
        found.append([event.seq for event in await store.events(None, name)])
    assert found == [list(seqs)] * len(names)
    assert len(await store.outbox.list(ORG, DeliveryQuery(limit=1000))) == len(names) * len(seqs)
    assert await store.unended() == []
