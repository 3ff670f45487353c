"""The journal's projection in SQLite: a batch is one transaction in a thread."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from aywa.adapters.stores.sql import projected
from aywa.adapters.stores.sql.projected import CallRow
from aywa.adapters.stores.sql.tables import calls
from aywa.adapters.stores.sqlite.engine import Database
from aywa.adapters.stores.sqlite.outbox import driver, enqueue
from aywa.core.leases import Fence
from aywa.core.webhooks import Delivery
from aywa.ports.journal import CallProjection, JournalRecord

_INSERT_EVENT = """
INSERT INTO call_events (call_id, org_id, seq, at_s, role, kind, data) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""

_SELECT_EVENTS = """
SELECT call_id, org_id, seq, at_s, role, kind, data FROM call_events WHERE call_id = ? AND (? IS NULL OR org_id = ?)
ORDER BY seq
"""

_CHANGE = (
    update(calls)
    .where(calls.c.id == bindparam("of_id"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("type", "status", "updated_ms", "last_seq", "document", "expires_ms")
        }
    )
)


class SqliteProjection:
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
        return await self._database.write_aside(
            lambda connection: _apply(connection, records, projections, deliveries, fence)
        )

    async def events(self, org_id: str | None, call_id: str) -> list[JournalRecord]:
        def read(connection: Connection) -> list[JournalRecord]:
            # Ten thousand at once: as the driver gives them.
            rows = connection.exec_driver_sql(_SELECT_EVENTS, (call_id, org_id, org_id))
            return [
                JournalRecord(call, org, seq, at_s, role, kind, projected.event_data(data))
                for call, org, seq, at_s, role, kind, data in rows
            ]

        return await self._database.read_aside(read)

    async def unended(self) -> list[tuple[str, str]]:
        async with self._database.read() as connection:
            return [(row[0], row[1]) for row in await connection.execute(projected.unended())]


def _apply(
    connection: Connection,
    records: Sequence[JournalRecord],
    projections: Sequence[CallProjection],
    deliveries: Sequence[Delivery],
    fence: Fence | None,
) -> Collection[str]:
    known = _known(connection, projected.ids_of(records, projections, deliveries))
    now_ms = time.time_ns() // 1_000_000
    found = projected.changes(known, records, projections, deliveries, now_ms, fence)
    if found.added:
        connection.execute(insert(calls), found.added)
    if found.changed:
        connection.execute(_CHANGE, found.changed)
    if found.events:
        # Hundreds a second: as the driver takes them.
        connection.exec_driver_sql(_INSERT_EVENT, list(found.events))
    if found.deliveries:
        enqueue(driver(connection), found.deliveries, now_ms)
    return found.refused


def _known(connection: Connection, wanted: Sequence[str]) -> dict[str, CallRow]:
    known: dict[str, CallRow] = {}
    for start in range(0, len(wanted), 500):  # older SQLite builds take 999 parameters at most
        found = select(
            calls.c.id,
            calls.c.org_id,
            calls.c.created_ms,
            calls.c.deleted_ms,
            calls.c.last_seq,
            calls.c.document,
            calls.c.lease_owner,
            calls.c.lease_token,
        ).where(calls.c.id.in_(wanted[start : start + 500]))
        for call_id, *values in connection.execute(found):
            known[call_id] = CallRow(*values)
    return known
