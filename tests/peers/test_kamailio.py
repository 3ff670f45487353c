"""kamailio with rtpengine in between: registration, digest, record-routing, calls both ways through the trunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aywa.testing.script import Say, WaitReply
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Answer, Dial, Softphone, Talked, report
from tests.peers.kamailio import Kamailio
from tests.peers.runtime import PhoneRuntime

REGISTERED_S = 15.0


async def _answering(spoken: bytes) -> tuple[str, asyncio.Task[Talked]]:
    """A phone behind the trunk: its host:port, and its call."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    phone = Softphone(Setup(), on_ready=ready.set_result)
    talking = asyncio.create_task(phone.call(Answer(30), [WaitReply(), Say(spoken), WaitReply()]))
    return (await ready).partition("@")[2].partition(";")[0], talking


@pytest.fixture(params=["udp", pytest.param("tcp", marks=pytest.mark.all)])
async def trunk(
    request: pytest.FixtureRequest, runtime: PhoneRuntime, spoken: bytes, tmp_path: Path
) -> AsyncIterator[tuple[Kamailio, str, asyncio.Task[Talked]]]:
    """kamailio, with whom the runtime is registered; the number on it; the phone behind it."""
    place, talking = await _answering(spoken)
    async with Kamailio(tmp_path / "kamailio", phone=place).running() as proxy:
        credential, number = await runtime.trunk(
            proxy.port,
            gateway={"outboundProtocol": request.param, "optionsPingEnabled": True},
            outboundAuthenticationPlan={
                "authUsername": proxy.username,
                "authPassword": proxy.password,
                "sipRegisterPlan": {"domain": "127.0.0.1", "username": proxy.username},
            },
        )
        assistants = await runtime.ask("GET", "/assistant")
        await runtime.ask(
            "PATCH", f"/phone-number/{number}", {"assistantId": assistants[-1]["id"], "number": None}
        )
        yield proxy, number, talking
        await runtime.forget(credential, number)
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)


async def _goes_out(runtime: PhoneRuntime, number: str, talking: asyncio.Task[Talked]) -> None:
    call_id = await runtime.dial(number, {"number": "+4930123456"})
    told = report(await talking)
    assert told["answered"], told
    assert told["heard"], told
    call = await runtime.ended(call_id)
    assert call["endedReason"] == "customer-ended-call"
    assert "please" in str([m["message"] for m in call["messages"] if m["role"] == "user"]).lower()


async def _comes_in(runtime: PhoneRuntime, proxy: Kamailio, spoken: bytes) -> None:
    told = None
    async with asyncio.timeout(REGISTERED_S + 15.0):
        # Until the registration is there, the trunk says that nobody is.
        while told is None or told["status"] == 480:
            talked = await Softphone(Setup()).call(Dial(proxy.uri), [WaitReply(), Say(spoken), WaitReply()])
            told = report(talked)
    assert told["answered"], told
    assert told["heard"], told
    # The proxy keeps the caller's own Call-ID.
    call = await runtime.call_of(told["sip_call_id"])
    assert call["endedReason"] == "customer-ended-call"
    assert "please" in str([m["message"] for m in call["messages"] if m["role"] == "user"]).lower()


async def test_calls_go_both_ways_through_the_trunk(
    runtime: PhoneRuntime, trunk: tuple[Kamailio, str, asyncio.Task[Talked]], spoken: bytes
) -> None:
    proxy, number, talking = trunk
    _ = await asyncio.gather(_goes_out(runtime, number, talking), _comes_in(runtime, proxy, spoken))


async def test_the_wrong_password(runtime: PhoneRuntime, tmp_path: Path) -> None:
    async with Kamailio(tmp_path / "kamailio").running() as proxy:
        credential, number = await runtime.trunk(
            proxy.port, outboundAuthenticationPlan={"authUsername": proxy.username, "authPassword": "wrong"}
        )
        try:
            call = await runtime.ended(await runtime.dial(number, {"number": "+4930123456"}))
        finally:
            await runtime.forget(credential, number)
    reason = "call.in-progress.error-providerfault-outbound-sip-407-proxy-authentication-required"
    assert call["endedReason"] == reason
