"""Carriers: who is let in at their door, what becomes of the call, how it is placed, ended and passed on; with Twilio's and
Telnyx's real adapters against an API on loopback."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from aywa.adapters.carriers.exotel import Exotel
from aywa.adapters.carriers.plivo import Plivo
from aywa.adapters.carriers.signalwire import SignalWire
from aywa.adapters.carriers.telnyx import Telnyx
from aywa.adapters.carriers.twilio import Twilio
from aywa.adapters.carriers.vonage import Vonage
from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.toll import TollRules
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.carriers import CarrierAnswer, CarrierRequest
from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import ListQuery, Organisation, Store
from aywa.ports.telephony import OutboundCall, Transfer, TransferNews, TransferStatus
from aywa.service.calls import Creator
from aywa.service.carrier_door import LATER, NOBODY
from aywa.service.carrier_lines import LINES_MAX, CarrierLines, CarrierParts
from aywa.service.clock import iso, now_ms
from aywa.service.errors import NotFound, Rejected
from aywa.service.inbound import Brought
from aywa.service.services import PhoneParts, Services, join_services
from tests.adapters.carriers.world import Api, api

PUBLIC = "https://voice.example.com"
SID, TOKEN = "AC" + "0" * 32, "planted-token-of-twilio"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC_KEY = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
).decode()


@dataclass
class Host:
    """ports.calls.CallHost and CallLegs: has every call until it is over."""

    plans: dict[str, CallPlan] = field(default_factory=dict)
    ends: list[tuple[str, str, str]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)
    up: set[str] = field(default_factory=set)
    refusal: CallRefused | None = None
    tell: Callable[[str, bool], None] = lambda call_id, connected: None

    def full(self) -> bool:
        return self.refusal is not None and self.refusal.status == 429

    def prepare(self, plan: CallPlan) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.plans[plan.call_id] = plan
        return f"ws://host/{plan.call_id}/transport?token=t"

    def end(self, call_id: str, reason: str, detail: str = "") -> bool:
        self.ends.append((call_id, reason, detail))
        return True

    def active(self) -> Mapping[str, str]:
        return {}

    def media_path(self, call_id: str) -> str | None:
        return f"{call_id}/t0" if call_id in self.plans else None

    def connected(self, call_id: str) -> bool:
        return call_id in self.up

    def give_away(self, call_id: str) -> bool:
        if call_id not in self.up:
            return False
        self.given.append(call_id)
        return True

    def rang(self, call_id: str) -> None:
        self.rung.append(call_id)

    def on_over(self, tell: Callable[[str, bool], None]) -> None:
        self.tell = tell

    def over(self, call_id: str) -> None:
        """The call's session is over."""
        self.plans.pop(call_id)
        self.tell(call_id, call_id in self.up)


@dataclass
class World:
    services: Services
    host: Host
    store: Store
    far: Api
    assistant_id: str = ""

    @property
    def lines(self) -> CarrierLines:
        assert self.services.carrier_lines is not None
        return self.services.carrier_lines

    async def make(self, kind: str, **body: Any) -> str:
        service: Any = getattr(self.services, kind)
        return str(json.loads(await service.create("org", body))["id"])

    async def twilio(self, **more: Any) -> str:
        body = {
            "provider": "twilio",
            "number": "+15550100",
            "twilioAccountSid": SID,
            "twilioAuthToken": TOKEN,
            "apiUrl": self.far.url,
            "assistantId": self.assistant_id,
        }
        return await self.make("phone_numbers", **(body | more))

    async def telnyx(self, **more: Any) -> str:
        credential = await self.make(
            "credentials",
            provider="telnyx",
            apiKey="KEY1",
            publicKey=PUBLIC_KEY,
            connectionId="77",
            baseUrl=self.far.url,
        )
        body = {
            "provider": "telnyx",
            "number": "+15550200",
            "credentialId": credential,
            "assistantId": self.assistant_id,
        }
        return await self.make("phone_numbers", **(body | more))

    async def take(
        self, vendor: str, number_id: str, request: CarrierRequest, step: str = ""
    ) -> CarrierAnswer:
        assert self.services.carriers is not None
        return await self.services.carriers.take(vendor, number_id, step, request, PUBLIC)

    async def by_twilio(
        self, number_id: str, step: str = "", call: str = "", token: str = TOKEN, **fields: str
    ) -> CarrierAnswer:
        """A request that Twilio has signed."""
        url = f"{PUBLIC}/inbound/twilio/{number_id}" + (f"/{step}" if step else "")
        url += f"?call={call}" if call else ""
        fields = {"CallSid": "CA1", "CallStatus": "in-progress"} | fields
        text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
        signature = base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": signature,
        }
        query = parse_qs(url.partition("?")[2])
        request = CarrierRequest("POST", (url,), headers, query, urlencode(fields).encode(), 0.0)
        return await self.take("twilio", number_id, request, step)

    async def by_telnyx(
        self, number_id: str, event: str, control_id: str = "v3:1", **payload: Any
    ) -> CarrierAnswer:
        """A request that Telnyx has signed."""
        document = {"data": {"event_type": event, "payload": {"call_control_id": control_id, **payload}}}
        body = json.dumps(document).encode()
        signature = base64.b64encode(KEY.sign(b"1700000000|" + body)).decode()
        headers = {"telnyx-timestamp": "1700000000", "telnyx-signature-ed25519": signature}
        request = CarrierRequest("POST", ("",), headers, {}, body, 1_700_000_000.0)
        return await self.take("telnyx", number_id, request, "status")

    async def calls(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in await self.store.calls.list("org", ListQuery())]

    async def call(self, **body: Any) -> dict[str, Any]:
        """A call that is placed, after the vendor was told of it."""
        text = await self.services.calls.create(
            Creator("org", "key"), {"assistantId": self.assistant_id, **body}, web=False
        )
        await self.settled()
        document: dict[str, Any] = json.loads(text)
        return document

    async def settled(self) -> None:
        """Whatever the vendor is to be told, it was."""
        async with asyncio.timeout(5):
            while self.lines._tasks:
                await asyncio.gather(*self.lines._tasks)

    @property
    def call_id(self) -> str:
        (call_id,) = self.host.plans
        return call_id


