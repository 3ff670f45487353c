"""Tools over the API, each kind against a server of its own: asked once, answered into the conversation, on the record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from aywa.boot.replay import read_log, replay
from aywa.testing.vendors.openai import CUSTOM
from aywa.testing.vendors.plan import Plan, ToolCall
from aywa.testing.vendors.server import SimulatedVendors
from tests.e2e.client import Api, Client, api, client
from tests.e2e.dev import Dev

VOICE = {"provider": "custom-voice", "server": {"url": "http://localhost/local"}}


@dataclass
class Customer:
    """A customer's servers: for function tools, for requests, and one of MCP."""

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    async def function(self, request: web.Request) -> web.Response:
        message = (await request.json())["message"]
        self.headers.append(dict(request.headers))
        self.calls.append(message)
        results = [
            {
                "toolCallId": call["id"],
                "name": call["name"],
                "result": {"order": "A7", "status": "on its way"},
            }
            for call in message["toolCallList"]
        ]
        return web.json_response({"results": results})

    async def request(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path_qs, await request.json()))
        return web.json_response({"price": 12})

    async def mcp(self, request: web.Request) -> web.Response:
        message = await request.json()
        if "id" not in message:
            return web.Response(status=202)
        result: dict[str, Any] = {"protocolVersion": "2025-06-18", "capabilities": {}}
        if message["method"] == "tools/list":
            result = {"tools": [{"name": "stock", "description": "What is in stock.", "inputSchema": {}}]}
        elif message["method"] == "tools/call":
            result = {"content": [{"type": "text", "text": "Three are left."}]}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})


@asynccontextmanager
async def customer() -> AsyncIterator[Customer]:
    far = Customer()
    app = web.Application()
    app.router.add_post("/tools", far.function)
    app.router.add_post("/orders/{order}", far.request)
    app.router.add_post("/mcp", far.mcp)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    far.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield far
    finally:
        await runner.cleanup()


async def upload(ours: Api, name: str, text: str) -> str:
    form = aiohttp.FormData()
    form.add_field("file", text.encode(), filename=name, content_type="text/plain")
    async with ours.http.post(f"{ours.url}/file", data=form) as answer:
        assert answer.status == 201, await answer.text()
        file_id: str = (await answer.json())["id"]
        return file_id


def tools_of(far: Customer, file_id: str) -> list[dict[str, Any]]:
    schema = {"type": "object", "properties": {"order": {"type": "string"}, "status": {"type": "string"}}}
    return [
        {
            "type": "function",
            "function": {"name": "find_order", "parameters": {"type": "object", "properties": {"name": {}}}},
            "server": {"url": f"{far.url}/tools", "secret": "s3cret"},
            "parameters": [{"key": "caller", "value": "{{caller}}"}],
            "variableExtractionPlan": {"schema": schema},
        },
        {
            "type": "apiRequest",
            "name": "price",
            "method": "POST",
            "url": far.url + "/orders/{{order}}?in={{currency}}",
            "body": {
                "type": "object",
                "properties": {
                    "currency": {"type": "string"},
                    "key": {"type": "string", "value": "{{caller}}"},
                },
            },
        },
        {"type": "mcp", "server": {"url": f"{far.url}/mcp"}},
        {"type": "query", "knowledgeBases": [{"provider": "google", "name": "hours", "fileIds": [file_id]}]},
    ]


def asks(name: str, /, **arguments: Any) -> Plan:
    return Plan(text="", tool_calls=(ToolCall(name, json.dumps(arguments)),))


async def say(one: Client, words: str) -> None:
    """The caller's words, without a recogniser in between."""
    message = {"role": "user", "content": words}
    await one.socket.send(json.dumps({"type": "add-message", "message": message}))


async def heard(one: Client, words: str) -> None:
    await one.told("transcript", role="assistant", transcriptType="final", transcript=words)


def results(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(m["name"], m["result"]) for m in messages if m["role"] == "tool_call_result"]


async def test_each_kind_of_tool_is_asked_once_and_answers_the_caller(runtime: Dev) -> None:
    async with SimulatedVendors() as model, api(runtime.url, runtime.key) as ours, customer() as far:
        file_id = await upload(ours, "hours.txt", "The shop opens at nine on weekdays.\n\nWe sell bicycles.")
        status, tool = await ours.ask("POST", "/tool", tools_of(far, file_id)[0])
        assert status == 201, tool
        assistant = {
            "model": {
                "provider": "custom-llm",
                "url": f"{model.url}/custom-llm",
                "model": "scripted",
                "tools": tools_of(far, file_id)[1:],
                "toolIds": [tool["id"]],
            },
            "startSpeakingPlan": {"speculationEnabled": False},
            "voice": VOICE,
            "firstMessage": "Hello.",
        }
        answers = ("It is on its way.", "It costs twelve.", "Three are left.", "At nine.")
        asked = (
            asks("find_order", name="Ann"),
            asks("price", currency="EUR"),
            asks("stock"),
            asks("query", query="When does the shop open?"),
        )
        plans = [
            each for pair in zip(asked, (Plan(text=text) for text in answers), strict=True) for each in pair
        ]
        model.plans.next(CUSTOM, *plans)
        overrides = {"variableValues": {"caller": "Ann"}}
        call_id, url = await ours.place(assistant, assistantOverrides=overrides)
        async with client(url) as one:
            await heard(one, "Hello.")
            for words, answer in zip(("my order", "what is it", "how many", "when"), answers, strict=True):
                await say(one, words)
                await heard(one, answer)
            await one.socket.send('{"type": "end-call"}')
            await one.closed()
        ended = await ours.ended(call_id)
        _, timeline = await ours.ask("GET", f"/call/{call_id}/timeline")
        async with ours.http.get(f"{runtime.url}/call/{call_id}/call-logs") as answer_log:
            log = await answer_log.read()
        await ours.ask("DELETE", f"/tool/{tool['id']}")
        await ours.ask("DELETE", f"/file/{file_id}")
    (message,) = far.calls
    assert message["type"] == "tool-calls"
    assert message["call"]["id"] == call_id
    assert message["toolCallList"][0]["function"]["arguments"] == {"name": "Ann", "caller": "Ann"}
    assert message["toolWithToolCallList"][0]["toolCall"]["function"]["name"] == "find_order"
    assert "s3cret" not in json.dumps(message)
    assert far.headers[0]["X-Vapi-Secret"] == "s3cret"
    assert far.requests == [("POST", "/orders/A7?in=EUR", {"currency": "EUR", "key": "Ann"})]
    artifact = ended["artifact"]
    assert results(artifact["messages"]) == [
        ("find_order", '{"order":"A7","status":"on its way"}'),
        ("price", '{"price": 12}'),
        ("stock", "Three are left."),
        ("query", "[hours.txt] The shop opens at nine on weekdays. We sell bicycles."),
    ]
    assert artifact["variableValues"] | {"order": "A7", "status": "on its way"} == artifact["variableValues"]
    offered = model.world.asked(CUSTOM)[-1].body["tools"]
    assert {each["function"]["name"] for each in offered} == {"find_order", "price", "stock", "query"}
    kinds = [entry["kind"] for entry in timeline]
    assert kinds.count("start-tool") == kinds.count("tool-returned") == 4
    assert "s3cret" not in log.decode("latin-1")
    report = replay(call_id, read_log(call_id, log))
    assert (report["identical"], report["damage"]) == (True, [])
