"""A small runtime for equipment to call: over Twilio's socket or AudioSocket it beeps a greeting, and a reply to whoever falls
silent. It works in step with the caller: each frame that comes in lets one frame out, so every delay in it is exact."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from aywa.testing.equipment.audiosocket import packed
from aywa.testing.sound import encode_mulaw

TONE: bytes = (8000 * np.sin(np.arange(160) * 0.5)).astype("<i2").tobytes()
SILENCE = b"\xff" * 160
PATIENCE_S = 5.0


def tone(seconds: float) -> bytes:
    return TONE * round(seconds / 0.02)


@dataclass
class Peer:
    """How it behaves, in frames of 20 ms; what it saw. lead: frames that it sends ahead."""

    greeting: int = 100
    reply: int = 40
    wait: int = 25
    lead: int = 5
    stop: int | None = 5
    """It clears this many frames after the caller's voice; None: never."""
    hang_up_after: int | None = None
    refuse: int = 0
    texts: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    path: str = ""
    url: str = ""
    marks: list[tuple[float, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    over: str = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.headers, self.path = dict(request.headers), str(request.rel_url)
        if self.refuse:
            return web.Response(status=self.refuse, text="no")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        stream, talk = "", Talk(self)
        async for message in socket:
            said = json.loads(message.data)
            match said["event"]:
                case "start":
                    stream = said["streamSid"]
                    self.texts.append(said)
                case "media":
                    self.chunks.append(int(said["media"]["chunk"]))
                    for out in talk.heard(base64.b64decode(said["media"]["payload"])):
                        await socket.send_str(json.dumps({**out, "streamSid": stream}))
                case "mark":
                    self.marks.append((asyncio.get_running_loop().time(), said["mark"]["name"]))
                case "dtmf":
                    self.keys.append(said["dtmf"]["digit"])
                case "stop":
                    self.over = "stop"
                    break
                case _:
                    pass
            if self.hang_up_after is not None and len(self.chunks) >= self.hang_up_after:
                self.over = "hung up"
                break
        self.over = self.over or "closed"
        await socket.close()
        return socket


class Talk:
    """When to beep."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.left = peer.greeting
        self.silent = 0
        self.voiced = 0
        self.number = 0
        self.begun = False

    def heard(self, payload: bytes) -> list[dict[str, Any]]:
        """A frame of the caller's."""
        self.peer.payloads.append(payload)
        if payload == SILENCE:
            self.silent += 1
            if self.voiced and self.silent == self.peer.wait:
                self.left, self.voiced, self.begun = self.peer.reply, 0, False
        else:
            self.silent = 0
            self.voiced += 1
            if self.left and self.peer.stop is not None and self.voiced == self.peer.stop:
                self.left = 0
                return [{"event": "clear"}]
        return self._sound()

    def _sound(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        count = 1 if self.begun else 1 + self.peer.lead
        while self.left and count:
            self.begun = True
            self.left -= 1
            count -= 1
            self.number += 1
            payload = base64.b64encode(encode_mulaw(TONE)).decode()
            found.append({"event": "media", "media": {"payload": payload}})
            if self.number % 5 == 0:
                found.append({"event": "mark", "mark": {"name": f"m{self.number}"}})
        return found


@asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[Peer]:
    app = web.Application()
    app.router.add_get("/media/{tail:.*}", peer.serve)
    async with TestServer(app) as server:
        peer.url = f"ws://127.0.0.1:{server.port}/media/twilio/x"
        yield peer


@dataclass
class TcpPeer:
    """Answers each audio message with one, until a key says so."""

    url: str = ""
    came: bytes = b""
    ended: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while data := await reader.read(4096):
            self.came += data
            while self.came.count(b"\x10\x01\x40") > count:
                count += 1
                writer.write(packed(0x10, TONE))
            if b"\x03\x00\x01#" in self.came:
                writer.write(packed(0x00))
                break
        self.ended = True
        writer.close()


@asynccontextmanager
async def serving_tcp(peer: TcpPeer) -> AsyncIterator[TcpPeer]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        await server.wait_closed()