@asynccontextmanager
async def made(folder: Path, public_url: str = PUBLIC) -> AsyncIterator[World]:
    store = await open_sqlite(folder / "aywa.db")
    await store.organisations.insert(Organisation("org", "org", 1))
    host = Host()
    adapters = (Twilio(), Telnyx(), Plivo(), Vonage(), Exotel(), SignalWire())
    parts = CarrierParts(
        {each.vendor: each for each in adapters}, host, lambda: "wss://media.example.com:8081", public_url
    )
    phones = PhoneParts(tolls=TollRules(("+49",)), base_url=public_url, carriers=parts)
    services = join_services(store, host, vault=AesGcmVault(bytes(32)), phones=phones)
    async with api() as far:
        world = World(services, host, store, far)
        world.assistant_id = await world.make("assistants", name="Desk", firstMessage="Hello")
        yield world
        await world.lines.close()
    await store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with made(tmp_path) as one:
        yield one


def only(answer: CarrierAnswer, path: str) -> ET.Element:
    found = ET.fromstring(answer.body).find(path)
    assert found is not None, answer.body
    return found


# --- the door ------------------------------------------------------------------------------------------------------------


async def test_a_call_becomes_a_call(world: World) -> None:
    number_id = await world.twilio(name="Front desk")
    answer = await world.by_twilio(number_id, From="+4930123", To="+15550100", CallerName="Ada")
    call_id = world.call_id
    stream = only(answer, "Connect/Stream")
    assert stream.attrib["url"] == f"wss://media.example.com:8081/media/twilio/{call_id}/t0"
    next_url = f"{PUBLIC}/inbound/twilio/{number_id}/next?call={call_id}"
    assert only(answer, "Connect").attrib["action"] == next_url
    (call,) = await world.calls()
    assert {name: call[name] for name in ("type", "phoneCallProvider", "phoneCallTransport")} == {
        "type": "inboundPhoneCall",
        "phoneCallProvider": "twilio",
        "phoneCallTransport": "pstn",
    }
    assert call["phoneCallProviderId"] == "CA1"
    assert call["customer"] == {"number": "+4930123", "name": "Ada"}
    assert call["transport"]["provider"] == "twilio"
    variables = world.host.plans[call_id].variables
    assert variables["transport"] == {"conversationType": "voice", "callSid": "CA1"}
    assert variables["phoneNumber"]["name"] == "Front desk"


async def test_what_is_not_proven_is_all_alike(world: World) -> None:
    number_id = await world.twilio()
    telnyx_id = await world.telnyx()
    with capture_logs() as logs:
        wrong = await world.by_twilio(number_id, token="another")
        nobody = await world.by_twilio("no-such-number")
        other = await world.by_twilio(telnyx_id)
        unknown = await world.take("of-tomorrow", number_id, CarrierRequest("POST", ("",)))
    assert [wrong, nobody, other, unknown] == [NOBODY] * 4
    assert await world.calls() == []
    assert [(each["event"], each["phone_number_id"]) for each in logs] == [
        ("carrier_not_believed", number_id)
    ]
    assert TOKEN not in str(logs)


