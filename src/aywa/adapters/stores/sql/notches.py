"""How often each call's row changed, and up to which change analytics was told: what the triggers on `calls` count (v0010), for
both dialects. Whoever changes a call need not know of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import bindparam, func, select, update

from aywa.adapters.stores.sql.database import Database
from aywa.adapters.stores.sql.projected import event_data
from aywa.adapters.stores.sql.tables import call_events, call_notches, calls
from aywa.core.tally import Record
from aywa.ports.analytics import Backlog, Notched

_N = call_notches.c
_WAITING = _N.version > _N.told
# A call that changed meanwhile keeps what it has more than was told.
_SETTLE = (
    update(call_notches)
    .where(_N.call_id == bindparam("of_id"), _N.told < bindparam("of_version"))
    .values(told=bindparam("new_told"), lease_ms=0)
)
_RELEASE = update(call_notches).where(_N.call_id == bindparam("of_id")).values(lease_ms=0)


class SqlNotches:
    """ports.analytics.Notches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, now_ms: int, until_ms: int, limit: int) -> Sequence[Notched]:
        """As the port says."""
        due = select(_N.call_id, _N.version).where(_WAITING, _N.lease_ms <= now_ms)
        due = due.order_by(_N.since_ms, _N.call_id).limit(limit)
        async with self._database.read() as connection:
            if (await connection.execute(due.limit(1))).first() is None:
                return []
        async with self._database.write() as connection:
            # Whoever writes one of these calls now is not waited for: it is told the next time.
            found = (await connection.execute(due.with_for_update(skip_locked=True))).all()
            versions = {str(call_id): int(version) for call_id, version in found}
            taken = update(call_notches).where(_N.call_id.in_(versions))
            await connection.execute(taken.values(lease_ms=until_ms))
        return await self._documents(versions)

    async def settle(self, told: Sequence[Notched]) -> None:
        """As the port says."""
        settled = [
            {"of_id": each.call_id, "of_version": each.version, "new_told": each.version} for each in told
        ]
        async with self._database.write() as connection:
            free = await self._free(connection, told)
            if rows := [row for row in settled if row["of_id"] in free]:
                await connection.execute(_SETTLE, rows)

    async def release(self, claimed: Sequence[Notched]) -> None:
        """As the port says."""
        async with self._database.write() as connection:
            if rows := [{"of_id": call_id} for call_id in await self._free(connection, claimed)]:
                await connection.execute(_RELEASE, rows)

    async def records(self, call_id: str, kinds: Collection[str]) -> Sequence[Record]:
        """As the port says."""
        columns = call_events.c
        found = select(columns.seq, columns.at_s, columns.kind, columns.data).where(
            columns.call_id == call_id, columns.kind.in_(sorted(kinds))
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(found.order_by(columns.seq))).all()
        return [(seq, at_s, kind, event_data(packed)) for seq, at_s, kind, packed in rows]

    async def backlog(self) -> Backlog:
        """As the port says."""
        found = select(func.count(), func.min(_N.since_ms)).select_from(call_notches).where(_WAITING)
        async with self._database.read() as connection:
            count, since_ms = (await connection.execute(found)).one()
        return Backlog(count, since_ms)

    async def again(self) -> int:
        """As the port says."""
        async with self._database.write() as connection:
            anew = update(call_notches).values(version=_N.version + 1, told=0, lease_ms=0)
            return (await connection.execute(anew)).rowcount

    async def page(self, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """As the port says."""
        found = select(_N.call_id, _N.version).where(_N.call_id > after).order_by(_N.call_id).limit(limit)
        async with self._database.read() as connection:
            return [(str(row[0]), int(row[1])) for row in await connection.execute(found)]

    async def _documents(self, versions: dict[str, int]) -> list[Notched]:
        found = select(calls.c.id, calls.c.org_id, calls.c.created_ms, calls.c.deleted_ms, calls.c.document)
        async with self._database.read() as connection:
            rows = (await connection.execute(found.where(calls.c.id.in_(versions)))).all()
        return [
            Notched(call_id, org_id, created_ms, versions[call_id], document if deleted is None else None)
            for call_id, org_id, created_ms, deleted, document in rows
        ]

    async def _free(self, connection: Any, claimed: Sequence[Notched]) -> set[str]:
        """Those whose row nobody is writing. Waiting for who writes several of them could go round in a circle; the others are
        told again when their lease is over."""
        found = select(_N.call_id).where(_N.call_id.in_([each.call_id for each in claimed]))
        rows = await connection.execute(found.with_for_update(skip_locked=True))
        return {str(row[0]) for row in rows}
