"""The embedded store: the contract, and what is SQLite's own: migrations, two processes, errors that tell no secret."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from aywa.adapters.stores.sql.tables import metadata
from aywa.adapters.stores.sqlite import migrations, open_sqlite
from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Document, ListQuery, Store, StoreTooNew
from tests.adapters.stores.revisions import at_revision
from tests.contracts import store as contract
from tests.contracts.keeping import KeepingContract
from tests.contracts.leases import LeasesContract
from tests.contracts.notches import NotchesContract
from tests.contracts.sealed import SealedContract
from tests.contracts.store import call, tenants

__all__ = ["tenants"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
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


@pytest.fixture
async def other(store: Store, tmp_path: Path) -> AsyncIterator[Store]:
    """Another process's, over the same file."""
    opened = await open_sqlite(tmp_path / "aywa.db")
    yield opened
    await opened.close()


class TestLeases(LeasesContract):
    async def test_a_runtime_that_has_its_file_to_itself_takes_what_is_nobody_s(self, store: Store) -> None:
        await store.calls.insert(call("older"), 0)
        await store.leases.join("a")
        _, taken = await store.leases.take("a")
        assert [each.call_id for each in taken] == ["older"]
        assert not store.leases.shared


class TestNotches(NotchesContract):
    pass


def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    path = tmp_path / "aywa.db"
    assert migrations.migrate(path)
    engine = create_engine(f"sqlite:///{path}")
    inspector = inspect(engine)
    for name, table in metadata.tables.items():
        assert {column["name"] for column in inspector.get_columns(name)} == set(table.columns.keys())
    engine.dispose()


def test_nothing_to_migrate_is_quick_and_imports_no_alembic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "aywa.db"
    migrations.migrate(path)
    monkeypatch.setattr(migrations, "_upgrade", None)
    assert not migrations.migrate(path)


async def test_what_the_first_release_stored_is_there_after_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "aywa.db"
    at_revision(path, "0001")
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO orgs VALUES ('org-1', 'one', 1)")
    connection.execute("INSERT INTO assistants VALUES ('a', 'org-1', 5, 6, '{\"id\":\"a\"}')")
    connection.commit()
    connection.close()
    store = await open_sqlite(path)
    assert await store.assistants.get("org-1", "a") == Document("a", "org-1", 5, 6, '{"id":"a"}')
    assert await store.credentials.list("org-1", ListQuery()) == []
    await store.close()


def test_a_migration_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "aywa.db"
    migrations.migrate(path)
    at_revision(path, "0001")
    assert migrations.stored(path).head == "0001"
    assert migrations.migrate(path)


async def test_two_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "aywa.db"
    await asyncio.gather(*(asyncio.to_thread(migrations.migrate, path) for _ in range(4)))
    assert migrations.stored(path).head == migrations.CHAIN.head


async def test_a_newer_release_s_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "aywa.db"
    migrations.migrate(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreTooNew, match="9999"):
        await open_sqlite(path)


async def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "aywa.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnavailable, match=r"aywa\.db"):
        await open_sqlite(path)


async def test_what_one_process_writes_another_reads(store: Store, tmp_path: Path) -> None:
    other = await open_sqlite(tmp_path / "aywa.db")
    await store.organisations.insert(contract.ORG)
    assert await other.organisations.list() == [contract.ORG]
    await asyncio.gather(
        *(
            writer.assistants.insert(contract.document(f"{name}-{n}", n))
            for n in range(20)
            for name, writer in (("ours", store), ("theirs", other))
        )
    )
    assert len(await store.assistants.list(contract.ORG.id, ListQuery())) == 40
    await other.close()


async def test_a_failing_driver_is_translated_and_quotes_nothing(store: Store, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "aywa.db")
    connection.execute("DROP TABLE assistants")
    connection.commit()
    connection.close()
    with pytest.raises(StoreUnavailable) as caught:
        await store.assistants.insert(Document("a", "o", 1, 1, '{"firstMessage": "sesame"}'))
    assert "sesame" not in str(caught.value)


async def test_closing_leaves_one_file_behind(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "aywa.db")
    await store.organisations.insert(contract.ORG)
    await store.close()
    assert os.listdir(tmp_path) == ["aywa.db"]


async def test_what_every_start_asks_does_not_read_all_calls(tmp_path: Path) -> None:
    await (await open_sqlite(tmp_path / "aywa.db")).close()
    with closing(sqlite3.connect(tmp_path / "aywa.db")) as database:
        plan = database.execute(
            "EXPLAIN QUERY PLAN SELECT DISTINCT key_id FROM calls WHERE sealed IS NOT NULL"
        ).fetchall()
    assert "USING INDEX calls_sealed" in str(plan)