async def test_the_same_call_asked_about_twice_is_one_call(world: World) -> None:
    number_id = await world.twilio()
    answers = await asyncio.gather(*(world.by_twilio(number_id, From="+4930123") for _ in range(5)))
    assert len({each.body for each in answers}) == 1
    assert len(await world.calls()) == 1
    assert (await world.by_twilio(number_id, From="+4930123", CallSid="CA2")).body != answers[0].body
    assert len(await world.calls()) == 2


async def test_a_call_that_was_here_does_not_begin_again(world: World) -> None:
    number_id, call_id = await answered(world)
    world.host.over(call_id)
    await world.by_twilio(number_id, "next", call_id)
    with capture_logs() as logs:
        again = await world.by_twilio(number_id, From="+4930123")
    assert only(again, "Hangup") is not None
    assert [each["event"] for each in logs] == ["carrier_asked_again"]
    assert len(await world.calls()) == 1


async def test_a_blocked_number_takes_no_call(world: World) -> None:
    number_id = await world.twilio(status="blocked")
    assert only(await world.by_twilio(number_id), "Reject").attrib == {"reason": "rejected"}
    assert await world.calls() == []


async def test_where_there_is_no_room_the_line_is_busy(world: World) -> None:
    number_id = await world.twilio()
    world.host.refusal = CallRefused("call.start.error-subscription-concurrency-limit-reached", "full", 429)
    assert only(await world.by_twilio(number_id), "Reject").attrib == {"reason": "busy"}
    (call,) = await world.calls()
    assert (call["status"], call["endedReason"]) == ("ended", world.host.refusal.ended_reason)


async def test_whom_nobody_answers_goes_to_the_fallback(world: World) -> None:
    fallback = {"type": "number", "number": "+4930999", "callerId": "{{customer.number}}", "extension": "12"}
    number_id = await world.twilio(assistantId=None, fallbackDestination=fallback)
    answer = await world.by_twilio(number_id, From="+4930123")
    number = only(answer, "Dial/Number")
    assert (number.text, number.attrib) == ("+4930999", {"sendDigits": "12"})
    assert only(answer, "Dial").attrib["callerId"] == "+4930123"
    (call,) = await world.calls()
    assert call["endedReason"] == "call-start-error-neither-assistant-nor-server-set"


async def test_an_assistant_that_is_gone_is_on_record(world: World) -> None:
    number_id = await world.twilio()
    await world.services.assistants.delete("org", world.assistant_id)
    assert only(await world.by_twilio(number_id), "Reject").attrib == {"reason": "rejected"}
    (call,) = await world.calls()
    assert call["endedReason"] == "call.start.error-get-assistant"


async def test_without_a_store_the_vendor_is_asked_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    number_id = await world.twilio()

    async def broken(*given: Any) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.store.phone_numbers, "of_id", broken)
    assert await world.by_twilio(number_id) == LATER


async def test_a_number_whose_credential_is_gone_is_nobody_s(world: World) -> None:
    number_id = await world.telnyx()
    body = json.loads(await world.services.phone_numbers.get("org", number_id))
    await world.services.credentials.delete("org", body["credentialId"])
    assert await world.by_telnyx(number_id, "call.initiated", direction="incoming") == NOBODY


async def test_vendors_that_the_contract_does_not_know(world: World) -> None:
    carrier = {"provider": "exotel", "inboundToken": "a-token-of-twenty-or-more"}
    number_id = await world.make(
        "phone_numbers",
        provider="byo-phone-number",
        number="+918047491899",
        carrier=carrier,
        assistantId=world.assistant_id,
    )
    query = {"token": [carrier["inboundToken"]], "CallSid": ["e1"], "CallFrom": ["09876543210"]}
    answer = await world.take("exotel", number_id, CarrierRequest("GET", ("",), {}, query))
    url = json.loads(answer.body)["url"]
    assert url == f"wss://media.example.com:8081/media/exotel/{world.call_id}/t0?sample-rate=16000"
    (call,) = await world.calls()
    # Only what the contract has a name for stands where clients look for a name.
    assert (call["phoneCallProvider"], call["transport"]["provider"]) == ("vapi", "vapi.sip")
    assert call["transport"]["carrier"] == "exotel"
    shown = json.loads(await world.services.phone_numbers.get("org", number_id))
    assert shown["carrier"] == {"provider": "exotel"}


# --- Telnyx is told ------------------------------------------------------------------------------------------------------


