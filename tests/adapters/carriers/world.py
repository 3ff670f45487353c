"""A vendor's API on loopback, which remembers what it was asked, and requests as vendors make them."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from aiohttp import web

from aywa.ports.carriers import CarrierRequest

BASE = "https://voice.example.com/inbound"


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def fields(self) -> dict[str, list[str]]:
        return parse_qs(self.body, keep_blank_values=True)

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def user(self) -> tuple[str, str]:
        both = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        name, _, password = both.partition(":")
        return name, password


@dataclass
class Api:
    """answers: a status and a document each, the last one again and again. They are given while `go` is set."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=lambda: [(200, {})])
    asked: list[Asked] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.asked.append(
            Asked(request.method, request.raw_path, dict(request.headers), (await request.read()).decode())
        )
        self.came.set()
        await self.go.wait()
        status, document = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        text = document if isinstance(document, str) else json.dumps(document)
        return web.Response(status=status, text=text, content_type="application/json")


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    made = Api()
    made.go.set()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{port}"
    try:
        yield made
    finally:
        await runner.cleanup()


def posted(url: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> CarrierRequest:
    """A form."""
    return CarrierRequest(
        "POST",
        (url,),
        {"content-type": "application/x-www-form-urlencoded", **(headers or {})},
        parse_qs(url.partition("?")[2]),
        urlencode(fields).encode(),
        1_700_000_000.0,
    )


def by_twilio(url: str, fields: dict[str, str], token: str = "token") -> CarrierRequest:
    """Signed."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    signature = base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()
    return posted(url, fields, {"x-twilio-signature": signature})


def json_posted(url: str, document: Any, headers: dict[str, str] | None = None) -> CarrierRequest:
    """JSON."""
    body = json.dumps(document).encode()
    query = parse_qs(url.partition("?")[2])
    given = {"content-type": "application/json", **(headers or {})}
    return CarrierRequest("POST", (url,), given, query, body, 1_700_000_000.0)
