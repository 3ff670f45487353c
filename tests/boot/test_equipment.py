"""The door of media sockets: what is refused at the handshake, what when the stream begins, and who is let in."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from aywa.adapters.transports.equipment.codec import Handshake, Started
from aywa.adapters.transports.equipment.door import Turned
from aywa.adapters.transports.websocket import Refusal
from aywa.boot.equipment import EquipmentDoor
from aywa.core.equipment.token import address_token
from aywa.ports.calls import CallPlan
from aywa.ports.carriers import CarrierAccount
from aywa.ports.journal import StoreUnavailable
from aywa.ports.media import AudioFormat, LegPlan
from aywa.ports.telephony import Answer, Forward, OutboundCall
from aywa.ports.telephony import Refusal as CallRefusal
from aywa.service.equipment import EquipmentCalls, Owner
from aywa.service.inbound import Brought

SECRET = b"a-secret-of-the-test"
STARTED = Started("S1", "CA1", AudioFormat.MULAW, 8000, "+1", "+2", {"order": "42"})
NEAR = Handshake("twilio", "desk", remote="127.0.0.1", target="/media/twilio/desk", headers={"host": "h"})
FAR = replace(NEAR, remote="203.0.113.7")
TOKEN = address_token(SECRET, "desk")


@dataclass
class Host:
    """Calls by id and token."""

    calls: dict[str, str] = field(default_factory=dict)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def admits(self, call_id: str, token: str) -> bool | None:
        return None if call_id not in self.calls else self.calls[call_id] == token

    def leg_plan(self, call_id: str) -> LegPlan | None:
        if call_id not in self.calls:
            return None
        return LegPlan(call_id, AudioFormat.PCM16, 16_000, 0.0, lambda event: None)

    def end(self, call_id: str, reason: str, detail: str = "") -> bool:
        self.ended.append((call_id, reason))
        return True


@dataclass
class Calls:
    """service.equipment.EquipmentCalls, of one address."""

    host: Host
    key: str = "aywa_a-private-key-of-the-organisation"
    account_: CarrierAccount | None = None
    answer: Answer | None = None
    brought: list[Brought] = field(default_factory=list)
    broken: bool = False

    async def owner(self, name: str) -> Owner | None:
        if self.broken:
            raise StoreUnavailable("gone")
        return Owner("org", name) if name in ("desk", "S1") else None

    async def opens(self, owner: Owner, token: str) -> bool:
        return token == self.key

    async def account(self, owner: Owner) -> CarrierAccount | None:
        return self.account_

    async def take(self, owner: Owner, brought: Brought) -> Answer:
        self.brought.append(brought)
        self.host.calls["new"] = "a-token"
        return self.answer or CallPlan("new", "org", "inboundPhoneCall", {}, AudioFormat.MULAW, 8000, 0)


@dataclass
class House:
    host: Host
    calls: Calls
    door: EquipmentDoor

    async def opened(self, handshake: Handshake, started: Started = STARTED) -> str:
        """The call, or why there is none."""
        answer = await self.door.open(handshake, started)
        return answer.why if isinstance(answer, Turned) else answer.leg_id

    def looked(self, handshake: Handshake) -> int:
        answer = self.door.look(handshake)
        return answer.status if isinstance(answer, Refusal) else 101


@pytest.fixture
def house() -> House:
    host = Host({"waiting": "its-token"})
    calls = Calls(host)
    door = EquipmentDoor(host, SECRET, ("127.0.0.0/8",), wall_s=lambda: 1000.0)
    door.calls = cast(EquipmentCalls, calls)
    return House(host, calls, door)


async def test_from_near_a_call_is_made_with_what_the_stream_says(house: House) -> None:
    assert house.looked(NEAR) == 101
    assert await house.opened(NEAR) == "new"
    assert house.calls.brought == [
        Brought("+1", "+2", "", "CA1", {"order": "42"}, "twilio", AudioFormat.MULAW, 8000)
    ]
    assert await house.opened(replace(NEAR, protocol="jambonz")) == "new"
    assert house.calls.brought[1].carrier == ""


@pytest.mark.parametrize("headers", [{"origin": "https://a.example"}, {"x-forwarded-for": "203.0.113.7"}])
async def test_near_is_not_who_comes_by_way_of_another(house: House, headers: Mapping[str, str]) -> None:
    assert "token is needed" in await house.opened(replace(NEAR, headers=headers))
    assert not house.calls.brought


async def test_from_far_it_takes_the_address_s_token_or_a_key(house: House) -> None:
    assert "token is needed" in await house.opened(FAR)
    for token in (TOKEN, house.calls.key):
        shown = replace(FAR, token=token)
        assert house.door.look(shown) is (token == TOKEN)
        assert await house.opened(shown) == "new"
    spoken = replace(STARTED, parameters={"token": TOKEN, "order": "1"})
    assert await house.opened(FAR, spoken) == "new"
    assert dict(house.calls.brought[-1].parameters) == {"order": "1"}


@pytest.mark.parametrize("token", [address_token(SECRET, "other"), address_token(b"other", "desk"), "0" * 32])
async def test_a_token_of_another_address_is_refused_at_the_handshake(house: House, token: str) -> None:
    assert house.looked(replace(NEAR, token=token)) == 401
    assert await house.opened(replace(NEAR, token=token)) == "the token is not that of this address"


async def test_a_token_of_no_kind_is_refused_when_the_stream_begins(house: House) -> None:
    shown = replace(NEAR, token="guess")
    assert house.looked(shown) == 101
    assert await house.opened(shown) == "the token is not that of this address"
    assert await house.opened(NEAR, replace(STARTED, parameters={"token": "guess"})) == (
        "the token is not that of this address"
    )
    assert not house.calls.brought


def signed(key: str) -> str:
    return base64.b64encode(
        hmac.new(key.encode(), b"wss://h/media/twilio/desk", hashlib.sha1).digest()
    ).decode()


async def test_a_vendor_s_signature_opens_its_number_and_a_wrong_one_closes_even_what_is_near(
    house: House,
) -> None:
    house.calls.account_ = CarrierAccount("twilio", keys={"twilioAuthToken": "key"})
    good, bad = ({"host": "h", "x-twilio-signature": signed(key)} for key in ("key", "other"))
    assert await house.opened(replace(FAR, headers=good)) == "new"
    assert await house.opened(replace(NEAR, headers=bad)) == "the vendor's signature is wrong"
    # Who has the token needs no signature; and a number of nobody's carrier has none to be checked.
    assert await house.opened(replace(FAR, headers=bad, token=TOKEN)) == "new"
    house.calls.account_ = None
    assert "token is needed" in await house.opened(replace(FAR, headers=good))


async def test_a_call_that_waits_is_opened_by_its_own_token(house: House) -> None:
    waiting = replace(FAR, name="waiting", token="its-token")
    assert house.looked(waiting) == 101
    assert await house.opened(waiting) == "waiting"
    wrong = replace(waiting, token="guess")
    assert house.looked(wrong) == 401
    assert await house.opened(wrong) == "the token is wrong"
    assert house.looked(replace(waiting, token="")) == 401
    assert not house.calls.brought


async def test_audiosocket_s_uuid_is_address_and_token_in_one(house: House) -> None:
    bare = Handshake("audiosocket", remote="10.0.0.1")
    assert await house.opened(bare, replace(STARTED, stream_id="waiting")) == "waiting"
    assert await house.opened(bare) == "new"
    assert "nothing is at this address" in await house.opened(bare, replace(STARTED, stream_id="x"))


async def test_who_is_nobody_s_and_what_cannot_be_answered_is_said(house: House) -> None:
    assert "nothing is at this address" in await house.opened(replace(NEAR, name="other"))
    for answer, why in (
        (CallRefusal(503, "Service Unavailable", message="50 calls are running"), "50 calls are running"),
        (CallRefusal(404, "Not Found"), "Not Found"),
        (
            Forward(OutboundCall("c", "org"), "reason", "the number has no assistant"),
            "nobody answers for the number",
        ),
    ):
        house.calls.answer = answer
        turned = await house.door.open(NEAR, STARTED)
        assert isinstance(turned, Turned)
        assert why in turned.why
        assert turned.later == (isinstance(answer, CallRefusal) and answer.status == 503)


async def test_a_store_that_is_gone_and_a_runtime_that_begins_are_for_later(house: House) -> None:
    house.calls.broken = True
    turned = await house.door.open(NEAR, STARTED)
    assert turned == Turned("the store does not answer", later=True)
    house.door.calls = None
    assert house.looked(NEAR) == 503
    turned = await house.door.open(NEAR, STARTED)
    assert isinstance(turned, Turned)
    assert turned.later


async def test_a_call_that_is_over_before_its_leg_is_there_has_none(house: House) -> None:
    async def gone(owner: Owner, brought: Brought) -> Any:
        return CallPlan("gone", "org", "inboundPhoneCall", {}, AudioFormat.MULAW, 8000, 0)

    house.calls.take = gone  # type: ignore[method-assign]
    assert await house.opened(NEAR) == "the call is over"
    house.door.gave_up("gone")
    assert house.host.ended == [("gone", "customer-ended-call")]


def test_refusals_are_answers_of_the_port(house: House) -> None:
    answer = house.door.look(replace(NEAR, token="0" * 32))
    assert isinstance(answer, Refusal)
    assert answer.body["statusCode"] == 401
