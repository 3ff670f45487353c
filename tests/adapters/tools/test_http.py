"""Requests of apiRequest tools over a real socket: what leaves, what an answer is, how it can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from aywa.adapters.tools.http import ANSWER_MAX_BYTES, HttpTools
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.tools import ToolHttpRequest


@dataclass
class Far:
    """A server of the customer's."""

    status: int = 200
    body: bytes = b'{"ok": true}'
    headers: list[Mapping[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.read())
        location = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status, body=self.body, headers=location)


@asynccontextmanager
async def serving(far: Far) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/api", far.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    finally:
        await runner.cleanup()


async def bearer(request: ToolHttpRequest) -> Mapping[str, str]:
    return {"Authorization": f"Bearer of {request.access['credentialId']}"}


async def test_what_leaves_is_what_was_asked_for_opened_by_the_calls_own_credential() -> None:
    far = Far()
    tools = HttpTools()
    async with serving(far) as url:
        request = ToolHttpRequest("PUT", url, {"X-A": "b"}, '{"é": 1}', {"credentialId": "c"})
        answer = await tools.opened_by(bearer).send(request)
        plain = await tools.send(ToolHttpRequest("GET", url))
        await tools.close()
    assert (answer.status, answer.body, answer.cut, plain.status) == (200, '{"ok": true}', False, 200)
    assert far.headers[0]["Authorization"] == "Bearer of c"
    assert far.headers[0]["X-A"] == "b"
    assert far.bodies == ['{"é": 1}'.encode(), b""]
    assert "Authorization" not in far.headers[1]
    assert "Bearer" not in repr(request)


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_any_status_is_an_answer_and_nobody_is_followed(status: int) -> None:
    far = Far(status)
    tools = HttpTools()
    async with serving(far) as url:
        answer = await tools.send(ToolHttpRequest("POST", url))
        await tools.close()
    assert answer.status == status
    assert len(far.bodies) == 1


async def test_a_huge_answer_is_cut() -> None:
    far = Far(body=b"\xff" * (ANSWER_MAX_BYTES * 4))
    tools = HttpTools()
    async with serving(far) as url:
        answer = await tools.send(ToolHttpRequest("POST", url))
        await tools.close()
    assert answer.cut
    assert len(answer.body) == ANSWER_MAX_BYTES


@pytest.mark.parametrize(
    ("url", "code", "fault"),
    [
        ("http://127.0.0.1:1/api", "unreachable", Fault.NETWORK),
        ("http://", "bad_url", Fault.CONFIG),
        ("ftp://127.0.0.1/api", "bad_url", Fault.CONFIG),
    ],
)
async def test_a_server_that_cannot_be_asked(url: str, code: str, fault: Fault) -> None:
    tools = HttpTools()
    with pytest.raises(ProviderError) as failed:
        await tools.send(ToolHttpRequest("POST", url, {"X-Key": "sk-secret"}))
    await tools.close()
    assert (failed.value.code, failed.value.fault) == (code, fault)
    assert "sk-secret" not in repr(failed.value.__context__) + str(failed.value)


async def test_a_server_that_says_nothing_that_is_http() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"hello\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tools = HttpTools()
    with pytest.raises(ProviderError) as failed:
        await tools.send(ToolHttpRequest("POST", f"http://127.0.0.1:{port}/"))
    await tools.close()
    server.close()
    await server.wait_closed()
    assert failed.value.code == "unreachable"
