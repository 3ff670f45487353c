"""Whom an INVITE is for: trunks, accounts, assistants, customers' servers, fallbacks; and what a scanner learns."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.toll import TollRules
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.journal import StoreUnavailable
from aywa.ports.outbox import DeliveryQuery
from aywa.ports.secrets import CannotOpen
from aywa.ports.server_questions import ASSISTANT_REQUEST_S, Note, ServerAnswer, ServerChain
from aywa.ports.store import ListQuery, Organisation, Store
from aywa.ports.telephony import Answer, Forward, Gateway, InboundInvite, OutboundCall, Refusal, Trunk
from aywa.service.errors import Rejected
from aywa.service.inbound import NOBODY
from aywa.service.services import PhoneParts, Services, join_services

PASSWORD = "a-password-of-twenty-or-more"
CARRIER = "203.0.113.7"


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

    def dial(self, call: OutboundCall) -> None:
        raise AssertionError("nothing is dialled here")


@dataclass
class Server:
    """A customer's server."""

    answer: dict[str, Any] = field(default_factory=dict)
    error: ProviderError | None = None
    asked: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=list)

    async def ask(
        self,
        message: Mapping[str, Any],
        chain: ServerChain,
        *,
        deadline_s: float,
        note: Note | None = None,
        message_id: str = "",
    ) -> ServerAnswer:
        assert deadline_s == ASSISTANT_REQUEST_S
        first = chain.servers[0]
        self.asked.append(({"url": first.url, **first.opened}, message))
        if self.error is not None:
            raise self.error
        return ServerAnswer(self.answer, 200, first.level)


@dataclass
class World:
    services: Services
    host: Host
    server: Server
    store: Store

    async def make(self, kind: str, org: str = "org", **body: Any) -> str:
        service: Any = getattr(self.services, kind)
        return str(json.loads(await service.create(org, body))["id"])

    async def trunk(self, org: str = "org", ip: str = CARRIER, **more: Any) -> str:
        return await self.make("credentials", org, provider="byo-sip-trunk", gateways=[{"ip": ip} | more])

    async def number(self, org: str = "org", **body: Any) -> str:
        if "sipUri" in body:
            return await self.make("phone_numbers", org, provider="vapi", **body)
        if "credentialId" not in body:
            body["credentialId"] = await self.trunk(org)
        return await self.make("phone_numbers", org, provider="byo-phone-number", **body)

    async def assistant(self, org: str = "org", **body: Any) -> str:
        return await self.make("assistants", org, **{"name": "Desk", "firstMessage": "Hello {{name}}"} | body)

    async def route(self, called: str = "+493012345", **more: Any) -> Answer:
        return await self.services.router.route(InboundInvite(**{"source": CARRIER, "called": called} | more))

    async def calls(self, org: str = "org") -> list[dict[str, Any]]:
        return [json.loads(text) for text in await self.store.calls.list(org, ListQuery())]

    async def refused(self, called: str = "+493012345", **more: Any) -> Refusal:
        answer = await self.route(called, **more)
        assert isinstance(answer, Refusal), answer
        return answer

    async def taken(self, called: str = "+493012345", **more: Any) -> CallPlan:
        answer = await self.route(called, **more)
        assert isinstance(answer, CallPlan), answer
        return answer


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await open_sqlite(tmp_path / "aywa.db")
    for name in ("org", "other"):
        await store.organisations.insert(Organisation(name, name, 1))
    host, server = Host(), Server()
    phones = PhoneParts(host, server, TollRules(("+49", "sip:*")), "https://api.example")
    services = join_services(store, host, vault=AesGcmVault(bytes(32)), phones=phones)
    yield World(services, host, server, store)
    await store.close()


# --- which number ----------------------------------------------------------------------------------------------------


