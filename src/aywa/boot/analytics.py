"""Analytics beside the store: where they are, who tells them, and who answers while they are away.

They are a help to whoever looks at many calls, and no part of any call: without them everything works, and the store answers
/analytics.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import structlog

from aywa.boot.errors import CannotStart
from aywa.core.sums import SumsQuery
from aywa.ports.analytics import AnalyticsStore, AnalyticsUnavailable, CallSums, Notches
from aywa.ports.journal import StoreUnavailable
from aywa.service.analytics import StoredSums
from aywa.service.teller import Teller

if TYPE_CHECKING:
    from aywa.adapters.analytics.clickhouse import Address
    from aywa.ports.store import Store

CLICKHOUSE_URL: Final = "RUNTIME_ANALYTICS_CLICKHOUSE_URL"
EXAMPLE: Final = "https://user:password@clickhouse.example:8443/aywa"
DATABASE: Final = "aywa"
PORTS: Final = {"http": 8123, "https": 8443}
LAST_WORDS_S: Final = 3.0
"""So long may it take to tell what the last calls left, when the runtime ends."""
PAGE: Final = 1000

_log = structlog.get_logger("aywa.analytics")


def clickhouse_from_environment(environment: Mapping[str, str] | None = None) -> Address | None:
    """Where RUNTIME_ANALYTICS_CLICKHOUSE_URL says; None without it. Raises CannotStart, which does not quote it."""
    url = (os.environ if environment is None else environment).get(CLICKHOUSE_URL, "").strip()
    if not url:
        return None
    # It takes a while to import, and few have one.
    from aywa.adapters.analytics.clickhouse import Address

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise CannotStart(f"{CLICKHOUSE_URL} must be an address such as {EXAMPLE}") from None
    name = unquote(parts.path.strip("/"))
    if parts.scheme not in PORTS or not parts.hostname or "/" in name or parts.query or parts.fragment:
        raise CannotStart(
            f"{CLICKHOUSE_URL} must be an address such as {EXAMPLE}, with http or https and nothing after the database"
        )
    return Address(
        parts.hostname,
        port or PORTS[parts.scheme],
        parts.scheme == "https",
        unquote(parts.username or "default"),
        unquote(parts.password or ""),
        name or DATABASE,
    )


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the store and analytics say of the same calls. missing: not told, or not there; behind: told of an earlier state;
    the first of each by their ids. waiting: of both, those that the teller knows of and has yet to tell."""

    calls: int = 0
    missing: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    waiting: int = 0


class Analytics:
    """start, then close. history: of all calls in steps of time. teller.told: how telling fares. where: for people."""

    def __init__(self, store: Store, analytics: AnalyticsStore, where: str = "") -> None:
        self.history = analytics.history
        self.check = analytics.check
        self.where = where
        self.teller = Teller(store.notches, analytics)
        self.sums: CallSums = FallingBack(analytics, StoredSums(store.calls))
        self.backlog = store.notches.backlog
        self._notches = store.notches
        self._analytics = analytics
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tells from now on."""
        self._task = asyncio.get_running_loop().create_task(self.teller.run(), name="teller")

    async def close(self) -> None:
        """Tells what the last calls left, if that goes quickly; the rest is told by whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            with contextlib.suppress(TimeoutError, StoreUnavailable):
                async with asyncio.timeout(LAST_WORDS_S):
                    while await self.teller.tell():
                        pass
        await self._analytics.close()

    async def again(self) -> int:
        """All calls are told anew; answers how many. Raises StoreUnavailable."""
        return await self._notches.again()

    async def reconciled(self) -> Reconciled:
        """Every call's state there held against its state here. Raises StoreUnavailable."""
        return await reconciled(self._notches, self._analytics)


class FallingBack:
    """Answers from the store while analytics cannot."""

    def __init__(self, first: CallSums, second: CallSums) -> None:
        self._first = first
        self._second = second

    async def sums(self, query: SumsQuery) -> Sequence[dict[str, Any]]:
        """As the port says."""
        try:
            return await self._first.sums(query)
        except AnalyticsUnavailable as error:
            _log.warning("analytics_answered_by_the_store", problem=str(error))
            return await self._second.sums(query)


async def reconciled(notches: Notches, analytics: AnalyticsStore) -> Reconciled:
    """Every call's state there held against its state here. Raises StoreUnavailable."""
    after, calls = "", 0
    missing: list[str] = []
    behind: list[str] = []
    while page := await notches.page(after, PAGE):
        after = page[-1][0]
        calls += len(page)
        there = await analytics.versions([call_id for call_id, _ in page])
        missing += [call_id for call_id, _ in page if call_id not in there]
        behind += [call_id for call_id, version in page if there.get(call_id, version) < version]
    return Reconciled(calls, tuple(missing), tuple(behind), (await notches.backlog()).calls)


def open_analytics(store: Store, environment: Mapping[str, str] | None = None) -> Analytics | None:
    """None where none are set. Raises CannotStart; whether they answer is nobody's concern yet."""
    address = clickhouse_from_environment(environment)
    if address is None:
        return None
    from aywa.adapters.analytics.clickhouse import ClickHouseStore

    where = f"ClickHouse at {address.host} port {address.port}, database {address.database}"
    return Analytics(store, ClickHouseStore(address), where)
