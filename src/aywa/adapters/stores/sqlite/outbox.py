"""The outbox in SQLite: statements of outbox.sql, each batch one transaction in a thread, claims on the disk when they return."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from aywa.adapters.stores import outbox_rows as rows
from aywa.adapters.stores.named_sql import named_sql
from aywa.adapters.stores.sqlite.engine import Database
from aywa.core.webhooks import ORDER_BOUND_S, Delivery
from aywa.ports.outbox import (
    AttemptRow,
    Backlog,
    Claimed,
    ClaimQuery,
    DeliveryQuery,
    DeliveryRow,
    DisabledEndpoint,
    Finished,
)

_SQL = named_sql("aywa.adapters.stores.sqlite", "outbox.sql")
_ANY_OF = {
    "ids": "d.id IN (SELECT value FROM json_each(:ids))",
    "states": "d.state IN (SELECT value FROM json_each(:states))",
}

EVERY = 1_000_000
"""More deliveries than a call can have."""

T = TypeVar("T")
Sqlite = sqlite3.Connection


class SqliteOutbox:
    """ports.outbox.Outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enqueue(self, deliveries: Sequence[Delivery], now_ms: int) -> None:
        await self._write(lambda sqlite: enqueue(sqlite, deliveries, now_ms), durable=True)

    async def claim(self, query: ClaimQuery) -> Sequence[Claimed]:
        # Nothing is written, and the one writer is not held up, while nothing is due.
        if not await self._read(lambda sqlite: _due(sqlite, query)):
            return []
        return await self._write(lambda sqlite: _claim(sqlite, query), durable=True)

    async def finish(self, finished: Sequence[Finished], now_ms: int) -> Sequence[str]:
        return await self._write(lambda sqlite: _finish(sqlite, finished, now_ms))

    async def renew(self, owner: str, held: Mapping[str, int], lease_ms: int) -> None:
        values = [
            {"owner": owner, "lease_ms": lease_ms, "id": delivery_id, "token": token}
            for delivery_id, token in held.items()
        ]
        await self._write(lambda sqlite: sqlite.executemany(_SQL["renew"], values))

    async def expired(self, now_ms: int, limit: int) -> Sequence[Claimed]:
        found = await self._all("expired", {"now_ms": now_ms, "limit": limit})
        return [rows.claimed_of(row) for row in found]

    async def moved(self, by_ms: int, now_ms: int) -> None:
        values = {"by_ms": by_ms, "now_ms": now_ms, "order_ms": round(ORDER_BOUND_S * 1000)}

        def move(sqlite: Sqlite) -> None:
            sqlite.execute(_SQL["moved_waiting"], values)
            sqlite.execute(_SQL["moved_leases"], values)

        await self._write(move)

    async def newest_ms(self) -> int | None:
        def newest(sqlite: Sqlite) -> int | None:
            found: tuple[int | None] = sqlite.execute(_SQL["newest"]).fetchone()
            return found[0]

        return await self._read(newest)

    async def pass_on(self, endpoints: Collection[str], now_ms: int) -> int:
        values = [{"endpoint": endpoint, "now_ms": now_ms} for endpoint in endpoints]
        return await self._write(lambda sqlite: sqlite.executemany(_SQL["pass_on"], values).rowcount)

    async def disable(self, org_id: str, endpoint: str, now_ms: int) -> None:
        values = {"endpoint": rows.scoped(org_id, endpoint), "org_id": org_id, "now_ms": now_ms}
        await self._write(lambda sqlite: sqlite.execute(_SQL["disable"], values))

    async def enable(self, org_id: str, endpoint: str) -> bool:
        values = {"endpoint": rows.scoped(org_id, endpoint)}
        return await self._write(lambda sqlite: sqlite.execute(_SQL["enable"], values).rowcount > 0)

    async def disabled(self, org_id: str) -> Sequence[DisabledEndpoint]:
        found = await self._all("disabled", {"org_id": org_id})
        return [rows.disabled_of(org_id, row) for row in found]

    async def list(self, org_id: str, query: DeliveryQuery) -> Sequence[DeliveryRow]:
        return await self._read(lambda sqlite: _list(sqlite, org_id, query))

    async def attempts(self, org_id: str, delivery_ids: Collection[str]) -> Sequence[AttemptRow]:
        return await self._read(lambda sqlite: _attempts(sqlite, org_id, delivery_ids))

    async def of_call(self, org_id: str, call_id: str) -> Sequence[tuple[DeliveryRow, Sequence[AttemptRow]]]:
        return await self._read(lambda sqlite: _of_call(sqlite, org_id, call_id))

    async def replay(self, org_id: str, query: DeliveryQuery, now_ms: int) -> Sequence[str]:
        return await self._write(lambda sqlite: _replay(sqlite, org_id, query, now_ms), durable=True)

    async def forget(self, before_ms: int, limit: int) -> int:
        return await self._write(lambda sqlite: _forget(sqlite, before_ms, limit))

    async def backlog(self) -> Backlog:
        [row] = await self._all("backlog", {})
        return Backlog(*row)

    async def _write(self, work: Callable[[Sqlite], T], *, durable: bool = False) -> T:
        return await self._database.write_aside(lambda connection: _driven(connection, work), durable=durable)

    async def _read(self, work: Callable[[Sqlite], T]) -> T:
        return await self._database.read_aside(lambda connection: _driven(connection, work))

    async def _all(self, name: str, values: Mapping[str, Any]) -> Sequence[Any]:
        return await self._read(lambda sqlite: sqlite.execute(_SQL[name], values).fetchall())


