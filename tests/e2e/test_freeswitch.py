"""A whole runtime beside a FreeSWITCH: calls come and go over the event socket, audio over a WebSocket as mod_audio_fork has it.

The FreeSWITCH is one of the tests (aywa.testing.freeswitch), the module's side one written from its documents
(aywa.testing.equipment.audio_fork); the last tests take a real one where there is one (FREESWITCH_ESL=host:port:password).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.transports.freeswitch.client import FreeSwitchClient
from aywa.adapters.transports.freeswitch.settings import ClientSettings
from aywa.core.esl import audio
from aywa.testing.equipment.audio_fork import AudioForkEquipment
from aywa.testing.equipment.base import Facts
from aywa.testing.equipment.call import Called, EquipmentCaller
from aywa.testing.freeswitch import FakeChannel, FakeFreeSwitch
from aywa.testing.runtime import free_port
from aywa.testing.script import Pause, Step
from tests.docs.test_commands import ROOT, commands
from tests.e2e.dev import Dev, started
from tests.e2e.test_guides import ASSISTANTS, run

GUIDE = ROOT / "docs" / "guides" / "freeswitch.md"
PASSWORD = "PASSWORD"
ENDED_S = 20.0
HEARD_FRAMES = 25


@dataclass
class Beside:
    """A runtime and the place of its FreeSWITCH."""

    dev: Dev
    esl_port: int
    listen_port: int


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """The settings are the guide's own."""
    esl_port, listen_port = free_port(), free_port()
    dev = Dev(
        tmp_path_factory.mktemp("freeswitch") / "home",
        environment={
            "RUNTIME_FREESWITCH_HOST": "127.0.0.1",
            "RUNTIME_FREESWITCH_PORT": str(esl_port),
            "RUNTIME_FREESWITCH_PASSWORD": PASSWORD,
            "RUNTIME_FREESWITCH_LISTEN_PORT": str(listen_port),
        },
    )
    with started(dev):
        yield Beside(dev, esl_port, listen_port)
        assert "Traceback" not in dev.log, dev.log[-3000:]


@dataclass
class Switch:
    """A FreeSWITCH with a module that streams both ways. steps: what callers do."""

    beside: Beside
    fake: FakeFreeSwitch = field(init=False)
    steps: list[Step] = field(default_factory=lambda: [Pause(20.0)])
    calls: dict[str, asyncio.Task[Called]] = field(default_factory=dict)
    callers: dict[str, EquipmentCaller] = field(default_factory=dict)

    def audio(self, channel: FakeChannel, command: str, arguments: list[str]) -> None:
        """uuid_audio_fork: start URL mix rate ..., or stop."""
        if arguments[0] == "start":
            equipment = AudioForkEquipment(Facts(), rate_hz=8000, metadata="")
            caller = self.callers[channel.uuid] = EquipmentCaller(equipment, arguments[1])
            self.calls[channel.uuid] = asyncio.create_task(self._talk(channel, caller))
        elif channel.uuid in self.callers:
            self.callers[channel.uuid].hang_up()

    async def _talk(self, channel: FakeChannel, caller: EquipmentCaller) -> Called:
        """The module's socket lives as long as the channel does."""
        over = asyncio.create_task(channel.over.wait())
        over.add_done_callback(lambda task: caller.hang_up())
        try:
            return await caller.call(self.steps)
        finally:
            over.cancel()
            await asyncio.gather(over, return_exceptions=True)

    async def heard(self, uuid: str) -> Called:
        async with asyncio.timeout(ENDED_S):
            return await self.calls[uuid]

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(ENDED_S):
            while not true():  # noqa: ASYNC110 - a FreeSWITCH tells nobody what it has done
                await asyncio.sleep(0.01)

    async def ended(self, **wanted: str) -> dict[str, Any]:
        """The newest call's document, once it is over."""
        end_s = time.monotonic() + ENDED_S
        while True:
            _, found = await asyncio.to_thread(self.beside.dev.ask, "GET", "/call?limit=1")
            if found and found[0]["status"] == "ended":  # type: ignore[index]
                return found[0]  # type: ignore[index,no-any-return]
            assert time.monotonic() < end_s, found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def switch(beside: Beside) -> AsyncIterator[Switch]:
    made = Switch(beside)
    made.fake = FakeFreeSwitch(PASSWORD, audio=made.audio)
    await made.fake.start(beside.esl_port)
    try:
        # The runtime looks for it again and again.
        await made.until(lambda: any("uuid_audio_stream" in line for line in made.fake.commands))
        yield made
    finally:
        for caller in made.callers.values():
            caller.hang_up()
        await asyncio.gather(*made.calls.values(), return_exceptions=True)
        await made.fake.close()