async def test_a_trunk_s_call_reaches_the_assistant(world: World) -> None:
    assistant = await world.assistant()
    number = await world.number(number="+493012345", assistantId=assistant, name="Front desk")
    plan = await world.taken(
        "004930 12345".replace(" ", ""),
        asserted="+493099999",
        caller="anonymous",
        caller_host="carrier.example",
        caller_name="Ann",
        headers=(("X-Name", "Bob"), ("X-Order-Id", "5"), ("From", "x")),
        sip_call_id="abc@host",
    )
    assert world.host.plans == [plan]
    assert (plan.type, plan.org_id, plan.assistant_id) == ("inboundPhoneCall", "org", assistant)
    assert plan.assistant["firstMessage"] == "Hello {{name}}"
    customer = {"number": "+493099999", "sipUri": "sip:anonymous@carrier.example", "name": "Ann"}
    assert plan.variables["customer"] == customer
    assert (plan.variables["name"], plan.variables["order_id"]) == ("Bob", "5")
    assert plan.variables["phoneNumber"] == {
        "id": number,
        "number": "+493012345",
        "name": "Front desk",
        "provider": "byo-phone-number",
    }
    assert plan.call["artifactBaseUrl"].startswith(f"https://api.example/artifact/{plan.call_id}/")
    (call,) = await world.calls()
    assert (call["id"], call["type"], call["status"]) == (plan.call_id, "inboundPhoneCall", "queued")
    assert (call["phoneNumberId"], call["assistantId"], call["customer"]) == (number, assistant, customer)
    assert (call["phoneCallProvider"], call["phoneCallTransport"]) == ("vapi", "sip")
    assert (call["phoneCallProviderId"], call["transport"]["provider"]) == ("abc@host", "vapi.sip")
    assert call["assistantOverrides"]["variableValues"]["name"] == "Bob"


async def test_nobody_learns_who_is_there(world: World) -> None:
    assistant = await world.assistant()
    trunk = await world.trunk()
    await world.number(number="+493012345", credentialId=trunk, assistantId=assistant)
    await world.number(number="+493055555", credentialId=trunk, assistantId=assistant, status="blocked")
    account = {"username": "ann", "password": PASSWORD}
    await world.number(sipUri="sip:closed@h", assistantId=assistant, authentication=account)
    await world.number(sipUri="sip:shut@h", assistantId=assistant, status="blocked")
    for called, more in (
        ("+493012345", {"source": "198.51.100.1"}),
        ("+493012345", {"source": "not an address"}),
        ("+493012345", {"source": "198.51.100.1", "asserted": "+49", "called_host": f"{trunk}.sip.host"}),
        ("+493055555", {}),
        ("+493000000", {}),
        ("closed", {}),
        ("closed", {"account": "bob"}),
        ("shut", {"trusted": True}),
        ("nobody", {}),
        ("", {}),
        ("nobody", {"account": "ann"}),
    ):
        assert await world.refused(called, **more) == NOBODY, (called, more)
    assert await world.calls() == []
    assert world.host.plans == []


async def test_who_proves_who_he_is_is_let_in(world: World) -> None:
    assistant = await world.assistant()
    account = {"username": "ann", "password": PASSWORD, "realm": "r"}
    await world.number(sipUri="sip:closed@h", assistantId=assistant, authentication=account)
    await world.number(sipUri="sip:open@h", assistantId=assistant)
    (known,) = await world.services.router.accounts()
    assert (known.username, known.password, known.realm) == ("ann", PASSWORD, "r")
    assert PASSWORD not in repr(known)
    stranger = {"source": "198.51.100.1", "caller": "bob", "caller_host": "h", "asserted": "+493099999"}
    plan = await world.taken("CLOSED", account="ann", **stranger)
    # No trunk vouches for a number that a stranger says is his.
    assert plan.variables["customer"] == {"sipUri": "sip:bob@h"}
    await world.taken("closed", trusted=True, **stranger)
    await world.taken("open", **stranger)


async def test_a_trunk_s_address_may_be_a_network(world: World) -> None:
    assistant = await world.assistant()
    trunk = await world.trunk(ip="203.0.113.0", netmask=28)
    await world.number(number="+493012345", credentialId=trunk, assistantId=assistant)
    for source in ("203.0.113.15", "::ffff:203.0.113.1"):
        await world.taken(source=source)
    assert await world.refused(source="203.0.113.16") == NOBODY


