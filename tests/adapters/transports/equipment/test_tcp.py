"""AudioSocket's port against a client that writes and reads the protocol's bytes itself."""

from __future__ import annotations

import asyncio
import inspect
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
import uvloop

from aywa.adapters.transports.equipment.codec import Handshake, Started
from aywa.adapters.transports.equipment.door import Turned
from aywa.adapters.transports.equipment.streams import Streams
from aywa.adapters.transports.equipment.tcp import TcpSettings, TcpTransport
from aywa.core.events import DtmfReceived, LegConnected, LegEnded, MediaEvent, MediaWarned, PlayoutFinished
from aywa.media.plane import Plane
from aywa.media.settings import MediaSettings
from aywa.ports.media import AudioFormat, CloseLeg, Finish, LegPlan, Play
from tests.media.rig import LoudVad

PATIENCE_S = 10
CALL = "40325ec2-5efd-4bd3-805f-53576e581d13"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
SPEECH = b"\x00\x20" * 160
SILENCE = bytes(320)


def both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs the test on each of the two loops: their transports differ."""

    def runner(loop: str, **given: Any) -> None:
        factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as running:
            running.run(test(**given))

    asked = inspect.signature(test)
    own = inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    runner.__signature__ = asked.replace(parameters=[own, *asked.parameters.values()])  # type: ignore[attr-defined]
    runner.__doc__ = test.__doc__
    marked: Callable[..., None] = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])(runner)
    return marked


def message(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("!BH", kind, len(payload)) + payload


def hello(call: str = CALL) -> bytes:
    return message(0x01, UUID(call).bytes)


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self) -> tuple[int, bytes] | None:
        """The next message; None at the end."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                kind, size = struct.unpack("!BH", await self.reader.readexactly(3))
                return kind, await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

    async def rest(self) -> list[tuple[int, bytes]]:
        found = []
        while (each := await self.read()) is not None:
            found.append(each)
        return found


@dataclass
class Site:
    """The port, its door, and what legs said."""

    plane: Plane
    transport: TcpTransport
    port: int = 0
    events: list[MediaEvent] = field(default_factory=list)
    asked: list[tuple[Handshake, Started]] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, handshake: Handshake, started: Started) -> LegPlan | Turned:
        self.asked.append((handshake, started))
        self.news.set()
        if started.call_id == UNKNOWN:
            return Turned("no such call")
        return LegPlan(started.call_id, AudioFormat.MULAW, 8000, asyncio.get_running_loop().time(), self.post)

    def gave_up(self, call_id: str) -> None:
        self.given_up.append(call_id)

    def post(self, event: MediaEvent) -> None:
        self.events.append(event)
        self.news.set()

    async def until(self, kind: type[Any]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := [event for event in self.events if isinstance(event, kind)]):
                self.news.clear()
                await self.news.wait()
        return found[0]

    async def connect(self, *sent: bytes) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        client.writer.write(b"".join(sent))
        self.clients.append(client)
        return client


@asynccontextmanager
async def site(media: MediaSettings | None = None, **changed: Any) -> AsyncIterator[Site]:
    plane = Plane(asyncio.get_running_loop(), {8000: LoudVad(8000), 16000: LoudVad(16000)}, media)

    class Door:
        async def open(self, handshake: Handshake, started: Started) -> LegPlan | Turned:
            return await here.open(handshake, started)

        def gave_up(self, call_id: str) -> None:
            here.gave_up(call_id)

    streams = Streams(plane, Door())
    transport = TcpTransport(streams, TcpSettings(**({"first_s": 0.05} | changed)))
    here = Site(plane, transport)
    here.port = await transport.start(["127.0.0.1"], 0)
    try:
        yield here
    finally:
        await plane.close()
        await streams.close()
        await transport.close()
        for client in here.clients:
            client.writer.close()


@both_loops
async def test_a_call_is_heard_and_answered_until_the_caller_hangs_up() -> None:
    async with site() as here:
        client = await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        (asked,) = here.asked
        assert asked[0].remote == "127.0.0.1"
        assert (asked[1].call_id, asked[1].rate_hz) == (CALL, 8000)
        here.plane.send(Play(CALL, 1, SPEECH * 5))
        here.plane.send(Finish(CALL, 1))
        client.writer.write(message(0x03, b"5"))
        assert (await here.until(DtmfReceived)).digit == "5"
        await here.until(PlayoutFinished)
        client.writer.write(message(0x00))
        assert (await here.until(LegEnded)).cause == "closed"
        heard = await client.rest()
    assert [kind for kind, _ in heard] == [0x10] * len(heard)
    assert {len(payload) for _, payload in heard} == {320}
    assert b"".join(payload for _, payload in heard).strip(b"\0").count(b"\x20") == 5 * 160


@both_loops
async def test_audio_leaves_at_the_pace_of_the_ear_and_silence_where_there_is_none() -> None:
    async with site() as here:
        loop = asyncio.get_running_loop()
        client = await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        begun_s = loop.time()
        here.plane.send(Play(CALL, 1, SPEECH * 20))
        here.plane.send(Finish(CALL, 1))
        arrived = [(await client.read(), loop.time() - begun_s) for _ in range(40)]
        client.writer.close()
    spoken = [at_s for found, at_s in arrived if found == (0x10, SPEECH)]
    assert len(spoken) == 20
    # Nothing that could not be taken back is sent ahead: the n-th frame leaves when the ear is there.
    assert all(at_s >= number * 0.02 - 0.045 for number, at_s in enumerate(spoken))
    assert sum(found == (0x10, SILENCE) for found, _ in arrived) >= 10


