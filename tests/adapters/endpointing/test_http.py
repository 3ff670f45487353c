"""A customer's endpointing model over HTTP: what is sent, what an answer means, how it can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from aywa.adapters.endpointing.http import ANSWER_MAX_BYTES, EndpointingHttp, HttpEndpointingModel, Server
from aywa.ports.endpointing import EndpointingRequest
from aywa.ports.errors import Fault, ProviderError

ASKED = EndpointingRequest(
    messages=({"role": "user", "message": "a table please"},),
    chat=({"role": "user", "content": "a table please"},),
)
ENVELOPE = {"call": {"id": "c1"}, "assistant": {"name": "Desk"}}


@dataclass
class Far:
    """The customer's server: answers with these, and keeps what it was sent."""

    status: int = 200
    body: bytes = b'{"timeoutSeconds": 1.5}'
    headers: list[dict[str, str]] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    hang: bool = False

    async def answer(self, request: web.Request) -> web.Response:
        self.connections.add(request.transport)
        self.headers.append(dict(request.headers))
        self.messages.append(await request.json())
        if self.hang:
            assert request.transport is not None
            request.transport.close()
        location = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status, body=self.body, headers=location)


@asynccontextmanager
async def route(far: Far, **server: Any) -> AsyncIterator[HttpEndpointingModel]:
    app = web.Application()
    app.router.add_post("/", far.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    http = EndpointingHttp()
    try:
        yield http.route(Server(f"http://127.0.0.1:{port}/", **server), ENVELOPE)
    finally:
        await http.close()
        await runner.cleanup()


async def test_the_request_is_the_contracts() -> None:
    far = Far()
    async with route(far, secret="sesame", headers={"X-Team": "seven"}) as model:
        assert await model.wait_s(ASKED) == 1.5
        assert await model.wait_s(ASKED) == 1.5
    message = far.messages[0]["message"]
    assert list(far.messages[0]) == ["message"]
    assert message["type"] == "call.endpointing.request"
    assert isinstance(message["timestamp"], int)
    assert message["call"] == {"id": "c1"}
    assert message["assistant"] == {"name": "Desk"}
    assert message["messages"] == [{"role": "user", "message": "a table please"}]
    assert message["messagesOpenAIFormatted"] == [{"role": "user", "content": "a table please"}]
    assert far.headers[0]["X-Vapi-Secret"] == "sesame"
    assert far.headers[0]["X-Team"] == "seven"
    assert far.headers[0]["Content-Type"] == "application/json"
    assert len(far.connections) == 1


async def test_without_a_secret_none_is_sent_and_a_named_header_wins() -> None:
    far = Far()
    async with route(far) as model:
        await model.wait_s(ASKED)
    async with route(far, secret="sesame", headers={"X-Vapi-Secret": "other"}) as model:
        await model.wait_s(ASKED)
    assert "X-Vapi-Secret" not in far.headers[0]
    assert far.headers[1]["X-Vapi-Secret"] == "other"


@pytest.mark.parametrize(
    ("status", "body", "code", "fault"),
    [
        (200, b"no", "malformed", Fault.PROVIDER),
        (200, b"[" * 100_000, "malformed", Fault.PROVIDER),
        (200, b"[]", "malformed", Fault.PROVIDER),
        (200, b"{}", "malformed", Fault.PROVIDER),
        (200, b'{"timeoutSeconds": "1"}', "malformed", Fault.PROVIDER),
        (200, b'{"timeoutSeconds": true}', "malformed", Fault.PROVIDER),
        (200, b'{"timeoutSeconds": -0.1}', "out_of_range", Fault.PROVIDER),
        (200, b'{"timeoutSeconds": 15.1}', "out_of_range", Fault.PROVIDER),
        (200, b'{"timeoutSeconds": NaN}', "out_of_range", Fault.PROVIDER),
        (
            200,
            b'{"x": "' + b"y" * (2 * ANSWER_MAX_BYTES) + b'", "timeoutSeconds": 1}',
            "malformed",
            Fault.PROVIDER,
        ),
        (302, b"", "refused", Fault.CONFIG),
        (401, b"", "unauthorized", Fault.CONFIG),
        (403, b"", "forbidden", Fault.CONFIG),
        (404, b"", "not_found", Fault.CONFIG),
        (418, b"", "refused", Fault.CONFIG),
        (429, b"", "rate_limited", Fault.CONFIG),
        (503, b"", "unavailable", Fault.PROVIDER),
    ],
)
async def test_what_is_no_answer_is_a_failure(status: int, body: bytes, code: str, fault: Fault) -> None:
    async with route(Far(status, body)) as model:
        with pytest.raises(ProviderError) as error:
            await model.wait_s(ASKED)
    assert (error.value.code, error.value.fault) == (code, fault)
    assert ("check startSpeakingPlan" in str(error.value)) == (fault is Fault.CONFIG)


@pytest.mark.parametrize("body", [b'{"timeoutSeconds": 0}', b'{"timeoutSeconds": 15, "more": 1}'])
async def test_the_whole_range_is_taken(body: bytes) -> None:
    async with route(Far(201, body)) as model:
        assert await model.wait_s(ASKED) in (0.0, 15.0)


async def test_a_far_side_that_hangs_up_is_out_of_reach() -> None:
    async with route(Far(hang=True)) as model:
        with pytest.raises(ProviderError) as error:
            await model.wait_s(ASKED)
    assert error.value.code == "unreachable"


@pytest.mark.parametrize(
    ("server", "code"),
    [
        (Server("http://127.0.0.1:1/"), "unreachable"),
        (Server("ftp://127.0.0.1/"), "bad_url"),
        (Server("no address"), "bad_url"),
        (Server("http://127.0.0.1:1/", headers={"X-Two": "a\r\nb: c"}), "bad_request"),
    ],
)
async def test_what_cannot_be_asked(server: Server, code: str) -> None:
    http = EndpointingHttp()
    model = http.route(server, ENVELOPE)
    assert model.name == "custom-endpointing-model"
    try:
        async with asyncio.timeout(10):
            with pytest.raises(ProviderError) as error:
                await model.wait_s(ASKED)
    finally:
        await http.close()
    assert error.value.code == code


async def test_connections_that_were_never_opened_are_closed_too() -> None:
    await EndpointingHttp().close()