async def test_a_trunk_that_takes_no_calls_brings_none(world: World) -> None:
    trunk = await world.trunk(inboundEnabled=False)
    await world.number(number="+493012345", credentialId=trunk, assistantId=await world.assistant())
    assert await world.refused() == NOBODY


async def test_a_trunk_is_forgotten_when_its_credential_changes(world: World) -> None:
    changes: list[int] = []
    world.services.router.on_change(lambda: changes.append(1))
    trunk = await world.trunk(ip="198.51.100.9")
    await world.number(number="+493012345", credentialId=trunk, assistantId=await world.assistant())
    assert await world.refused() == NOBODY
    await world.services.credentials.change("org", trunk, {"gateways": [{"ip": CARRIER}]})
    await world.taken()
    assert [each.id for each in await world.services.router.trunks()] == [trunk]
    await world.services.credentials.delete("org", trunk)
    assert await world.refused() == NOBODY
    assert len(changes) == 4
    await world.make("credentials", provider="openai", apiKey="sk-1")
    assert len(changes) == 4


async def test_two_organisations_behind_one_address(world: World) -> None:
    ours = await world.trunk("org")
    theirs = await world.trunk("other")
    await world.number(
        "org", number="+493012345", credentialId=ours, assistantId=await world.assistant("org")
    )
    other = await world.assistant("other")
    await world.number("other", number="+493012345", credentialId=theirs, assistantId=other)
    await world.number("other", number="+493077777", credentialId=theirs, assistantId=other)
    # Who had the number first keeps it, unless the carrier names the trunk.
    assert (await world.taken()).org_id == "org"
    assert (await world.taken(called_host=f"{theirs.upper()}.sip.host")).org_id == "other"
    assert (await world.taken("+493077777")).org_id == "other"
    assert await world.refused("+493077777", called_host=f"{ours}.sip.host") == NOBODY


async def test_a_number_without_a_number_takes_what_is_left(world: World) -> None:
    trunk = await world.trunk()
    desk, rest = await world.assistant(name="Desk"), await world.assistant(name="Rest")
    await world.number(credentialId=trunk, assistantId=rest)
    await world.number(number="+493012345", credentialId=trunk, assistantId=desk)
    assert (await world.taken()).assistant_id == desk
    assert (await world.taken("+493088888")).assistant_id == rest


# --- who answers -----------------------------------------------------------------------------------------------------


MEMBERS: list[dict[str, Any]] = [
    {"assistant": {"name": "Front", "firstMessage": "Hello."}},
    {"assistant": {"name": "Booking"}},
]


async def test_a_squad_may_answer_for_a_number(world: World) -> None:
    squad = await world.make("squads", members=MEMBERS)
    await world.number(number="+493012345", squadId=squad)
    plan = await world.taken()
    assert [member.name for member in plan.members] == ["Front", "Booking"]
    assert plan.assistant["firstMessage"] == "Hello."
    (call,) = await world.calls()
    assert call["squadId"] == squad


@pytest.mark.parametrize("stored", [True, False])
async def test_a_customers_server_may_answer_with_a_squad(world: World, stored: bool) -> None:
    squad = await world.make("squads", members=MEMBERS)
    named = {"squadId": squad} if stored else {"squad": {"members": MEMBERS}}
    world.server.answer = named | {"squadOverrides": {"firstMessage": "Good day."}}
    await world.number(number="+493012345", server={"url": "https://desk.example"})
    plan = await world.taken()
    assert [member.name for member in plan.members] == ["Front", "Booking"]
    assert {member.assistant["firstMessage"] for member in plan.members} == {"Good day."}


