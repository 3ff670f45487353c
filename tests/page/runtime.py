"""A small runtime of the tests' own: it serves the page's folder, takes a call, and says what the test tells it to.

Pages come from one port and calls go to another, named by its loopback number, as the real one does it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

import aywa
from tests.page.browser import EAR_WORKLET

TALK_FOLDER = Path(aywa.__file__).parent / "api" / "talk"
FRAME_BYTES = 640
FRAME_S = 0.02
LEAD_S = 0.06
PUBLIC_KEY = "aywa_public_key_of_the_tests"
ASSISTANT_ID = "5b0e7d46-0000-4000-8000-00000000a55a"
CALL_ID = "c0ffee00-0000-4000-8000-0000000ca110"


@dataclass
class Call:
    """The far side of the page's WebSocket."""

    socket: web.WebSocketResponse
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, on_end_call: bool) -> None:
        loop = asyncio.get_running_loop()
        async for message in self.socket:
            if message.type is WSMsgType.BINARY:
                self.frames.append((loop.time(), message.data))
            elif message.type is WSMsgType.TEXT:
                self.texts.append(json.loads(message.data))
                if on_end_call and self.texts[-1] == {"type": "end-call"}:
                    await self.end("customer-ended-call")
            async with self.news:
                self.news.notify_all()
        self.closed.set()

    async def until_frames(self, count: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: len(self.frames) >= count)

    async def tell(self, kind: str, **body: Any) -> None:
        await self.socket.send_json({"type": kind, **body})

    async def say(self, pcm: bytes, hole_s: float = 0.0) -> None:
        """Paced as the runtime does it: in real time, 60 ms ahead. hole_s: a wait in the middle."""
        loop = asyncio.get_running_loop()
        frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
        due = loop.time() - LEAD_S
        for number, frame in enumerate(frames):
            if number == len(frames) // 2:
                due += hole_s
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            await self.socket.send_bytes(frame.ljust(FRAME_BYTES, b"\0"))
            due += FRAME_S

    async def end(self, reason: str, recording_url: str | None = "/recording/of-the-tests.wav") -> None:
        await self.tell("status-update", status="ended", endedReason=reason, recordingUrl=recording_url)


@dataclass
class FakeRuntime:
    """Settings first, then what was seen."""

    config: dict[str, Any] | None = None
    refuse_with: tuple[int, dict[str, Any]] | None = None
    answers_end_call: bool = True
    has_media: bool = True
    recording: bytes = b""
    recording_is_late: int = 0
    page_port: int = 0
    media_port: int = 0
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    recording_requests: int = 0
    calls: asyncio.Queue[Call] = field(default_factory=asyncio.Queue)

    @property
    def url(self) -> str:
        # Not by its number: the page has to find the media port by the name it was opened with.
        return f"http://localhost:{self.page_port}/"

    async def call(self) -> Call:
        return await self.calls.get()

    async def serve_index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(TALK_FOLDER / "index.html")

    async def serve_config(self, request: web.Request) -> web.Response:
        if self.config is None:
            return web.json_response({"message": "no", "error": "Forbidden", "statusCode": 403}, status=403)
        return web.json_response(self.config)

    async def make_call(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("authorization", ""), await request.json()))
        if self.refuse_with is not None:
            status, body = self.refuse_with
            return web.json_response(body, status=status)
        url = f"ws://127.0.0.1:{self.media_port}/{CALL_ID}/transport?token=unguessable"
        return web.json_response(
            {
                "id": CALL_ID,
                "type": "webCall",
                "status": "queued",
                "webCallUrl": url,
                "assistant": {"name": "Bluebird reception"},
                "transport": {"provider": "vapi.websocket", "websocketCallUrl": url},
            },
            status=201,
        )

    async def carry_call(self, request: web.Request) -> web.WebSocketResponse:
        if not self.has_media:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(max_msg_size=65536)
        await socket.prepare(request)
        call = Call(socket)
        await call.tell("status-update", status="in-progress")
        await self.calls.put(call)
        await call.read(self.answers_end_call)
        return socket

    async def serve_recording(self, request: web.Request) -> web.Response:
        self.recording_requests += 1
        if self.recording_requests <= self.recording_is_late:
            return web.Response(status=404)
        return web.Response(body=self.recording, content_type="audio/wav")

    async def serve_ear(self, request: web.Request) -> web.Response:
        return web.Response(text=EAR_WORKLET, content_type="text/javascript")

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/", self.serve_index),
            web.get("/talk/config.json", self.serve_config),
            web.post("/call/web", self.make_call),
            web.get("/recording/of-the-tests.wav", self.serve_recording),
            web.get(f"/{CALL_ID}/transport", self.carry_call),
            web.get("/ear-worklet.js", self.serve_ear),
            web.static("/talk", TALK_FOLDER),
        ]


@asynccontextmanager
async def serving(runtime: FakeRuntime) -> AsyncIterator[FakeRuntime]:
    application = web.Application()
    application.add_routes(runtime.routes())
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        for _ in range(2):
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        (_, runtime.page_port), (_, runtime.media_port) = runner.addresses
        yield runtime
    finally:
        await runner.cleanup()
