"""An Asterisk's REST interface on loopback, after its documentation: it knows channels, and tells what befalls them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BasicAuth, WSMsgType, web

USER, PASSWORD = "aywa", "a-secret-of-asterisk"
PATIENCE_S = 10


@dataclass
class FarAsterisk:
    """asked: method, path, query and body of each request. refuse: the answer to the next request."""

    url: str = ""
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    listeners: list[web.WebSocketResponse] = field(default_factory=list)
    subscribed: list[dict[str, str]] = field(default_factory=list)
    refuse: tuple[int, str] | None = None
    silent: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, event: str, channel_id: str, **more: Any) -> None:
        channel = {"id": channel_id, "name": "PJSIP/carrier-00000001", **more.pop("channel", {})}
        text = json.dumps({"type": event, "application": "aywa", "channel": channel, **more})
        for socket in list(self.listeners):
            await socket.send_str(text)

    async def destroy(self, channel_id: str, cause: int, text: str = "") -> None:
        del self.channels[channel_id]
        await self.tell("ChannelDestroyed", channel_id, cause=cause, cause_txt=text)

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self.news.clear()
                await self.news.wait()

    async def hang_up_on_listeners(self) -> None:
        for socket in list(self.listeners):
            await socket.close()


@asynccontextmanager
async def far_asterisk() -> AsyncIterator[FarAsterisk]:
    here = FarAsterisk()

    @web.middleware
    async def door(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != BasicAuth(USER, PASSWORD, "utf-8").encode():
            return web.json_response({"error": "Unauthorized"}, status=401)
        if request.path != "/ari/events":
            body = await request.json() if request.can_read_body else None
            here.asked.append((request.method, request.path, dict(request.query), body))
            here.news.set()
            if here.silent:
                await asyncio.sleep(PATIENCE_S)
            if here.refuse is not None:
                status, message = here.refuse
                return web.json_response({"message": message}, status=status)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def originate(request: web.Request) -> web.Response:
        channel_id = request.match_info["id"]
        if channel_id in here.channels:
            return web.json_response({"message": "Channel with given unique ID already exists"}, status=409)
        here.channels[channel_id] = {"id": channel_id, "state": "Down"}
        return web.json_response(here.channels[channel_id])

    async def details(request: web.Request) -> web.Response:
        found = here.channels.get(request.match_info["id"])
        if found is None:
            return web.json_response({"message": "Channel not found"}, status=404)
        return web.json_response(found)

    async def hang_up(request: web.Request) -> web.Response:
        channel_id = request.match_info["id"]
        if channel_id not in here.channels:
            return web.json_response({"message": "Channel not found"}, status=404)
        await here.destroy(channel_id, 16, "Normal Clearing")
        return web.Response(status=204)

    async def events(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        here.listeners.append(socket)
        here.subscribed.append(dict(request.query))
        here.news.set()
        async for message in socket:
            assert message.type is not WSMsgType.BINARY
        here.listeners.remove(socket)
        return socket

    app = web.Application(middlewares=[door])
    app.router.add_post("/ari/channels/{id}", originate)
    app.router.add_get("/ari/channels/{id}", details)
    app.router.add_delete("/ari/channels/{id}", hang_up)
    app.router.add_get("/ari/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.2)
    await site.start()
    host, port = runner.addresses[0][:2]
    here.url = f"http://{host}:{port}/ari"
    try:
        yield here
    finally:
        await here.hang_up_on_listeners()
        await runner.cleanup()
