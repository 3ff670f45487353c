"""The store's schema, whichever store it is: what it has, what this release wants, and bringing it there."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from aywa.adapters.stores.sql.migrations import Applied, Chain, Stage
from aywa.boot.store import asked_of, database, home, postgres_url
from aywa.ports.journal import StoreUnavailable

__all__ = ["Schema", "SchemaStep", "Stage", "migrate_store", "schema_of_store"]


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """A revision. applied_ms: None when it is pending, or nobody wrote it down."""

    revision: str
    stage: Stage
    name: str
    pending: bool
    applied_ms: int | None


@dataclass(frozen=True, slots=True)
class Schema:
    """head: the store's newest revision; None for an empty one. steps: what this release knows, and what a newer one added."""

    head: str | None
    steps: tuple[SchemaStep, ...]


async def migrate_store(stage: Stage | None, folder: Path | None = None) -> bool:
    """Brings the schema to this release's, or only so far; False when there was nothing to do. stage: None for both.

    Raises StoreUnavailable, StoreTooNew.
    """
    url = postgres_url()
    if url is not None:
        from aywa.adapters.stores.postgres import migrations as of_postgres

        return await asked_of(url, lambda address: of_postgres.migrate(address, stage))
    from aywa.adapters.stores.sqlite import migrations

    folder = home() if folder is None else folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return await asyncio.to_thread(migrations.migrate, database(folder), stage)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{database(folder)}: {error}") from error


async def schema_of_store(folder: Path | None = None) -> Schema:
    """As it is now. Raises StoreUnavailable, StoreTooNew."""
    url = postgres_url()
    if url is not None:
        from aywa.adapters.stores.postgres import migrations as of_postgres

        async def asked(address: str) -> Schema:
            return _schema(of_postgres.CHAIN, await of_postgres.stored(address))

        return await asked_of(url, asked)
    from aywa.adapters.stores.sqlite import migrations

    path = database(home() if folder is None else folder)
    try:
        return _schema(migrations.CHAIN, await asyncio.to_thread(migrations.stored, path))
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path}: {error}") from error


def _schema(chain: Chain, applied: Applied) -> Schema:
    pending = {revision.id for revision in chain.pending(applied)}
    times = {revision.id: at_ms for revision, at_ms in applied.recorded}
    newer = [revision for revision, _ in applied.recorded if revision.id not in chain.known]
    steps = [
        SchemaStep(revision.id, revision.stage, revision.name, revision.id in pending, times.get(revision.id))
        for revision in (*chain.revisions, *newer)
    ]
    return Schema(applied.head, tuple(steps))