async def test_telnyx_is_told_to_answer_and_to_hang_up(world: World) -> None:
    number_id = await world.telnyx()
    answer = await world.by_telnyx(
        number_id, "call.initiated", direction="incoming", **{"from": "+4930123", "to": "+15550200"}
    )
    await world.settled()
    assert answer == CarrierAnswer()
    (asked,) = world.far.asked
    assert asked.path == "/v2/calls/v3:1/actions/answer"
    call_id = world.call_id
    assert asked.document["stream_url"] == f"wss://media.example.com:8081/media/telnyx/{call_id}/t0"
    world.host.up.add(call_id)
    world.host.over(call_id)
    await world.settled()
    # The socket's end is not the call's.
    assert world.far.asked[1].path == "/v2/calls/v3:1/actions/hangup"
    assert not world.lines.knows(call_id)


async def test_telnyx_that_does_not_answer_ends_the_call(world: World) -> None:
    number_id = await world.telnyx()
    world.far.answers = [(422, {"errors": [{"code": "90018"}]})]
    await world.by_telnyx(number_id, "call.initiated", direction="incoming")
    await world.settled()
    ((_, reason, detail),) = world.host.ends
    assert reason == "call.in-progress.error-sip-inbound-call-failed-to-connect"
    assert "90018" in detail


async def test_telnyx_is_told_to_refuse_and_to_forward(world: World) -> None:
    refused = await world.telnyx(assistantId=None)
    await world.by_telnyx(refused, "call.initiated", direction="incoming")
    await world.settled()
    assert world.far.asked.pop().path == "/v2/calls/v3:1/actions/hangup"
    forwards = await world.telnyx(
        number="+15550201",
        assistantId=None,
        fallbackDestination={"type": "number", "number": "+4930999"},
    )
    await world.by_telnyx(forwards, "call.initiated", "v3:2", direction="incoming")
    await world.settled()
    assert world.far.asked[0].path == "/v2/calls/v3:2/actions/transfer"
    assert world.far.asked[0].document["to"] == "+4930999"


async def test_numbers_of_one_account_may_share_an_address(world: World) -> None:
    first = await world.telnyx()
    credential = json.loads(await world.services.phone_numbers.get("org", first))["credentialId"]
    second = await world.telnyx(number="+15550300", credentialId=credential, name="Second")
    await world.by_telnyx(first, "call.initiated", direction="incoming", to="+15550300")
    await world.settled()
    (call,) = await world.calls()
    assert call["phoneNumberId"] == second
    await world.by_telnyx(first, "call.hangup", hangup_cause="normal_clearing")
    assert world.host.ends[0][:2] == (
        call["id"],
        "call.ringing.sip-inbound-caller-hungup-before-call-connect",
    )


# --- calls that are placed -----------------------------------------------------------------------------------------------


async def test_a_call_is_placed_through_twilio(world: World) -> None:
    number_id = await world.twilio()
    world.far.answers = [(201, {"sid": "CA7"})]
    call = await world.call(phoneNumberId=number_id, customer={"number": "+4930456", "extension": "9"})
    (asked,) = world.far.asked
    fields = asked.fields
    assert (fields["To"], fields["From"], fields["SendDigits"]) == (["+4930456"], ["+15550100"], ["9"])
    assert fields["StatusCallback"] == [f"{PUBLIC}/inbound/twilio/{number_id}/status?call={call['id']}"]
    assert f"/media/twilio/{call['id']}/t0" in fields["Twiml"][0]
    stored = json.loads(await world.services.calls.get("org", call["id"]))
    assert (stored["phoneCallProviderId"], stored["phoneCallProvider"]) == ("CA7", "twilio")
    assert stored["type"] == "outboundPhoneCall"


async def test_a_call_is_placed_from_a_number_that_comes_with_it(world: World) -> None:
    world.far.answers = [(201, {"sid": "CA7"})]
    number = {
        "twilioPhoneNumber": "+15550100",
        "twilioAccountSid": SID,
        "twilioAuthToken": TOKEN,
        "apiUrl": world.far.url,
        "server": {"url": "https://hooks.example", "secret": "server-secret"},
    }
    call = await world.call(phoneNumber=number, customer={"number": "+4930456"})
    placed = world.far.asked[0].fields
    assert (placed["To"], placed["From"]) == (["+4930456"], ["+15550100"])
    assert placed["StatusCallback"] == [f"{PUBLIC}/inbound/twilio/{call['id']}/status?call={call['id']}"]
    stored = await world.services.calls.get("org", call["id"])
    assert TOKEN not in stored
    assert "server-secret" not in stored
    assert json.loads(stored)["phoneNumber"] == {
        "twilioPhoneNumber": "+15550100",
        "twilioAccountSid": SID,
        "apiUrl": world.far.url,
        "server": {"url": "https://hooks.example"},
    }
    plan = world.host.plans[call["id"]]
    assert plan.call["phoneNumber"] == {"number": "+15550100", "provider": "twilio"}
    assert [server.url for server in plan.servers.servers] == ["https://hooks.example"]
    # The vendor's own requests are believed by the secret that came along, and by no other.
    assert await world.by_twilio(call["id"], "status", call["id"], "wrong", CallSid="CA7") == NOBODY
    await world.by_twilio(call["id"], "status", call["id"], CallSid="CA7", CallStatus="busy")
    assert world.host.ends[0][:2] == (call["id"], "customer-busy")


