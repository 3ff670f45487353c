"""What a runtime does not do for whoever asks: ring anybody at any price, or take more calls than it can."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import fields
from typing import cast

from aywa.boot.settings import RuntimeSettings
from aywa.testing.softphone.phone import Phone, Setup
from tests.e2e.dev import Dev
from tests.hostile.conftest import CALLS_PER_HOUR, well_answered
from tests.hostile.stranger import stranger
from tests.peers.runtime import ASSISTANT, PhoneRuntime

CALLS_MAX = cast(int, {each.name: each.default for each in fields(RuntimeSettings)}["calls_max"])
# Near misses of `+49` and `sip:*.example.com`.
NOT_LISTED: list[dict[str, object]] = [
    {"number": "+19001234567"},
    {"number": "00190012345", "numberE164CheckEnabled": False},
    {"number": "049301234", "numberE164CheckEnabled": False},
    {"number": "*72#4930", "numberE164CheckEnabled": False},
    {"sipUri": "sip:+4930123@127.0.0.1"},
    {"sipUri": "sip:a@badexample.com"},
    {"sipUri": "sip:a@example.com.evil.example"},
    {"sipUri": "sip:a@pbx.example.com;maddr=127.0.0.1"},
    {"sipUri": "sip:a@127.0.0.1;host=pbx.example.com"},
]


async def _place(dev: Dev, number: str, customer: dict[str, object]) -> tuple[int, dict[str, object]]:
    body = {"assistant": dict(ASSISTANT), "phoneNumberId": number, "customer": customer}
    return await asyncio.to_thread(dev.ask, "POST", "/call", body)


async def test_only_listed_destinations_ring_and_only_so_many_an_hour(besieged: PhoneRuntime) -> None:
    # A trunk at which somebody takes notes, and answers nothing.
    async with stranger(("127.0.0.1", 9), "127.0.0.1") as carrier:
        credential, number = await besieged.trunk(carrier.own[1])
        for customer in NOT_LISTED:
            status, answer = await _place(besieged.dev, number, customer)
            assert status == 400, (customer, answer)
        assert not carrier.heard
        placed = []
        for _ in range(CALLS_PER_HOUR):
            status, answer = await _place(besieged.dev, number, {"number": "+4930123456"})
            assert status == 201, answer
            placed.append(str(answer["id"]))
        async with asyncio.timeout(5):
            await carrier.until(lambda: carrier.heard)
        assert carrier.heard[0].method == "INVITE"
        status, answer = await _place(besieged.dev, number, {"number": "+4930123456"})
        assert (status, answer["endedReason"]) == (429, "call.start.error-fraud-check-failed")
        for call_id in placed:
            await besieged.ask("DELETE", f"/call/{call_id}")
        await besieged.forget(credential, number)


async def test_a_full_engine_says_when_to_come_again(besieged: PhoneRuntime) -> None:
    uri = besieged.uri
    async with AsyncExitStack() as opened:
        phones = []
        for _ in range(CALLS_MAX):
            phone = await opened.enter_async_context(Phone(Setup(), lambda pcm: None))
            assert await phone.dial(uri)
            phones.append(phone)
        for transport in ("udp", "tcp"):
            late = await opened.enter_async_context(Phone(Setup(transport=transport), lambda pcm: None))
            answer = await late.dial_and_cancel(uri, 5.0)
            assert answer.status == 503
            assert int(answer.get("Retry-After")) > 0
        assert all(phone.in_call for phone in phones)
        await asyncio.gather(*(phone.hang_up() for phone in phones))
    await well_answered(besieged, talk_s=1.0)
