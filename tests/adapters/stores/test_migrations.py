"""The schema's chain in both dialects: its order, what each stage may do, and two releases over one database."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import asyncpg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect

from aywa.adapters.stores.postgres import migrations as of_postgres
from aywa.adapters.stores.postgres import open_postgres
from aywa.adapters.stores.postgres.engine import engine_of
from aywa.adapters.stores.sql.migrations import SHARED, Applied, Chain, Revision, Stage, chain_of
from aywa.adapters.stores.sql.tables import metadata
from aywa.ports.journal import StoreUnavailable
from aywa.ports.outbox import Outbox
from aywa.ports.store import ListQuery, Store, StoreTooNew
from tests.adapters.stores.conftest import emptied
from tests.adapters.stores.revisions import (
    CHAINS,
    NEXT,
    Place,
    config_of,
    moved_back,
    postgres_place,
    sqlite_place,
    with_next,
)
from tests.contracts import outbox as outbox_contract
from tests.contracts import store as contract
from tests.contracts.store import call, document, ids, projection, record, tenants
from tests.peers.postgres import Postgres

__all__ = ["tenants"]

# --- the order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", CHAINS)
def test_alembic_finds_the_same_chain(dialect: str) -> None:
    chain = CHAINS[dialect]
    scripts = ScriptDirectory.from_config(config_of(chain))
    assert scripts.get_heads() == [chain.head]
    assert [script.revision for script in scripts.walk_revisions()] == [
        revision.id for revision in reversed(chain.revisions)
    ]


def chain_with(stages: list[Stage]) -> Chain:
    return Chain(tuple(Revision(f"{n:04}", stage, "") for n, stage in enumerate(stages, 1)), ())


STAGES = st.lists(st.sampled_from(Stage), min_size=1, max_size=8)


@given(STAGES, st.integers(0, 8))
def test_what_is_applied_when(stages: list[Stage], done: int) -> None:
    chain = chain_with(stages)
    done = min(done, len(stages))
    applied = Applied(chain.revisions[done - 1].id if done else None)
    pending = chain.pending(applied)
    assert pending == chain.revisions[done:]
    assert chain.planned(applied, None) == pending
    try:
        pre = chain.planned(applied, Stage.PRE)
    except StoreUnavailable:
        pre = None
    if not done:
        # Nobody uses an empty database.
        assert pre == pending
        return
    told = "".join("+" if revision.stage is Stage.PRE else "-" for revision in pending)
    # What runs now knows all that is applied: what it has left to take away may go, what it does not know may not.
    assert (pre is None) == bool(re.search(r"\+-+\+", told))
    if pre is None:
        return
    assert pending[: len(pre)] == pre
    left = pending[len(pre) :]
    assert all(revision.stage is Stage.POST for revision in left)
    if pre:
        assert pre[-1].stage is Stage.PRE
        with pytest.raises(StoreUnavailable, match="--pre"):
            chain.planned(applied, Stage.POST)
    after = Applied(pre[-1].id) if pre else applied
    assert chain.planned(after, Stage.PRE) == ()
    assert chain.planned(after, Stage.POST) == left


@given(STAGES)
def test_a_database_of_a_newer_release_is_used_while_that_has_only_added(newer: list[Stage]) -> None:
    ours = chain_with([Stage.PRE] * 2)
    theirs = chain_with([Stage.PRE] * 2 + newer)
    recorded = tuple((revision, 5) for revision in theirs.revisions)
    applied = Applied(theirs.head, recorded)
    if Stage.POST in newer:
        with pytest.raises(StoreTooNew):
            ours.pending(applied)
    else:
        assert ours.pending(applied) == ()
    with pytest.raises(StoreTooNew):
        ours.pending(Applied(theirs.head, recorded[:2]))
    with pytest.raises(StoreTooNew):
        ours.pending(Applied("none", recorded))


# --- what a revision may do ----------------------------------------------------------------------------------------


def module_of(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(file: Path, dialect: str) -> list[str]:
    """The revision as SQL."""
    out = io.StringIO()
    context = MigrationContext.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": out, "transactional_ddl": False}
    )
    with Operations.context(context):
        module_of(file).upgrade()
    return [statement.strip() for statement in out.getvalue().split(";\n") if statement.strip()]


_TAKES = re.compile(
    r"\bDROP\b|\bRENAME\b|\bALTER COLUMN\b|\bTRUNCATE\b|\bDELETE\b|CREATE UNIQUE INDEX|\bADD CONSTRAINT\b",
    re.IGNORECASE,
)


def takes(statement: str) -> bool:
    """Whether the last release might miss something, or be refused something, after it. A table that is made in the same
    revision may have what it likes, but that is made with the table."""
    if re.match(r"CREATE TABLE\b", statement, re.IGNORECASE):
        return False
    needs = re.search(r"ADD COLUMN.*NOT NULL", statement, re.IGNORECASE) and "DEFAULT" not in statement
    return bool(needs or _TAKES.search(statement))


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    "file", sorted([*SHARED.glob("v*.py"), *NEXT.glob("v*_pre_*.py")]), ids=lambda f: f.stem
)
def test_a_revision_that_comes_before_the_update_only_adds(file: Path, dialect: str) -> None:
    [revision] = [one for one in chain_of(file.parent).revisions if file.name.startswith(f"v{one.id}_")]
    statements = written(file, dialect)
    assert statements
    if revision.stage is Stage.PRE:
        assert [statement for statement in statements if takes(statement)] == []


def test_what_takes_away_is_noticed() -> None:
    [file] = NEXT.glob("v*_post_*.py")
    assert any(takes(statement) for statement in written(file, "postgresql"))
    assert takes("ALTER TABLE calls ADD COLUMN region TEXT NOT NULL")
    assert not takes("ALTER TABLE calls ADD COLUMN region TEXT DEFAULT 'x' NOT NULL")


async def test_the_migrations_make_the_tables_that_the_code_uses(fresh: str) -> None:
    assert await of_postgres.migrate(fresh)
    engine = engine_of(fresh, kept=False)
    async with engine.connect() as connection:
        found = await connection.run_sync(
            lambda sync: {
                name: {column["name"] for column in inspect(sync).get_columns(name)}
                for name in metadata.tables
            }
        )
    await engine.dispose()
    assert found == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}


async def test_they_can_be_taken_back(fresh: str) -> None:
    await of_postgres.migrate(fresh)
    await moved_back(fresh, "base")
    assert (await of_postgres.stored(fresh)).head is None
    assert await of_postgres.migrate(fresh)


# --- several at once, and what goes wrong ----------------------------------------------------------------------------


async def test_of_those_who_start_at_once_one_migrates(fresh: str) -> None:
    done = await asyncio.gather(*(of_postgres.migrate(fresh) for _ in range(4)))
    assert sorted(done) == [False, False, False, True]
    applied = await of_postgres.stored(fresh)
    assert [revision.id for revision, _ in applied.recorded] == sorted(of_postgres.CHAIN.known)


async def test_a_table_that_somebody_holds_is_left_alone(fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_postgres, "ROW_WAIT_MS", 50)
    await of_postgres.migrate(fresh)
    holder = await asyncpg.connect(fresh)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE calls IN ACCESS SHARE MODE")
    with pytest.raises(StoreUnavailable, match="LockNotAvailable"):
        await of_postgres.migrate(fresh, Stage.PRE, with_next(of_postgres.CHAIN))
    await transaction.rollback()
    await holder.close()
    assert (await of_postgres.stored(fresh)).head == of_postgres.CHAIN.head
    assert await of_postgres.migrate(fresh, Stage.PRE, with_next(of_postgres.CHAIN))


BROKEN = """
from alembic import op
revision = "9001"
down_revision = "{head}"
def upgrade():
    op.execute("CREATE TABLE half (id text)")
    op.execute("SELECT nothing")
