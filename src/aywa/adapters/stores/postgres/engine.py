"""Connections to one PostgreSQL database: SQLAlchemy's for what both dialects share, the driver's own for the outbox and the
projection; refuses to know any table.

The address goes to the driver as it is (`postgresql://user:password@host:port/name?sslmode=verify-full`, several hosts, server
settings: asyncpg's documentation, "connect"). A connection whose server has gone is noticed when it is taken from the pool, and
replaced: after an outage the next statement finds the database again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Conflict

CONNECTIONS: Final = 8
"""Of the API and everything else that is configuration."""
DRIVER_CONNECTIONS: Final = 4
"""Of the outbox and the projection."""
CONNECT_S: Final = 10.0
COMMAND_S: Final = 30.0
"""So long may one statement take before the database counts as gone."""
ABANDONED_S: Final = 30.0
"""So long may a transaction stand still, or what the server sends stay without an answer, before the server ends the connection:
who was stopped or cut off in a transaction holds rows that others, such as whoever takes its calls, wait for."""
IDLE_S: Final = 300.0
"""A connection that was used no more than this long ago is kept."""
_SESSION: Final[Mapping[str, str]] = {"application_name": "aywa", "timezone": "UTC"}


class Database:
    """The connections. Driver errors leave as StoreUnavailable or Conflict. pool: the driver's own."""

    def __init__(self, engine: AsyncEngine, pool: asyncpg.Pool) -> None:
        self._engine = engine
        self.pool = pool

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements each see the newest state."""
        with Translated():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction; commits at the end, rolls back on an error. It is always on the disk when it returns: what the
        projector has written is not kept elsewhere for long."""
        with Translated():
            async with self._engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Closes every connection."""
        await self.pool.close()
        await self._engine.dispose()


_GONE = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # A connection that is cut while something else is written to it: the driver no longer knows where it is.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class Translated:
    """Turns errors into the port's. Their texts can quote values, that is, what callers said."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, IntegrityError):
            raise Conflict("a row with this value is already there") from error
        if isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError):
            # Of the batches, which the projector takes apart: one bad record must not hold up all others.
            return
        if isinstance(error, _GONE):
            raise StoreUnavailable(f"PostgreSQL: {_name(error)}") from error


def _name(error: BaseException) -> str:
    """The driver's own error, by its class, and what the server calls it: both say nothing of values."""
    cause = error
    while (inner := getattr(cause, "orig", None) or cause.__cause__) is not None:
        cause = inner
    state = getattr(cause, "sqlstate", None)
    return type(cause).__name__ + (f" ({state})" if state else "")


async def connect(address: str) -> Any:
    """A connection of the driver's. Raises what the driver raises, and StoreUnavailable for an address that says nothing."""
    try:
        return await asyncpg.connect(
            address, timeout=CONNECT_S, command_timeout=COMMAND_S, server_settings=dict(_SESSION)
        )
    except ValueError as error:
        # Its text may quote the address.
        raise StoreUnavailable(f"PostgreSQL: the address cannot be read ({type(error).__name__})") from None


def engine_of(address: str, *, kept: bool = True) -> AsyncEngine:
    """kept: whether connections are."""

    async def connected() -> Any:
        connection = await connect(address)
        if kept:
            await connection.execute(_not_abandoned())
        return connection

    pool: dict[str, Any] = {"poolclass": NullPool}
    if kept:
        pool = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": COMMAND_S}
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connected, hide_parameters=True, **pool
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def checked_out(connection: Any, _record: Any, _proxy: Any) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    return engine


async def open_pool(address: str) -> asyncpg.Pool:
    """Raises what the driver raises, but connects only when it is asked to."""
    return await asyncpg.create_pool(
        address,
        min_size=0,
        max_size=DRIVER_CONNECTIONS,
        command_timeout=COMMAND_S,
        timeout=CONNECT_S,
        max_inactive_connection_lifetime=IDLE_S,
        server_settings=dict(_SESSION),
        init=_begin,
        connection_class=_Pooled,
    )


def _not_abandoned() -> str:
    # By statements: PgBouncer refuses to pass it on with the session's other settings. The second is for a connection that dies
    # while the server is sending, which does not count as standing still.
    wait_ms = round(ABANDONED_S * 1000)
    return f"SET idle_in_transaction_session_timeout = {wait_ms}; SET tcp_user_timeout = {wait_ms}"


async def _begin(connection: asyncpg.Connection) -> None:
    await connection.execute(_not_abandoned())


class _Pooled(asyncpg.Connection):
    """What is reset when it goes back into the pool is set again."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        return f"{super().get_reset_query()};\n{_not_abandoned()}"
