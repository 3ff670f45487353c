"""Which runtimes share the database, and whose a call is. Fencing tokens come from one row, so they only ever grow.

A node that is taken for dead is removed in the transaction that takes its calls, and only if its beat is still the one that was
seen: of several who ask, one gets them, and none if it has shown itself meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aywa.adapters.stores.sql.database import Database
from aywa.adapters.stores.sql.projected import is_unended
from aywa.adapters.stores.sql.tables import calls, nodes
from aywa.ports.leases import Buried, OwnedCall, Usurped

_NEXT_TOKEN = text(
    "INSERT INTO fencing (id, token) VALUES (1, 1)"
    " ON CONFLICT (id) DO UPDATE SET token = fencing.token + 1 RETURNING token"
)
_JOIN = text(
    "INSERT INTO nodes (id, token, beat, joined_ms) VALUES (:id, :token, 1, :now_ms)"
    " ON CONFLICT (id) DO UPDATE SET token = excluded.token, beat = nodes.beat + 1, joined_ms = excluded.joined_ms"
)


class SqlLeases:
    """ports.leases.CallLeases. shared: whether other runtimes may have the same database."""

    def __init__(self, database: Database, *, shared: bool) -> None:
        self._database = database
        self.shared = shared
        self._node: str | None = None
        self._joined = 0
        self._token = 0

    @property
    def columns(self) -> Mapping[str, Any]:
        """What a call's row says that this process begins; nothing, before it has joined."""
        return {} if self._node is None else {"lease_owner": self._node, "lease_token": self._token}

    async def join(self, node: str) -> int:
        async with self._database.write(durable=True) as connection:
            token = await _next_token(connection)
            now_ms = time.time_ns() // 1_000_000
            await connection.execute(_JOIN, {"id": node, "token": token, "now_ms": now_ms})
        self._node, self._joined, self._token = node, token, token
        return token

    async def beat(self) -> Mapping[str, int]:
        shown = update(nodes).where(nodes.c.id == self._node, nodes.c.token == self._joined)
        async with self._database.write() as connection:
            done = await connection.execute(shown.values(beat=nodes.c.beat + 1))
            found = await connection.execute(select(nodes.c.id, nodes.c.beat))
            beats = {row[0]: int(row[1]) for row in found}
        if done.rowcount:
            return beats
        if self._node in beats:
            raise Usurped(f"another process has the name {self._node}")
        raise Buried(f"{self._node} was taken for dead")

    async def take(self, node: str, beat: int | None = None) -> tuple[int, Sequence[OwnedCall]]:
        async with self._database.write(durable=True) as connection:
            if beat is not None:
                gone = delete(nodes).where(nodes.c.id == node, nodes.c.beat == beat)
                if not (await connection.execute(gone)).rowcount:
                    return 0, ()
            owned = calls.c.lease_owner == node
            if beat is None and not self.shared:
                # Nobody else can have begun what says of nobody that it is his.
                owned = or_(owned, calls.c.lease_owner.is_(None))
            token, found = await self._given(connection, owned)
        self._token = max(self._token, token)
        return token, found

    async def unanswered(self) -> tuple[int, Sequence[OwnedCall]]:
        # What this process has begun or knows to be its own has no greater token than it knows.
        newer = and_(calls.c.lease_owner == self._node, calls.c.lease_token > self._token)
        async with self._database.write(durable=True) as connection:
            token, found = await self._given(connection, newer)
        self._token = max(self._token, token)
        return token, found

    async def _given(
        self, connection: AsyncConnection, owned: ColumnElement[bool]
    ) -> tuple[int, list[OwnedCall]]:
        """Those that have not ended are this node's, by a new token."""
        token = await _next_token(connection)
        given = await connection.execute(
            update(calls)
            .where(owned, *is_unended())
            .values(lease_owner=self._node, lease_token=token)
            .returning(calls.c.id, calls.c.org_id)
        )
        return token, [OwnedCall(row[0], row[1]) for row in given]

    async def leave(self) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                delete(nodes).where(nodes.c.id == self._node, nodes.c.token == self._joined)
            )


async def _next_token(connection: AsyncConnection) -> int:
    return int((await connection.execute(_NEXT_TOKEN)).scalar_one())
