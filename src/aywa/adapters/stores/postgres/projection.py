"""The journal's projection in PostgreSQL: statements of projection.sql, each of which takes a whole batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any, Final

from aywa.adapters.stores.named_sql import named_sql
from aywa.adapters.stores.postgres.engine import Database, Translated
from aywa.adapters.stores.postgres.outbox import enqueue
from aywa.adapters.stores.postgres.statements import columns, run
from aywa.adapters.stores.sql import projected
from aywa.adapters.stores.sql.projected import CallRow
from aywa.core.leases import Fence
from aywa.core.webhooks import Delivery
from aywa.ports.journal import CallProjection, JournalRecord, StoreUnavailable

ATTEMPTS: Final = 3
"""Somebody else may write a call's first row while a batch is on its way, but not again and again."""

_SQL = named_sql("aywa.adapters.stores.postgres", "projection.sql")


class _Overtaken(Exception):
    """A row that was not there is there now."""


class PostgresProjection:
    """What the journal's projector writes, and what is read back of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(
        self,
        records: Sequence[JournalRecord],
        projections: Sequence[CallProjection],
        deliveries: Sequence[Delivery] = (),
        fence: Fence | None = None,
    ) -> Collection[str]:
        for _ in range(ATTEMPTS):
            try:
                with Translated():
                    async with self._database.pool.acquire() as connection, connection.transaction():
                        return await _apply(connection, records, projections, deliveries, fence)
            except _Overtaken:
                continue
        raise StoreUnavailable("PostgreSQL: others write the same calls")

    async def events(self, org_id: str | None, call_id: str) -> list[JournalRecord]:
        with Translated():
            async with self._database.pool.acquire() as connection:
                rows = await run(connection, _SQL["events"], {"call_id": call_id, "org_id": org_id})
        return await asyncio.to_thread(_records, rows)

    async def unended(self) -> list[tuple[str, str]]:
        async with self._database.read() as connection:
            return [(row[0], row[1]) for row in await connection.execute(projected.unended())]


async def _apply(
    connection: Any,
    records: Sequence[JournalRecord],
    projections: Sequence[CallProjection],
    deliveries: Sequence[Delivery],
    fence: Fence | None,
) -> Collection[str]:
    wanted = projected.ids_of(records, projections, deliveries)
    rows = await run(connection, _SQL["known"], {"ids": wanted})
    known = {row[0]: CallRow(*row[1:]) for row in rows}
    now_ms = time.time_ns() // 1_000_000
    # Whole documents are read and written: not in the thread in which audio is waited for.
    found = await asyncio.to_thread(projected.changes, known, records, projections, deliveries, now_ms, fence)
    if found.added:
        added = await run(connection, _SQL["add"], columns(found.added))
        if len(added) < len(found.added):
            raise _Overtaken
    if found.changed:
        await run(connection, _SQL["change"], columns(found.changed))
    if found.events:
        values = map(list, zip(*found.events, strict=True))
        await run(connection, _SQL["add_events"], dict(zip(projected.EVENT, values, strict=True)))
    if found.deliveries:
        await enqueue(connection, found.deliveries, now_ms)
    return found.refused


def _records(rows: Sequence[Any]) -> list[JournalRecord]:
    return [
        JournalRecord(call, org, seq, at_s, role, kind, projected.event_data(data))
        for call, org, seq, at_s, role, kind, data in rows
    ]