async def test_a_full_host_is_a_503_and_on_record(world: World) -> None:
    await world.number(number="+493012345", assistantId=await world.assistant())
    world.host.refusal = CallRefused("call.start.error-subscription-concurrency-limit-reached", "full", 429)
    refusal = await world.refused()
    assert (refusal.status, refusal.retry_after_s) == (503, 5.0)
    (call,) = await world.calls()
    assert (call["id"], call["status"], call["endedReason"]) == (
        refusal.call_id,
        "ended",
        "call.start.error-subscription-concurrency-limit-reached",
    )


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        ({}, "call-start-error-neither-assistant-nor-server-set", "neither an assistantId nor a server"),
        ({"squadId": "s"}, "call.start.error-get-resources-validation", "Squad s does not exist"),
        ({"workflowId": "s"}, "call.start.error-get-resources-validation", "workflowId is not supported"),
    ],
)
async def test_a_number_that_nobody_answers_says_so(
    world: World, body: dict[str, Any], reason: str, said: str
) -> None:
    number = await world.number(number="+493012345", **body)
    refusal = await world.refused(caller="+493099999")
    assert (refusal.status, refusal.ended_reason) == (480, reason)
    (call,) = await world.calls()
    assert (call["endedReason"], call["phoneNumberId"], call["id"]) == (reason, number, refusal.call_id)
    assert said in call["endedMessage"]
    assert call["customer"] == {"number": "+493099999"}
    assert world.host.plans == []


async def test_an_assistant_that_is_gone_leads_to_the_fallback(world: World) -> None:
    assistant = await world.assistant()
    fallback = {"type": "number", "number": "+493011111", "callerId": "{{customer.number}}", "extension": "7"}
    number = await world.number(number="+493012345", assistantId=assistant, fallbackDestination=fallback)
    await world.services.assistants.delete("org", assistant)
    answer = await world.route(caller="+493099999")
    assert isinstance(answer, Forward)
    assert (answer.ended_reason, answer.call.user) == ("call.start.error-get-assistant", "493011111")
    assert (answer.call.caller_id, answer.call.digits) == ("+493099999", "7")
    assert answer.call.trunk is not None
    (call,) = await world.calls()
    assert (call["id"], call["destination"]) == (answer.call.call_id, fallback)
    assert call["status"] == "ended"
    await world.services.phone_numbers.change(
        "org", number, {"fallbackDestination": {"type": "sip", "sipUri": "sip:a@h"}}
    )
    answer = await world.route(caller="+493099999")
    assert isinstance(answer, Forward)
    assert (answer.call.uri, answer.call.trunk, answer.call.caller_id) == ("sip:a@h", None, "+493099999")


async def test_no_caller_is_forwarded_to_where_nobody_may_call(world: World) -> None:
    fallback = {"type": "number", "number": "+19001234567"}
    await world.number(number="+493012345", fallbackDestination=fallback)
    refusal = await world.refused()
    assert refusal.status == 480
    assert "RUNTIME_OUTBOUND_ALLOW" in refusal.message
    await world.number(sipUri="sip:demo@h", fallbackDestination={"type": "number", "number": "+493011111"})
    assert "only be called from a number with a SIP trunk" in (await world.refused("demo")).message


async def test_a_far_side_sends_its_call_only_to_where_the_list_lets_it(world: World) -> None:
    await world.number(number="+493012345", assistantId=await world.assistant())
    plan = await world.taken()
    router = world.services.router
    placed = await router.refer("org", plan.call_id, "tel:+493011111;phone-context=x")
    assert isinstance(placed, OutboundCall)
    assert (placed.call_id, placed.user, placed.caller_id) == (plan.call_id, "493011111", "+493012345")
    placed = await router.refer("org", plan.call_id, "sip:desk@pbx.example")
    assert isinstance(placed, OutboundCall)
    assert (placed.uri, placed.trunk) == ("sip:desk@pbx.example", None)
    for org_id, call_id, target in (
        ("org", plan.call_id, "tel:+19001234567"),
        ("other", plan.call_id, "tel:+493011111"),
        ("org", "no such call", "tel:+493011111"),
    ):
        refused = await router.refer(org_id, call_id, target)
        assert isinstance(refused, Refusal)
        assert refused.status == 603


