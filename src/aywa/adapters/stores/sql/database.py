"""What the queries that both dialects share need of a database; refuses to know any driver."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from aywa.core.webhooks import Delivery


class Database(Protocol):
    """Driver errors leave its contexts as StoreUnavailable or Conflict."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection whose statements each see the newest state."""

    def write(self, *, durable: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction; commits at the end, rolls back on an error. durable: on the disk when it returns."""

    async def enqueue_along(
        self, connection: AsyncConnection, deliveries: Sequence[Delivery], now_ms: int
    ) -> None:
        """Puts deliveries into the outbox, in the transaction that is open."""

    def call_figures(self, paths: Sequence[str]) -> Any:
        """Selects what a call's document says at these dotted paths: a JSON array, null where it says nothing; what stands
        behind them in it does not count."""
