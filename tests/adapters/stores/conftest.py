"""One PostgreSQL for all tests of the session that ask for it; each database in it is a test's own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from tests.peers.postgres import Postgres, postgres

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    with postgres("fsync=off", "full_page_writes=off") as running:
        yield running


@pytest.fixture
async def fresh(cluster: Postgres) -> AsyncIterator[str]:
    """The address of an empty database."""
    name = f"db{next(_NUMBERS)}"
    connection = await asyncpg.connect(cluster.address)
    await connection.execute(f"CREATE DATABASE {name}")
    yield cluster.address_of(name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def emptied(address: str) -> None:
    """Every row is gone, and the schema stays."""
    connection = await asyncpg.connect(address)
    tables = await connection.fetch(
        "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
        " AND tablename NOT IN ('alembic_version', 'schema_revisions')"
    )
    if tables:
        await connection.execute(f"TRUNCATE {', '.join(row[0] for row in tables)}")
    await connection.close()
