"""The outbox in PostgreSQL: statements of outbox.sql, of which most are one round trip for a whole batch."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from aywa.adapters.stores import outbox_rows as rows
from aywa.adapters.stores.named_sql import named_sql
from aywa.adapters.stores.postgres.engine import Translated, open_pool
from aywa.adapters.stores.postgres.migrations import migrate
from aywa.adapters.stores.postgres.statements import bind, columns, numbered, run
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

EVERY: Final = 1_000_000
"""More deliveries than a call can have."""

_SQL = named_sql("aywa.adapters.stores.postgres", "outbox.sql")
_ANY_OF = {"ids": "d.id = ANY (:ids)", "states": "d.state = ANY (:states)"}


class PostgresOutbox:
    """ports.outbox.Outbox."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def close(self) -> None:
        """Closes the connections."""
        await self._pool.close()

    async def enqueue(self, deliveries: Sequence[Delivery], now_ms: int) -> None:
        with Translated():
            async with self._pool.acquire() as connection, connection.transaction():
                await enqueue(connection, deliveries, now_ms)

    async def claim(self, query: ClaimQuery) -> Sequence[Claimed]:
        values = rows.claim_values(query)
        values |= {"busy": list(query.busy), "places": list(query.busy.values())}
        return [rows.claimed_of(row) for row in await self._all("claim", values)]

    async def finish(self, finished: Sequence[Finished], now_ms: int) -> Sequence[str]:
        if not finished:
            return []
        # One statement, and so one transaction in one round trip.
        values = columns(
            [rows.attempt_values(item) | rows.delivery_values(item, now_ms) for item in finished]
        )
        return [row[0] for row in await self._all("finish", values)]

    async def renew(self, owner: str, held: Mapping[str, int], lease_ms: int) -> None:
        values = {"owner": owner, "lease_ms": lease_ms, "id": list(held), "token": list(held.values())}
        await self._all("renew", values)

    async def expired(self, now_ms: int, limit: int) -> Sequence[Claimed]:
        found = await self._all("expired", {"now_ms": now_ms, "limit": limit})
        return [rows.claimed_of(row) for row in found]

    async def moved(self, by_ms: int, now_ms: int) -> None:
        values = {"by_ms": by_ms, "now_ms": now_ms, "order_ms": round(ORDER_BOUND_S * 1000)}
        for name in ("moved_waiting", "moved_leases"):
            await self._all(name, values)

    async def newest_ms(self) -> int | None:
        found = await self._all("newest", {})
        return found[0]["newest_ms"] if found else None

    async def pass_on(self, endpoints: Collection[str], now_ms: int) -> int:
        text, values = bind(_SQL["pass_on"], {"endpoints": list(endpoints), "now_ms": now_ms})
        with Translated():
            done: str = await self._pool.execute(text, *values)
        return int(done.rpartition(" ")[2])

    async def disable(self, org_id: str, endpoint: str, now_ms: int) -> None:
        values = {"endpoint": rows.scoped(org_id, endpoint), "org_id": org_id, "now_ms": now_ms}
        await self._all("disable", values)

    async def enable(self, org_id: str, endpoint: str) -> bool:
        return bool(await self._all("enable", {"endpoint": rows.scoped(org_id, endpoint)}))

    async def disabled(self, org_id: str) -> Sequence[DisabledEndpoint]:
        return [rows.disabled_of(org_id, row) for row in await self._all("disabled", {"org_id": org_id})]

    async def list(self, org_id: str, query: DeliveryQuery) -> Sequence[DeliveryRow]:
        more = "d.state, d.attempts, d.replays, d.due_ms, d.updated_ms, d.problem"
        return [
            rows.delivery_row(row) for row in await self._found(f"{rows.DELIVERY}, {more}", org_id, query)
        ]

    async def attempts(self, org_id: str, delivery_ids: Collection[str]) -> Sequence[AttemptRow]:
        found = await self._all("attempts", {"org_id": org_id, "ids": list(delivery_ids)})
        return [rows.attempt_row(row) for row in found]

    async def of_call(self, org_id: str, call_id: str) -> Sequence[tuple[DeliveryRow, Sequence[AttemptRow]]]:
        found = await self.list(org_id, DeliveryQuery(limit=EVERY, call_id=call_id))
        return rows.with_attempts(found, await self.attempts(org_id, [row.delivery.id for row in found]))

    async def replay(self, org_id: str, query: DeliveryQuery, now_ms: int) -> Sequence[str]:
        wanted = [row[0] for row in await self._found("d.id", org_id, query)]
        done = {row[0] for row in await self._all("replay", {"ids": wanted, "now_ms": now_ms})}
        return [delivery_id for delivery_id in wanted if delivery_id in done]

    async def forget(self, before_ms: int, limit: int) -> int:
        return len(await self._all("forget", {"before_ms": before_ms, "limit": limit}))

    async def backlog(self) -> Backlog:
        [row] = await self._all("backlog", {})
        return Backlog(*row)

    async def _found(self, columns: str, org_id: str, query: DeliveryQuery) -> Sequence[Any]:
        where, values = rows.conditions(org_id, query, _ANY_OF)
        text = (
            f"SELECT {columns} FROM outbox_deliveries AS d WHERE {' AND '.join(where)}"  # noqa: S608 - constants
            " ORDER BY d.created_ms DESC, d.id DESC LIMIT :limit"
        )
        with Translated():
            async with self._pool.acquire() as connection:
                return await run(connection, text, values | {"limit": query.limit})

    async def _all(self, name: str, values: Mapping[str, Any]) -> Sequence[Any]:
        with Translated():
            async with self._pool.acquire() as connection:
                return await run(connection, _SQL[name], values)


async def enqueue(connection: Any, deliveries: Sequence[Delivery], now_ms: int) -> None:
    """Inside a transaction of the driver's."""
    text, written = _enqueued(deliveries, now_ms)
    await connection.executemany(text, written)


async def enqueue_along(connection: AsyncConnection, deliveries: Sequence[Delivery], now_ms: int) -> None:
    """Inside a transaction of SQLAlchemy's: with a change of configuration, or of a call that never began."""
    if deliveries:
        text, written = _enqueued(deliveries, now_ms)
        await connection.exec_driver_sql(text, [tuple(row) for row in written])


def _enqueued(deliveries: Sequence[Delivery], now_ms: int) -> tuple[str, list[list[Any]]]:
    # As calls are: in one order, whoever writes them.
    ordered = sorted(deliveries, key=lambda delivery: delivery.id)
    written = [rows.written(delivery, now_ms) for delivery in ordered]
    for row in written:
        row["keys"] = json.loads(row["keys"])
    text, names = numbered(_SQL["enqueue"])
    return text, [[row[name] for name in names] for row in written]


async def open_outbox(address: str) -> PostgresOutbox:
    """The outbox alone, for who only carries. Makes or migrates the tables first. Raises StoreUnavailable, StoreTooNew."""
    await migrate(address)
    with Translated():
        return PostgresOutbox(await open_pool(address))
