"""Brings a PostgreSQL database to this release's schema; refuses one that a newer release has changed for good.

One process at a time: the others wait at an advisory lock (PostgreSQL's documentation, 13.3.5) and then find nothing to do. All
that is applied is one transaction.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import Connection, text

from aywa.adapters.stores.postgres.engine import Translated, connect, engine_of
from aywa.adapters.stores.sql.migrations import (
    HEAD,
    RECORDED,
    SHARED,
    Applied,
    Chain,
    Stage,
    apply,
    chain_of,
    revision_of,
)

CHAIN = chain_of(Path(__file__).parent / "versions", SHARED)

WAIT_S: Final = 120.0
"""So long may another process's migration take, and so long ours."""
ROW_WAIT_MS: Final = 10_000
"""A table that somebody holds for longer is left alone: who queues behind us would wait as well."""
_LOCK: Final = 0x61797761


async def migrate(address: str, stage: Stage | None = None, chain: Chain = CHAIN) -> bool:
    """Migrates the database; False when there was nothing to do. Raises StoreTooNew, StoreUnavailable."""
    with Translated():
        if not chain.planned(await stored(address), stage):
            return False
        engine = engine_of(address, kept=False)
        try:
            async with asyncio.timeout(WAIT_S), engine.begin() as connection:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                await connection.execute(text(f"SET LOCAL lock_timeout = {ROW_WAIT_MS}"))
                return await connection.run_sync(_upgrade, chain, stage)
        finally:
            await engine.dispose()


async def stored(address: str) -> Applied:
    """What the database says of its schema. Raises StoreUnavailable."""
    with Translated():
        connection = await connect(address)
        try:
            head = await _rows(connection, HEAD)
            recorded = await _rows(connection, RECORDED) if head else []
        finally:
            await connection.close()
    return Applied(str(head[0][0]) if head else None, tuple(map(revision_of, recorded)))


def _upgrade(connection: Connection, chain: Chain, stage: Stage | None) -> bool:
    # Whoever held the lock may have done it.
    head = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one()
    recorded = connection.execute(text("SELECT to_regclass('schema_revisions')")).scalar_one()
    applied = Applied(
        None if head is None else connection.execute(text(HEAD)).scalar_one_or_none(),
        () if recorded is None else tuple(map(revision_of, connection.execute(text(RECORDED)))),
    )
    planned = chain.planned(applied, stage)
    if planned:
        apply(connection, chain, planned[-1].id, time.time_ns() // 1_000_000)
    return bool(planned)


async def _rows(connection: Any, query: str) -> list[Any]:
    try:
        found: list[Any] = await connection.fetch(query)
    except asyncpg.UndefinedTableError:
        return []
    return found
