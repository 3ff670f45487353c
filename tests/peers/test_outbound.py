"""`POST /call` with a number or a SIP URI: sipp and the softphone are called, and every end has its published reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aywa.testing.runtime import free_port
from aywa.testing.script import Pause, Say, WaitReply
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Answer, Softphone, report
from tests.peers.runtime import PhoneRuntime
from tests.peers.sipp import Sipp

CUSTOMER = {"number": "+4930123456"}
OUTBOUND = "call.in-progress.error-providerfault-outbound-sip"
# A call is ended from our side by deleting it, which leaves no document.
TALKED, RINGING = "deleted while it talks", "deleted while it rings"
SCENARIOS = {
    "uas_hang_up": "customer-ended-call",
    "uas_auth": TALKED,
    "uas_proxy_auth": TALKED,
    "uas_early_media": TALKED,
    "uas_no_answer": RINGING,
    "uas_cancel_race": RINGING,
    "uas_486": "customer-busy",
    "uas_404": "sip-outbound-unallocated-number",
    "uas_480": f"{OUTBOUND}-480-temporarily-unavailable",
    "uas_503": f"{OUTBOUND}-503-service-unavailable",
    "uas_603": "customer-busy",
}


@asynccontextmanager
async def _trunk(runtime: PhoneRuntime, port: int, **more: object) -> AsyncIterator[str]:
    """A number whose trunk leads to a port of the loopback."""
    account = {"outboundAuthenticationPlan": {"authUsername": "user", "authPassword": "secret"}}
    credential, number = await runtime.trunk(port, **account, **more)
    try:
        yield number
    finally:
        await runtime.forget(credential, number)


async def _is_called(scenario: str, reason: str, runtime: PhoneRuntime, speech: Path, folder: Path) -> str:
    """What went wrong; empty when all went as it should."""
    sipp = Sipp(folder, scenario, speech=speech, port=free_port(), talk_ms=1500)
    async with _trunk(runtime, sipp.port) as number, sipp.started() as process:
        call_id = await runtime.dial(number, CUSTOMER)
        if reason == TALKED:
            await runtime.until_said(call_id, bot=1)
        if reason == RINGING:
            await runtime.until_status(call_id, "ringing")
        if reason in (TALKED, RINGING):
            await runtime.ask("DELETE", f"/call/{call_id}")
        try:
            async with asyncio.timeout(20):
                code = await process.wait()
        except TimeoutError:
            return "sipp still waits: " + sipp.ran(1).messages[-1500:]
        ended = reason if reason in (TALKED, RINGING) else (await runtime.ended(call_id))["endedReason"]
    if code:
        return sipp.ran(code).errors
    return "" if ended == reason else f"ended by {ended}"


async def test_every_answer_has_its_reason(runtime: PhoneRuntime, speech: Path, tmp_path: Path) -> None:
    outcomes = await asyncio.gather(
        *(_is_called(name, reason, runtime, speech, tmp_path / name) for name, reason in SCENARIOS.items())
    )
    failed = {name: told for name, told in zip(SCENARIOS, outcomes, strict=True) if told}
    assert not failed, failed


async def test_a_call_is_sent_on_and_answered_at_another_gateway(
    runtime: PhoneRuntime, speech: Path, tmp_path: Path
) -> None:
    """The same number elsewhere at the same trunk needs no list."""
    other = Sipp(tmp_path / "other", "uas_hang_up", speech=speech, port=free_port(), talk_ms=1500)
    target = {"target": f"sip:+4930123456@127.0.0.1:{other.port};transport=udp"}
    first = Sipp(tmp_path / "first", "uas_302", port=free_port(), keys=target)
    plus = {"outboundLeadingPlusEnabled": True}
    async with (
        _trunk(runtime, first.port, **plus) as number,
        first.started() as sent,
        other.started() as took,
    ):
        call = await runtime.ended(await runtime.dial(number, CUSTOMER))
        assert (await sent.wait(), await took.wait()) == (0, 0), (first.ran(1).errors, other.ran(1).errors)
    assert call["endedReason"] == "customer-ended-call"


async def test_a_call_is_not_sent_on_to_whom_nobody_listed(runtime: PhoneRuntime, tmp_path: Path) -> None:
    target = {"target": "sip:+490900666@192.0.2.66"}
    first = Sipp(tmp_path, "uas_302", port=free_port(), keys=target)
    async with _trunk(runtime, first.port) as number, first.started() as sent:
        call = await runtime.ended(await runtime.dial(number, CUSTOMER))
        assert await sent.wait() == 0, first.ran(1).errors
    assert call["endedReason"] == "call.in-progress.error-sip-outbound-call-failed-to-connect"
    assert "302 Moved Temporarily" in call["endedMessage"]
    assert "RUNTIME_OUTBOUND_ALLOW" in call["endedMessage"]


@pytest.mark.all
async def test_a_sip_uri_is_called_and_both_speak(runtime: PhoneRuntime, spoken: bytes) -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    phone = Softphone(Setup(), on_ready=ready.set_result)
    answering = asyncio.create_task(phone.call(Answer(20), [WaitReply(), Say(spoken), WaitReply()]))
    uri = (await ready).partition(";")[0]
    async with _trunk(runtime, free_port()) as number:
        call_id = await runtime.dial(number, {"sipUri": uri})
        told = report(await answering)
        call = await runtime.ended(call_id)
    assert told["answered"], (told, call)
    assert told["heard"]
    assert call["type"] == "outboundPhoneCall"
    assert call["endedReason"] == "customer-ended-call"
    assert call["phoneCallProviderId"] == told["sip_call_id"]
    assert "please" in str([m["message"] for m in call["messages"] if m["role"] == "user"]).lower()


async def test_an_extension_is_dialled_when_it_was_answered(runtime: PhoneRuntime) -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    phone = Softphone(Setup(), on_ready=ready.set_result)
    answering = asyncio.create_task(phone.call(Answer(20), [Pause(4.0)]))
    port = int((await ready).rpartition(":")[2].partition(";")[0])
    async with _trunk(runtime, port) as number:
        call_id = await runtime.dial(number, CUSTOMER | {"extension": "42#"})
        told = report(await answering)
        _ = await runtime.ended(call_id)
    assert [key["key"] for key in told["keys_heard"]] == ["4", "2", "#"]


async def test_nobody_is_there(runtime: PhoneRuntime) -> None:
    async with _trunk(runtime, free_port(), gateway={"outboundProtocol": "tcp"}) as number:
        call = await runtime.ended(await runtime.dial(number, CUSTOMER))
    assert "cannot connect to 127.0.0.1" in call["endedMessage"]
    assert call["endedReason"] in (
        f"{OUTBOUND}-503-service-unavailable",
        "call.in-progress.error-sip-outbound-call-failed-to-connect",
    )