async def test_an_hourly_limit_alone_lets_no_far_side_send_calls_on(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "aywa.db")
    await store.organisations.insert(Organisation("org", "org", 1))
    host, server = Host(), Server()
    phones = PhoneParts(host, server, TollRules((), 60), "https://api.example")
    world = World(
        join_services(store, host, vault=AesGcmVault(bytes(32)), phones=phones), host, server, store
    )
    await world.number(number="+493012345", assistantId=await world.assistant())
    plan = await world.taken()
    refused = await world.services.router.refer("org", plan.call_id, "tel:+493011111")
    await store.close()
    assert isinstance(refused, Refusal)
    assert (refused.status, "RUNTIME_OUTBOUND_ALLOW" in refused.message) == (603, True)


GATEWAYS = Trunk(
    "t", "org", "carrier", (Gateway("192.0.2.1"), Gateway("GW2.example")), "me", "secret", tech_prefix="99"
)


async def test_a_callee_sends_a_call_only_to_where_the_list_lets_it(world: World) -> None:
    phones = PhoneParts(world.host, tolls=TollRules(("+49", "sip:pbx.example")))
    router = join_services(world.store, world.host, vault=AesGcmVault(bytes(32)), phones=phones).router
    plain = OutboundCall("c", "org", uri="sip:a@pbx.example")
    numbered = OutboundCall("c", "org", GATEWAYS, user="99493011111")

    def sent(call: OutboundCall, target: str) -> tuple[str, str, bool] | str:
        found = router.redirect(call, target)
        if isinstance(found, Refusal):
            assert found.status == 302
            return found.message
        assert (found.call_id, found.org_id) == ("c", "org")
        return found.user, found.uri, found.trunk is not None

    # Another host has the trunk's password only where it is one of its gateways.
    assert sent(plain, "sip:b@pbx.example") == ("", "sip:b@pbx.example", False)
    assert sent(numbered, "sip:b@pbx.example") == ("", "sip:b@pbx.example", False)
    # The same number at another gateway of the trunk is the same destination.
    assert sent(numbered, "sip:99493011111@gw2.example:5070") == (
        "",
        "sip:99493011111@gw2.example:5070",
        True,
    )
    # Another number there is judged as a number.
    assert sent(numbered, "sip:99493022222@192.0.2.1") == ("", "sip:99493022222@192.0.2.1", True)
    assert sent(numbered, "tel:+49-30-22222;phone-context=x") == ("99493022222", "", True)
    for call, target in (
        (plain, "sip:a@elsewhere.example"),
        (plain, "sip:a@pbx.example;maddr=192.0.2.66"),
        (plain, "tel:+493011111"),
        (plain, "mailto:a@b"),
        (numbered, "sip:9919001234567@192.0.2.1"),
        (numbered, "sip:99493011111@192.0.2.1;maddr=192.0.2.66"),
        (numbered, "tel:+19001234567"),
        (replace(numbered, user="", uri="sip:x@192.0.2.1"), "sip:9919001234567@192.0.2.1"),
    ):
        told = sent(call, target)
        assert isinstance(told, str), target
        assert "redirect" in told


async def test_no_call_is_sent_on_while_the_store_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: Any) -> Any:
        raise StoreUnavailable("/secret/path")

    monkeypatch.setattr(world.store.calls, "get", away)
    refused = await world.services.router.refer("org", "call", "tel:+493011111")
    assert isinstance(refused, Refusal)
    assert refused.status == 503


async def test_a_store_that_is_away_is_a_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_args: Any) -> Any:
        raise StoreUnavailable("/secret/path")

    monkeypatch.setattr(world.store.credentials, "of_provider", away)
    refusal = await world.refused()
    assert (refusal.status, refusal.retry_after_s) == (503, 5.0)
    assert "/secret" not in repr(refusal)


