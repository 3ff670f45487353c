"""A small runtime, written from the contract alone, for the caller to call: it beeps a reply to whoever falls silent.

It works in step with the caller: each frame that comes in lets one frame out, so every delay in it is exact.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

KEY = "aywa_right"
ASSISTANT = "0c5a8f1e-0000-4000-8000-000000000001"
LEAD_FRAMES = 3


@dataclass
class Peer:
    """How it behaves, in frames of 20 ms; what it saw."""

    greeting_frames: int = 25
    reply_frames: int = 50
    wait_frames: int = 25
    zero_frames: int = 0
    stop_frames: int | None = 5
    """A reply stops this many frames after the caller's voice; None: never."""
    hole: tuple[int, int] | None = None
    """After so many frames of a reply, send nothing for so many."""
    tells: bool = False
    """It says when a reply begins and ends (speech-update)."""
    hang_up_after: int | None = None
    ended_status: str = "ended"
    answer: tuple[int, Any] | None = None
    texts: list[str] = field(default_factory=list)

    requests: list[dict[str, Any]] = field(default_factory=list)
    controls: list[dict[str, Any]] = field(default_factory=list)
    frame_bytes: set[int] = field(default_factory=set)
    frames: int = 0
    spoken_to: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _messages: list[dict[str, Any]] = field(default_factory=list)
    _over: bool = False

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/call", self._create)
        app.router.add_get("/call/call-1", self._get)
        app.router.add_get("/call-1/transport", self._transport)
        return app

    async def _create(self, request: web.Request) -> web.Response:
        if self.answer:
            status, body = self.answer
            return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "Unauthorized", "Invalid Key.")
        body = await request.json()
        self.requests.append(body)
        if "assistantId" in body and body["assistantId"] != ASSISTANT:
            return _error(404, "Not Found", f"Couldn't Find Assistant {body['assistantId']}.")
        address = f"ws://127.0.0.1:{request.url.port}/call-1/transport?token=t"
        transport = body["transport"] | {"websocketCallUrl": address}
        call = {"id": "call-1", "type": "vapi.websocketCall", "status": "queued", "transport": transport}
        return web.json_response(call, status=201)

    async def _get(self, _: web.Request) -> web.Response:
        call: dict[str, Any] = {"id": "call-1", "status": self.ended_status if self._over else "in-progress"}
        if self._over:
            call |= {"endedReason": "customer-ended-call", "messages": self._messages}
        return web.json_response(call)

    async def _transport(self, request: web.Request) -> web.WebSocketResponse:
        audio = self.requests[-1]["transport"]["audioFormat"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "status-update", "status": "in-progress"})
        for text in self.texts:
            await socket.send_str(text)
        line = _Line(self, audio["format"] == "mulaw")
        told = False
        async for message in socket:
            if isinstance(message.data, str):
                self.controls.append(json.loads(message.data))
                await socket.close()
            elif isinstance(message.data, bytes):
                for frame in line.frame(message.data):
                    await socket.send_bytes(frame)
                if self.tells and told != line.speaks:
                    told = line.speaks
                    update = {"type": "speech-update", "status": "started" if told else "stopped"}
                    await socket.send_json(update | {"role": "assistant"})
                if self.hang_up_after is not None and self.frames >= self.hang_up_after:
                    ended = {
                        "type": "status-update",
                        "status": "ended",
                        "endedReason": "assistant-ended-call",
                    }
                    await socket.send_json(ended)
                    await socket.close()
        self._over = True
        return socket

    def say(self, role: str, text: str) -> None:
        """Keeps a message, with its beginning counted in frames."""
        entry = {"role": role, "message": text, "time": 0, "endTime": 0, "source": ""}
        self._messages.append(entry | {"secondsFromStart": self.frames * 0.02})


class _Line:
    """One connection: hears voice in frames, and decides which frames to let out."""

    def __init__(self, peer: Peer, mulaw: bool) -> None:
        self._peer = peer
        loud = bytes([0x80, 0x00] * 80) if mulaw else np.full(320, 8000, "<i2").tobytes()
        self._loud, self._mulaw = loud, mulaw
        self._queue: list[bytes] = []
        self._voice = self._silence = 0
        self._sent = 0
        self._reply("Hello.", peer.greeting_frames, 0)

    @property
    def speaks(self) -> bool:
        """A reply has begun, and there is more of it."""
        return bool(self._queue)

    def frame(self, payload: bytes) -> list[bytes]:
        self._peer.frames += 1
        self._peer.spoken_to.set()
        self._peer.frame_bytes.add(len(payload))
        if self._is_voice(payload):
            self._voice, self._silence = self._voice + 1, 0
        elif self._voice:
            self._silence += 1
        if self._peer.stop_frames is not None and self._voice > self._peer.stop_frames:
            self._queue.clear()
        if self._silence > self._peer.wait_frames:
            self._voice = self._silence = 0
            self._peer.say("user", "Beep?")
            self._reply("Beep.", self._peer.reply_frames, self._peer.zero_frames)
        return self._let_out()

    def _reply(self, text: str, frames: int, zeros: int) -> None:
        if frames:
            self._peer.say("bot", text)
        silence = (b"\xff" if self._mulaw else b"\0") * len(self._loud)
        self._queue = [silence] * zeros + [self._loud] * frames
        self._sent = 0

    def _let_out(self) -> list[bytes]:
        hole = self._peer.hole
        if hole and hole[0] < self._sent <= hole[0] + hole[1]:
            self._sent += 1
            return []
        count = LEAD_FRAMES + 1 if self._sent == 0 else 1
        out, self._queue = self._queue[:count], self._queue[count:]
        self._sent += len(out)
        return out

    def _is_voice(self, payload: bytes) -> bool:
        if self._mulaw:
            return any(byte & 0x7F < 0x70 for byte in payload)
        return bool(np.abs(np.frombuffer(payload, "<i2")).max() > 200)


def _error(status: int, name: str, message: str) -> web.Response:
    return web.json_response({"message": message, "error": name, "statusCode": status}, status=status)


@asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[Peer]:
    """Puts it on a port of the loopback; its address is peer.url."""
    async with TestServer(peer.app(), host="127.0.0.1") as server:
        peer.url = f"http://127.0.0.1:{server.port}"
        yield peer
