"""Reads the store's tables as they are, whichever of the two databases it is: no migration, no write, no long wait. A database
that is down, locked, damaged or too new is what a bundle is made for, so nothing here relies on the store's own code.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, Protocol
from urllib.parse import quote

from aywa.boot.store import database
from aywa.boot.support.place import Place

BUSY_S = 2.0
CONNECT_S = 5.0
QUERY_S = 10.0
CHECK_EVERY = 50_000
"""Steps of SQLite between two looks at the clock."""
POSTGRES = "RUNTIME_STORE_POSTGRES_URL"
Row = Sequence[Any]


class Unreadable(Exception):
    """The store cannot be read. code: missing, locked, damaged, no_tables, refused, unreachable, timed_out, denied or failed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Rows(Protocol):
    """One question; its values stand as ? in the order they are given. Raises Unreadable."""

    def __call__(self, query: str, *values: Any) -> list[Row]: ...


def counts(found: Sequence[Row]) -> dict[str, int]:
    """Of rows of a name and a number."""
    return {str(row[0]): int(row[1]) for row in found}


def if_in_time(rows: Rows, query: str, *values: Any) -> list[Row]:
    """As rows; nothing where the answer takes too long, or an older schema has no such table."""
    try:
        return rows(query, *values)
    except Unreadable as problem:
        if problem.code in ("timed_out", "no_tables"):
            return []
        raise


def is_postgres(place: Place) -> bool:
    """Whether the store is elsewhere."""
    return bool(place.environment.get(POSTGRES, "").strip())


@contextmanager
def opened(place: Place) -> Iterator[Rows]:
    """The store's rows. Raises Unreadable."""
    with _postgres(place) if is_postgres(place) else _sqlite(place) as rows:
        yield rows


@contextmanager
def _sqlite(place: Place) -> Iterator[Rows]:
    path = database(place.folder)
    if not path.exists():
        raise Unreadable("missing")
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S)
    except sqlite3.Error as error:
        raise Unreadable("failed") from error
    with closing(connection):

        def rows(query: str, *values: Any) -> list[Row]:
            until_s = time.monotonic() + min(QUERY_S, place.left_s)
            connection.set_progress_handler(lambda: time.monotonic() >= until_s, CHECK_EVERY)
            try:
                return connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise Unreadable(_sqlite_code(error)) from error

        yield rows


def _sqlite_code(error: sqlite3.Error) -> str:
    # The driver's text may quote what is stored; only its kind is told.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "locked"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "damaged"
    if code == sqlite3.SQLITE_INTERRUPT:
        return "timed_out"
    return "no_tables" if "no such" in str(error) else "failed"


@contextmanager
def _postgres(place: Place) -> Iterator[Rows]:
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        connection = loop.run_until_complete(_connected(place))
        try:
            yield lambda query, *values: _asked(loop.run_until_complete, connection, query, values)
        finally:
            with suppress(Exception):
                loop.run_until_complete(connection.close(timeout=CONNECT_S))
    finally:
        loop.close()


async def _connected(place: Place) -> Any:
    import asyncpg

    url = place.environment[POSTGRES].strip()
    scheme, _, rest = url.partition("://")
    try:
        return await asyncpg.connect(
            f"{scheme.partition('+')[0]}://{rest}",
            timeout=CONNECT_S,
            command_timeout=QUERY_S,
            server_settings={
                "default_transaction_read_only": "on",
                "application_name": "aywa support-bundle",
            },
        )
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidPasswordError) as error:
        raise Unreadable("denied") from error
    except asyncpg.InvalidCatalogNameError as error:
        raise Unreadable("missing") from error
    except TimeoutError as error:
        raise Unreadable("timed_out") from error
    except ConnectionRefusedError as error:
        raise Unreadable("refused") from error
    except OSError as error:
        raise Unreadable("unreachable") from error
    except Exception as error:
        raise Unreadable("failed") from error


def _asked(run: Callable[[Any], Any], connection: Any, query: str, values: Sequence[Any]) -> list[Row]:
    import asyncpg

    for number in range(len(values)):
        query = query.replace("?", f"${number + 1}", 1)
    try:
        return [tuple(row) for row in run(connection.fetch(query, *values))]
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
        raise Unreadable("no_tables") from error
    except TimeoutError as error:
        raise Unreadable("timed_out") from error
    except OSError as error:
        raise Unreadable("unreachable") from error
    except Exception as error:
        raise Unreadable("failed") from error