async def test_what_breaks_inside_is_a_500_that_says_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: Any) -> Any:
        raise RuntimeError("sesame")

    monkeypatch.setattr(world.store.phone_numbers, "of_trunks", broken)
    await world.trunk()
    with capture_logs() as logs:
        refusal = await world.refused()
    assert (refusal.status, refusal.message) == (500, "RuntimeError")
    assert logs[0]["event"] == "invite_not_routed"


async def test_a_stranger_s_texts_stay_short_and_in_one_line(world: World) -> None:
    await world.number(sipUri="sip:open@h", assistantId=await world.assistant())
    plan = await world.taken(
        "open", caller="a\r\nb", caller_host="h" * 5000, caller_name="N\x00" * 500, sip_call_id="x\ny"
    )
    customer = plan.variables["customer"]
    assert customer["sipUri"].startswith("sip:ab@h")
    assert (len(customer["sipUri"]) <= 200, customer["name"]) == (True, "N" * 40)
    assert "phoneCallProviderId" not in plan.call


# --- as the customer's server says -----------------------------------------------------------------------------------


async def asking(world: World, **server: Any) -> str:
    return await world.number(number="+493012345", server={"url": "https://hooks.example/"} | server)


async def test_the_server_is_asked_and_names_an_assistant(world: World) -> None:
    number = await asking(world, secret="sesame")
    assistant = await world.assistant()
    world.server.answer = {
        "assistantId": assistant,
        "assistantOverrides": {"firstMessage": "Hi", "variableValues": {"name": "Ann"}},
    }
    plan = await world.taken(caller="+493099999", headers=(("X-Name", "Eve"), ("X-Plan", "gold")))
    assert (plan.assistant_id, plan.assistant["firstMessage"]) == (assistant, "Hi")
    assert (plan.variables["name"], plan.variables["plan"]) == ("Ann", "gold")
    ((server, message),) = world.server.asked
    assert server["secret"] == "sesame"
    assert (message["type"], message["customer"]) == ("assistant-request", {"number": "+493099999"})
    assert message["call"]["id"] == plan.call_id
    assert message["phoneNumber"]["id"] == number
    assert "sesame" not in json.dumps(message)
    (call,) = await world.calls()
    assert call["assistantId"] == assistant


async def test_the_server_gives_a_whole_assistant_and_its_keys(world: World) -> None:
    await asking(world)
    credentials = [{"provider": "openai", "apiKey": "sk-planted"}]
    world.server.answer = {
        "assistant": {"firstMessage": "Hi", "model": {"provider": "openai"}, "credentials": credentials}
    }
    plan = await world.taken()
    assert plan.assistant["firstMessage"] == "Hi"
    assert plan.keys["openai"].key == "sk-planted"
    assert "sk-planted" not in json.dumps(await world.calls()) + repr(plan)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({}, "assistant-request-returned-no-assistant"),
        ({"assistantId": None}, "assistant-request-returned-no-assistant"),
        ({"assistantId": "none"}, "assistant-request-returned-invalid-assistant"),
        ({"assistantId": 5}, "assistant-request-returned-invalid-assistant"),
        ({"assistant": []}, "assistant-request-returned-invalid-assistant"),
        ({"assistant": {"model": {}}}, "assistant-request-returned-invalid-assistant"),
        ({"squadId": "s"}, "assistant-request-returned-invalid-assistant"),
        ({"assistantId": "x", "assistantOverrides": 5}, "assistant-request-returned-invalid-assistant"),
        ({"error": "  "}, "assistant-request-returned-unspeakable-error"),
        ({"destination": {"type": "number"}}, "assistant-request-returned-forwarding-phone-number"),
    ],
)
async def test_what_the_server_says_that_is_no_assistant(
    world: World, answer: dict[str, Any], reason: str
) -> None:
    await asking(world)
    world.server.answer = answer
    refusal = await world.refused()
    assert (refusal.status, refusal.ended_reason) == (480, reason)
    (call,) = await world.calls()
    assert call["endedReason"] == reason


