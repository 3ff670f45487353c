"""All rows of a store as text, and back, in either dialect: what a backup is made of. Knows tables only as the database has them,
so that a backup of an older release can be taken back into its own schema."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from sqlalchemy import ARRAY, JSON, Column, Connection, MetaData, Table, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

ROWS: Final = 500
"""Rows that are in memory at once."""
LEFT_OUT: Final = frozenset(("alembic_version", "schema_revisions", "call_notches", "nodes"))
"""What is a database's own: its schema, what it has told analytics, and who is alive over it."""
KEPT_EMPTY: Final = ("orgs", "calls")
"""Who has rows in these is somebody's store."""

Lines = Callable[[str], Iterable[str]]


async def tables_of(connection: AsyncConnection) -> list[Table]:
    """In an order in which they can be filled."""

    def reflected(sync: Connection) -> list[Table]:
        metadata = MetaData()
        metadata.reflect(sync)
        return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]

    return await connection.run_sync(reflected)


async def lines_of(connection: AsyncConnection, table: Table) -> AsyncIterator[list[str]]:
    """The names of its columns, then its rows, each a JSON array in a line; some at a time."""
    yield [json.dumps([column.name for column in table.columns])]
    found = await connection.stream(select(table).order_by(*table.primary_key.columns))
    async for rows in found.partitions(ROWS):
        yield [json.dumps([_plain(value) for value in row], allow_nan=False) for row in rows]


async def fill(engine: AsyncEngine, expected: Mapping[str, int], lines: Lines) -> None:
    """Puts a backup's lines into a store that is empty, all or none. expected: table -> rows. Raises ValueError for lines that
    are none, or not so many, and NotEmpty."""
    async with engine.begin() as connection:
        there = await tables_of(connection)
        for table in there:
            if table.name in KEPT_EMPTY and await connection.scalar(select(func.count()).select_from(table)):
                raise NotEmpty(f"there are {table.name} in it already")
        unknown = set(expected) - {table.name for table in there}
        if unknown:
            raise ValueError(f"no table {min(unknown)} is known")
        for table in reversed(there):
            # What a migration has put into a new store.
            await connection.execute(table.delete())
        for table in there:
            if table.name not in expected:
                continue
            count = await _fill_table(connection, table, iter(lines(table.name)))
            if count != expected[table.name]:
                raise ValueError(f"{table.name} has {count} rows instead of {expected[table.name]}")


async def told_anew(engine: AsyncEngine, now_s: int) -> None:
    """Analytics may have been told of later changes than a backup knows: all that it brought counts as newer."""
    async with engine.begin() as connection:
        changed = text("UPDATE call_notches SET version = :now_s, told = 0, lease_ms = 0")
        await connection.execute(changed, {"now_s": now_s})


class NotEmpty(Exception):
    """Somebody's rows are in the store."""


async def _fill_table(connection: AsyncConnection, table: Table, lines: Iterator[str]) -> int:
    head = json.loads(next(lines, "[]"))
    if not isinstance(head, list) or set(head) - set(table.columns.keys()):
        raise ValueError(f"{table.name} has other columns")
    columns = [table.columns[name] for name in head]
    count = 0
    while some := list(islice(lines, ROWS)):
        rows = [
            {
                column.name: _value(value, column)
                for column, value in zip(columns, json.loads(line), strict=True)
            }
            for line in some
        ]
        await connection.execute(insert(table), rows)
        count += len(rows)
    return count


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(bytes(value)).decode("ascii")}
    # What one dialect keeps as a list the other keeps as its JSON.
    return json.dumps(value) if isinstance(value, list | dict) else value


def _value(value: Any, column: Column[Any]) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"], validate=True)
    return json.loads(value) if isinstance(value, str) and isinstance(column.type, JSON | ARRAY) else value
