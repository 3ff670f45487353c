"""Analytics in ClickHouse: connects when it is asked the first time, makes its tables, and again after it was away.

The client blocks, so each question runs in a thread. Errors leave as AnalyticsUnavailable with the line that mends them where an
operator must act; none of them has the server's own words, which may quote what was written.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aywa.adapters.analytics.clickhouse import statements as sql
from aywa.adapters.analytics.clickhouse.tables import (
    CALLS,
    CHILDREN,
    SCHEMA,
    SCHEMA_MADE,
    SCHEMAS,
    TABLES,
    rows,
)
from aywa.core.sums import SumsQuery
from aywa.core.tally import Tally
from aywa.ports.analytics import (
    AnalyticsUnavailable,
    HistoryQuery,
    HistoryStep,
)

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CONNECT_S: Final = 5
ANSWER_S: Final = 60

_UNKNOWN_DATABASE: Final = 81
_MENDS: Final[Mapping[int, str]] = {
    _UNKNOWN_DATABASE: "the database is not there: make it, or let the user CREATE DATABASE",
    192: "no such user: check the user in RUNTIME_ANALYTICS_CLICKHOUSE_URL",
    193: "the password is wrong: check it in RUNTIME_ANALYTICS_CLICKHOUSE_URL",
    516: "user or password is wrong: check both in RUNTIME_ANALYTICS_CLICKHOUSE_URL",
    497: "the user may not do this: GRANT SELECT, INSERT, CREATE TABLE, ALTER DELETE on the database",
    164: "the user may only read: give it a profile without readonly",
    243: "its disk is full: make room, or give it another",
    241: "it has too little memory for this",
    252: "it merges more slowly than is written: look at its disk and at other writers",
    242: "the table is read-only: look at its replicas and Keeper",
}
"""ClickHouse's error codes (src/Common/ErrorCodes.cpp) of which somebody must know."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where it is, and who we are there."""

    host: str
    port: int
    secure: bool
    user: str
    password: str = field(repr=False)
    database: str


class ClickHouseStore:
    """ports.analytics.AnalyticsStore."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client: Client | None = None
        # Whoever comes first connects; the others wait for it.
        self._connecting = threading.Lock()

    async def write(self, tallies: Sequence[Tally]) -> None:
        """As the port says."""
        await asyncio.to_thread(self._write, tallies)

    async def sums(self, query: SumsQuery) -> Sequence[dict[str, Any]]:
        """As the port says."""
        text, parameters = sql.sums(query)
        return await asyncio.to_thread(lambda: sql.gathered(query, self._ask(text, parameters)))

    async def history(self, query: HistoryQuery) -> Sequence[HistoryStep]:
        """As the port says."""
        parameters = sql.history_parameters(query)

        def ask() -> list[HistoryStep]:
            asked = (sql.HISTORY_CALLS, sql.HISTORY_TURNS, sql.HISTORY_PROVIDERS)
            calls, turns, providers = (self._ask(text, parameters) for text in asked)
            return sql.history_steps(query, calls, turns, providers)

        return await asyncio.to_thread(ask)

    async def versions(self, call_ids: Collection[str]) -> Mapping[str, int]:
        """As the port says."""
        found = await asyncio.to_thread(self._ask, sql.VERSIONS, {"ids": list(call_ids)})
        return {str(call_id): int(version) for call_id, version in found}

    async def check(self) -> None:
        """As the port says."""
        _ = await asyncio.to_thread(self._ask, "SELECT 1", {})

    async def close(self) -> None:
        """As the port says."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close)

    # --- in threads ----------------------------------------------------------------------------------------------

    def _ask(self, text: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        with self._translated():
            return self._connected().query(text, parameters=dict(parameters)).result_rows

    def _write(self, tallies: Sequence[Tally]) -> None:
        with self._translated():
            client = self._connected()
            self._forget(client, [each for each in tallies if each.call is None])
            for table in TABLES:
                if found := rows(table, tallies):
                    _ = client.insert(
                        table.name,
                        found,
                        column_names=list(table.columns),
                        column_type_names=list(table.columns.values()),
                    )

    def _forget(self, client: Client, deleted: Sequence[Tally]) -> None:
        """What is known of deleted calls, for good. Costs nothing where there is none."""
        if not deleted:
            return
        parameters = {
            "ids": [each.call_id for each in deleted],
            "made": [each.created_ms for each in deleted],
        }
        for table in (*CHILDREN, CALLS):
            text = sql.FORGET.format(table=table.name) + (sql.EARLIER if table.deletes else "")
            _ = client.command(text, parameters=parameters)

    def _connected(self) -> Client:
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Client:
        from clickhouse_connect.driver.exceptions import DatabaseError

        address = self._address
        try:
            client = _client(address, address.database)
        except DatabaseError as error:
            if error.code != _UNKNOWN_DATABASE:
                raise
            first = _client(address, None)
            try:
                _ = first.command(f"CREATE DATABASE IF NOT EXISTS {_quoted(address.database)}")
            finally:
                first.close()
            client = _client(address, address.database)
        try:
            self._prepare(client)
        except BaseException:
            client.close()
            raise
        return client

    def _prepare(self, client: Client) -> None:
        _ = client.command(SCHEMAS)
        [[newest]] = client.query("SELECT max(schema) FROM aywa_schemas").result_rows
        if newest > SCHEMA:
            raise AnalyticsUnavailable(
                f"ClickHouse: its tables are of schema {newest}, and this release knows {SCHEMA}:"
                " start the newer release, or name another database"
            )
        if newest < SCHEMA:
            for table in TABLES:
                _ = client.command(table.statement())
            _ = client.command(SCHEMA_MADE, parameters={"schema": SCHEMA})

    def _translated(self) -> AbstractContextManager[None]:
        return _Translated()


class _Translated(AbstractContextManager[None]):
    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, AnalyticsUnavailable):
            return
        from clickhouse_connect.driver.exceptions import (
            ClickHouseError,
            OperationalError,
        )

        if isinstance(error, ClickHouseError):
            code = getattr(error, "code", None)
            if code is None:
                gone = isinstance(error, OperationalError)
                why = "it does not answer: is it running, and is its address right?" if gone else "it failed"
            else:
                why = f"{_MENDS.get(code, 'it refused')} (error {code})"
            raise AnalyticsUnavailable(f"ClickHouse: {why}") from error
        if isinstance(error, OSError):
            raise AnalyticsUnavailable(f"ClickHouse: {type(error).__name__}") from error


def _client(address: Address, database: str | None) -> Client:
    import clickhouse_connect

    # It logs what it could not write, and what was to be written.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL + 1)
    return clickhouse_connect.get_client(
        host=address.host,
        port=address.port,
        interface="https" if address.secure else "http",
        username=address.user,
        password=address.password,
        database=database or "",
        client_name="aywa",
        connect_timeout=CONNECT_S,
        send_receive_timeout=ANSWER_S,
        # Questions come from several threads at once, which one session of the server would refuse.
        autogenerate_session_id=False,
        dedicated_pool=True,
    )


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
