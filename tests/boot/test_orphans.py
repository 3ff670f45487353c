"""A call whose process is gone is ended on record, and whoever was to hear of its end hears of it: also of one that had only just
been made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.boot.orphans import WORKER_DIED, Orphans
from aywa.journal.projector import Projector
from aywa.journal.writer import JournalWriter
from aywa.ports.calls import CallPlan
from aywa.ports.leases import OwnedCall
from aywa.ports.outbox import DeliveryQuery
from aywa.ports.store import Organisation, Store
from aywa.service.calls import Creator
from aywa.service.services import Services, join_services

SERVER = {"url": "https://customer.example/hook"}
BODY = {"assistant": {"firstMessage": "Hello", "server": SERVER}, "transport": {"provider": "vapi.websocket"}}


class Host:
    """Takes every call, and is gone before it has put down anything."""

    def full(self) -> bool:
        return False

    def prepare(self, plan: CallPlan) -> str:
        return "ws://host/x"

    def end(self, call_id: str, reason: str) -> bool:
        return False

    def active(self) -> Mapping[str, str]:
        return {}


@dataclass
class World:
    store: Store
    services: Services
    orphans: Orphans
    projector: Projector
    journal: JournalWriter
    closed: bool = False

    async def place(self) -> str:
        text = await self.services.calls.create(Creator("org", "key"), BODY, web=False)
        return str(json.loads(text)["id"])

    async def projected(self) -> None:
        """All that was put down is in the store."""
        if not self.closed:
            await self.journal.close()
        self.closed = True
        await self.projector.drained()

    async def told(self) -> list[dict[str, Any]]:
        """What waits for the customer's server."""
        found = await self.store.outbox.list("org", DeliveryQuery())
        return [json.loads(row.delivery.body)["message"] for row in found]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await open_sqlite(tmp_path / "aywa.db")
    await store.organisations.insert(Organisation("org", "org", 1))
    services = join_services(store, Host(), vault=AesGcmVault(bytes(32)))
    projector = Projector(store, tmp_path / "journal")
    (tmp_path / "journal").mkdir()
    journal = JournalWriter(tmp_path / "journal", projector.take)
    tasks = [asyncio.create_task(journal.run()), asyncio.create_task(projector.run())]
    orphans = Orphans(store, projector, journal, services.calls.as_begun)
    made = World(store, services, orphans, projector, journal)
    yield made
    await made.projected()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()


async def test_the_end_of_a_call_of_which_nothing_was_on_record_is_told(world: World) -> None:
    call_id = await world.place()
    await world.orphans.end_patiently([OwnedCall(call_id, "org")], "another-node")
    await world.projected()
    document = json.loads(await world.services.calls.get("org", call_id))
    assert (document["status"], document["endedReason"]) == ("ended", WORKER_DIED)
    assert document["endedAt"] >= document["createdAt"]
    told = await world.told()
    [report] = [message for message in told if message["type"] == "end-of-call-report"]
    assert report["endedReason"] == WORKER_DIED
    assert report["call"]["id"] == call_id
    assert "ended" in [message["status"] for message in told if message["type"] == "status-update"]


async def test_one_that_was_deleted_meanwhile_stays_nowhere(world: World) -> None:
    call_id = await world.place()
    await world.services.calls.delete("org", call_id)
    before = await world.told()
    await world.orphans.end_patiently([OwnedCall(call_id, "org")], "another-node")
    await world.projected()
    assert await world.store.calls.get("org", call_id) is None
    assert await world.told() == before