async def test_what_the_server_says_is_wrong_is_said_to_the_caller(world: World) -> None:
    await asking(world)
    world.server.answer = {"error": "We are closed."}
    plan = await world.taken()
    said = plan.assistant["firstMessage"], plan.assistant["partingReason"]
    assert said == ("We are closed.", "assistant-request-returned-error")
    assert plan.assistant["firstMessageMode"] == "assistant-speaks-first"


# --- hooks of a number -----------------------------------------------------------------------------------------------

AWAY = {"type": "transfer", "destination": {"type": "number", "number": "+493011111"}}
CLOSED = {"type": "say", "exact": "We are closed."}
RINGS = {"on": "call.ringing", "do": [CLOSED]}


def ending(action: dict[str, Any], *reasons: str) -> dict[str, Any]:
    filters = [{"type": "oneOf", "key": "call.endedReason", "oneOf": list(reasons)}]
    return {"on": "call.ending", "do": [action], "filters": filters}


async def test_a_number_s_hook_speaks_before_anybody_answers(world: World) -> None:
    only = {"filters": [{"type": "startsWith", "key": "number", "startsWith": ["+49 30", "0044"]}]}
    assistant = await world.assistant()
    await world.number(number="+493012345", assistantId=assistant, hooks=[RINGS | only])
    plan = await world.taken(caller="+493099999")
    assert plan.assistant["firstMessage"] == "We are closed."
    assert plan.assistant["partingReason"] == "call.ringing.hook-executed-say"
    assert world.server.asked == []
    for other in ("+494012345", ""):
        assert (await world.taken(caller=other)).assistant_id == assistant


async def test_a_number_s_hook_passes_the_caller_on(world: World) -> None:
    hook = {"on": "call.ringing", "do": [AWAY, CLOSED]}
    await world.number(
        number="+493012345",
        assistantId=await world.assistant(),
        hooks=[{"on": "call.ringing", "do": []}, hook],
    )
    answer = await world.route(caller="+493099999")
    assert isinstance(answer, Forward)
    assert (answer.ended_reason, answer.call.user) == ("call.ringing.hook-executed-transfer", "493011111")
    (call,) = await world.calls()
    assert (call["endedReason"], call["destination"]) == (answer.ended_reason, AWAY["destination"])
    assert world.host.plans == []


@pytest.mark.parametrize("action", [CLOSED, AWAY], ids=["say", "transfer"])
async def test_a_number_s_hook_hears_that_nobody_answers(world: World, action: dict[str, Any]) -> None:
    hooks = [
        ending(AWAY, "assistant-request-failed"),
        ending(action, "assistant-request-returned-no-assistant"),
    ]
    await asking(world)
    (listed,) = json.loads(await world.services.phone_numbers.list("org", {}))
    await world.services.phone_numbers.change("org", listed["id"], {"hooks": hooks})
    answer = await world.route(caller="+493099999")
    if action is AWAY:
        assert isinstance(answer, Forward)
        assert answer.ended_reason == "call.ending.hook-executed-transfer"
    else:
        assert isinstance(answer, CallPlan)
        assert answer.assistant["partingReason"] == "call.ending.hook-executed-say"


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        ({"on": "call.began", "do": []}, "hooks[0].on must be one of"),
        ({"on": "call.ringing", "do": [{"type": "tool"}]}, "hooks[0].do[0].type"),
        ({"on": "call.ringing", "do": [{"type": "say"}]}, "hooks[0].do[0].exact is required"),
        (
            {"on": "call.ringing", "do": [{"type": "say", "exact": "x" * 4001}]},
            "hooks[0].do[0].exact must be shorter",
        ),
        ({"on": "call.ringing", "do": [{"type": "transfer"}]}, "hooks[0].do[0].destination is required"),
        (ending(CLOSED, "customer-busy"), "hooks[0].filters[0].oneOf[0] must be one of"),
    ],
)
async def test_a_hook_that_a_number_cannot_have_is_refused(
    world: World, hook: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Rejected) as refused:
        await world.number(number="+493012345", hooks=[hook])
    assert any(each.startswith(problem) for each in refused.value.problems), refused.value.problems


