"""A call from its beginning: the vendor asks for markup, signed as it signs, follows it to the socket, and speaks there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from aywa.testing.equipment.base import Facts
from aywa.testing.equipment.call import EquipmentCaller
from aywa.testing.equipment.known import facts_for
from aywa.testing.equipment.line import with_query
from aywa.testing.equipment.markup import Answered, answer
from aywa.testing.equipment.report import measure
from aywa.testing.script import Pause, WaitReply
from tests.equipment.runtime import MediaRuntime

SECRET = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC00000000000000000000000000000001"
CALLED = "+15550188"
BY_TOKEN = ("exotel",)

NUMBERS: Mapping[str, Mapping[str, Any]] = {
    "twilio": {"provider": "twilio", "twilioAccountSid": ACCOUNT, "twilioAuthToken": SECRET},
    "signalwire": {
        "provider": "byo-phone-number",
        "carrier": {
            "provider": "signalwire",
            "space": "example.signalwire.com",
            "accountId": ACCOUNT,
            "authToken": "not-the-key",
            "signingKey": SECRET,
        },
    },
    "plivo": {
        "provider": "byo-phone-number",
        "carrier": {"provider": "plivo", "accountId": "MAXXXXXXXXXXXXXXXXXX", "authToken": SECRET},
    },
    "exotel": {"provider": "byo-phone-number", "carrier": {"provider": "exotel", "inboundToken": SECRET}},
    "vonage": {"provider": "vonage"},
}


@pytest.fixture(scope="module")
def numbers(runtime: MediaRuntime) -> Iterator[Mapping[str, str]]:
    """The ids of a number of each."""
    dev = runtime.dev
    made: dict[str, str] = {}
    credential = {
        "provider": "vonage",
        "apiKey": "abcd1234",
        "apiSecret": "not-the-key",
        "signatureSecret": SECRET,
        "name": "vonage",
    }
    status, opened = dev.ask("POST", "/credential", credential)
    assert status == 201, opened
    for name, body in NUMBERS.items():
        more = {"credentialId": opened["id"]} if name == "vonage" else {}
        whole = {**body, **more, "number": CALLED, "assistantId": runtime.assistant}
        status, number = dev.ask("POST", "/phone-number", whole)
        assert status == 201, (name, number)
        made[name] = number["id"]
    yield made
    for number_id in made.values():
        dev.ask("DELETE", f"/phone-number/{number_id}")
    dev.ask("DELETE", f"/credential/{opened['id']}")


async def asked(runtime: MediaRuntime, numbers: Mapping[str, str], name: str, facts: Facts) -> Answered:
    url = f"{runtime.dev.url}/inbound/{name}/{numbers[name]}"
    if name in BY_TOKEN:
        url = with_query(url, {"token": facts.secret})
    return await answer(name, url, facts, now_s=time.time())


def fresh(name: str, secret: str = SECRET) -> Facts:
    return facts_for(name, Facts(called=CALLED, secret=secret))


@pytest.mark.parametrize("name", NUMBERS)
async def test_markup_leads_to_the_call(runtime: MediaRuntime, numbers: Mapping[str, str], name: str) -> None:
    facts = fresh(name)
    answered = await asked(runtime, numbers, name, facts)
    assert answered.order is not None, answered
    # The socket is opened with nothing but what the markup gave.
    equipment = answered.order.equipment(name, replace(facts, secret=""))
    called = await EquipmentCaller(equipment, answered.order.url).call([WaitReply(15), Pause(0.2)])
    assert called.refused is None
    measures = measure(called)
    assert measures.violations == ()
    assert measures.greeting_ms is not None
    call = await runtime.document(equipment)
    assert call["phoneNumberId"] == numbers[name]
    assert call["customer"]["number"] == "+4930123456"
    assert call["endedReason"] == "customer-ended-call"


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("secret", ["", "f" * 32])
async def test_a_request_that_is_not_the_vendors_is_refused(
    runtime: MediaRuntime, numbers: Mapping[str, str], name: str, secret: str
) -> None:
    before = len(await runtime.newest())
    answered = await asked(runtime, numbers, name, fresh(name, secret))
    assert (answered.status, answered.order) == (403, None)
    assert len(await runtime.newest()) == before


@pytest.mark.parametrize("name", NUMBERS)
async def test_a_number_that_is_not_there_is_answered_alike(runtime: MediaRuntime, name: str) -> None:
    numbers = {name: "00000000-0000-0000-0000-000000000000"}
    answered = await asked(runtime, numbers, name, fresh(name))
    assert (answered.status, answered.order) == (403, None)


async def test_a_vendor_that_asks_twice_gets_one_call(
    runtime: MediaRuntime, numbers: Mapping[str, str]
) -> None:
    facts = fresh("twilio")
    before = len(await runtime.newest())
    first, second = await asyncio.gather(
        asked(runtime, numbers, "twilio", facts), asked(runtime, numbers, "twilio", facts)
    )
    assert first.order is not None
    assert second.order is not None
    assert first.order.url == second.order.url
    assert len(await runtime.newest()) == before + 1
    equipment = first.order.equipment("twilio", replace(facts, secret=""))
    await EquipmentCaller(equipment, first.order.url).call([Pause(0.2)])
    again = await EquipmentCaller(equipment, first.order.url).call([Pause(0.2)])
    assert again.refused is not None or not again.arrivals, "an address that was used opens nothing"