async def test_a_number_that_comes_with_a_scheduled_call_is_sealed_until_then(world: World) -> None:
    world.far.answers = [(201, {"sid": "CA7"})]
    number = {
        "twilioPhoneNumber": "+15550100",
        "twilioAccountSid": SID,
        "twilioAuthToken": TOKEN,
        "apiUrl": world.far.url,
    }
    call = await world.call(
        phoneNumber=number,
        customer={"number": "+4930456"},
        schedulePlan={"earliestAt": iso(now_ms() + 3_600_000)},
    )
    assert TOKEN not in json.dumps(call)
    (due,) = await world.store.calls.due(now_ms() + 3_700_000, 10)
    assert due.sealed is not None
    assert TOKEN.encode() not in due.sealed.blob
    await world.services.calls.begin_due(due)
    await world.settled()
    assert world.far.asked[0].fields["From"] == ["+15550100"]


async def test_numbers_that_came_with_calls_are_forgotten_in_their_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aywa.service.phone_numbers.LENT_MAX", 2)
    numbers = world.services.phone_numbers
    body = {"provider": "twilio", "number": "+15550100", "twilioAccountSid": SID, "twilioAuthToken": TOKEN}
    for name in "abc":
        await numbers.lend("org", name, body)
    assert await numbers.of_id("a") is None
    assert [(await numbers.use("org", name)).id for name in "bc"] == ["b", "c"]
    with pytest.raises(NotFound):
        await numbers.use("other", "b")


async def test_a_call_is_placed_through_telnyx(world: World) -> None:
    number_id = await world.telnyx()
    world.far.answers = [(200, {"data": {"call_control_id": "v3:7"}})]
    call = await world.call(phoneNumberId=number_id, customer={"number": "+4930456"})
    (asked,) = world.far.asked
    assert (asked.document["to"], asked.document["from"]) == ("+4930456", "+15550200")
    assert asked.document["command_id"] == call["id"]
    # What becomes of it, Telnyx says without our id, too.
    await world.by_telnyx(number_id, "call.hangup", "v3:7", hangup_cause="user_busy")
    assert world.host.ends == [(call["id"], "customer-busy", "Telnyx says user_busy")]


@pytest.mark.parametrize(
    ("configured", "transport", "rings_s", "waits_s"),
    [
        ([{"provider": "twilio", "timeout": 25}], {}, 25, 35),
        ([{"provider": "twilio", "timeout": 25}], {"dialTimeout": 40}, 40, 50),
        ([{"provider": "twilio", "timeout": 9_000}], {}, 600, 610),
        ([{"provider": "vonage", "timeout": 25}, "x", {"provider": "twilio", "timeout": True}], {}, 60, 70),
        (None, {"provider": "twilio"}, 60, 70),
    ],
)
async def test_how_long_twilio_lets_it_ring(
    world: World, configured: Any, transport: dict[str, Any], rings_s: int, waits_s: float
) -> None:
    number_id = await world.twilio()
    world.far.answers = [(201, {"sid": "CA7"})]
    overrides = {} if configured is None else {"assistantOverrides": {"transportConfigurations": configured}}
    call = await world.call(
        phoneNumberId=number_id, customer={"number": "+4930456"}, transport=transport, **overrides
    )
    assert world.far.asked[0].fields["Timeout"] == [str(rings_s)]
    assert world.host.plans[call["id"]].join_timeout_s == waits_s


async def test_a_call_waits_for_its_time(world: World) -> None:
    number_id = await world.twilio()
    world.far.answers = [(201, {"sid": "CA7"})]
    call = await world.call(
        phoneNumberId=number_id,
        customer={"number": "+4930456"},
        schedulePlan={"earliestAt": iso(now_ms() + 3_600_000)},
    )
    assert (call["status"], call["phoneCallProvider"], world.far.asked) == ("scheduled", "twilio", [])
    (due,) = await world.store.calls.due(now_ms() + 3_700_000, 10)
    await world.services.calls.begin_due(due)
    await world.settled()
    assert world.far.asked[0].fields["To"] == ["+4930456"]
    stored = json.loads(await world.services.calls.get("org", call["id"]))
    assert stored["phoneCallProviderId"] == "CA7"


