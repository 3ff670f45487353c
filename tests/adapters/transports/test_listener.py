"""Listeners on the media port, with a client of another make: who is let in, audio and texts both ways, and the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from aywa.adapters.transports.listener import LIVE, Listener, ListenerSockets
from aywa.adapters.transports.websocket import Refusal, WebSocketTransport
from aywa.media.plane import Plane
from tests.media.rig import LoudVad


@dataclass
class Door:
    """Lets in who has the key, and notes what happens."""

    listeners: list[Listener] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    heard: list[str | bytes] = field(default_factory=list)
    left_calls: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, call_id: str, key: str) -> Refusal | None:
        return None if key == "key" else Refusal(404, {"message": "no", "statusCode": 404})

    def came(self, call_id: str, listener: Listener, token: str) -> None:
        self.listeners.append(listener)
        self.tokens.append(token)
        listener.send(json.dumps({"type": "start", "from": listener.remote_host, "call": call_id}))

    def said(self, call_id: str, listener: Listener, text: str) -> None:
        self._note(text)

    def spoke(self, call_id: str, listener: Listener, pcm: bytes) -> None:
        self._note(pcm)

    def left(self, call_id: str, listener: Listener) -> None:
        self.left_calls.append(call_id)
        self.news.set()

    def _note(self, what: str | bytes) -> None:
        self.heard.append(what)
        self.news.set()


@asynccontextmanager
async def port(door: Door) -> AsyncIterator[str]:
    plane = Plane(asyncio.get_running_loop(), {16000: LoudVad(16000)})
    transport = WebSocketTransport(
        plane, lambda path, query, headers: Refusal(404, {}), None, {LIVE: ListenerSockets(door)}
    )
    number = await transport.start("127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{number}"
    finally:
        await plane.close()
        await transport.close()


async def test_a_listener_gets_audio_and_texts_and_sends_both() -> None:
    door = Door()
    async with port(door) as base, connect(f"{base}/live/call-1/key/listen?token=secret") as one:
        assert json.loads(await one.recv()) == {"type": "start", "from": "127.0.0.1", "call": "call-1"}
        door.listeners[0].send(b"\1" * 1280)
        assert await one.recv() == b"\1" * 1280
        assert door.listeners[0].waiting_bytes() == 0
        for message in ("hello", b"\2" * 640):
            door.news.clear()
            await one.send(message)
            await asyncio.wait_for(door.news.wait(), 5)
        assert (door.heard, door.tokens) == (["hello", b"\2" * 640], ["secret"])
        door.listeners[0].close(1000, "over")
        await one.wait_closed()
        assert (one.close_code, one.close_reason) == (1000, "over")
        # Of one that is gone nothing comes.
        door.listeners[0].send(b"\1" * 1280)
    assert door.left_calls == ["call-1"]


async def test_an_api_key_may_come_as_a_bearer() -> None:
    door = Door()
    headers = {"Authorization": "Bearer aywa_secret"}
    async with port(door) as base, connect(f"{base}/live/c/key/listen", additional_headers=headers) as one:
        await one.recv()
        assert door.tokens == ["aywa_secret"]


@pytest.mark.parametrize(
    "path",
    [
        "/live/c/other/listen",
        "/live/c/key/transport",
        "/live/c/key",
        "/live/",
        f"/live/{'x' * 5000}/key/listen",
    ],
)
async def test_nobody_else_is_let_in(path: str) -> None:
    door = Door()
    async with port(door) as base:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(base + path):
                pass
        assert refused.value.response.status_code == 404
    assert door.listeners == []
