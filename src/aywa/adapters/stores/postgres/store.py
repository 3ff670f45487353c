"""Opens the store in a PostgreSQL database: what the release needs of the schema first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from aywa.adapters.stores.postgres import outbox
from aywa.adapters.stores.postgres.engine import Database, Translated, engine_of, open_pool
from aywa.adapters.stores.postgres.migrations import migrate
from aywa.adapters.stores.postgres.projection import PostgresProjection
from aywa.adapters.stores.sql.migrations import Stage
from aywa.adapters.stores.sql.storable import storable
from aywa.adapters.stores.sql.store import SqlStore
from aywa.core.webhooks import Delivery
from aywa.ports.journal import StoreUnavailable

_PARSED = r"""CAST(
  CASE WHEN strpos(calls.document, '\u0000') = 0 AND strpos(calls.document, '\ud') = 0 THEN calls.document
  ELSE regexp_replace(calls.document, '\\u(0000|d[89a-f][0-9a-f]{2})', '\\ufffd', 'gi') END AS jsonb
)"""
"""A call's document, once for all that is asked of it. What jsonb cannot hold is replaced (PostgreSQL's manual, 8.14)."""


class PostgresDatabase(Database):
    """With what the shared queries need of the dialect."""

    async def enqueue_along(
        self, connection: AsyncConnection, deliveries: Sequence[Delivery], now_ms: int
    ) -> None:
        await outbox.enqueue_along(connection, deliveries, now_ms)

    def call_figures(self, paths: Sequence[str]) -> Any:
        steps = {f"path_{n}": [storable(step) for step in path.split(".")] for n, path in enumerate(paths)}
        found = ", ".join(f"body #> CAST(:{name} AS text[])" for name in steps)
        return text(
            f"(SELECT jsonb_build_array({found})::text FROM (SELECT {_PARSED} AS body OFFSET 0) AS parsed)"  # noqa: S608
        ).bindparams(*(bindparam(name, value, ARRAY(Text)) for name, value in steps.items()))


class PostgresStore(SqlStore):
    """Everything in one database."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(
            database, PostgresProjection(database), outbox.PostgresOutbox(database.pool), shared=True
        )
        self._database = database

    async def check(self) -> None:
        async with self._database.read() as connection:
            found = await connection.execute(text("SELECT current_setting('transaction_read_only')"))
            if found.scalar_one() == "on":
                raise StoreUnavailable("PostgreSQL: this server can only be read (a standby?)")

    async def close(self) -> None:
        await self._database.close()


async def open_postgres(address: str) -> PostgresStore:
    """Connects, and adds to the schema what this release needs; what older releases need stays (`aywa migrate --post`).

    address: postgresql://... Raises StoreUnavailable, StoreTooNew.
    """
    await migrate(address, Stage.PRE)
    with Translated():
        return PostgresStore(PostgresDatabase(engine_of(address), await open_pool(address)))
