"""The runtime places calls through the APIs of Twilio and Telnyx: simulated from their references, down to the media socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aywa.testing.equipment.carrier_api import Behaviour, CarrierApi
from aywa.testing.equipment.report import measure
from aywa.testing.script import Pause, Step, WaitReply
from tests.equipment.runtime import ASSISTANT, BYE, STORED_S, MediaRuntime

SECRET = "0123456789abcdef0123456789abcdef"
ACCOUNTS = {"twilio": "AC00000000000000000000000000000001", "telnyx": "1684641123236054244"}
CUSTOMER = "+14155550199"


def listens() -> Sequence[Step]:
    return [WaitReply(15), Pause(0.3)]


@asynccontextmanager
async def numbered(runtime: MediaRuntime, api: CarrierApi) -> AsyncIterator[str]:
    """The id of a number at the carrier."""
    made: list[tuple[str, str]] = []

    async def make(path: str, body: Mapping[str, Any]) -> str:
        answer = await runtime.api.ask("POST", path, dict(body))
        made.append((path, answer["id"]))
        return str(answer["id"])

    body: dict[str, Any] = {"provider": api.vendor, "number": "+15550123", "numberE164CheckEnabled": False}
    if api.vendor == "twilio":
        body |= {"twilioAccountSid": api.account, "twilioAuthToken": api.secret, "apiUrl": api.url}
    else:
        credential = {
            "provider": "telnyx",
            "apiKey": api.secret,
            "publicKey": api.public_key,
            "connectionId": api.account,
            "apiUrl": api.url,
            "name": "telnyx",
        }
        body |= {"credentialId": await make("/credential", credential)}
    try:
        yield await make("/phone-number", body)
    finally:
        for path, one in reversed(made):
            await runtime.api.ask("DELETE", f"{path}/{one}")


async def placed(
    runtime: MediaRuntime, vendor: str, behaviour: Behaviour, **assistant: Any
) -> tuple[CarrierApi, dict[str, Any]]:
    """A call through the carrier: what the carrier saw, and the call's document when it was over."""
    api = CarrierApi(vendor, ACCOUNTS[vendor], SECRET, behaviour)
    async with api.serving(), numbered(runtime, api) as number:
        body = {
            "assistant": {**ASSISTANT, **assistant},
            "phoneNumberId": number,
            "customer": {"number": CUSTOMER},
        }
        call = await runtime.api.ask("POST", "/call", body)
        async with asyncio.timeout(STORED_S + 30):
            while call["status"] != "ended":
                await asyncio.sleep(0.05)
                call = await runtime.api.ask("GET", f"/call/{call['id']}")
        calls = await api.over()
        if calls and call["endedReason"].startswith("assistant-"):
            # Telnyx is told after the media socket is closed.
            async with asyncio.timeout(STORED_S):
                while not api.hung_up:
                    calls = await api.over()
                    await asyncio.sleep(0.01)
    return api, call


@pytest.mark.parametrize("vendor", ACCOUNTS)
async def test_a_call_is_placed_answered_and_spoken(runtime: MediaRuntime, vendor: str) -> None:
    api, call = await placed(runtime, vendor, Behaviour(steps=listens))
    assert api.problems == []
    (called,) = api.calls
    measures = measure(called)
    assert measures.violations == ()
    assert measures.greeting_ms is not None
    assert call["type"] == "outboundPhoneCall"
    assert call["endedReason"] == "customer-ended-call"


@pytest.mark.parametrize("vendor", ACCOUNTS)
async def test_the_runtime_hangs_up_through_the_api(runtime: MediaRuntime, vendor: str) -> None:
    api, call = await placed(
        runtime, vendor, Behaviour(steps=lambda: [Pause(20)]), firstMessage=BYE, endCallPhrases=["goodbye"]
    )
    assert api.problems == []
    assert call["endedReason"] == "assistant-said-end-call-phrase"
    assert api.hung_up == 1


@pytest.mark.parametrize("vendor", ACCOUNTS)
@pytest.mark.parametrize(
    ("behaviour", "reasons"),
    [
        (Behaviour(status="busy"), ("customer-busy",)),
        (Behaviour(status="no-answer"), ("customer-did-not-answer",)),
        (Behaviour(status="failed"), ("twilio-failed-to-connect-call", "call.in-progress.error")),
        (Behaviour(refuse=400), ("twilio-failed-to-connect-call", "call.in-progress.error")),
    ],
    ids=["busy", "no answer", "failed", "refused"],
)
async def test_what_became_of_a_call_that_nobody_took(
    runtime: MediaRuntime, vendor: str, behaviour: Behaviour, reasons: tuple[str, ...]
) -> None:
    api, call = await placed(runtime, vendor, behaviour)
    assert api.problems == []
    assert api.calls == []
    assert call["endedReason"].startswith(reasons) or (vendor == "telnyx" and call["endedReason"])


@pytest.mark.parametrize("vendor", ACCOUNTS)
async def test_a_key_that_is_wrong_does_not_place_a_call(runtime: MediaRuntime, vendor: str) -> None:
    api = CarrierApi(vendor, ACCOUNTS[vendor], SECRET)
    async with api.serving(), numbered(runtime, api) as number:
        api.secret = "another"
        body = {"assistant": dict(ASSISTANT), "phoneNumberId": number, "customer": {"number": CUSTOMER}}
        call = await runtime.api.ask("POST", "/call", body)
        async with asyncio.timeout(STORED_S):
            while call["status"] != "ended":
                await asyncio.sleep(0.05)
                call = await runtime.api.ask("GET", f"/call/{call['id']}")
    assert api.calls == []
    assert SECRET not in str(call)
