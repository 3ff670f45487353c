"""sipp calls `aywa dev`: each scenario says what it expects, over UDP and TCP, and each call is on record as it went.

The scenarios of one test run beside each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.peers.runtime import PhoneRuntime
from tests.peers.sipp import Ran, Sipp

CALLS = ("uac_call", "uac_late_offer", "uac_hold", "uac_info_dtmf", "uac_refer", "uac_cancel_late")
GREETED_MS = 2500
"""After so long a caller has heard some of the greeting, on a busy machine too."""
NO_CALLS = {
    "uac_options": "demo",
    "uac_unknown": "nobody",
    "uac_no_codec": "demo",
    "uac_interval_small": "demo",
}


async def _run(sipps: Mapping[str, Sipp]) -> dict[str, Ran]:
    """All of them at once; fails with what went wrong in any."""
    ran = dict(zip(sipps, await asyncio.gather(*(sipp.run() for sipp in sipps.values())), strict=True))
    failed = {name: one.errors or f"code {one.code}" for name, one in ran.items() if one.code}
    assert not failed, failed
    return ran


def _call_id(messages: str) -> str:
    return next(
        line.split(":", 1)[1].strip() for line in messages.splitlines() if line.startswith("Call-ID:")
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_calls(transport: str, runtime: PhoneRuntime, speech: Path, tmp_path: Path) -> None:
    ran = await _run(
        {
            name: Sipp(
                tmp_path / name, name, runtime.place, transport=transport, speech=speech, talk_ms=GREETED_MS
            )
            for name in CALLS
        }
    )
    for name, one in ran.items():
        call = await runtime.call_of(_call_id(one.messages))
        assert call["type"] == "inboundPhoneCall", name
        assert call["endedReason"] == "customer-ended-call", name
        assert call["messages"][0]["role"] == "bot", name
    keys = await runtime.events_of(_call_id(ran["uac_info_dtmf"].messages), "DtmfReceived")
    assert [key["digit"] for key in keys] == ["5"]


async def test_what_is_no_call(runtime: PhoneRuntime, tmp_path: Path) -> None:
    await _run(
        {name: Sipp(tmp_path / name, name, runtime.place, service) for name, service in NO_CALLS.items()}
    )


async def test_many_at_once(runtime: PhoneRuntime, speech: Path, tmp_path: Path) -> None:
    await _run(
        {"many": Sipp(tmp_path, "uac_call", runtime.place, speech=speech, calls=10, rate=20, talk_ms=1000)}
    )


@pytest.mark.all
async def test_lost_messages_are_sent_again(runtime: PhoneRuntime, speech: Path, tmp_path: Path) -> None:
    # sipp loses a fifth of what it sends and receives.
    lossy = Sipp(
        tmp_path,
        "uac_call",
        runtime.place,
        speech=speech,
        calls=10,
        extra=("-lost", "20", "-nd"),
        talk_ms=500,
    )
    await _run({"lossy": lossy})


@pytest.mark.all
async def test_a_session_is_refreshed(runtime: PhoneRuntime, tmp_path: Path) -> None:
    """The far side leaves the refreshing to us: an UPDATE must come at half of 90 s."""
    patient = {"name": "Patient", "firstMessage": "Hello.", "silenceTimeoutSeconds": 600}
    assistant = await runtime.ask("POST", "/assistant", patient)
    body = {"provider": "vapi", "sipUri": "sip:patient@127.0.0.1", "assistantId": assistant["id"]}
    number = await runtime.ask("POST", "/phone-number", body)
    quiet = tmp_path / "quiet.ulaw"
    quiet.write_bytes(b"\xff" * 8000)
    sipp = Sipp(tmp_path, "uac_session_timer", runtime.place, "patient", speech=quiet, most_s=90)
    await _run({"timer": sipp})
    await runtime.ask("DELETE", f"/phone-number/{number['id']}")
    await runtime.ask("DELETE", f"/assistant/{assistant['id']}")
