"""Connections to one SQLite file: many that read, one that writes; refuses to know any table.

Writes queue on a lock here instead of on SQLite's own (a deferred transaction that turns into a write fails at once
when somebody else wrote in between, whatever the busy timeout). The busy timeout is for other processes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Conflict

BUSY_TIMEOUT_S = 5.0
READERS = 4
WAL_ATTEMPTS = 100
WAL_WAIT_S = 0.01


class Database:
    """The file's connections. Driver errors leave as StoreUnavailable or Conflict."""

    def __init__(self, path: Path) -> None:
        self._readers = _engine(path, READERS, "NORMAL")
        self._writer = _engine(path, 1, "NORMAL", immediate=True)
        # A configuration that was acknowledged outlives a power cut; what calls write is in the journal anyway.
        self._durable = _engine(path, 1, "FULL", immediate=True)
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements each see the newest state."""
        with _Translated():
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction; commits at the end, rolls back on an error. durable: on the disk when it returns."""
        with _Translated():
            async with self._lock, (self._durable if durable else self._writer).begin() as connection:
                yield connection

    async def close(self) -> None:
        """Closes every connection; the last one folds the write-ahead log into the file."""
        for engine in (self._readers, self._writer, self._durable):
            await engine.dispose()


class _Translated:
    """Turns the driver's errors into the port's."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, IntegrityError):
            raise Conflict("a row with this value is already there") from error
        if isinstance(error, SQLAlchemyError | OSError):
            # The driver's text can quote parameters, that is, what callers said.
            raise StoreUnavailable(f"SQLite: {type(getattr(error, 'orig', error)).__name__}") from error


def _engine(path: Path, size: int, synchronous: str, *, immediate: bool = False) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
        # A reader has no transaction that its way back into the pool would have to end.
        **({} if immediate else {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}),
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        _set_wal(cursor)
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    if immediate:

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _set_wal(cursor: Any) -> None:
    """SQLite does not wait for its busy timeout while two connections change the journal's mode at once."""
    for attempt in range(WAL_ATTEMPTS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if attempt == WAL_ATTEMPTS - 1:
                raise
            time.sleep(WAL_WAIT_S)