@pytest.mark.parametrize(
    ("status", "more", "reason"),
    [
        ("busy", {}, "customer-busy"),
        ("no-answer", {}, "customer-did-not-answer"),
        ("failed", {}, "twilio-failed-to-connect-call"),
        ("failed", {"SipResponseCode": "404"}, "twilio-reported-customer-misdialed"),
        ("canceled", {}, "customer-did-not-answer"),
        ("completed", {}, "customer-ended-call"),
    ],
)
async def test_why_a_call_that_was_placed_is_over(
    world: World, status: str, more: dict[str, str], reason: str
) -> None:
    number_id = await world.twilio()
    world.far.answers = [(201, {"sid": "CA7"})]
    call = await world.call(phoneNumberId=number_id, customer={"number": "+4930456"})
    for going_on in ("initiated", "ringing", "ringing"):
        await world.by_twilio(number_id, "status", call["id"], CallSid="CA7", CallStatus=going_on)
    assert world.host.ends == []
    assert world.host.rung == [call["id"]]
    await world.by_twilio(number_id, "status", call["id"], CallSid="CA7", CallStatus=status, **more)
    ((call_id, ended, detail),) = world.host.ends
    assert (call_id, ended) == (call["id"], reason)
    assert status in detail
    world.host.over(call_id)
    assert not world.lines.knows(call_id)
    await world.settled()
    assert len(world.far.asked) == 1


async def test_a_call_that_twilio_does_not_place_says_why(world: World) -> None:
    number_id = await world.twilio()
    world.far.answers = [(401, {"code": 20003})]
    call = await world.call(phoneNumberId=number_id, customer={"number": "+4930456"})
    ((call_id, reason, detail),) = world.host.ends
    assert (call_id, reason) == (call["id"], "twilio-failed-to-connect-call")
    assert "20003" in detail
    assert TOKEN not in detail


async def test_a_call_that_nobody_wants_any_more_stops_ringing(world: World) -> None:
    number_id = await world.twilio()
    world.far.answers = [(201, {"sid": "CA7"}), (200, {})]
    call = await world.call(phoneNumberId=number_id, customer={"number": "+4930456"})
    world.host.over(call["id"])
    await world.settled()
    assert world.far.asked[1].path.endswith("/Calls/CA7.json")
    assert world.far.asked[1].fields == {"Status": ["completed"]}


async def test_a_call_that_is_over_before_twilio_was_asked_is_not_placed(world: World) -> None:
    number_id = await world.twilio()
    text = await world.services.calls.create(
        Creator("org", "key"),
        {"assistantId": world.assistant_id, "phoneNumberId": number_id, "customer": {"number": "+4930456"}},
        web=False,
    )
    world.host.over(json.loads(text)["id"])
    await world.settled()
    assert world.far.asked == []


async def test_a_call_that_is_over_before_twilio_has_answered_is_hung_up_then(world: World) -> None:
    number_id = await world.twilio()
    world.far.answers = [(201, {"sid": "CA7"}), (200, {})]
    world.far.go.clear()
    text = await world.services.calls.create(
        Creator("org", "key"),
        {"assistantId": world.assistant_id, "phoneNumberId": number_id, "customer": {"number": "+4930456"}},
        web=False,
    )
    async with asyncio.timeout(5):
        await world.far.came.wait()
    world.host.over(json.loads(text)["id"])
    world.far.go.set()
    await world.settled()
    assert [each.fields.get("Status") for each in world.far.asked] == [None, ["completed"]]


async def test_who_may_not_be_called_is_not(world: World, tmp_path: Path) -> None:
    plivo = await world.make(
        "phone_numbers",
        provider="byo-phone-number",
        number="+15550100",
        carrier={"provider": "plivo", "accountId": "MA1", "authToken": "t"},
    )
    with pytest.raises(Rejected, match="plivo is not asked to place calls"):
        await world.call(phoneNumberId=plivo, customer={"number": "+4930456"})
    twilio = await world.twilio()
    with pytest.raises(Rejected, match=r"transport\.provider"):
        await world.call(
            phoneNumberId=twilio, customer={"number": "+4930456"}, transport={"provider": "daily"}
        )
    assert world.far.asked == []


async def test_without_a_public_address_no_call_is_placed(tmp_path: Path) -> None:
    async with made(tmp_path, public_url="") as world:
        number_id = await world.twilio()
        call = await world.call(phoneNumberId=number_id, customer={"number": "+4930456"})
        assert world.host.ends[0][:2] == (
            call["id"],
            "call.in-progress.error-sip-outbound-call-failed-to-connect",
        )
        assert world.far.asked == []


# --- the end, and who comes after it ----------------------------------------------------------------------------------------


