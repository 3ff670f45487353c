"""Connections to one SQLite file: many that read, one that writes; refuses to know any table.

Writes queue on a lock here instead of on SQLite's own (a deferred transaction that turns into a write fails at once
when somebody else wrote in between, whatever the busy timeout). The busy timeout is for other processes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Conflict

BUSY_TIMEOUT_S = 5.0
READERS = 4
WAL_ATTEMPTS = 100
WAL_WAIT_S = 0.01
CHECKPOINT_PAGES = 4000
"""16 MB of log. Calls rewrite the same pages every second: what is copied back four times as rarely is copied once."""

T = TypeVar("T")


_CONNECT = {"timeout": BUSY_TIMEOUT_S, "isolation_level": None}


class Database:
    """The file's connections. Driver errors leave as StoreUnavailable or Conflict."""

    def __init__(self, path: Path) -> None:
        self._readers = _engine(path, READERS, "NORMAL")
        self._writer = _engine(path, 1, "NORMAL", immediate=True)
        self._batches = _engine_of_threads(path, "NORMAL")
        # A configuration that was acknowledged outlives a power cut; what calls write is in the journal anyway.
        self._durable = _engine(path, 1, "FULL", immediate=True)
        self._durable_batches = _engine_of_threads(path, "FULL")
        self._batch_readers = _engine_of_threads(path, "NORMAL", READERS)
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

    async def write_aside(self, work: Callable[[Connection], T], *, durable: bool = False) -> T:
        """A transaction as above, all of it in a thread: of many statements each would cost the loop several changes of
        thread. It is brought to its end even if nobody waits for it any more."""
        engine = self._durable_batches if durable else self._batches
        with _Translated():
            async with self._lock:
                return await asyncio.to_thread(_transact, engine, work)

    async def read_aside(self, work: Callable[[Connection], T]) -> T:
        """Like write_aside, for what only reads: nobody waits for it."""
        with _Translated():
            return await asyncio.to_thread(_look, self._batch_readers, work)

    async def close(self) -> None:
        """Closes every connection; the last one folds the write-ahead log into the file."""
        for threads in (self._batches, self._durable_batches, self._batch_readers):
            await asyncio.to_thread(threads.dispose)
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
        connect_args=_CONNECT,
        # A reader has no transaction that its way back into the pool would have to end.
        **({} if immediate else {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}),
    )
    _prepare(engine.sync_engine, synchronous, immediate=immediate)
    return engine


def _transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _look(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return work(connection)


def _engine_of_threads(path: Path, synchronous: str, readers: int = 0) -> Engine:
    """readers: how many connections that only read; without them one that writes."""
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=readers or 1,
        max_overflow=0,
        hide_parameters=True,
        connect_args=_CONNECT,
        **({"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None} if readers else {}),
    )
    _prepare(engine, synchronous, immediate=not readers)
    return engine


def _prepare(engine: Engine, synchronous: str, *, immediate: bool) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        _set_wal(cursor)
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        cursor.close()

    if immediate:

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")


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
