"""Every ciphertext in the database, alike in both dialects: those with a column of their own, and those that stand inside of what
a delivery or a record says of a call's servers. Refuses to open any.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import LargeBinary, Table, and_, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aywa.adapters.stores.sql.database import Database
from aywa.adapters.stores.sql.projected import event_data
from aywa.adapters.stores.sql.tables import call_events, calls, encryption_keys, metadata, outbox_deliveries
from aywa.ports.sealed import Exchange, KnownKey, SealedRow
from aywa.ports.secrets import KEY_ID_CHARACTERS, SEALED, Sealed, sealed_in

_COLUMNS = {table.name: table for table in metadata.sorted_tables if "sealed" in table.c}
_DELIVERIES, _EVENTS = outbox_deliveries.name, call_events.name
_NAMING_SERVERS = ("CallStarted", "HandoffPrepared")
"""Records that say which servers hear of the call, and how what they are told is signed."""


class SqlSealed:
    """ports.sealed.SealedRows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def tables(self) -> Sequence[str]:
        """As the port says: what is used first, what nobody may ever ask for again last."""
        return (*sorted(_COLUMNS), _DELIVERIES, _EVENTS)

    async def page(self, table: str, after: str, limit: int) -> Sequence[SealedRow]:
        look = {_DELIVERIES: _deliveries, _EVENTS: _events}.get(table)
        async with self._database.read() as connection:
            if look is not None:
                return await look(connection, after, limit)
            return await _columns(connection, _COLUMNS[table], after, limit)

    async def key_ids(self) -> Collection[str]:
        found: set[str] = set()
        waits, text = outbox_deliveries.c.state.in_(("waiting", "sending")), outbox_deliveries.c.endpoints
        async with self._database.read() as connection:
            for table in _COLUMNS.values():
                ids = select(table.c.key_id).where(table.c.sealed.is_not(None)).distinct()
                found.update(row[0] or "" for row in await connection.execute(ids))
            # The first of each: a call's endpoints were sealed together.
            at = func.instr(text, SEALED) if _is_sqlite(connection) else func.strpos(text, SEALED)
            inside = func.substr(text, at + len(SEALED), KEY_ID_CHARACTERS)
            waiting = select(inside).where(waits, text.contains(SEALED)).distinct()
            found.update(row[0] for row in await connection.execute(waiting))
        return found

    async def exchange(self, exchanges: Sequence[Exchange]) -> int:
        async with self._database.write(durable=True) as connection:
            return sum([await _exchange(connection, each) for each in exchanges])

    async def keys(self) -> Sequence[KnownKey]:
        columns = encryption_keys.c
        found = select(columns.id, columns.since_ms, columns.done_ms)
        async with self._database.read() as connection:
            rows = await connection.execute(found.order_by(columns.since_ms.desc(), columns.id))
            return [KnownKey(*row) for row in rows]

    async def note(self, key: KnownKey) -> None:
        async with self._database.write(durable=True) as connection:
            await connection.execute(delete(encryption_keys).where(encryption_keys.c.id == key.id))
            noted = insert(encryption_keys).values(id=key.id, since_ms=key.since_ms, done_ms=key.done_ms)
            await connection.execute(noted)


# --- looking -----------------------------------------------------------------------------------------------------


async def _columns(connection: AsyncConnection, table: Table, after: str, limit: int) -> list[SealedRow]:
    columns = table.c
    found = select(columns.id, columns.org_id, columns.key_id, columns.sealed)
    found = found.where(columns.id > after, columns.sealed.is_not(None)).order_by(columns.id).limit(limit)
    return [
        SealedRow(table.name, row_id, org_id, (Sealed(key_id or "", bytes(blob)),))
        for row_id, org_id, key_id, blob in await connection.execute(found)
    ]


async def _deliveries(connection: AsyncConnection, after: str, limit: int) -> list[SealedRow]:
    columns = outbox_deliveries.c
    found = select(columns.id, columns.org_id, columns.endpoints)
    found = found.where(columns.id > after, columns.endpoints.contains(SEALED)).order_by(columns.id)
    rows = (await connection.execute(found.limit(limit))).all()
    # One without any is told of as well: nobody must take a page of such rows for the end.
    return [SealedRow(_DELIVERIES, row.id, row.org_id, tuple(_in_endpoints(row.endpoints))) for row in rows]


