"""What the outbox's deliveries need of the process: the guard's exceptions and the courier's limits from the environment, the
courier itself, and a store that wakes it when something new is to be carried."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from aywa.adapters.webhooks.sender import HttpSender
from aywa.adapters.wire.outbound import Outbound
from aywa.boot.errors import CannotStart
from aywa.boot.phone_settings import Reader
from aywa.core.leases import Fence
from aywa.core.outbound import LOOPBACK, NOBODY, Allowed, read_allowed
from aywa.core.webhooks import Delivery
from aywa.ports.journal import CallProjection, JournalRecord, ProjectionStore
from aywa.ports.outbox import Outbox
from aywa.ports.webhooks import RequestHeaders
from aywa.service.courier import Courier, CourierLimits

ALLOW = "RUNTIME_INTERNAL_ALLOW"
CONCURRENCY = "RUNTIME_WEBHOOK_CONCURRENCY"
IN_FLIGHT = "RUNTIME_WEBHOOK_IN_FLIGHT"
KEEP_DAYS = "RUNTIME_WEBHOOK_KEEP_DAYS"
CONCURRENCY_MAX = 1000
IN_FLIGHT_MAX = 10_000
KEEP_DAYS_MAX = 3650
_DAY_S = 86_400.0


def allowed_from_environment(*, loopback: bool, environment: Mapping[str, str] | None = None) -> Allowed:
    """RUNTIME_INTERNAL_ALLOW: networks, addresses, each with a port if need be, with commas between. Without it nobody; but
    when the runtime itself is reached on this machine alone (loopback), this machine: there its users have its servers.
    Raises CannotStart."""
    words = Reader(os.environ if environment is None else environment).words(ALLOW)
    if not words:
        return LOOPBACK if loopback else NOBODY
    try:
        return read_allowed(words)
    except ValueError as reason:
        raise CannotStart(
            f"{ALLOW} must hold networks or addresses such as 10.0.0.0/8 or 10.0.0.7:8080, got {str(reason)!r}"
        ) from None


def courier_limits_from_environment(environment: Mapping[str, str] | None = None) -> CourierLimits:
    """RUNTIME_WEBHOOK_CONCURRENCY: requests at once to one server. RUNTIME_WEBHOOK_IN_FLIGHT: to all together.
    RUNTIME_WEBHOOK_KEEP_DAYS: how long what is over can be looked at and replayed. Raises CannotStart."""
    read, standard = Reader(os.environ if environment is None else environment), CourierLimits()
    each = read.number(CONCURRENCY, standard.per_endpoint, CONCURRENCY_MAX)
    together = read.number(IN_FLIGHT, standard.in_flight, IN_FLIGHT_MAX)
    days = read.number(KEEP_DAYS, round(standard.keep_s / _DAY_S), KEEP_DAYS_MAX)
    for name, number in ((CONCURRENCY, each), (IN_FLIGHT, together), (KEEP_DAYS, days)):
        if not number:
            raise CannotStart(f"{name} must not be 0")
    return CourierLimits(in_flight=together, per_endpoint=each, keep_s=days * _DAY_S)


class Post:
    """The courier and what carries for it. start, then close; `wake` when something is due."""

    def __init__(
        self, outbox: Outbox, outbound: Outbound, headers: RequestHeaders, limits: CourierLimits
    ) -> None:
        self._sender = HttpSender(outbound)
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.courier = Courier(outbox, self._sender, headers, owner=owner, limits=limits)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Carries from now on."""
        self._task = asyncio.get_running_loop().create_task(self.courier.run(), name="courier")

    async def close(self) -> None:
        """Lets what is out come to its end for a while."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.courier.close()
        await self._sender.close()


class WakingStore:
    """A projection store that tells when deliveries were written."""

    def __init__(self, store: ProjectionStore, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def apply(
        self,
        records: Sequence[JournalRecord],
        projections: Sequence[CallProjection],
        deliveries: Sequence[Delivery] = (),
        fence: Fence | None = None,
    ) -> Collection[str]:
        """As the port says."""
        refused = await self._store.apply(records, projections, deliveries, fence)
        if deliveries:
            self._wake()
        return refused

    async def events(self, org_id: str | None, call_id: str) -> list[JournalRecord]:
        """As the port says."""
        return await self._store.events(org_id, call_id)

    async def unended(self) -> list[tuple[str, str]]:
        """As the port says."""
        return await self._store.unended()
