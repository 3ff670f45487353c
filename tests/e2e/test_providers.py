"""One call whose voice is lost twice and whose model once, on the vendors' real wires: the caller hears every word, once, and
the timeline says what happened. Also: how the routes fare, and a check of them by the runtime itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from aywa.boot.simulated_providers import Simulated
from aywa.boot.speech import open_speech
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from tests.docs.test_commands import ROOT
from tests.e2e.client import FRAME, FRAME_S, Api, Client, api, client, eventually
from tests.e2e.dev import Dev

GUIDE = ROOT / "docs/guides/providers.md"
GREETING = "Hello, this is Robin. How can I help you?"
HOURS = "We are open from nine to five on weekdays. On Saturdays we close at one. Is there anything else?"
PARKING = (
    "You can park behind the house, and there is a second car park on Mill Lane. It costs nothing at all."
)
ASSISTANT: dict[str, Any] = {
    "name": "Robin",
    "firstMessage": GREETING,
    "model": {
        "provider": "openai",
        "model": "gpt-4.1",
        "fallbackModels": ["gpt-4o-mini"],
        "messages": [{"role": "system", "content": "You are Robin."}],
    },
    "voice": {
        "provider": "11labs",
        "voiceId": "robin",
        "fallbackPlan": {
            "voices": [
                {"provider": "cartesia", "voiceId": "robin-2"},
                {"provider": "openai", "voiceId": "alloy"},
            ]
        },
    },
    "transcriber": {
        "provider": "deepgram",
        "model": "nova-3",
        "fallbackPlan": {"transcribers": [{"provider": "deepgram", "model": "nova-2"}]},
    },
    "startSpeakingPlan": {"speculationEnabled": False},
}
# Twice as fast as it is played, a piece at a time: what came before the cut is there to be heard.
LOST = Plan(realtime=2.0, trouble=Trouble(Break.CUT, after=9))


class Caller:
    """Says what it is given, and is silent otherwise."""

    def __init__(self, one: Client) -> None:
        self._one = one
        self._pcm = bytearray()

    def say(self, pcm: bytes) -> None:
        self._pcm += pcm

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        start_s, number = loop.time(), 0
        with suppress(ConnectionClosed):
            while True:
                piece, self._pcm = self._pcm[: len(FRAME)], self._pcm[len(FRAME) :]
                await self._one.socket.send(bytes(piece).ljust(len(FRAME), b"\0"))
                number += 1
                await asyncio.sleep(max(0.0, start_s + number * FRAME_S - loop.time()))

    async def hear_reply(self, number: int) -> None:
        """Waits until the assistant has spoken so many times."""

        def replies() -> int:
            stopped = {"type": "speech-update", "status": "stopped", "role": "assistant"}
            return sum(stopped.items() <= text.items() for text in self._one.texts)

        async with asyncio.timeout(30), self._one.news:
            await self._one.news.wait_for(lambda: replies() >= number)


@asynccontextmanager
async def talking(url: str) -> AsyncIterator[Caller]:
    async with client(url) as one:
        caller = Caller(one)
        task = asyncio.create_task(caller.run(), name="caller")
        try:
            yield caller
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as running:
        yield running


@pytest.fixture
async def runtime(vendors: SimulatedVendors, tmp_path: Path) -> AsyncIterator[tuple[Dev, Api]]:
    dev = Dev(tmp_path / "home", environment=Simulated(vendors.url).environment)
    dev.start()
    try:
        await asyncio.to_thread(dev.ready)
        async with api(dev.url, dev.key) as asked:
            yield dev, asked
    finally:
        await asyncio.to_thread(dev.stop)


async def test_a_call_that_loses_its_voice_twice_and_its_model_once_keeps_talking(
    vendors: SimulatedVendors, runtime: tuple[Dev, Api]
) -> None:
    dev, asked = runtime
    questions = ("When are you open?", "And where can I park?")
    vendors.plans.set("deepgram.listen", Plan(extra={"sentences": list(questions)}))
    async with open_speech(voice=True) as speech:
        hours, parking = [await speech.say((question,), 16000) for question in questions]
    call_id, url = await asked.place(ASSISTANT)
    async with talking(url) as caller:
        await caller.hear_reply(1)
        vendors.plans.set("elevenlabs.stream", LOST)
        vendors.plans.set("openai.chat", Plan(text=HOURS, per_s=40))
        caller.say(hours)
        await caller.hear_reply(2)
        vendors.plans.set("cartesia.websocket", LOST)
        cut = Trouble(Break.CUT, after=9)
        vendors.plans.next("openai.chat", Plan(text=PARKING, per_s=40, trouble=cut), Plan())
        vendors.plans.answer("openai.chat", _rest)
        caller.say(parking)
        await caller.hear_reply(3)
    call = await asked.ended(call_id)

    said = [
        (message["role"], message["message"]) for message in call["messages"] if message["role"] != "system"
    ]
    assert [text for role, text in said if role == "bot"] == [GREETING, HOURS, PARKING]
    assert [role for role, _ in said] == ["bot", "user", "bot", "user", "bot"]
    _, entries = await asked.ask("GET", f"/call/{call_id}/timeline")
    routes = [entry for entry in entries if entry["kind"].startswith("route-")]
    lines = [entry["text"] for entry in routes if entry["kind"] == "route-switched"]
    assert len(lines) == 3, routes
    eleven, model, cartesia = lines
    assert eleven.startswith("voice elevenlabs/robin failed (cut_short) after ")
    assert eleven.endswith(" words; cartesia/robin-2 goes on")
    assert model.startswith("model openai/gpt-4.1 failed ("), model
    assert model.endswith(" characters; the next goes on")
    assert cartesia.startswith("voice cartesia/robin-2 failed (cut_short) after ")
    assert cartesia.endswith(" words; openai-speech/alloy goes on")
    assert all(entry["details"]["wordsGiven"] > 0 for entry in routes if entry["kind"] == "route-failed")
    assert "sim-key" not in json.dumps([call, entries])

    shown = await _aywa(dev, "timeline", call_id)
    assert f"route-switched: cut_short  {eleven}" in shown
    assert _routes_of(shown) == _routes_of(GUIDE.read_text("utf-8")), "paste it anew: AYWA_SHOW=folder"
    if (folder := os.environ.get("AYWA_SHOW")) is not None:
        await asyncio.to_thread((Path(folder) / "timeline.txt").write_text, shown, "utf-8")

    by_name = {row["route"]: row for row in (await asked.ask("GET", "/providers"))[1]}
    assert by_name["elevenlabs/robin"]["lastCode"] == "cut_short"
    assert by_name["openai/gpt-4o-mini"]["requests"] == 1
    assert "openai-speech/alloy" in await _aywa(dev, "providers", "list")


async def test_the_runtime_checks_its_routes(vendors: SimulatedVendors, runtime: tuple[Dev, Api]) -> None:
    dev, asked = runtime
    _, stored = await asked.ask("POST", "/assistant", ASSISTANT)
    told = await _aywa(dev, "providers", "check", "--assistant", stored["id"])
    assert [line.split()[0] for line in told.splitlines()] == [
        "openai/gpt-4.1",
        "openai/gpt-4o-mini",
        "elevenlabs/robin",
        "cartesia/robin-2",
        "openai-speech/alloy",
        "deepgram",
        "deepgram",
    ]
    assert told.count(" ms  ok  ") == 7
    status, rows = await asked.ask("POST", "/providers/check", {"provider": "openai", "voice": "unknown"})
    assert (status, [row["code"] for row in rows]) == (200, ["", "unknown_voice"])
    await eventually(lambda: _none_open(vendors), why="connections of the check stay open")


def _routes_of(text: str) -> list[str]:
    """What a timeline says of routes, without times and counts, as far as a narrow terminal shows it."""
    found = re.findall(r"^ *[0-9.]+ s  (?:provider|decision)  (route-.*)$", text, re.MULTILINE)
    return [re.sub(r"\d+ (word|character)s?", "", line)[:100] for line in found]


def _rest(body: Mapping[str, Any]) -> str:
    """What a model says that is told to go on from what it is shown."""
    said = [message["content"] for message in body["messages"] if message["role"] == "assistant"][-1]
    assert PARKING.startswith(said), said
    return PARKING.removeprefix(said).strip()


async def _none_open(vendors: SimulatedVendors) -> bool:
    return vendors.open_connections == 0


async def _aywa(dev: Dev, *arguments: str) -> str:
    def run() -> str:
        environment = {**os.environ, "AYWA_HOME": str(dev.home), "AYWA_URL": dev.url, "COLUMNS": "200"}
        command = (sys.executable, "-m", "aywa.cli", *arguments)
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return await asyncio.to_thread(run)
