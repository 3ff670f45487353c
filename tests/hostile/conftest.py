"""A runtime that trusts one address of the loopback, 127.0.0.1; all others are as strange to it as the internet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aywa.testing.runtime import free_port
from aywa.testing.script import Pause
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Dial, Softphone, report
from tests.e2e.dev import Dev, started
from tests.peers.runtime import PhoneRuntime

LISTED, CALLS_PER_HOUR = "+49,sip:*.example.com", 3
# What a listener would notice; a shared machine takes a part of it.
GAP_MS = 500
PASSWORD = "open-sesame-to-the-hills"


@pytest.fixture(scope="session")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneRuntime]:
    """`aywa dev --tiny`, shared: whoever comes as 127.0.0.1 is always welcome."""
    port = free_port()
    dev = Dev(
        tmp_path_factory.mktemp("besieged") / "home",
        options=("--tiny", "--sip-port", str(port)),
        environment={
            "RUNTIME_SIP_NETWORKS": "127.0.0.1/32",
            "RUNTIME_SIP_PASSWORD": PASSWORD,
            "RUNTIME_OUTBOUND_ALLOW": LISTED,
            "RUNTIME_OUTBOUND_CALLS_PER_HOUR": str(CALLS_PER_HOUR),
        },
    )
    with started(dev):
        yield PhoneRuntime(dev, port)
        assert "Traceback" not in dev.log, dev.log


async def well_answered(runtime: PhoneRuntime, transport: str = "udp", talk_s: float = 1.5) -> None:
    """A call of somebody who may: answered at once, the greeting heard without a gap."""
    uri = runtime.uri + (";transport=tcp" if transport == "tcp" else "")
    told = report(await Softphone(Setup(transport=transport)).call(Dial(uri), [Pause(talk_s)]))
    assert told["answered"], told
    assert told["heard"], told
    assert told["rtp"]["lost"] == 0
    assert told["rtp"]["longest_gap_ms"] <= GAP_MS, told["rtp"]
    assert told["ended_by"] == "caller"
