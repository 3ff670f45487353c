"""Where FreeSWITCH comes to with calls: who may, what is told, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aywa.adapters.transports.freeswitch.server import FreeSwitchServer
from aywa.adapters.transports.freeswitch.settings import ServerSettings
from aywa.adapters.transports.freeswitch.socket import EventSocket
from aywa.core.esl import commands
from aywa.core.esl.event import Event
from aywa.testing.freeswitch import FakeFreeSwitch


@dataclass
class Call:
    """One call, as the server tells of it."""

    socket: EventSocket
    channel: Event
    changed: asyncio.Event
    events: list[Event] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def happened(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    def lost(self, why: str) -> None:
        self.gone.append(why)
        self.changed.set()

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]


@dataclass
class House:
    server: FreeSwitchServer = field(init=False)
    switch: FakeFreeSwitch = field(default_factory=FakeFreeSwitch)
    calls: list[Call] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    def arrived(self, socket: EventSocket, channel: Event) -> Call:
        self.calls.append(Call(socket, channel, self.changed))
        self.changed.set()
        return self.calls[-1]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not true():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def house(settings: ServerSettings | None = None) -> AsyncIterator[House]:
    made = House()
    made.server = FreeSwitchServer(settings or ServerSettings(), made.arrived)
    made.port = await made.server.start()
    try:
        yield made
    finally:
        await made.server.close()
        await made.switch.close()


async def test_a_call_from_its_arrival_to_its_end() -> None:
    async with house() as made:
        channel = await made.switch.call(("127.0.0.1", made.port), "+4930", "+4989", {"sip_h_X-Order": "4 7"})
        await made.until(lambda: made.calls)
        (call,) = made.calls
        assert call.channel.uuid == channel.uuid
        assert call.channel.get("Caller-Destination-Number") == "+4930"
        assert call.channel.variable("sip_h_X-Order") == "4 7"
        assert call.socket.peer == "127.0.0.1"
        assert (await call.socket.ask(commands.execute("answer"))).good
        assert (await call.socket.api("uuid_exists", channel.uuid)).text == "true"
        assert ("answer", "") in channel.ran
        made.switch.presses(channel, "7")
        await made.until(lambda: "DTMF" in call.names)
        assert "CHANNEL_ANSWER" in call.names
        assert (await call.socket.ask(commands.hang_up())).good
        await made.until(lambda: "CHANNEL_HANGUP_COMPLETE" in call.names)
        # It lingers: the connection is FreeSWITCH's to close.
        assert not call.gone
        await made.switch.cut()
        await made.until(lambda: call.gone)


async def test_two_calls_do_not_hear_of_each_other() -> None:
    async with house() as made:
        one, other = [await made.switch.call(("127.0.0.1", made.port), name) for name in ("1", "2")]
        await made.until(lambda: len(made.calls) == 2)
        by_uuid = {call.channel.uuid: call for call in made.calls}
        made.switch.presses(one, "1")
        await made.until(lambda: by_uuid[one.uuid].events)
        assert not by_uuid[other.uuid].events


async def test_a_dialplan_that_gives_too_little_is_told_apart(caplog: object) -> None:
    async with house() as made:
        await made.switch.call(("127.0.0.1", made.port), "1", flags="async")
        async with asyncio.timeout(5):
            while made.switch._listeners:
                await asyncio.gather(*(listener.done.wait() for listener in made.switch._listeners))
        assert not made.calls


async def test_who_may_not_come_is_cut() -> None:
    async with house(ServerSettings(networks=("10.0.0.0/8",))) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        writer.close()
        assert not made.calls


async def test_no_more_than_there_is_room_for() -> None:
    async with house(ServerSettings(connections_max=1)) as made:
        await made.switch.call(("127.0.0.1", made.port), "1")
        await made.until(lambda: made.calls)
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        writer.close()
        assert len(made.calls) == 1


async def test_what_is_no_freeswitch_ends_its_own_connection_only() -> None:
    async with house() as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n\n\n")
        assert await reader.read() == b"connect\n\n"
        writer.close()
        await made.switch.call(("127.0.0.1", made.port), "1")
        await made.until(lambda: made.calls)
