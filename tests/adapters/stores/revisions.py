"""Databases as an earlier release left them and as the next one will, in both dialects; what Alembic says of the chains."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine

from aywa.adapters.stores.postgres import migrations as of_postgres
from aywa.adapters.stores.postgres import open_postgres
from aywa.adapters.stores.postgres.engine import engine_of
from aywa.adapters.stores.sql.migrations import SCRIPTS, Applied, Chain, Stage, chain_of
from aywa.adapters.stores.sqlite import migrations as of_sqlite
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.store import Store

NEXT = Path(__file__).parent / "next_release"
CHAINS: Mapping[str, Chain] = {"sqlite": of_sqlite.CHAIN, "postgres": of_postgres.CHAIN}


def with_next(chain: Chain) -> Chain:
    """As the next release will have it."""
    return chain_of(*chain.folders, NEXT)


def config_of(chain: Chain) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(str, chain.folders)))
    return config


def at_revision(path: Path, revision: str) -> None:
    """A file of the embedded store, at this revision; a new one if there is none."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        move(connection, of_sqlite.CHAIN, revision, back=bool(path.stat().st_size))
    engine.dispose()


def move(connection: Connection, chain: Chain, revision: str, *, back: bool) -> None:
    config = config_of(chain)
    config.attributes["connection"] = connection
    (command.downgrade if back else command.upgrade)(config, revision)


async def moved_back(address: str, revision: str) -> None:
    """PostgreSQL's."""
    engine = engine_of(address, kept=False)
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: move(sync, of_postgres.CHAIN, revision, back=True))
    await engine.dispose()


@dataclass(frozen=True)
class Place:
    """A database of one of the dialects. ask: a statement past everything that is tested."""

    dialect: str
    open: Callable[[], Awaitable[Store]]
    migrate: Callable[[Stage | None, Chain], Awaitable[bool]]
    stored: Callable[[], Awaitable[Applied]]
    ask: Callable[[str], Awaitable[list[tuple[Any, ...]]]]

    @property
    def chain(self) -> Chain:
        return CHAINS[self.dialect]


def sqlite_place(path: Path) -> Place:
    def ask(statement: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(path, timeout=10)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()

    return Place(
        "sqlite",
        lambda: open_sqlite(path),
        lambda stage, chain: asyncio.to_thread(of_sqlite.migrate, path, stage, chain),
        lambda: asyncio.to_thread(of_sqlite.stored, path),
        lambda statement: asyncio.to_thread(ask, statement),
    )


def postgres_place(address: str) -> Place:
    async def ask(statement: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(address)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return Place(
        "postgres",
        lambda: open_postgres(address),
        lambda stage, chain: of_postgres.migrate(address, stage, chain),
        lambda: of_postgres.stored(address),
        ask,
    )
