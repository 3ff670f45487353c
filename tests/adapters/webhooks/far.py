"""A customer's server on loopback: answers as it is told to, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Far:
    """hang: it never answers. urls: of it, once it is there."""

    status: int = 200
    body: bytes = b'{"assistantId": "a"}'
    hang: bool = False
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    answer_headers: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.bodies.append(await request.read())
        if self.hang:
            await self.over.wait()
        location = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status, body=self.body, headers=location | self.answer_headers)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it was sent, unwrapped."""
        return [json.loads(body)["message"] for body in self.bodies]


@asynccontextmanager
async def running(*fars: Far) -> AsyncIterator[None]:
    """Each at an address of its own."""
    runners = []
    try:
        for far in fars:
            app = web.Application()
            app.router.add_post("/hook", far.answer)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            far.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield
    finally:
        for far in fars:
            far.over.set()
        for runner in runners:
            await runner.cleanup()
