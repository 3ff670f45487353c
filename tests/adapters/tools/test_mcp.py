"""The client of MCP servers, against the protocol's own package and against servers that do it wrong."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from aywa.adapters.tools.mcp import ANSWER_MAX_BYTES, Mcp
from aywa.ports.errors import ProviderError


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The tests' own stay."""
        yield


@asynccontextmanager
async def package(*, as_json: bool) -> AsyncIterator[str]:
    """A server made with the protocol's package."""
    server = MCPServer("tests")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @server.tool()
    def fail() -> str:
        """Always fails."""
        raise ToolError("no such order")

    app = server.streamable_http_app(json_response=as_json)
    config = uvicorn.Config(app, "127.0.0.1", 0, log_level="error", ws="none", timeout_graceful_shutdown=1)
    running = _Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(running.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        running.should_exit = True
        await task
        listening.close()
        await _without_watchers()


async def _without_watchers() -> None:
    """The package's streams leave a task behind that watches for the end of the process."""
    left = [each for each in asyncio.all_tasks() if "_shutdown_watcher" in repr(each.get_coro())]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def plain(tool: Mapping[str, Any]) -> Mapping[str, str]:
    return {"X-Secret": "s"}


@asynccontextmanager
async def client() -> AsyncIterator[Mcp]:
    async with aiohttp.ClientSession() as http:
        yield Mcp(http, "call-1", plain)


def tool(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "mcp", "server": {"url": url}, **more}


@pytest.mark.parametrize("as_json", [True, False])
async def test_the_packages_server_lists_and_runs_its_tools(as_json: bool) -> None:
    async with package(as_json=as_json) as url, client() as mcp:
        listed = await mcp.tools(tool(url))
        answer = await mcp.run(tool(url), "add", {"a": 2, "b": 3})
        failed = await mcp.run(tool(url), "fail", {})
        unknown = await mcp.run(tool(url), "nothing", {})
    assert {each["name"]: each["inputSchema"]["type"] for each in listed} == {
        "add": "object",
        "fail": "object",
    }
    assert (answer.text, answer.failed) == ("5", False)
    assert failed.failed
    assert "no such order" in failed.text
    assert unknown.failed


class Wrong:
    """Answers initialize as it should, and tools/list as a test says."""

    def __init__(self, answer: Any, content_type: str = "application/json", status: int = 200) -> None:
        self.answer, self.content_type, self.status = answer, content_type, status
        self.headers: list[Mapping[str, str]] = []

    async def handle(self, request: web.Request) -> web.Response:
        message = await request.json()
        self.headers.append(dict(request.headers))
        if message["method"] == "initialize":
            result = {"protocolVersion": "2025-03-26", "capabilities": {}}
            body = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            return web.json_response(body, headers={"Mcp-Session-Id": "s1"})
        if message["method"] == "notifications/initialized":
            return web.Response(status=202)
        told = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return web.Response(body=told, content_type=self.content_type, status=self.status)

    async def bye(self, request: web.Request) -> web.Response:
        self.headers.append({"bye": request.headers["Mcp-Session-Id"]})
        return web.Response()


@asynccontextmanager
async def serving(far: Wrong) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/mcp", far.handle)
    app.router.add_delete("/mcp", far.bye)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    finally:
        await runner.cleanup()


def events(*messages: Any) -> bytes:
    return b"".join(b"event: message\r\ndata: " + json.dumps(m).encode() + b"\r\n\r\n" for m in messages)


async def test_a_use_is_a_session_of_its_own_that_names_the_call() -> None:
    far = Wrong({"result": {"tools": [{"name": "a"}, {"no": "name"}, 5], "nextCursor": 7}})
    async with serving(far) as url, client() as mcp:
        assert await mcp.tools(tool(url)) == [{"name": "a"}]
    first, *rest = far.headers
    assert (first["X-Call-Id"], first["X-Secret"]) == ("call-1", "s")
    assert rest[0]["Mcp-Session-Id"] == "s1"
    assert rest[0]["MCP-Protocol-Version"] == "2025-03-26"
    assert rest[-1] == {"bye": "s1"}


async def test_pages_are_read_to_a_limit() -> None:
    far = Wrong({"result": {"tools": [{"name": "a"}], "nextCursor": "again"}})
    async with serving(far) as url, client() as mcp:
        assert len(await mcp.tools(tool(url))) == 10


async def test_what_a_server_says_on_the_way_is_passed_over() -> None:
    notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}
    asking = {"jsonrpc": "2.0", "id": 2, "method": "sampling/createMessage"}
    answer = {"jsonrpc": "2.0", "id": 2, "result": {"content": [{"type": "text", "text": '{"n": 1}'}]}}
    far = Wrong(events(notice, asking, answer), "text/event-stream")
    async with serving(far) as url, client() as mcp:
        told = await mcp.run(tool(url), "x", {})
    assert (told.text, told.body) == ('{"n": 1}', {"n": 1})


@pytest.mark.parametrize(
    ("result", "text", "body"),
    [
        (
            {"content": [{"type": "image"}, "junk"], "structuredContent": {"n": 1}},
            '{"n": 1}',
            {"n": 1},
        ),
        ({"content": "junk"}, "The tool answered without a text.", None),
        ({"content": [{"type": "text", "text": "so"}]}, "so", None),
    ],
)
async def test_what_an_answer_says(result: Any, text: str, body: Any) -> None:
    async with serving(Wrong({"result": result})) as url, client() as mcp:
        told = await mcp.run(tool(url), "x", {})
    assert (told.text, told.body, told.failed) == (text, body, False)


@pytest.mark.parametrize(
    ("far", "code"),
    [
        (Wrong({"error": {"code": -32601, "message": "sk-secret"}}), "failed"),
        (Wrong({"result": []}), "malformed"),
        (Wrong(b"{"), "malformed"),
        (Wrong([1]), "malformed"),
        (Wrong({}, status=500), "refused"),
        (Wrong({}, status=404), "refused"),
        (Wrong(events({"id": 77, "result": {}}), "text/event-stream"), "cut_short"),
        (Wrong(b"x" * (ANSWER_MAX_BYTES + 9)), "overlong"),
        (Wrong(b"data: " + b"x" * (ANSWER_MAX_BYTES + 9), "text/event-stream"), "overlong"),
    ],
)
async def test_a_server_that_does_it_wrong(far: Wrong, code: str) -> None:
    async with serving(far) as url, client() as mcp:
        with pytest.raises(ProviderError) as failed:
            await mcp.tools(tool(url))
    assert failed.value.code == code
    assert "sk-secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (tool("http://127.0.0.1:1/mcp"), "unreachable"),
        (tool("nowhere"), "bad_url"),
        ({"type": "mcp"}, "bad_url"),
        (tool("http://127.0.0.1:1/", metadata={"protocol": "sse"}), "bad_request"),
    ],
)
async def test_a_server_that_cannot_be_asked(written: dict[str, Any], code: str) -> None:
    async with client() as mcp:
        with pytest.raises(ProviderError) as failed:
            await mcp.run(written, "x", {})
    assert failed.value.code == code
