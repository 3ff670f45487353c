"""A courier in a process of its own, which is killed and held up: what `tests/faults/outbox_world.py` starts."""

from __future__ import annotations

import asyncio
import resource
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from aywa.adapters.stores.postgres import open_outbox
from aywa.adapters.stores.sqlite.engine import Database
from aywa.adapters.stores.sqlite.outbox import SqliteOutbox
from aywa.adapters.webhooks.sender import HttpSender
from aywa.adapters.wire.outbound import Outbound
from aywa.boot.logs import configure_logs
from aywa.core.outbound import LOOPBACK
from aywa.core.webhooks import Schedule
from aywa.ports.journal import StoreUnavailable
from aywa.ports.outbox import Outbox
from aywa.service.courier import Courier, CourierLimits

LEASE_S = 0.5
SQLITE, POSTGRES = "sqlite", "postgres"


class Plain:
    """Headers without a signature."""

    async def headers(
        self, org_id: str, auth: str, *, url: str, body: str, message_id: str, timestamp_s: int
    ) -> Mapping[str, str]:
        return {"webhook-id": message_id, "content-type": "application/json"}

    def refused(self, org_id: str, auth: str) -> None:
        return None


def courier_process(store: str, place: str, clock_file: str, name: str) -> None:
    """Carries until it is killed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # As the runtime does: the full disk is also the log's.
    configure_logs()
    asyncio.run(_carry(store, place, clock_file, name))


async def _carry(store: str, place: str, clock_file: str, name: str) -> None:
    limits = CourierLimits(in_flight=16, per_endpoint=8, lease_s=LEASE_S, poll_s=0.02)
    schedule = Schedule(first_s=0.02, factor=2.0, most_s=0.2, retries=1000)
    outbox: Outbox
    while True:
        try:
            outbox = await open_outbox(place) if store == POSTGRES else SqliteOutbox(Database(Path(place)))
            break
        except StoreUnavailable:
            await asyncio.sleep(0.05)
    offset = Path(clock_file)

    def now_ms() -> int:
        jump: float = struct.unpack("d", offset.read_bytes())[0]
        return int((time.time() + jump) * 1000)

    sender = HttpSender(Outbound(LOOPBACK))
    await Courier(outbox, sender, Plain(), owner=name, limits=limits, schedule=schedule, clock=now_ms).run()