async def answered(world: World, **more: Any) -> tuple[str, str]:
    """A call of Twilio's whose audio is here: its number and its id."""
    number_id = await world.twilio(**more)
    await world.by_twilio(number_id, From="+4930123")
    call_id = world.call_id
    world.host.up.add(call_id)
    return number_id, call_id


async def test_when_the_socket_is_over_twilio_hangs_up(world: World) -> None:
    number_id, call_id = await answered(world)
    world.host.over(call_id)
    await world.settled()
    assert world.far.asked == []
    assert only(await world.by_twilio(number_id, "next", call_id), "Hangup") is not None
    assert not world.lines.knows(call_id)


async def test_a_vendor_that_does_not_ask_is_told_that_it_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aywa.service.carrier_lines.ASKED_S", 0.01)
    _, call_id = await answered(world)
    world.host.over(call_id)
    async with asyncio.timeout(5):
        await world.far.came.wait()
    await world.settled()
    assert world.far.asked[0].fields == {"Status": ["completed"]}


async def test_a_caller_who_hung_up_has_ended_the_call(world: World) -> None:
    number_id, call_id = await answered(world)
    await world.by_twilio(number_id, "next", call_id, CallStatus="completed")
    assert world.host.ends == [(call_id, "customer-ended-call", "")]


def transfer(call_id: str, number: str = "+4930999") -> Transfer:
    return Transfer(OutboundCall(call_id, "org", user=number, caller_id="+4930123", digits="7"))


async def test_a_caller_is_passed_on_when_twilio_asks(world: World) -> None:
    number_id, call_id = await answered(world)
    news: list[TransferNews] = []
    world.lines.transfer(transfer(call_id), news.append)
    assert world.host.given == [call_id]
    assert [each.status for each in news] == [TransferStatus.CONNECTED]
    world.host.over(call_id)
    answer = await world.by_twilio(number_id, "next", call_id)
    number = only(answer, "Dial/Number")
    assert (number.text, number.attrib["sendDigits"]) == ("+4930999", "7")
    dialled_url = f"{PUBLIC}/inbound/twilio/{number_id}/dialled?call={call_id}"
    assert only(answer, "Dial").attrib["action"] == dialled_url
    done = await world.by_twilio(number_id, "dialled", call_id, DialCallStatus="busy")
    assert only(done, "Hangup") is not None
    assert [each.status for each in news] == [TransferStatus.CONNECTED, TransferStatus.BUSY]
    assert not world.lines.knows(call_id)
    await world.settled()
    assert world.far.asked == []


async def test_a_caller_who_hangs_up_on_the_way_has_cancelled(world: World) -> None:
    number_id, call_id = await answered(world)
    news: list[TransferNews] = []
    world.lines.transfer(transfer(call_id), news.append)
    world.host.over(call_id)
    await world.by_twilio(number_id, "next", call_id, CallStatus="completed")
    assert [each.status for each in news] == [TransferStatus.CONNECTED, TransferStatus.CANCELLED]


async def test_a_call_is_passed_on_once(world: World) -> None:
    _, call_id = await answered(world)
    world.lines.transfer(transfer(call_id), lambda news: None)
    with pytest.raises(CallRefused, match="being transferred"):
        world.lines.transfer(transfer(call_id), lambda news: None)
    with pytest.raises(CallRefused, match="not here"):
        world.lines.transfer(transfer("no-such-call"), lambda news: None)


async def test_a_caller_who_is_not_there_is_not_passed_on(world: World) -> None:
    number_id = await world.twilio()
    await world.by_twilio(number_id)
    with pytest.raises(CallRefused, match="nobody is there"):
        world.lines.transfer(transfer(world.call_id), lambda news: None)
    # The call is as it was.
    world.host.up.add(world.call_id)
    world.lines.transfer(transfer(world.call_id), lambda news: None)


@pytest.mark.parametrize(("status", "given"), [(200, True), (422, False)])
async def test_telnyx_is_told_to_pass_on(world: World, status: int, given: bool) -> None:
    number_id = await world.telnyx()
    await world.by_telnyx(number_id, "call.initiated", direction="incoming")
    await world.settled()
    call_id = world.call_id
    world.host.up.add(call_id)
    world.far.answers = [(status, {})]
    news: list[TransferNews] = []
    world.lines.transfer(transfer(call_id), news.append)
    await world.settled()
    assert world.far.asked[-1].path == "/v2/calls/v3:1/actions/transfer"
    assert (world.host.given == [call_id]) is given
    assert news[0].status is (TransferStatus.CONNECTED if given else TransferStatus.FAILED)
    if given:
        await world.by_telnyx(number_id, "call.bridged")
        assert news[-1].status is TransferStatus.COMPLETED
        world.host.over(call_id)
        await world.settled()
        # It is not ours to hang up any more.
        assert world.far.asked[-1].path.endswith("transfer")


