"""A runtime that is told to end while calls run: they go on, nobody new is taken, and everybody who asks is told so."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aywa.testing.runtime import free_port
from tests.docs.test_commands import commands
from tests.e2e.client import QUIET, Api, api, client, eventually
from tests.e2e.dev import Dev, started
from tests.e2e.test_guides import GUIDES, run

STORY: Mapping[str, Any] = {
    **QUIET,
    "firstMessageMode": "assistant-speaks-first",
    "firstMessage": "Once upon a time there was a house by the sea. " * 20,
}
SIP = (
    "{method} sip:demo@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{ours};branch=z9hG4bK{method}\r\n"
    "From: <sip:t@127.0.0.1>;tag=t\r\nTo: <sip:demo@127.0.0.1>\r\nCall-ID: drain-{method}\r\nCSeq: 1 {method}\r\n"
    "Contact: <sip:t@127.0.0.1:{ours}>\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """Started by each test with as much time to drain as it wants."""
    port = free_port()
    one = Dev(tmp_path / "home", options=("--tiny", "--sip-port", str(port)))
    one.environment = {"RUNTIME_DRAIN_MAX_S": "60"}
    yield one
    one.stop()


async def sip_status(dev: Dev, method: str) -> tuple[int, str]:
    """What one request is answered with."""
    port = int(dev.options[2])
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.setblocking(False)
        ours = probe.getsockname()[1]
        probe.sendto(SIP.format(method=method, port=port, ours=ours).encode(), ("127.0.0.1", port))
        async with asyncio.timeout(5):
            answer = (await loop.sock_recv(probe, 4096)).decode()
    return int(answer.split()[1]), answer


async def refuses(caller: Api) -> None:
    """Until nobody new is taken; what is said then."""

    async def is_draining() -> bool:
        status, ready = await caller.ask("GET", "/readyz")
        assert "checks" in ready
        return status == 503 and "draining since" in ready["checks"]["drain"].get("problem", "")

    await eventually(is_draining)
    body = {"assistant": dict(QUIET), "transport": {"provider": "vapi.websocket"}}
    async with caller.http.post(f"{caller.url}/call", json=body) as answer:
        assert (answer.status, bool(answer.headers["Retry-After"])) == (503, True)


async def test_calls_go_on_and_nobody_new_is_taken(dev: Dev) -> None:
    with started(dev):
        assert (await sip_status(dev, "OPTIONS"))[0] == 200
        async with api(dev.url, dev.key) as caller:
            call_id, url = await caller.place(STORY)
            async with client(url) as one:
                await one.heard(20)
                dev.signal(signal.SIGTERM)
                await refuses(caller)
                [asked] = [c for c in commands((GUIDES / "nodes.md").read_text()) if c.startswith("curl ")]
                assert "1 calls run on" in await asyncio.to_thread(run, asked, dev, dev.home)
                for method in ("OPTIONS", "INVITE"):
                    status, answer = await sip_status(dev, method)
                    assert (status, "Retry-After:" in answer) == (503, True)
                # A second of speech more.
                await one.heard(len(one.frames) + 50)
                assert (await caller.ask("GET", f"/call/{call_id}"))[1]["status"] != "ended"
        assert await asyncio.to_thread(dev.wait) == 0
        assert "Draining" in dev.log
        assert "Traceback" not in dev.log
    again = Dev(dev.home)
    with started(again):
        assert again.call(call_id)["endedReason"] == "customer-ended-call"


async def test_told_twice_the_calls_end(dev: Dev) -> None:
    with started(dev):
        async with api(dev.url, dev.key) as caller:
            _, url = await caller.place(STORY)
            async with client(url) as one:
                await one.heard(20)
                dev.signal(signal.SIGTERM)
                await refuses(caller)
                dev.signal(signal.SIGTERM)
                await one.told("status-update", status="ended", endedReason="worker-shutdown")
        assert await asyncio.to_thread(dev.wait) == 0


@pytest.mark.all
async def test_when_the_time_is_over_the_calls_end(dev: Dev) -> None:
    dev.environment = {"RUNTIME_DRAIN_MAX_S": "1"}
    with started(dev):
        async with api(dev.url, dev.key) as caller:
            _, url = await caller.place(STORY)
            async with client(url) as one:
                await one.heard(20)
                dev.signal(signal.SIGTERM)
                await one.told("status-update", status="ended", endedReason="worker-shutdown")
        assert await asyncio.to_thread(dev.wait) == 0