"""


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database."""
    if request.param == "sqlite":
        return sqlite_place(tmp_path / "aywa.db")
    return postgres_place(request.getfixturevalue("fresh"))


async def test_a_migration_that_breaks_leaves_everything_as_it_was(place: Place, tmp_path: Path) -> None:
    await place.migrate(None, place.chain)
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "v9001_pre_broken.py").write_text(BROKEN.format(head=place.chain.head))
    with pytest.raises(Exception, match=r"nothing|UndefinedColumn"):
        await place.migrate(None, chain_of(*place.chain.folders, folder))
    assert (await place.stored()).head == place.chain.head
    with pytest.raises(Exception, match="half"):
        await place.ask("SELECT * FROM half")
    store = await place.open()
    await store.check()
    await store.close()


async def test_a_schema_that_nobody_knows_is_left_alone(place: Place) -> None:
    await place.migrate(None, place.chain)
    await place.ask("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreTooNew, match="9999"):
        await place.open()


# --- two releases over one database ---------------------------------------------------------------------------------


async def test_the_last_release_and_the_next_one_work_on_a_schema_between_them(place: Place) -> None:
    """This release is the last one here, and next_release the next."""
    following = with_next(place.chain)
    ours = await place.open()
    await ours.organisations.insert(contract.ORG)
    await ours.calls.insert(call("before", guest_digest="g0"), 0)
    await ours.assistants.insert(document("a", 5))
    # While this release runs, with its statements prepared.
    assert await place.migrate(Stage.PRE, following)
    assert not await place.migrate(Stage.PRE, following)
    await ours.calls.insert(call("ours", 11, guest_digest="g1"), 0)
    await ours.apply([record("journal", 1)], [projection("journal", 1, status="in-progress")])
    await place.ask(
        "INSERT INTO calls (id, org_id, type, status, created_ms, updated_ms, last_seq, document, guest_digest, guest, region)"
        " VALUES ('theirs', 'org-1', 'webCall', 'queued', 12, 12, 0,"
        " '{\"id\":\"theirs\",\"status\":\"queued\"}', 'g2', 'g2', 'away')"
    )
    # What the next one wrote this one reads and changes, and the other way round.
    found = await ours.calls.list(contract.ORG.id, ListQuery())
    assert {"theirs", "ours", "before"} <= set(ids(found))
    assert await ours.calls.guest("theirs", "g2", 0) == contract.ORG.id
    changed = await ours.calls.change(contract.ORG.id, "theirs", 13, lambda body: body | {"status": "ended"})
    assert changed is not None
    rows = await place.ask("SELECT id, coalesce(guest, guest_digest), region FROM calls ORDER BY id")
    assert rows == [
        ("before", "g0", "home"),
        ("journal", None, "home"),
        ("ours", "g1", "home"),
        ("theirs", "g2", "away"),
    ]
    await ours.close()
    # This release may be started anew, and leaves the schema alone.
    again = await place.open()
    await again.check()
    assert not await place.migrate(None, place.chain)
    assert await again.assistants.get(contract.ORG.id, "a") == document("a", 5)
    await again.close()
    # Until what it needs is gone.
    assert await place.migrate(Stage.POST, following)
    with pytest.raises(StoreTooNew, match="9002"):
        await place.open()
    rows = await place.ask("SELECT id, guest FROM calls ORDER BY id")
    assert rows == [("before", "g0"), ("journal", None), ("ours", "g1"), ("theirs", "g2")]


async def test_the_stages_keep_their_order(place: Place) -> None:
    following = with_next(place.chain)
    await place.migrate(None, place.chain)
    with pytest.raises(StoreUnavailable, match="migrate --pre"):
        await place.migrate(Stage.POST, following)
    assert await place.migrate(None, following)
    assert [revision.stage for revision, _ in (await place.stored()).recorded][-2:] == [Stage.PRE, Stage.POST]


@pytest.fixture(scope="module")
def half_address(cluster: Postgres) -> str:
    return cluster.address_of("half")


@pytest.fixture
async def store(cluster: Postgres, half_address: str) -> AsyncIterator[Store]:
    """This release's, over a schema to which the next one has added."""
    connection = await asyncpg.connect(cluster.address)
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = 'half'"):
        await connection.execute("CREATE DATABASE half")
        await of_postgres.migrate(half_address)
        await of_postgres.migrate(half_address, Stage.PRE, with_next(of_postgres.CHAIN))
    await connection.close()
    opened = await open_postgres(half_address)
    await emptied(half_address)
    yield opened
    await opened.close()


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return store.outbox


class TestAccountsBetween(contract.AccountsContract):
    pass


class TestDocumentsBetween(contract.DocumentsContract):
    pass


class TestCredentialsBetween(contract.CredentialsContract):
    pass


class TestPhoneNumbersBetween(contract.PhoneNumbersContract):
    pass


class TestCallsBetween(contract.CallsContract):
    pass


class TestProjectionBetween(contract.ProjectionContract):
    pass


class TestOutboxBetween(outbox_contract.OutboxContract):
    pass
