"""One real request to each route, against the simulated vendors: what it says when they are well, and when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from aywa.boot.known_providers import KNOWN_PROVIDERS, VOICE
from aywa.boot.provider_check import ProviderCheck
from aywa.call.router.board import HealthBoard
from aywa.ports.calls import ProviderKey
from aywa.ports.errors import CODES
from aywa.ports.providers import RouteCheck, WhatToCheck
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors

GOOD, BAD = "sim-planted", "bad-planted"
NAMED = ("openai", "anthropic", "deepgram", "11labs", "cartesia")
# Where each of their requests arrives, in the order of the rows.
ROUTES = {
    "openai": ("openai.chat", "openai.speech"),
    "anthropic": ("anthropic.messages",),
    "deepgram": ("deepgram.listen",),
    "11labs": ("elevenlabs.connect", "elevenlabs.stream"),
    "cartesia": ("cartesia.connect", "cartesia.websocket"),
}


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as running:
        yield running


def keys(vendors: SimulatedVendors, key: str = GOOD, names: Sequence[str] = NAMED) -> dict[str, ProviderKey]:
    url = vendors.url
    return {
        name: ProviderKey(key, f"{url}/v1" if name == "openai" else url, source=f"key of {name}")
        for name in names
    }


async def check(keys: Mapping[str, ProviderKey], **what: Any) -> Sequence[RouteCheck]:
    async with asyncio.timeout(20):
        rows = await ProviderCheck().check(WhatToCheck(**what), keys)
    assert "planted" not in repr(rows)
    assert all(row.ok or row.code in (CODES | {"missing"}) for row in rows), rows
    return rows


def outcome(row: RouteCheck) -> tuple[str, str, str]:
    return row.part, row.provider, "ok" if row.ok else row.code


async def test_who_has_a_key_is_asked_and_answers(vendors: SimulatedVendors) -> None:
    rows = await check(keys(vendors))
    assert [outcome(row) for row in rows] == [
        (one.part, one.provider, "ok") for one in KNOWN_PROVIDERS if one.provider in NAMED
    ]
    assert all(row.first_s is not None and 0 < row.first_s < 5 for row in rows)
    assert [row.source for row in rows] == [f"key of {row.provider}" for row in rows]
    assert [row.route for row in rows if row.part == VOICE] == [
        "elevenlabs/JBFqnCBsd6RMkjVDRZzb",
        "cartesia/6ccbfb76-1fc6-48f7-b71d-91ac6298247b",
        "openai-speech/alloy",
    ]
    chat, speech = (vendors.world.asked(route)[-1].body for route in ROUTES["openai"])
    assert chat["max_completion_tokens"] <= 16
    assert speech["input"] == "Hello."
    assert await check({}) == []


async def test_a_wrong_key_is_told_with_the_variable_that_holds_it(vendors: SimulatedVendors) -> None:
    rows = await check(keys(vendors, BAD))
    assert {row.code for row in rows} == {"unauthorized"}
    assert [row.mend.split()[1] for row in rows] == [
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "ELEVENLABS_API_KEY",
        "CARTESIA_API_KEY",
        "OPENAI_API_KEY",
        "DEEPGRAM_API_KEY",
    ]
    assert not [row for row in rows if row.first_s is not None or row.mend in row.message or row.ok]


async def test_one_provider_alone_also_without_a_key(vendors: SimulatedVendors) -> None:
    rows = await check(keys(vendors), provider="openai")
    assert [row.part for row in rows] == ["model", "voice"]
    (row,) = await check(keys(vendors), provider="groq")
    assert outcome(row) == ("model", "groq", "missing")
    assert (row.route, row.message) == ("groq", "has no key")
    assert row.mend == "set GROQ_API_KEY or make a credential"
    assert await check(keys(vendors), provider="hume") == []


async def test_unknown_models_and_voices(vendors: SimulatedVendors) -> None:
    rows = await check(keys(vendors), model="unknown-model", voice="unknown")
    assert [outcome(row)[1:] for row in rows] == [
        ("openai", "unknown_model"),
        ("anthropic", "unknown_model"),
        ("11labs", "unknown_voice"),
        ("cartesia", "unknown_voice"),
        ("openai", "unknown_voice"),
        ("deepgram", "ok"),
    ]
    assert all("check" in row.mend for row in rows if not row.ok)


async def test_a_wrong_address_is_told_with_its_variable(vendors: SimulatedVendors) -> None:
    nowhere = {name: ProviderKey(GOOD, "http://127.0.0.1:1") for name in NAMED}
    rows = await check(nowhere)
    assert {row.code for row in rows} == {"unreachable"}
    assert all(row.mend.startswith("check ") and row.mend.endswith("_BASE_URL") for row in rows), rows
    other = {name: ProviderKey(GOOD, f"{vendors.url}/elsewhere") for name in NAMED}
    assert {row.code for row in await check(other)} <= {"not_found", "unknown_model", "unknown_voice"}
    assert {row.code for row in await check({"openai": ProviderKey(GOOD, "file:///x")})} == {"bad_url"}


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (Break.HTML, {"not_a_stream", "malformed", "refused"}),
        (Break.STALL, {"deadline"}),
        (Break.CUT, {"cut_short", "unreachable", "closed", "unavailable"}),
        (Break.REFUSE, {"unavailable", "failed"}),
    ],
)
async def test_a_broken_vendor_is_told_in_time(
    vendors: SimulatedVendors, kind: Break, codes: set[str]
) -> None:
    for route in (each for routes in ROUTES.values() for each in routes):
        # Before a connection of many contexts stands, only a page in its place is a trouble of this kind.
        if kind is Break.HTML or not route.endswith(".connect"):
            vendors.plans.set(route, Plan(trouble=Trouble(kind)))
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    rows = await check(keys(vendors), timeout_s=0.5)
    assert loop.time() - began_s < 5.0
    assert [row for row in rows if row.ok or row.code not in codes] == []


async def test_it_is_asked_until_the_end_of_the_answer(vendors: SimulatedVendors) -> None:
    vendors.plans.set("openai.chat", Plan(text="OK OK OK", trouble=Trouble(Break.STALL, after=2)))
    vendors.plans.set("openai.speech", Plan(trouble=Trouble(Break.CUT, after=1)))
    model, voice = await check(keys(vendors, names=("openai",)), timeout_s=0.5)
    assert (model.code, model.message) == ("deadline", "it did not finish within 0.5 s")
    assert voice.code in ("cut_short", "unreachable")
    vendors.plans.set("openai.chat", Plan(text=""))
    (row,) = [row for row in await check(keys(vendors, names=("openai",))) if row.part == "model"]
    assert (row.code, row.message) == ("failed", "it answered nothing")


async def test_all_routes_of_an_assistant(vendors: SimulatedVendors) -> None:
    socket = vendors.url.replace("http", "ws")
    assistant = {
        "model": {
            "provider": "openai",
            "model": "gpt-4.1",
            "fallbackModels": [
                "unknown-model",
                {"provider": "custom-llm", "url": f"{vendors.url}/custom-llm"},
            ],
        },
        "voice": {
            "provider": "custom-voice",
            "server": {"url": f"{vendors.url}/custom-voice"},
            "fallbackPlan": {
                "voices": [{"provider": "hume", "voiceId": "x"}, {"provider": "cartesia", "voiceId": "y"}]
            },
        },
        "transcriber": {
            "provider": "custom-transcriber",
            "server": {"url": f"{socket}/custom-transcriber"},
            "fallbackPlan": {
                "transcribers": [{"provider": "deepgram", "model": "flux-general-en"}],
                "autoFallback": {"enabled": True},
            },
        },
    }
    rows = await check(keys(vendors), assistant=assistant)
    assert [outcome(row) for row in rows] == [
        ("model", "openai", "ok"),
        ("model", "openai", "unknown_model"),
        ("model", "custom-llm", "ok"),
        ("voice", "custom-voice", "ok"),
        ("voice", "hume", "missing"),
        ("voice", "cartesia", "ok"),
        ("transcriber", "custom-transcriber", "ok"),
        ("transcriber", "deepgram", "ok"),
        ("transcriber", "", "ok"),
    ]
    assert (rows[-1].route, rows[-1].first_s) == ("local", None)
    assert rows[4].message == "has no adapter in this release"
    some = await check(keys(vendors), assistant=assistant, provider="cartesia")
    assert [outcome(row) for row in some] == [("voice", "cartesia", "ok")]


async def test_it_disturbs_no_call_and_leaves_nothing_open(vendors: SimulatedVendors) -> None:
    board = HealthBoard()
    _ = await ProviderCheck(board).check(WhatToCheck(), keys(vendors))
    assert ProviderCheck(board).statuses("org-1") == []
    async with asyncio.timeout(3):
        while vendors.open_connections:  # noqa: ASYNC110 - the far side notices when it does
            await asyncio.sleep(0.01)
