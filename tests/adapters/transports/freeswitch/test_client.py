"""The event-socket client against a FreeSWITCH of the tests: signs in, asks, watches, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from aywa.adapters.transports.freeswitch.client import FreeSwitchClient
from aywa.adapters.transports.freeswitch.settings import ClientSettings
from aywa.core.esl.commands import Unsendable
from aywa.core.esl.event import Event
from aywa.core.esl.link import LinkSettings
from aywa.testing.freeswitch import FakeChannel, FakeFreeSwitch

LINK = LinkSettings(login_s=2, reply_s=2, job_s=5, quiet_s=30)


@dataclass
class Watcher:
    """What the client told."""

    client: FreeSwitchClient = field(init=False)
    events: list[Event] = field(default_factory=list)
    ups: int = 0
    downs: list[tuple[str, bool]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def happened(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    def up(self) -> None:
        self.ups += 1
        self.changed.set()

    def down(self, why: str, refused: bool) -> None:
        self.downs.append((why, refused))
        self.changed.set()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not true():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def watching(port: int, password: str = "ClueCon", link: LinkSettings = LINK) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    settings = ClientSettings(
        "127.0.0.1", port, password, connect_s=2, retry_s=0.02, refused_s=0.05, link=link
    )
    watcher.client = FreeSwitchClient(
        settings, watcher.happened, watcher.up, watcher.down, chance=lambda: 0.5
    )
    watcher.client.start()
    try:
        yield watcher
    finally:
        await watcher.client.close()


@asynccontextmanager
async def switch(**more: object) -> AsyncIterator[FakeFreeSwitch]:
    made = FakeFreeSwitch(**more)  # type: ignore[arg-type]
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def test_commands_are_answered_in_their_order() -> None:
    async with switch() as fake, watching(fake.port) as watcher:
        assert not watcher.client.connected
        assert (await watcher.client.api("uptime")).lost
        await watcher.until(lambda: watcher.ups)
        assert watcher.client.connected
        asked = [
            watcher.client.api("uptime"),
            watcher.client.api("nonsense", "x"),
            watcher.client.job("uptime", ""),
        ]
        first, second, third = await asyncio.gather(*asked)
        assert (first.text, first.good) == ("17", True)
        assert (second.text, second.good) == ("-ERR nonsense Command not found!\n", False)
        assert (third.text, third.good) == ("17", True)
        with pytest.raises(Unsendable):
            await watcher.client.api("uptime", "a\nb")


async def test_only_what_is_watched_is_told() -> None:
    async with switch() as fake, watching(fake.port) as watcher:
        await watcher.until(lambda: watcher.ups)
        mine, other = FakeChannel("u-1", {"x": "a b:c"}), FakeChannel("u-2", {})
        fake.channels |= {"u-1": mine, "u-2": other}
        watcher.client.watch("u-1")
        await watcher.client.api("uptime")
        fake.picks_up(other)
        fake.picks_up(mine)
        fake.presses(mine, "5")
        fake.tells(mine, "mod_audio_fork::disconnect", '{"a": 1}')
        fake.tell("HEARTBEAT")
        await watcher.until(lambda: len(watcher.events) == 3)
        assert [event.name for event in watcher.events] == ["CHANNEL_ANSWER", "DTMF", "CUSTOM"]
        assert watcher.events[0].variable("x") == "a b:c"
        assert watcher.events[2].body == '{"a": 1}'
        watcher.client.unwatch("u-1")
        watcher.client.unwatch("u-1")
        await watcher.client.api("uptime")
        fake.presses(mine, "6")
        await watcher.client.api("uptime")
        assert len(watcher.events) == 3


async def test_it_comes_back_with_the_same_wishes() -> None:
    async with switch() as fake, watching(fake.port) as watcher:
        await watcher.until(lambda: watcher.ups)
        watcher.client.watch("u-1")
        channel = fake.channels["u-1"] = FakeChannel("u-1", {})
        await watcher.client.api("uptime")
        await fake.cut()
        await watcher.until(lambda: watcher.ups == 2)
        assert not watcher.downs[0][1]
        fake.picks_up(channel)
        await watcher.until(lambda: watcher.events)
        port = fake.port
        await fake.close()
        await watcher.until(lambda: any("nothing answers" in why for why, _ in watcher.downs))
        await fake.start(port)
        await watcher.until(lambda: watcher.ups == 3)


async def test_what_was_asked_when_the_connection_went_is_lost() -> None:
    async with switch(dialled=lambda channel, dial: "ring") as fake, watching(fake.port) as watcher:
        await watcher.until(lambda: watcher.ups)
        asked = asyncio.create_task(watcher.client.job("originate", "loopback/9 &park()"))
        await watcher.client.api("uptime")
        await fake.cut()
        assert (await asked).lost


async def test_a_wrong_password_is_said_and_tried_again() -> None:
    async with switch() as fake, watching(fake.port, "wrong") as watcher:
        await watcher.until(lambda: len(watcher.downs) == 2)
        assert watcher.downs[0] == ("FreeSWITCH refuses the password: -ERR invalid", True)
        fake.password = "wrong"
        await watcher.until(lambda: watcher.ups)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_who_says_nothing_is_left() -> None:
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with watching(port, link=LinkSettings(login_s=0.05)) as watcher:
        await watcher.until(lambda: watcher.downs)
        assert watcher.downs[0] == ("no sign-in in time", False)
    server.close()
    await server.wait_closed()


async def test_an_event_that_breaks_its_taker_breaks_nothing_else() -> None:
    async with switch() as fake, watching(fake.port) as watcher:
        await watcher.until(lambda: watcher.ups)
        kept = watcher.client._happened

        def broken(event: Event) -> None:
            kept(event)
            raise RuntimeError("broken")

        watcher.client._happened = broken
        watcher.client.watch("u-1")
        channel = fake.channels["u-1"] = FakeChannel("u-1", {})
        await watcher.client.api("uptime")
        fake.presses(channel, "1")
        fake.presses(channel, "2")
        await watcher.until(lambda: len(watcher.events) == 2)
        assert watcher.client.connected
