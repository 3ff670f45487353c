"""Opens the embedded store: migrations first, off the event loop."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncConnection

from aywa.adapters.stores.sql.store import SqlStore
from aywa.adapters.stores.sql.tables import calls
from aywa.adapters.stores.sqlite import outbox
from aywa.adapters.stores.sqlite.engine import Database
from aywa.adapters.stores.sqlite.migrations import migrate
from aywa.adapters.stores.sqlite.projection import SqliteProjection
from aywa.core.webhooks import Delivery
from aywa.ports.journal import StoreUnavailable


class SqliteDatabase(Database):
    """With what the shared queries need of the dialect."""

    async def enqueue_along(
        self, connection: AsyncConnection, deliveries: Sequence[Delivery], now_ms: int
    ) -> None:
        await outbox.enqueue_along(connection, deliveries, now_ms)

    def call_figures(self, paths: Sequence[str]) -> Any:
        # Two paths at least, so that the answer is always an array; the document is read once for all of them.
        steps = ["$." + ".".join(json.dumps(step) for step in path.split(".")) for path in paths]
        return func.json_extract(calls.c.document, *steps, "$.id", "$.id")


class SqliteStore(SqlStore):
    """The embedded store."""

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database, SqliteProjection(database), outbox.SqliteOutbox(database), shared=False)
        self._database = database

    async def check(self) -> None:
        async with self._database.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

    async def close(self) -> None:
        await self._database.close()


async def open_sqlite(path: Path) -> SqliteStore:
    """Opens the file, making or migrating it first. Raises StoreUnavailable, StoreTooNew."""
    try:
        await asyncio.to_thread(migrate, path)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    return SqliteStore(SqliteDatabase(path))