async def test_a_call_that_comes_hears_the_agent_and_presses_keys(beside: Beside) -> None:
    async with switch(beside) as made:
        address = ("127.0.0.1", beside.listen_port)
        channel = await made.fake.call(
            address, "100", "+4989", {"aywa_number": "demo", "sip_h_X-Order-Id": "4711"}
        )
        await made.until(lambda: channel.uuid in made.callers)
        ear = made.callers[channel.uuid].equipment.ear
        await made.until(lambda: len(ear.heard) >= HEARD_FRAMES)
        made.fake.presses(channel, "5")
        more = len(ear.heard) + HEARD_FRAMES
        await made.until(lambda: len(ear.heard) >= more)
        made.fake.hangs_up(channel)
        called = await made.heard(channel.uuid)
        assert called.connected, called.refused
        assert called.record.received, "nothing of the agent was heard"
        call = await made.ended()
        assert call["endedReason"] == "customer-ended-call", call
        assert call["assistantOverrides"]["variableValues"]["order_id"] == "4711"
        timeline = await asyncio.to_thread(beside.dev.ask, "GET", f"/call/{call['id']}/timeline")
        assert "dtmf" in str(timeline).lower(), timeline


async def test_an_agent_calls_through_freeswitch_as_the_guide_says(beside: Beside, tmp_path: Path) -> None:
    credential, number, call = commands(GUIDE.read_text(encoding="utf-8"))
    assert "freeswitch" in credential
    async with switch(beside) as made:
        say = asyncio.to_thread
        assistants = await say(run, ASSISTANTS, beside.dev, tmp_path)
        assistant = json.loads(assistants)[0]["id"]
        trunk = json.loads(await say(run, credential, beside.dev, tmp_path))["id"]
        body = number.replace("CREDENTIAL_ID", trunk).replace("ASSISTANT_ID", assistant)
        number_id = json.loads(await say(run, body, beside.dev, tmp_path))["id"]
        try:
            body = call.replace("PHONE_NUMBER_ID", number_id).replace("ASSISTANT_ID", assistant)
            call_id = json.loads(await say(run, body, beside.dev, tmp_path))["id"]
            await made.until(lambda: call_id in made.callers)
            dialled = next(line for line in made.fake.commands if line.startswith("originate"))
            assert "sofia/gateway/carrier/+493087654321 &park()" in dialled
            ear = made.callers[call_id].equipment.ear
            await made.until(lambda: len(ear.heard) >= HEARD_FRAMES)
            made.fake.hangs_up(made.fake.channels[call_id])
            called = await made.heard(call_id)
            assert called.connected
            assert called.record.received
            assert (await made.ended())["endedReason"] == "customer-ended-call"

            made.fake.dialled = lambda channel, dial: "USER_BUSY"
            busy = json.loads(await say(run, body, beside.dev, tmp_path))["id"]
            ended = await made.ended()
            assert (ended["id"], ended["endedReason"]) == (busy, "customer-busy")
            assert "USER_BUSY" in ended["endedMessage"]
        finally:
            await say(beside.dev.ask, "DELETE", f"/phone-number/{number_id}")
            await say(beside.dev.ask, "DELETE", f"/credential/{trunk}")


async def test_a_caller_for_nobody_is_sent_away(beside: Beside) -> None:
    async with switch(beside) as made:
        channel = await made.fake.call(("127.0.0.1", beside.listen_port), "nobody", "+4989")
        async with asyncio.timeout(ENDED_S):
            await channel.over.wait()
        assert channel.cause == "UNALLOCATED_NUMBER"


def test_the_start_says_where_calls_come_to(beside: Beside) -> None:
    assert f"calls come to socket 127.0.0.1:{beside.listen_port} async full" in beside.dev.log


# --- a real one --------------------------------------------------------------------------------------------------------


@pytest.mark.all
async def test_a_real_freeswitch_understands_us() -> None:
    place = os.environ.get("FREESWITCH_ESL", "")
    if not place:
        pytest.skip("FREESWITCH_ESL=host:port:password names none")
    host, port, password = place.split(":", 2)
    events: list[str] = []
    up = asyncio.Event()
    client = FreeSwitchClient(
        ClientSettings(host, int(port), password),
        lambda event: events.append(event.name),
        up.set,
        lambda why, no: None,
    )
    client.start()
    try:
        async with asyncio.timeout(10):
            await up.wait()
        assert (await client.api("uptime")).text.strip().isdigit()
        uuid = "7a6c1c3e-0000-4000-8000-00000000a1a1"
        client.watch(uuid)
        made = await client.job("originate", f"{{origination_uuid={uuid}}}loopback/9196/default &park()")
        assert made.good, made.text
        dump = await client.api("uuid_dump", f"{uuid} json")
        assert dump.good
        for name in (audio.FORK, audio.STREAM):
            _ = audio.module(name, (await client.api(f"uuid_{name}", audio.ASK)).text)
        assert (await client.api("uuid_kill", uuid)).good
        async with asyncio.timeout(10):
            while "CHANNEL_HANGUP_COMPLETE" not in events:  # noqa: ASYNC110 - it is real
                await asyncio.sleep(0.05)
        assert (await client.api("uuid_dump", f"{uuid} json")).text.startswith("-ERR")
    finally:
        await client.close()