async def test_the_server_forwards_the_caller(world: World) -> None:
    await asking(world)
    world.server.answer = {"destination": {"type": "number", "number": "+493011111"}}
    answer = await world.route(caller="+493099999")
    assert isinstance(answer, Forward)
    assert (answer.ended_reason, answer.call.user) == (
        "assistant-request-returned-forwarding-phone-number",
        "493011111",
    )


async def test_a_server_that_fails_says_how(world: World) -> None:
    await asking(world)
    world.server.error = ProviderError(
        "server", "deadline", "took too long", fault=Fault.NETWORK, retryable=False
    )
    refusal = await world.refused()
    assert refusal.ended_reason == "assistant-request-failed"
    assert "took too long" in refusal.message


async def test_a_server_s_credential_goes_along(world: World) -> None:
    plan = {"type": "bearer", "token": "planted-token", "headerName": "X-Key"}
    credential = await world.make("credentials", provider="webhook", authenticationPlan=plan)
    number = await asking(world, credentialId=credential)
    await world.refused()
    assert world.server.asked[0][0]["authenticationPlan"] == plan
    await world.services.phone_numbers.change(
        "org", number, {"server": {"url": "https://h/", "credentialId": "none"}}
    )
    await world.refused()
    # Whoever sends it cannot sign it so, and does not send it unsigned.
    assert world.server.asked[1][0]["authenticationPlan"] == {"type": "missing"}


async def test_what_cannot_be_opened_lets_nobody_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account = {"username": "ann", "password": PASSWORD}
    await world.number(sipUri="sip:closed@h", assistantId=await world.assistant(), authentication=account)
    await world.number(number="+493012345", assistantId=await world.assistant())

    def closed(*_args: Any) -> bytes:
        raise CannotOpen("the key is gone")

    monkeypatch.setattr(AesGcmVault, "open", closed)
    assert await world.services.router.accounts() == []
    assert await world.refused("closed", account="ann") == NOBODY
    # A trunk without secrets needs no key.
    await world.taken()


async def test_without_anybody_to_ask_a_server_is_no_answer(world: World) -> None:
    await asking(world)
    services = join_services(world.store, world.host, vault=AesGcmVault(bytes(32)))
    answer = await services.router.route(InboundInvite(CARRIER, "+493012345"))
    assert isinstance(answer, Refusal)
    assert answer.ended_reason == "assistant-request-failed"
    assert replace(answer, message="").status == 480


async def test_the_servers_are_told_of_a_call_that_nobody_answered(world: World) -> None:
    world.server.error = ProviderError(
        "assistant-request", "refused", "no", fault=Fault.CONFIG, retryable=False
    )
    await asking(world, secret="planted")
    refusal = await world.refused()
    rows = await world.store.outbox.list("org", DeliveryQuery())
    told = [(row.delivery.kind, json.loads(row.delivery.body)["message"]) for row in reversed(rows)]
    assert sorted(kind for kind, _ in told) == ["end-of-call-report", "status-update", "status-update"]
    report = next(message for kind, message in told if kind == "end-of-call-report")
    assert report["endedReason"] == "assistant-request-failed"
    assert (report["call"]["id"], report["phoneNumber"]["number"]) == (refusal.call_id, "+493012345")
    assert {row.delivery.endpoints[0].url for row in rows} == {world.server.asked[0][0]["url"]}
    assert "planted" not in str(rows) + rows[0].delivery.body


async def test_the_servers_are_told_of_a_call_that_there_was_no_room_for(world: World) -> None:
    reason = "call.start.error-subscription-concurrency-limit-reached"
    world.host.refusal = CallRefused(reason, "full", 429)
    assistant = await world.make("assistants", server={"url": "https://example.com/a"})
    await world.number(number="+493012345", assistantId=assistant)
    await world.refused()
    rows = await world.store.outbox.list("org", DeliveryQuery())
    reports = [
        json.loads(r.delivery.body)["message"] for r in rows if r.delivery.kind == "end-of-call-report"
    ]
    assert [report["endedReason"] for report in reports] == [reason]
