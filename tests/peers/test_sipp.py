"""sipp calls `aywa dev`: each scenario says what it expects, over UDP and TCP, and each call is on record as it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.runtime import PhoneRuntime
from tests.peers.sipp import Sipp

pytestmark = pytest.mark.usefixtures("runtime")

ENDED_BY_CALLER = "customer-ended-call"


def _call_id(messages: str) -> str:
    return next(
        line.split(":", 1)[1].strip() for line in messages.splitlines() if line.startswith("Call-ID:")
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    "scenario",
    ["uac_call", "uac_late_offer", "uac_hold", "uac_info_dtmf", "uac_refer", "uac_cancel_late"],
)
async def test_a_call(
    scenario: str, transport: str, runtime: PhoneRuntime, speech: Path, tmp_path: Path
) -> None:
    sipp = Sipp(tmp_path, scenario, runtime.place, transport=transport, speech=speech)
    ran = await sipp.run()
    assert ran.code == 0, ran.errors
    call = await runtime.call_of(_call_id(ran.messages))
    assert call["type"] == "inboundPhoneCall"
    assert call["endedReason"] == ENDED_BY_CALLER
    assert call["messages"][0]["role"] == "bot"


@pytest.mark.parametrize(
    ("scenario", "service"),
    [
        ("uac_options", "demo"),
        ("uac_unknown", "nobody"),
        ("uac_no_codec", "demo"),
        ("uac_interval_small", "demo"),
    ],
)
async def test_what_is_no_call(scenario: str, service: str, runtime: PhoneRuntime, tmp_path: Path) -> None:
    ran = await Sipp(tmp_path, scenario, runtime.place, service).run()
    assert ran.code == 0, ran.errors


async def test_many_at_once(runtime: PhoneRuntime, speech: Path, tmp_path: Path) -> None:
    sipp = Sipp(tmp_path, "uac_call", runtime.place, speech=speech, calls=10, rate=20, talk_ms=1500)
    ran = await sipp.run()
    assert ran.code == 0, ran.errors


async def test_lost_messages_are_sent_again(runtime: PhoneRuntime, speech: Path, tmp_path: Path) -> None:
    # sipp loses a fifth of what it sends and receives.
    sipp = Sipp(
        tmp_path, "uac_call", runtime.place, speech=speech, calls=5, extra=("-lost", "20", "-nd"), talk_ms=500
    )
    ran = await sipp.run()
    assert ran.code == 0, ran.errors
