"""Calls that equipment brings: whose an address is, what opens it, and what becomes of the call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.journal import StoreUnavailable
from aywa.ports.media import AudioFormat
from aywa.ports.store import ListQuery, Organisation, Store
from aywa.ports.telephony import Answer, Refusal
from aywa.service.equipment import EquipmentCalls, Owner
from aywa.service.inbound import NOBODY, Brought
from aywa.service.services import Services, join_services

BROUGHT = Brought(
    "+4930111",
    "+4930222",
    "Ada",
    "CA1",
    {"order": "42", "orderId": "x", "now": "never"},
    "",
    AudioFormat.PCM16,
    16_000,
)


@dataclass
class Host:
    plans: list[CallPlan] = field(default_factory=list)
    refusal: CallRefused | None = None

    def full(self) -> bool:
        return self.refusal is not None and self.refusal.status == 429

    def prepare(self, plan: CallPlan) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.plans.append(plan)
        return "ws://host/x"

    def end(self, call_id: str, reason: str) -> bool:
        return False

    def active(self) -> Mapping[str, str]:
        return {}


@dataclass
class World:
    services: Services
    host: Host
    store: Store

    @property
    def equipment(self) -> EquipmentCalls:
        return self.services.equipment

    async def make(self, kind: str, org: str = "org", **body: Any) -> str:
        service: Any = getattr(self.services, kind)
        return str(json.loads(await service.create(org, body))["id"])

    async def owner(self, name: str) -> Owner:
        owner = await self.equipment.owner(name)
        assert owner is not None
        return owner

    async def take(self, name: str, brought: Brought = BROUGHT) -> Answer:
        return await self.equipment.take(await self.owner(name), brought)

    async def only_call(self, org: str = "org") -> dict[str, Any]:
        (text,) = await self.store.calls.list(org, ListQuery())
        call: dict[str, Any] = json.loads(text)
        return call


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await open_sqlite(tmp_path / "aywa.db")
    for name in ("org", "other"):
        await store.organisations.insert(Organisation(name, name, 1))
    host = Host()
    yield World(join_services(store, host, vault=AesGcmVault(bytes(32))), host, store)
    await store.close()


async def test_an_assistant_s_address_makes_a_call_of_its_own(world: World) -> None:
    assistant = await world.make("assistants", "other", name="Desk", firstMessage="Hello {{order}}")
    plan = await world.take(assistant)
    assert isinstance(plan, CallPlan)
    assert world.host.plans == [plan]
    assert (plan.org_id, plan.assistant_id, plan.type) == ("other", assistant, "inboundPhoneCall")
    assert (plan.format, plan.rate_hz) == (AudioFormat.PCM16, 16_000)
    assert plan.variables["order"] == "42"
    assert plan.variables["orderId"] == "x"
    assert "now" not in plan.variables
    assert plan.variables["customer"] == {"number": "+4930111", "name": "Ada"}
    call = await world.only_call("other")
    assert call["id"] == plan.call_id
    assert (call["customer"]["number"], call["phoneCallProviderId"]) == ("+4930111", "CA1")
    assert "phoneNumberId" not in call
    assert call["status"] == "queued"


async def test_a_phone_number_s_address_makes_a_call_of_the_number(world: World) -> None:
    assistant = await world.make("assistants", name="Desk")
    number = await world.make(
        "phone_numbers", provider="vapi", sipUri="sip:desk@example.com", assistantId=assistant
    )
    plan = await world.take(number, Brought("sip:ada@example.org"))
    assert isinstance(plan, CallPlan)
    call = await world.only_call()
    assert (call["phoneNumberId"], call["customer"]) == (number, {"sipUri": "sip:ada@example.org"})
    assert plan.variables["phoneNumber"]["sipUri"] == "sip:desk@example.com"
    assert (plan.format, plan.rate_hz) == (AudioFormat.MULAW, 8_000)


async def test_a_number_that_is_blocked_or_has_nobody_takes_no_call(world: World) -> None:
    blocked = await world.make("phone_numbers", provider="vapi", sipUri="sip:a@example.com", status="blocked")
    assert await world.take(blocked) == NOBODY
    bare = await world.make("phone_numbers", provider="vapi", sipUri="sip:b@example.com")
    answer = await world.take(bare)
    assert isinstance(answer, Refusal)
    assert answer.ended_reason == "call-start-error-neither-assistant-nor-server-set"
    assert (await world.only_call())["endedReason"] == answer.ended_reason


async def test_an_assistant_that_was_deleted_meanwhile_takes_no_call(world: World) -> None:
    assistant = await world.make("assistants", name="Desk")
    owner = await world.owner(assistant)
    await world.services.assistants.delete("org", assistant)
    assert await world.equipment.owner(assistant) is None
    answer = await world.equipment.take(owner, BROUGHT)
    assert isinstance(answer, Refusal)
    assert answer.status == 404


async def test_an_id_that_is_nobody_s_has_no_owner(world: World) -> None:
    assert await world.equipment.owner("") is None
    assert await world.equipment.owner("no-such-id") is None


async def test_a_runtime_without_room_says_when_to_come_again(world: World) -> None:
    assistant = await world.make("assistants", name="Desk")
    world.host.refusal = CallRefused("call.start.error-subscription-concurrency-limit-reached", "full", 429)
    answer = await world.take(assistant)
    assert isinstance(answer, Refusal)
    assert answer.status == 503
    assert (await world.only_call())["endedReason"] == world.host.refusal.ended_reason


@pytest.mark.parametrize("kind", ["assistant", "number"])
async def test_nothing_that_breaks_is_more_than_a_refusal(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant = await world.make("assistants", name="Desk")
    number = await world.make(
        "phone_numbers", provider="vapi", sipUri="sip:a@b.example", assistantId=assistant
    )
    owner = await world.owner(assistant if kind == "assistant" else number)
    for error, status in ((StoreUnavailable("gone"), 503), (RuntimeError("a secret"), 500)):

        async def broken(*given: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(world.services.calls, "receive", broken)
        answer = await world.equipment.take(owner, BROUGHT)
        assert isinstance(answer, Refusal)
        assert answer.status == status
        assert "a secret" not in answer.message


async def test_a_private_key_of_the_same_organisation_opens_an_address(world: World) -> None:
    owner = await world.owner(await world.make("assistants", name="Desk"))
    keys = world.services.keys
    _, private = await keys.create("org", "mine")
    _, public = await keys.create("org", "page", "public")
    _, other = await keys.create("other", "theirs")
    assert [await world.equipment.opens(owner, each) for each in (private, public, other, "aywa_no", "no", "")] == [
        True, False, False, False, False, False,
    ]  # fmt: skip


async def test_the_carrier_behind_a_number_signs_for_it(world: World) -> None:
    assistant = await world.make("assistants", name="Desk")
    number = await world.make(
        "phone_numbers", provider="twilio", number="+4930333", twilioAccountSid="AC" + "0" * 32,
        twilioAuthToken="t" * 32, assistantId=assistant,
    )  # fmt: skip
    account = await world.equipment.account(await world.owner(number))
    assert account is not None
    assert (account.vendor, account.key("twilioAuthToken")) == ("twilio", "t" * 32)
    assert await world.equipment.account(await world.owner(assistant)) is None


async def test_what_a_stranger_says_of_himself_is_one_short_line(world: World) -> None:
    assistant = await world.make("assistants", name="Desk")
    await world.take(assistant, Brought("+49\n30" + "1" * 500, caller_name="A\0" * 99, provider_id="a\nb"))
    call = await world.only_call()
    assert call["customer"]["number"].isprintable()
    assert len(call["customer"]["number"]) <= 200
    assert call["customer"]["name"] == "A" * 40
    assert "phoneCallProviderId" not in call
