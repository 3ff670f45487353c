"""`POST /call` with a number or a SIP URI: sipp and the softphone are called, and every end has its published reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aywa.testing.script import Pause, Say
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Answer, Softphone, report
from tests.peers.runtime import PhoneRuntime
from tests.peers.sipp import Sipp, free_udp_port

# A call is ended by deleting it; it leaves no document.
DELETED = ""
OUTBOUND = "call.in-progress.error-providerfault-outbound-sip"


@pytest.fixture
async def trunk(runtime: PhoneRuntime) -> AsyncIterator[tuple[int, str]]:
    """A port of the loopback, and a number whose trunk leads there."""
    port = free_udp_port()
    credential, number = await runtime.trunk(
        port, outboundAuthenticationPlan={"authUsername": "user", "authPassword": "secret"}
    )
    yield port, number
    await runtime.forget(credential, number)


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("uas_hang_up", "customer-ended-call"),
        ("uas_auth", DELETED),
        ("uas_proxy_auth", DELETED),
        ("uas_early_media", DELETED),
        ("uas_486", "customer-busy"),
        ("uas_404", "sip-outbound-unallocated-number"),
        ("uas_480", f"{OUTBOUND}-480-temporarily-unavailable"),
        ("uas_503", f"{OUTBOUND}-503-service-unavailable"),
        ("uas_603", "customer-busy"),
    ],
)
async def test_a_number_is_called(
    scenario: str,
    reason: str,
    runtime: PhoneRuntime,
    trunk: tuple[int, str],
    speech: Path,
    tmp_path: Path,
) -> None:
    port, number = trunk
    sipp = Sipp(tmp_path, scenario, speech=speech, port=port, talk_ms=1500)
    async with sipp.started() as process:
        call_id = await runtime.dial(number, {"number": "+4930123456"})
        if reason == DELETED:
            await _until_in_progress(runtime, call_id)
            await asyncio.sleep(1.0)
            await runtime.ask("DELETE", f"/call/{call_id}")
        async with asyncio.timeout(30):
            code = await process.wait()
    assert code == 0, sipp.ran(code).errors
    if reason != DELETED:
        assert (await runtime.ended(call_id))["endedReason"] == reason


async def test_nobody_answers(
    runtime: PhoneRuntime, trunk: tuple[int, str], speech: Path, tmp_path: Path
) -> None:
    """Rings until our patience is over: CANCEL, 487, ACK."""
    port, number = trunk
    sipp = Sipp(tmp_path, "uas_no_answer", speech=speech, port=port)
    async with sipp.started() as process:
        call_id = await runtime.dial(number, {"number": "+4930123456"})
        await asyncio.sleep(0.7)
        await runtime.ask("DELETE", f"/call/{call_id}")
        async with asyncio.timeout(30):
            code = await process.wait()
    assert code == 0, sipp.ran(code).errors


async def test_an_answer_that_crosses_our_cancel_is_hung_up(
    runtime: PhoneRuntime, trunk: tuple[int, str], speech: Path, tmp_path: Path
) -> None:
    port, number = trunk
    sipp = Sipp(tmp_path, "uas_cancel_race", speech=speech, port=port)
    async with sipp.started() as process:
        call_id = await runtime.dial(number, {"number": "+4930123456"})
        await asyncio.sleep(0.7)
        await runtime.ask("DELETE", f"/call/{call_id}")
        async with asyncio.timeout(30):
            code = await process.wait()
    assert code == 0, sipp.ran(code).errors


async def test_a_sip_uri_is_called_and_both_speak(
    runtime: PhoneRuntime, trunk: tuple[int, str], spoken: bytes
) -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    phone = Softphone(Setup(), on_ready=ready.set_result)
    answering = asyncio.create_task(phone.call(Answer(20), [Pause(3.0), Say(spoken), Pause(3.0)]))
    uri = await ready
    call_id = await runtime.dial(trunk[1], {"sipUri": uri.partition(";")[0]})
    told = report(await answering)
    call = await runtime.ended(call_id)
    assert told["answered"], (told, call)
    assert told["heard"]
    assert call["type"] == "outboundPhoneCall"
    assert call["endedReason"] == "customer-ended-call"
    assert "please" in str([m["message"] for m in call["messages"] if m["role"] == "user"]).lower()


async def test_nobody_is_there(runtime: PhoneRuntime) -> None:
    credential, number = await runtime.trunk(free_udp_port(), gateway={"outboundProtocol": "tcp"})
    try:
        call_id = await runtime.dial(number, {"number": "+4930123456"})
        call = await runtime.ended(call_id)
        assert call["endedReason"] in (
            f"{OUTBOUND}-503-service-unavailable",
            "call.in-progress.error-sip-outbound-call-failed-to-connect",
        )
    finally:
        await runtime.forget(credential, number)


async def _until_in_progress(runtime: PhoneRuntime, call_id: str) -> None:
    async with asyncio.timeout(20):
        while (await runtime.ask("GET", f"/call/{call_id}"))["status"] != "in-progress":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
