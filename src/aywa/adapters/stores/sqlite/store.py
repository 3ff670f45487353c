"""Joins the tables into the store's port, and opens it: migrations first, off the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text

from aywa.adapters.stores.sqlite.accounts import SqliteKeys, SqliteOrganisations
from aywa.adapters.stores.sqlite.calls import SqliteCalls, SqliteProjection
from aywa.adapters.stores.sqlite.documents import SqliteCredentials, SqliteDocuments, SqlitePhoneNumbers
from aywa.adapters.stores.sqlite.engine import Database
from aywa.adapters.stores.sqlite.migrations import migrate
from aywa.adapters.stores.sqlite.tables import assistants
from aywa.ports.journal import CallProjection, JournalRecord, StoreUnavailable


class SqliteStore:
    """The embedded store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._projection = SqliteProjection(database)
        self.organisations = SqliteOrganisations(database)
        self.keys = SqliteKeys(database)
        self.assistants = SqliteDocuments(database, assistants)
        self.credentials = SqliteCredentials(database)
        self.phone_numbers = SqlitePhoneNumbers(database)
        self.calls = SqliteCalls(database)

    async def apply(self, records: Sequence[JournalRecord], projections: Sequence[CallProjection]) -> None:
        await self._projection.apply(records, projections)

    async def events(self, org_id: str | None, call_id: str) -> list[JournalRecord]:
        return await self._projection.events(org_id, call_id)

    async def unended(self) -> list[tuple[str, str]]:
        return await self._projection.unended()

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
    return SqliteStore(Database(path))
