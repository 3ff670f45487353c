"""The media port's equipment, against a client of another make: which addresses are, what they are answered, how they end."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from aywa.adapters.transports.equipment import asterisk, twilio
from aywa.adapters.transports.equipment.codec import (
    Dialect,
    Handshake,
    Message,
    Plain,
    Received,
    Started,
    Traits,
)
from aywa.adapters.transports.equipment.door import Turned
from aywa.adapters.transports.equipment.settings import StreamSettings
from aywa.adapters.transports.equipment.sockets import EquipmentSockets, refusal
from aywa.adapters.transports.equipment.streams import Streams
from aywa.adapters.transports.websocket import MEDIA, Refusal, WebSocketSettings, WebSocketTransport
from aywa.core.events import LegConnected, LegEnded, MediaEvent
from aywa.media.plane import Plane
from aywa.ports.media import AudioFormat, CloseLeg, LegPlan, Play
from tests.media.rig import LoudVad

PATIENCE_S = 10
SID = "MZ1"
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


class Raw(Plain):
    """A protocol without words: audio from the first byte on."""

    traits = Traits("raw", ((AudioFormat.PCM16, 16_000),))

    def __init__(self, handshake: Handshake) -> None:
        self._begun = False

    def receive(self, message: Message) -> list[Received]:
        if self._begun:
            return []
        self._begun = True
        return [Started("raw", "raw-1", AudioFormat.PCM16, 16_000)]

    def audio(self, payload: bytes) -> Message:
        return payload


DIALECTS = {**twilio.DIALECTS, **asterisk.DIALECTS, "raw": Dialect(Raw.traits, Raw)}


@dataclass
class Site:
    """The port, and what it was asked and told."""

    plane: Plane
    streams: Streams = field(init=False)
    port: int = 0
    looked: list[Handshake] = field(default_factory=list)
    asked: list[tuple[Handshake, Started]] = field(default_factory=list)
    events: list[MediaEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, handshake: Handshake) -> Refusal | bool:
        self.looked.append(handshake)
        if handshake.token == "wrong":
            return refusal(401, "Unauthorized", "the token is wrong")
        return handshake.token == "right"

    async def open(self, handshake: Handshake, started: Started) -> LegPlan | Turned:
        self.asked.append((handshake, started))
        if handshake.name == "unknown":
            return Turned("nothing is at this address")
        loop = asyncio.get_running_loop()
        return LegPlan(handshake.name, AudioFormat.PCM16, 16_000, loop.time(), self.post)

    def gave_up(self, call_id: str) -> None:
        self.news.set()

    def post(self, event: MediaEvent) -> None:
        self.events.append(event)
        self.news.set()

    def url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    async def until(self, kind: type[Any]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := [event for event in self.events if isinstance(event, kind)]):
                self.news.clear()
                await self.news.wait()
        return found[0]

    async def begin(self, path: str = "/media/twilio/desk", **options: Any) -> ClientConnection:
        client = await connect(self.url(path), **options)
        await client.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        start = {"streamSid": SID, "callSid": "CA1", "mediaFormat": FORMAT, "customParameters": {}}
        await client.send(json.dumps({"event": "start", "streamSid": SID, "start": start}))
        return client


@asynccontextmanager
async def site(settings: StreamSettings | None = None, **web: Any) -> AsyncIterator[Site]:
    plane = Plane(asyncio.get_running_loop(), {8000: LoudVad(8000), 16000: LoudVad(16000)})
    here = Site(plane)
    here.streams = Streams(plane, here, settings)
    sockets = EquipmentSockets(here.streams, DIALECTS, here.look)
    transport = WebSocketTransport(
        plane, lambda path, query, headers: refusal(404, "Not Found", path), None, {MEDIA: sockets}
    )
    transport.settings = WebSocketSettings(**web)
    here.port = await transport.start("127.0.0.1", 0)
    try:
        yield here
    finally:
        await plane.close()
        await here.streams.close()
        await transport.close()


async def refused(url: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as answer:
        await connect(url, **options)
    response = answer.value.response
    return response.status_code, json.loads(response.body or b"{}")["message"]


async def end_of(client: ClientConnection) -> tuple[int | None, str | None, list[dict[str, Any]]]:
    """How the runtime closed, and what it said before."""
    said: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                said.append(json.loads(await client.recv()))
        except ConnectionClosed:
            return client.close_code, client.close_reason, said


async def test_a_stream_is_heard_and_answered_and_closed_when_the_call_is_over() -> None:
    async with site() as here:
        client = await here.begin("/media/twilio/desk?token=abc&from=x")
        await here.until(LegConnected)
        ((handshake, started),) = here.asked
        assert (handshake.protocol, handshake.name, handshake.token) == ("twilio", "desk", "abc")
        assert (handshake.remote, dict(handshake.query)) == ("127.0.0.1", {"from": "x"})
        assert handshake.target == "/media/twilio/desk?token=abc&from=x"
        assert started.call_id == "CA1"
        payload = base64.b64encode(b"\x7f" * 160).decode()
        await client.send(json.dumps({"event": "media", "streamSid": SID, "media": {"payload": payload}}))
        here.plane.send(Play("desk", 1, b"\x00\x20" * 160))
        here.plane.send(CloseLeg("desk", "assistant-ended-call"))
        code, reason, said = await end_of(client)
        assert (code, reason) == (1000, "assistant-ended-call")
        assert [message["event"] for message in said] == ["mark", "media", "clear"]
        assert (await here.until(LegEnded)).cause == "local"


@pytest.mark.parametrize(
    ("headers", "path", "token"),
    [
        ({}, "/media/twilio/desk", ""),
        ({}, "/media/twilio/desk/t%20k", "t k"),
        ({}, "/media/twilio/desk?token=tk", "tk"),
        ({"Authorization": "Bearer tk"}, "/media/twilio/desk", "tk"),
        ({"Authorization": "Basic " + base64.b64encode(b"any:t:k").decode()}, "/media/twilio/desk", "t:k"),
        ({"Authorization": "Basic %%%"}, "/media/twilio/desk", ""),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff").decode()}, "/media/twilio/desk", ""),
        ({"Authorization": "Digest x"}, "/media/twilio/desk", ""),
        ({"Authorization": "Bearer other"}, "/media/twilio/desk/first", "first"),
    ],
)
async def test_a_token_may_stand_wherever_equipment_can_write_it(
    headers: dict[str, str], path: str, token: str
) -> None:
    async with site() as here:
        client = await connect(here.url(path), additional_headers=headers)
        await client.close()
        (looked,) = here.looked
        assert (looked.name, looked.token) == ("desk", token)
        assert "tk" not in repr(looked) or not token


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/media/", 404, "/media/{protocol}/{id}"),
        ("/media/twilio", 404, "/media/{protocol}/{id}"),
        ("/media/twilio/", 404, "/media/{protocol}/{id}"),
        ("/media/twilio/a/b/c", 404, "/media/{protocol}/{id}"),
        ("/media/twilio/" + "a" * 5000, 404, "/media/{protocol}/{id}"),
        ("/media/other/desk", 404, "chan_websocket, raw, twilio"),
        ("/media/twilio/desk/wrong", 401, "the token is wrong"),
        ("/desk/transport", 404, "/desk/transport"),
    ],
)
async def test_what_is_no_address_is_said(path: str, status: int, words: str) -> None:
    async with site() as here:
        found, message = await refused(here.url(path))
        assert found == status
        assert words in message


async def test_an_address_without_a_websocket_wants_one() -> None:
    async with site() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(b"GET /media/twilio/desk HTTP/1.1\r\nHost: x\r\n\r\n")
        line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
        writer.close()
        # picows answers what is no upgrade at all itself.
        assert line.split()[1][:1] == b"4"


async def test_who_is_turned_away_reads_why() -> None:
    async with site() as here:
        client = await here.begin("/media/twilio/unknown")
        code, reason, _ = await end_of(client)
        assert (code, reason) == (1008, "nothing is at this address")
        assert here.streams.waiting == 0


async def test_too_many_that_wait_are_told_to_come_again() -> None:
    async with site(StreamSettings(waiting_most=1)) as here:
        first = await connect(here.url("/media/twilio/desk"))
        # Its handshake is answered, so it waits.
        assert here.streams.waiting == 1
        status, _ = await refused(here.url("/media/twilio/other"))
        assert status == 503
        # Who has proven nothing does not keep out who has.
        second = await connect(here.url("/media/twilio/other/right"))
        await first.close()
        await second.close()


async def test_a_subprotocol_is_agreed_on_where_the_protocol_has_it() -> None:
    async with site() as here:
        words = [Subprotocol("other"), Subprotocol("media")]
        client = await connect(here.url("/media/chan_websocket/desk"), subprotocols=words)
        assert client.subprotocol == "media"
        await client.close()
        client = await connect(here.url("/media/twilio/desk"))
        assert client.subprotocol is None
        await client.close()


async def test_binary_messages_are_the_codec_s_too() -> None:
    async with site() as here:
        client = await connect(here.url("/media/raw/desk"))
        await client.send(b"\0\0")
        assert (await here.until(LegConnected)).rate_hz == 16_000
        here.plane.send(Play("desk", 1, b"\x00\x20" * 640))
        assert await asyncio.wait_for(client.recv(), PATIENCE_S) == b"\x00\x20" * 320
        await client.close()
        assert (await here.until(LegEnded)).cause == "closed"


async def test_a_socket_that_closes_without_a_word_is_lost() -> None:
    async with site() as here:
        client = await here.begin()
        await here.until(LegConnected)
        client.transport.abort()
        assert (await here.until(LegEnded)).cause == "lost"


async def test_a_socket_that_closes_by_half_is_over() -> None:
    """It says no more, and still reads."""
    async with site() as here:
        client = await here.begin()
        await here.until(LegConnected)
        client.transport.write_eof()
        ended = await here.until(LegEnded)
        assert ended.cause == "lost"
        client.transport.abort()


async def test_a_socket_that_says_nothing_is_asked_and_then_cut() -> None:
    async with site(ping_s=0.1, lost_s=0.4, sweep_s=0.05) as here:
        client = await here.begin(ping_interval=None)
        await here.until(LegConnected)
        client.transport.pause_reading()
        ended = await here.until(LegEnded)
        assert (ended.cause, "no sign of life" in ended.detail) == ("lost", True)
        client.transport.abort()


async def test_a_text_that_is_none_ends_the_stream() -> None:
    async with site() as here:
        client = await here.begin()
        await here.until(LegConnected)
        await client.send(b"\xff\xfe", text=True)
        assert (await here.until(LegEnded)).cause == "malformed"
        assert (await end_of(client))[0] == 1007


async def test_a_message_in_fragments_is_one_and_one_that_is_too_long_is_the_end() -> None:
    async with site() as here:
        client = await here.begin()
        await here.until(LegConnected)
        payload = base64.b64encode(b"\x7f" * 160).decode()
        text = json.dumps({"event": "media", "streamSid": SID, "media": {"payload": payload}})
        await client.send([text[:10], text[10:20], text[20:]])
        await client.send(["x" * 40_000, "x" * 40_000])
        ended = await here.until(LegEnded)
        assert ended.cause == "malformed"
        assert here.plane.last_audio_s("desk") is None  # it is gone, and was heard before
        assert not [event for event in here.events if "malformed_message" in str(event)]