async def test_exotel_passes_nobody_on(world: World) -> None:
    token = "a-token-of-twenty-or-more"
    number_id = await world.make(
        "phone_numbers",
        provider="byo-phone-number",
        number="+918047491899",
        carrier={"provider": "exotel", "inboundToken": token},
        assistantId=world.assistant_id,
    )
    query = {"token": [token], "CallSid": ["e1"]}
    await world.take("exotel", number_id, CarrierRequest("GET", ("",), {}, query))
    with pytest.raises(CallRefused, match="passes nobody on"):
        world.lines.transfer(transfer(world.call_id), lambda news: None)


async def test_calls_that_are_over_are_forgotten_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LINES_MAX > 1_000
    monkeypatch.setattr("aywa.service.carrier_lines.LINES_MAX", 2)
    number_id = await world.twilio()
    ids: list[str] = []
    for name in ("CA1", "CA2", "CA3"):
        await world.by_twilio(number_id, CallSid=name)
        ids.append(next(each for each in world.host.plans if each not in ids))
        if name == "CA2":
            world.host.up.add(ids[1])
            world.host.tell(ids[1], True)
    assert [world.lines.knows(each) for each in ids] == [True, False, True]


async def test_no_secret_is_shown(world: World) -> None:
    number_id = await world.twilio()
    await world.by_twilio(number_id)
    line = world.lines.find(number_id, "", "CA1")
    assert line is not None
    assert TOKEN not in repr(line) + repr(line.account) + repr(replace(line.account, vendor="x"))
    assert "t0" not in repr(world.lines.way(line))
    assert TOKEN not in await world.services.phone_numbers.get("org", number_id)


# --- calls that a media socket brought -----------------------------------------------------------------------------------


async def brought(world: World, number_id: str, carrier: str, provider_id: str) -> str:
    """A call whose vendor's media socket was led here by the customer's own markup."""
    equipment = world.services.equipment
    assert equipment is not None
    owner = await equipment.owner(number_id)
    assert owner is not None
    answer = await equipment.take(owner, Brought("+4930123", carrier=carrier, provider_id=provider_id))
    assert isinstance(answer, CallPlan)
    world.host.up.add(answer.call_id)
    return answer.call_id


async def test_telnyx_is_told_also_of_a_call_that_the_customer_led_here(world: World) -> None:
    number_id = await world.telnyx()
    call_id = await brought(world, number_id, "telnyx", "v3:9")
    assert world.lines.send_keys(call_id, "12#")
    world.host.over(call_id)
    await world.settled()
    paths = [(each.path, each.document) for each in world.far.asked]
    assert paths == [
        ("/v2/calls/v3:9/actions/send_dtmf", {"digits": "12#"}),
        ("/v2/calls/v3:9/actions/hangup", {}),
    ]
    assert not world.lines.knows(call_id)


async def test_what_stands_behind_the_customer_s_own_markup_is_left_to_it(world: World) -> None:
    number_id = await world.twilio()
    call_id = await brought(world, number_id, "twilio", "CA9")
    assert not world.lines.send_keys(call_id, "1")
    world.host.over(call_id)
    await world.settled()
    assert world.far.asked == []
    assert not world.lines.knows(call_id)


async def test_twilio_is_told_to_pass_on_where_it_does_not_ask(world: World) -> None:
    number_id = await world.twilio()
    call_id = await brought(world, number_id, "twilio", "CA9")
    news: list[TransferNews] = []
    world.lines.transfer(transfer(call_id), news.append)
    await world.settled()
    assert world.far.asked[0].path.endswith("/Calls/CA9.json")
    assert ET.fromstring(world.far.asked[0].fields["Twiml"][0]).find("Dial/Number") is not None
    assert [each.status for each in news] == [TransferStatus.CONNECTED]
    assert world.host.given == [call_id]


async def test_another_vendor_s_socket_is_not_the_number_s(world: World) -> None:
    number_id = await world.twilio()
    call_id = await brought(world, number_id, "plivo", "u1")
    assert not world.lines.knows(call_id)


async def test_whoever_governs_calls_hears_of_them(world: World) -> None:
    told: list[tuple[str, str]] = []
    world.lines.began = lambda call_id: told.append(("began", call_id))
    world.lines.gone = lambda call_id: told.append(("gone", call_id))
    number_id, call_id = await answered(world)
    world.host.over(call_id)
    await world.by_twilio(number_id, "next", call_id)
    await world.by_twilio(number_id, "status", call_id, CallStatus="completed")
    assert told == [("began", call_id), ("gone", call_id)]