@both_loops
async def test_a_wide_call_is_answered_in_its_own_rate() -> None:
    async with site() as here:
        client = await here.connect(hello(), message(0x12, bytes(640)))
        assert (await here.until(LegConnected)).rate_hz == 16_000
        found = await client.read()
        client.writer.close()
    assert found == (0x12, bytes(640))


@both_loops
async def test_a_caller_who_sends_no_audio_is_answered_all_the_same() -> None:
    async with site() as here:
        client = await here.connect(hello())
        assert (await here.until(LegConnected)).rate_hz == 8000
        client.writer.close()
        assert (await here.until(LegEnded)).cause == "closed"


@both_loops
async def test_the_runtime_hangs_up() -> None:
    async with site() as here:
        client = await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        here.plane.send(CloseLeg(CALL, "done"))
        heard = await client.rest()
        assert (await here.until(LegEnded)).cause == "local"
    assert heard[-1] == (0x00, b"")


@both_loops
async def test_a_socket_that_half_closes_ends_its_call() -> None:
    async with site() as here:
        client = await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        client.writer.write_eof()
        assert (await here.until(LegEnded)).cause == "closed"
        await client.rest()


@both_loops
async def test_a_far_side_that_closes_without_having_read_everything_has_closed() -> None:
    """The kernel makes a reset of that."""
    async with site() as here:
        client = await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        raw: socket.socket = client.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        assert (await here.until(LegEnded)).cause == "closed"


@both_loops
async def test_a_connection_that_breaks_is_told_from_one_that_was_closed() -> None:
    async with site() as here:
        await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        (connection,) = here.transport._connections
        # As the loop does when nobody has acknowledged anything for too long.
        connection.connection_lost(TimeoutError(110, "Connection timed out"))
        ended = await here.until(LegEnded)
        assert (ended.cause, ended.detail) == ("lost", "the connection broke (TimeoutError)")
        connection.close(0, "")


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", message(0x10, SPEECH), message(0x01, b"short"), hello(UNKNOWN)]
)
@both_loops
async def test_whoever_is_let_in_by_nobody_is_closed(sent: bytes) -> None:
    async with site() as here:
        client = await here.connect(sent)
        assert await client.rest() == []
        assert here.events == []
        client.writer.close()


@both_loops
async def test_only_networks_that_may_connect_do() -> None:
    async with site(networks=("192.0.2.0/24",)) as here:
        client = await here.connect(hello())
        assert await client.rest() == []
        assert here.asked == []
        client.writer.close()


@both_loops
async def test_no_more_connections_than_allowed() -> None:
    async with site(most_connections=1) as here:
        first = await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        second = await here.connect(hello("11111111-1111-4111-8111-111111111111"))
        assert await second.rest() == []
        assert len(here.asked) == 1
        assert (await first.read() or (0,))[0] == 0x10
        for client in (first, second):
            client.writer.close()


@pytest.mark.parametrize(
    ("remote", "taken"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("fe80::1%eth0", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
@both_loops
async def test_addresses(remote: str, taken: bool) -> None:
    async with site() as here:
        assert (here.transport.refusal(remote) == "") == taken


@both_loops
async def test_a_burst_is_heard_to_its_limit_and_told_and_the_call_goes_on() -> None:
    async with site() as here:
        client = await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        client.writer.write(message(0x10, SPEECH) * 200)
        assert (await here.until(MediaWarned)).code == "audio_ahead"
        client.writer.write(message(0x03, b"1"))
        assert (await here.until(DtmfReceived)).digit == "1"
        client.writer.close()


@both_loops
async def test_a_flood_ends_its_own_call_alone() -> None:
    async with site() as here:
        calm = await here.connect(hello("11111111-1111-4111-8111-111111111111"), message(0x10, SPEECH))
        await here.until(LegConnected)
        wild = await here.connect(hello(), message(0x10, SPEECH))
        wild.writer.write(message(0x10, SPEECH) * 1500)
        ended = await here.until(LegEnded)
        assert (ended.leg_id, ended.cause) == (CALL, "flooded")
        assert (await calm.read() or (0,))[0] == 0x10
        for client in (calm, wild):
            client.writer.close()


@both_loops
async def test_a_far_side_that_takes_nothing_is_given_up() -> None:
    media = MediaSettings(unread_s=0.3, unread_for_s=0.2, chores_s=0.1)
    async with site(media) as here:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, ("127.0.0.1", here.port))
        await loop.sock_sendall(raw, hello() + message(0x10, SPEECH))
        await here.until(LegConnected)
        here.plane.send(Play(CALL, 1, SPEECH * 500))
        assert (await here.until(LegEnded)).cause == "unread"
        raw.close()


@both_loops
async def test_closing_the_port_ends_what_is_left() -> None:
    async with site() as here:
        client = await here.connect(hello(), message(0x10, SPEECH))
        await here.until(LegConnected)
        await here.plane.close()
        await here.transport.close()
        assert (await client.rest())[-1] == (0x00, b"")
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", here.port)