def driver(connection: Connection) -> Sqlite:
    """The driver's own connection, in the transaction that is open: hundreds of small statements a second."""
    return cast("Sqlite", connection.connection.driver_connection)


def enqueue(sqlite: Sqlite, deliveries: Sequence[Delivery], now_ms: int) -> None:
    """Inside a transaction."""
    sqlite.executemany(_SQL["enqueue"], [rows.written(delivery, now_ms) for delivery in deliveries])


async def enqueue_along(connection: AsyncConnection, deliveries: Sequence[Delivery], now_ms: int) -> None:
    """Inside a transaction of the loop's: with a change of configuration, or of a call that never began."""
    if deliveries:
        written = [dict(rows.written(delivery, now_ms)) for delivery in deliveries]
        await connection.exec_driver_sql(_SQL["enqueue"], written)


def _driven(connection: Connection, work: Callable[[Sqlite], T]) -> T:
    try:
        return work(driver(connection))
    except sqlite3.Error as error:
        # As SQLAlchemy would have told it, so that the engine translates it; without the statement's values.
        raise DBAPIError("outbox", None, error) from error


def _due(sqlite: Sqlite, query: ClaimQuery) -> list[str]:
    values = rows.claim_values(query)
    found: list[tuple[int, int, str]] = []
    for (endpoint,) in sqlite.execute(_SQL["waiting_endpoints"]).fetchall():
        places = min(query.busy.get(endpoint, query.each), query.limit)
        if places > 0:
            due = sqlite.execute(_SQL["due_at"], values | {"endpoint": endpoint, "places": places})
            found += due.fetchall()
    found.sort()
    return [row[2] for row in found[: query.limit]]


def _claim(sqlite: Sqlite, query: ClaimQuery) -> list[Claimed]:
    values = rows.claim_values(query)
    chosen = [values | {"id": delivery_id} for delivery_id in _due(sqlite, query)]
    sqlite.executemany(_SQL["claim"], chosen)
    sqlite.executemany(_SQL["note_attempt"], chosen)
    return [rows.claimed_of(sqlite.execute(_SQL["claimed"], each).fetchone()) for each in chosen]


def _finish(sqlite: Sqlite, finished: Sequence[Finished], now_ms: int) -> list[str]:
    sqlite.executemany(_SQL["end_attempt"], [rows.attempt_values(item) for item in finished])
    return [
        item.claimed.delivery.id
        for item in finished
        if sqlite.execute(_SQL["finish"], rows.delivery_values(item, now_ms)).rowcount
    ]


def _list(sqlite: Sqlite, org_id: str, query: DeliveryQuery) -> list[DeliveryRow]:
    more = "d.state, d.attempts, d.replays, d.due_ms, d.updated_ms, d.problem"
    return [rows.delivery_row(row) for row in _found(sqlite, f"{rows.DELIVERY}, {more}", org_id, query)]


def _found(sqlite: Sqlite, columns: str, org_id: str, query: DeliveryQuery) -> list[Any]:
    where, values = rows.conditions(org_id, query, _ANY_OF)
    return sqlite.execute(
        f"SELECT {columns} FROM outbox_deliveries AS d WHERE {' AND '.join(where)}"  # noqa: S608 - constants
        " ORDER BY d.created_ms DESC, d.id DESC LIMIT :limit",
        _bound(values) | {"limit": query.limit},
    ).fetchall()


def _attempts(sqlite: Sqlite, org_id: str, delivery_ids: Collection[str]) -> list[AttemptRow]:
    found = sqlite.execute(
        f"SELECT {rows.ATTEMPT} FROM outbox_attempts AS a JOIN outbox_deliveries AS d ON d.id = a.delivery_id"  # noqa: S608
        " WHERE a.delivery_id IN (SELECT value FROM json_each(:ids)) AND d.org_id = :org_id"
        " ORDER BY a.started_ms, a.delivery_id, a.number",
        {"ids": json.dumps(list(delivery_ids)), "org_id": org_id},
    )
    return [rows.attempt_row(row) for row in found]


def _of_call(sqlite: Sqlite, org_id: str, call_id: str) -> list[tuple[DeliveryRow, Sequence[AttemptRow]]]:
    found = _list(sqlite, org_id, DeliveryQuery(limit=EVERY, call_id=call_id))
    return rows.with_attempts(found, _attempts(sqlite, org_id, [row.delivery.id for row in found]))


def _replay(sqlite: Sqlite, org_id: str, query: DeliveryQuery, now_ms: int) -> list[str]:
    replayed: list[str] = []
    for (delivery_id,) in _found(sqlite, "d.id", org_id, query):
        if sqlite.execute(_SQL["replay"], {"id": delivery_id, "now_ms": now_ms}).rowcount:
            replayed.append(delivery_id)
    return replayed


def _forget(sqlite: Sqlite, before_ms: int, limit: int) -> int:
    over = sqlite.execute(_SQL["over"], {"before_ms": before_ms, "limit": limit}).fetchall()
    _remove(sqlite, [row[0] for row in over])
    return len(over)


def _remove(sqlite: Sqlite, ids: Sequence[str]) -> None:
    for name in ("forget_attempts", "forget_delivery"):
        sqlite.executemany(_SQL[name], [{"id": delivery_id} for delivery_id in ids])


def _bound(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(list(value)) if isinstance(value, tuple) else value for name, value in values.items()
    }