async def _events(connection: AsyncConnection, after: str, limit: int) -> list[SealedRow]:
    columns = call_events.c
    call_id, _, seq = after.rpartition("/")
    behind = tuple_(columns.call_id, columns.seq) > tuple_(literal(call_id), literal(int(seq or 0)))
    found = select(columns.call_id, columns.seq, columns.org_id, columns.data, calls.c.status)
    found = found.select_from(call_events.outerjoin(calls, calls.c.id == columns.call_id))
    found = found.where(behind, columns.kind.in_(_NAMING_SERVERS), _holds(connection, columns.data))
    rows = await connection.execute(found.order_by(columns.call_id, columns.seq).limit(limit))
    return [
        SealedRow(
            _EVENTS,
            f"{row.call_id}/{row.seq}",
            row.org_id,
            tuple(_in_servers(event_data(row.data).get("webhooks"))),
            running=row.status not in (None, "ended"),
        )
        for row in rows
    ]


def _holds(connection: AsyncConnection, column: Any) -> Any:
    """Whether these bytes have a ciphertext's beginning in them."""
    wanted = literal(SEALED.encode(), LargeBinary)
    if _is_sqlite(connection):
        return func.instr(column, wanted) > 0
    return func.position(wanted.op("IN")(column)) > 0


def _is_sqlite(connection: AsyncConnection) -> bool:
    return bool(connection.dialect.name == "sqlite")


def _in_endpoints(text: str) -> Iterator[Sealed]:
    try:
        endpoints = json.loads(text)
    except ValueError:
        return
    yield from _in_list(endpoints)


def _in_servers(webhooks: Any) -> Iterator[Sealed]:
    yield from _in_list(webhooks.get("servers") if isinstance(webhooks, dict) else None)


def _in_list(endpoints: Any) -> Iterator[Sealed]:
    for endpoint in endpoints if isinstance(endpoints, list) else ():
        auth = endpoint.get("auth") if isinstance(endpoint, dict) else None
        sealed = sealed_in(auth) if isinstance(auth, str) else None
        if sealed is not None:
            yield sealed


# --- exchanging --------------------------------------------------------------------------------------------------


async def _exchange(connection: AsyncConnection, exchange: Exchange) -> int:
    row = exchange.row
    if row.table == _DELIVERIES:
        columns = outbox_deliveries.c
        return await _inside(
            connection, outbox_deliveries, columns.endpoints, columns.id == row.id, exchange, _in_text
        )
    if row.table == _EVENTS:
        call_id, _, seq = row.id.rpartition("/")
        own = and_(call_events.c.call_id == call_id, call_events.c.seq == int(seq))
        return await _inside(connection, call_events, call_events.c.data, own, exchange, _in_bytes)
    table, [old], [new] = _COLUMNS[row.table], row.sealed, exchange.sealed
    # Whoever was quicker has sealed it with what is in it now.
    changed = update(table).where(table.c.id == row.id, table.c.sealed == old.blob)
    return (await connection.execute(changed.values(key_id=new.key_id, sealed=new.blob))).rowcount


async def _inside(
    connection: AsyncConnection,
    table: Table,
    column: Any,
    own: Any,
    exchange: Exchange,
    replaced: Callable[[Any, Sealed, Sealed], Any],
) -> int:
    found = (await connection.execute(select(column).where(own).with_for_update())).scalar_one_or_none()
    value = found
    for old, new in zip(exchange.row.sealed, exchange.sealed, strict=True):
        value = None if value is None else replaced(value, old, new)
    if value is None:
        return 0
    await connection.execute(update(table).where(own).values({column.name: value}))
    return 1


def _in_text(text: str, old: Sealed, new: Sealed) -> str | None:
    """None: it is not there."""
    return text.replace(old.text(), new.text()) if old.text() in text else None


def _in_bytes(packed: bytes, old: Sealed, new: Sealed) -> bytes | None:
    """Of the same length, before which msgpack has put that length."""
    before, after = old.text().encode(), new.text().encode()
    return packed.replace(before, after) if before in packed and len(before) == len(after) else None
