"""What a call without a record began with is what it was prepared with: the same servers hear of its end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.toll import TollRules
from aywa.ports.calls import CallPlan
from aywa.ports.store import Organisation, Store
from aywa.ports.telephony import InboundInvite, OutboundCall
from aywa.service.calls import Creator
from aywa.service.services import PhoneParts, Services, join_services

CREATOR = Creator("org", "key", "https://api.example")
SERVER = {"url": "https://customer.example/hook", "headers": {"X-Desk": "1"}, "timeoutSeconds": 7}
OF_NUMBER = {"url": "https://customer.example/number"}
WEBSOCKET = {"transport": {"provider": "vapi.websocket"}}


@dataclass
class Host:
    plans: list[CallPlan] = field(default_factory=list)

    def full(self) -> bool:
        return False

    def prepare(self, plan: CallPlan) -> str:
        self.plans.append(plan)
        return "ws://host/x"

    def end(self, call_id: str, reason: str) -> bool:
        return False

    def active(self) -> Mapping[str, str]:
        return {}

    def dial(self, call: OutboundCall) -> None:
        pass


@dataclass
class World:
    services: Services
    host: Host
    store: Store

    async def make(self, kind: str, **body: Any) -> str:
        service: Any = getattr(self.services, kind)
        return str(json.loads(await service.create("org", body))["id"])

    async def assistant(self, **more: Any) -> str:
        return await self.make(
            "assistants", name="Desk", server=SERVER, serverMessages=["end-of-call-report"], **more
        )

    async def number(self, **more: Any) -> str:
        trunk = await self.make("credentials", provider="byo-sip-trunk", gateways=[{"ip": "203.0.113.7"}])
        return await self.make(
            "phone_numbers",
            provider="byo-phone-number",
            number="+493012345",
            credentialId=trunk,
            server=OF_NUMBER,
            **more,
        )

    async def begun(self) -> Mapping[str, Any]:
        [plan] = self.host.plans
        found = await self.services.calls.as_begun("org", plan.call_id)
        assert found is not None
        return found

    async def servers(self, webhooks: Mapping[str, Any]) -> Mapping[str, Any]:
        """With how each is signed, which is sealed anew each time."""
        opened = self.services.servers.opened
        servers = [dict(each) | {"auth": await opened("org", each["auth"])} for each in webhooks["servers"]]
        return {**webhooks, "servers": servers}

    async def same(self) -> None:
        """As it was prepared."""
        [plan] = self.host.plans
        begun = await self.begun()
        assert plan.webhooks["servers"], "the case tells nobody"
        assert await self.servers(begun["webhooks"]) == await self.servers(plan.webhooks)
        assert begun["assistant"] == plan.assistant
        assert begun["epoch_ms"] == plan.created_ms
        assert (begun["call"]["id"], begun["call"]["type"]) == (plan.call_id, plan.type)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await open_sqlite(tmp_path / "aywa.db")
    await store.organisations.insert(Organisation("org", "org", 1))
    host = Host()
    phones = PhoneParts(telephone=host, tolls=TollRules(("+49", "sip:*")), base_url="https://api.example")
    yield World(join_services(store, host, vault=AesGcmVault(bytes(32)), phones=phones), host, store)
    await store.close()


async def test_of_a_stored_assistant(world: World) -> None:
    over = {"firstMessage": "Hello {{name}}", "variableValues": {"name": "Ann"}}
    body = {"assistantId": await world.assistant(), "assistantOverrides": over, **WEBSOCKET}
    await world.services.calls.create(CREATOR, body, web=False)
    await world.same()


async def test_of_one_that_came_along(world: World) -> None:
    server = {name: value for name, value in SERVER.items() if name != "headers"}
    body = {"assistant": {"firstMessage": "Hello", "server": server}, **WEBSOCKET}
    await world.services.calls.create(CREATOR, body, web=False)
    await world.same()


async def test_of_one_that_came_along_with_secrets_which_are_kept_nowhere(world: World) -> None:
    body = {"assistant": {"firstMessage": "Hello", "server": SERVER}, **WEBSOCKET}
    await world.services.calls.create(CREATOR, body, web=False)
    begun = await world.servers((await world.begun())["webhooks"])
    assert [(each["url"], each["auth"]) for each in begun["servers"]] == [(SERVER["url"], {})]


async def test_of_a_web_call(world: World) -> None:
    await world.services.calls.create(CREATOR, {"assistantId": await world.assistant()}, web=True)
    await world.same()


async def test_of_a_squad(world: World) -> None:
    squad = {"members": [{"assistantId": await world.assistant()}, {"assistant": {"name": "Two"}}]}
    await world.services.calls.create(CREATOR, {"squad": squad, **WEBSOCKET}, web=False)
    await world.same()


async def test_of_one_that_was_placed(world: World) -> None:
    body = {
        "assistantId": await world.assistant(),
        "phoneNumberId": await world.number(),
        "customer": {"number": "+493099999"},
    }
    await world.services.calls.create(CREATOR, body, web=False)
    await world.same()
    assert (await world.begun())["call"]["phoneNumber"]["number"] == "+493012345"


@pytest.mark.parametrize("caller", ["+493099999", "anonymous", ""])
async def test_of_one_that_came_in(world: World, caller: str) -> None:
    await world.number(assistantId=await world.assistant())
    await world.services.router.route(InboundInvite(source="203.0.113.7", called="+493012345", caller=caller))
    await world.same()


async def test_of_one_whose_assistant_is_gone_the_numbers_server_still_hears(world: World) -> None:
    assistant = await world.assistant()
    await world.number(assistantId=assistant)
    await world.services.router.route(InboundInvite(source="203.0.113.7", called="+493012345"))
    await world.store.assistants.delete("org", assistant)
    with capture_logs() as logged:
        begun = await world.begun()
    assert [server["url"] for server in begun["webhooks"]["servers"]] == [OF_NUMBER["url"]]
    assert begun["assistant"] == {}
    assert [entry["event"] for entry in logged] == ["call_brain_is_gone"]


async def test_of_one_whose_number_is_gone_its_assistants_server_still_hears(world: World) -> None:
    number = await world.number(assistantId=await world.assistant())
    await world.services.router.route(InboundInvite(source="203.0.113.7", called="+493012345"))
    await world.services.phone_numbers.delete("org", number)
    assert [server["url"] for server in (await world.begun())["webhooks"]["servers"]] == [SERVER["url"]]


async def test_nothing_of_a_call_that_is_not_there(world: World) -> None:
    assert await world.services.calls.as_begun("org", "nowhere") is None
