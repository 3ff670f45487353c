"""What all simulated vendors share, seen from outside with a plain client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors

CHAT: dict[str, Any] = {
    "model": "gpt-4.1",
    "stream": True,
    "messages": [{"role": "user", "content": "Hello?"}],
}
ROUTE = "openai.chat"


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as one:
        yield one


@pytest.fixture
async def http(vendors: SimulatedVendors) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(vendors.url, headers={"Authorization": "Bearer sim-secret"}) as session:
        yield session


async def said(http: aiohttp.ClientSession, **more: Any) -> str:
    async with asyncio.timeout(10), http.post("/v1/chat/completions", json=CHAT, **more) as answer:
        text = (await answer.read()).decode()
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


async def test_plans_over_http(vendors: SimulatedVendors, http: aiohttp.ClientSession) -> None:
    for body in (
        {"route": ROUTE, "plan": {"text": "Standing."}},
        {"route": ROUTE, "plan": {"text": "Next."}, "times": 2},
    ):
        async with http.post("/_plans", json=body) as answer:
            assert answer.status == 200
    assert [await said(http) for _ in range(3)] == ["Next.", "Next.", "Standing."]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"route": "a"}',
        b'{"route": "a", "plan": {"x": 1}}',
        b'{"route": "a", "plan": {}, "times": "x"}',
        b'{"route": "a", "plan": {}, "times": 1000000000}',
    ],
)
async def test_plans_that_are_none(http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post("/_plans", data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]


async def test_the_log_has_no_keys(vendors: SimulatedVendors, http: aiohttp.ClientSession) -> None:
    await said(http, params={"api_key": "sim-secret", "v": "2"}, headers={"X-Api-Key": "sim-secret"})
    async with http.post(
        "/v1/chat/completions", json=CHAT, headers={"Authorization": "Bearer other"}
    ) as answer:
        assert answer.status == 401
    async with http.get("/_log") as answer:
        log = await answer.json()
    assert "sim-secret" not in json.dumps(log)
    assert [(one["route"], one["key_right"], one["ended"], one["query"]) for one in log] == [
        (ROUTE, True, "whole", {"v": "2"}),
        (ROUTE, False, "refused", {}),
    ]
    assert log[0]["body"] == CHAT


async def test_the_counters(vendors: SimulatedVendors, http: aiohttp.ClientSession) -> None:
    for _ in range(3):
        await said(http)
    async with http.get("/_counters") as answer:
        assert await answer.json() == {"connections": 1, "open": 1, "requests": {ROUTE: 3}}
    assert vendors.open_connections == 1


async def test_the_speed_is_the_plans(vendors: SimulatedVendors, http: aiohttp.ClientSession) -> None:
    loop = asyncio.get_running_loop()
    vendors.plans.next(ROUTE, Plan(text="a b c d e f", first_s=0.1, per_s=50))
    start_s = loop.time()
    await said(http)
    # Six words and the end.
    assert 0.1 + 6 / 50 <= loop.time() - start_s < 0.6
    vendors.plans.next(ROUTE, Plan(text="a b c d", trouble=Trouble(Break.SLOW, after=2, rate=10)))
    start_s = loop.time()
    await said(http)
    assert 0.2 <= loop.time() - start_s < 0.8


async def test_a_client_that_leaves_is_seen(vendors: SimulatedVendors, http: aiohttp.ClientSession) -> None:
    vendors.plans.next(ROUTE, Plan(text="a b", trouble=Trouble(Break.STALL, after=1)))
    async with http.post("/v1/chat/completions", json=CHAT) as answer:
        _ = await answer.content.readline()
        (asked,) = vendors.world.asked(ROUTE)
        assert asked.ended in ("", "broken")
    async with asyncio.timeout(1):
        while asked.ended != "left":  # noqa: ASYNC110 - the log is looked at, it does not tell
            await asyncio.sleep(0.005)


async def test_it_stops_while_it_streams() -> None:
    async with SimulatedVendors() as vendors:
        vendors.plans.set(ROUTE, Plan(trouble=Trouble(Break.STALL, after=1)))
        async with (
            aiohttp.ClientSession(vendors.url, headers={"Authorization": "Bearer sim-x"}) as http,
            http.post("/v1/chat/completions", json=CHAT) as answer,
        ):
            _ = await answer.content.readline()
            async with asyncio.timeout(3):
                await vendors.stop()
    assert vendors.open_connections == 0


async def test_200_sessions(vendors: SimulatedVendors) -> None:
    vendors.plans.set(ROUTE, Plan(text="one two three four", first_s=0.05, per_s=60))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        vendors.url, connector=connector, headers={"Authorization": "Bearer sim-x"}
    ) as http:
        answers = await asyncio.gather(*(said(http) for _ in range(200)))
    assert set(answers) == {"one two three four"}
    assert len(vendors.world.asked(ROUTE)) == 200


@pytest.mark.virtual_time
async def test_on_a_clock_that_jumps() -> None:
    loop = asyncio.get_running_loop()
    async with SimulatedVendors() as vendors:
        vendors.plans.set(ROUTE, Plan(text="one two three", first_s=30, per_s=0.1))
        async with (
            aiohttp.ClientSession(
                vendors.url,
                headers={"Authorization": "Bearer sim-x"},
                timeout=aiohttp.ClientTimeout(total=None),
            ) as http,
            http.post("/v1/chat/completions", json=CHAT) as answer,
        ):
            assert b"three" in await answer.read()
        assert 60 <= loop.time() < 90
