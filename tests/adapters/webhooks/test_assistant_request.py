"""A customer's server over HTTP: what is sent, how it is signed, what an answer means, how it can fail."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from aywa.adapters.webhooks.assistant_request import ANSWER_MAX_BYTES, HttpAssistantRequests
from aywa.ports.errors import Fault, ProviderError

MESSAGE = {"type": "assistant-request", "call": {"id": "c1"}}


@dataclass
class Far:
    """The customer's server: answers with these, and keeps what it was sent."""

    status: int = 200
    body: bytes = b'{"assistantId": "a"}'
    hang: bool = False
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.bodies.append(await request.read())
        if self.hang:
            await self.over.wait()
        location = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status, body=self.body, headers=location)


@asynccontextmanager
async def asked(far: Far, timeout_s: float = 5.0) -> AsyncIterator[tuple[HttpAssistantRequests, str]]:
    app = web.Application()
    app.router.add_post("/hook", far.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    requests = HttpAssistantRequests(timeout_s)
    try:
        yield requests, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await requests.close()
        far.over.set()
        await runner.cleanup()


async def test_the_request_is_the_contract_s() -> None:
    far = Far()
    server = {"secret": "sesame", "headers": {"X-Team": "seven", "authorization": "own"}}
    plan = {"type": "bearer", "token": "t"}
    async with asked(far) as (requests, url):
        answer = await requests.ask(server | {"url": url, "authenticationPlan": plan}, MESSAGE)
    assert answer == {"assistantId": "a"}
    assert json.loads(far.bodies[0]) == {"message": MESSAGE}
    headers = far.headers[0]
    assert (headers["x-vapi-secret"], headers["x-team"]) == ("sesame", "seven")
    # A header that the customer wrote goes before what a credential says.
    assert headers["authorization"] == "own"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"token": "t"}, {"authorization": "Bearer t"}),
        ({"token": "t", "headerName": "X-Vapi-Secret", "bearerPrefixEnabled": False}, {"x-vapi-secret": "t"}),
    ],
)
async def test_a_bearer_plan(plan: dict[str, Any], expected: dict[str, str]) -> None:
    far = Far()
    async with asked(far) as (requests, url):
        await requests.ask({"url": url, "authenticationPlan": {"type": "bearer"} | plan}, MESSAGE)
    assert far.headers[0].items() >= expected.items()


async def test_a_signature_can_be_checked_by_the_customer() -> None:
    far = Far()
    plan = {"type": "hmac", "secretKey": "key", "algorithm": "sha512", "signaturePrefix": "v1="}
    async with asked(far) as (requests, url):
        await requests.ask({"url": url, "authenticationPlan": plan}, MESSAGE)
        svix = {
            "type": "hmac",
            "secretKey": "a2V5",
            "secretIsBase64": True,
            "algorithm": "sha256",
            "payloadFormat": "{svix-id}|{method}|{url}|{timestamp}|{body}",
            "signatureEncoding": "base64",
            "signatureHeader": "svix-signature",
            "timestampHeader": "svix-timestamp",
            "messageIdHeader": "svix-id",
        }
        await requests.ask({"url": url, "authenticationPlan": svix}, {"tricky": "{timestamp}"})
        bare = {"type": "hmac", "secretKey": "key", "algorithm": "sha1", "includeTimestamp": False}
        await requests.ask({"url": url, "authenticationPlan": bare}, MESSAGE)
    first, second, third = far.headers
    signed = f"{first['x-timestamp']}.".encode() + far.bodies[0]
    assert first["x-signature"] == "v1=" + hmac.new(b"key", signed, hashlib.sha512).hexdigest()
    text = f"{second['svix-id']}|POST|{url}|{second['svix-timestamp']}|".encode() + far.bodies[1]
    expected = base64.b64encode(hmac.new(b"key", text, hashlib.sha256).digest()).decode()
    assert second["svix-signature"] == expected
    assert third["x-signature"] == hmac.new(b"key", far.bodies[2], hashlib.sha1).hexdigest()
    assert "x-timestamp" not in third


@pytest.mark.parametrize(
    "server",
    [
        {"secret": "a\r\nX: y"},
        {"headers": {"X": "a\nb"}},
        {"authenticationPlan": {"type": "oauth2"}},
        {"authenticationPlan": {"type": "hmac", "algorithm": "sha256"}},
        {"authenticationPlan": {"type": "hmac", "secretKey": "k", "algorithm": "md5"}},
        {"authenticationPlan": {"type": "hmac", "secretKey": "\u00e9", "secretIsBase64": True}},
    ],
)
async def test_what_cannot_be_signed_is_not_sent(server: dict[str, Any]) -> None:
    far = Far()
    async with asked(far) as (requests, url):
        with pytest.raises(ProviderError) as caught:
            await requests.ask({"url": url} | server, MESSAGE)
    assert caught.value.fault is Fault.CONFIG
    assert far.bodies == []


@pytest.mark.parametrize(
    ("far", "code"),
    [
        (Far(500), "refused"),
        (Far(404), "refused"),
        (Far(302), "refused"),
        (Far(body=b"hello"), "malformed"),
        (Far(body=b"[]"), "malformed"),
        (Far(body=b"[" * 100_000), "malformed"),
        (Far(body=b'{"a": "' + b"x" * ANSWER_MAX_BYTES + b'"}'), "overlong"),
        (Far(hang=True), "deadline"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_goes_wrong_has_a_code(far: Far, code: str) -> None:
    async with asked(far, 0.3 if far.hang else 5.0) as (requests, url):
        with pytest.raises(ProviderError) as caught:
            await requests.ask({"url": url, "secret": "sesame"}, MESSAGE)
    assert caught.value.code == code
    assert "sesame" not in str(caught.value)
    assert len(far.bodies) == 1


@pytest.mark.parametrize(
    ("url", "code"), [("", "bad_url"), ("ftp://x/", "bad_url"), ("http://127.0.0.1:1/", "unreachable")]
)
async def test_an_address_where_nobody_is(url: str, code: str) -> None:
    requests = HttpAssistantRequests()
    with pytest.raises(ProviderError) as caught:
        await requests.ask({"url": url}, MESSAGE)
    await requests.close()
    assert caught.value.code == code


async def test_an_answer_in_a_wrapper_is_taken() -> None:
    far = Far(body=b'{"messageResponse": {"assistantId": "b"}}')
    async with asked(far) as (requests, url):
        assert await requests.ask({"url": url}, MESSAGE) == {"assistantId": "b"}
