"""Questions to a customer's servers: what is sent, how it is signed, what an answer means, who is asked when one fails."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from aywa.adapters.webhooks.questions import ANSWER_MAX_BYTES, HttpServerQuestions
from aywa.boot.customer_wire import CustomerWire
from aywa.ports.errors import CODES, Fault, ProviderError
from aywa.ports.server_questions import (
    ACCOUNT,
    FAN_OUT,
    PRECEDENCE,
    Server,
    ServerAnswer,
    ServerChain,
)
from tests.adapters.webhooks.far import Far, running

MESSAGE = {"type": "assistant-request", "call": {"id": "c1"}}
TOOLS = {"type": "tool-calls", "toolCallList": []}
KEY = "whsec_" + base64.b64encode(b"k" * 24).decode()
Notes = list[tuple[str, Mapping[str, Any]]]


@asynccontextmanager
async def asking() -> AsyncIterator[HttpServerQuestions]:
    wire = CustomerWire()
    try:
        yield wire.questions
    finally:
        await wire.close()


async def ask(
    *fars: Far,
    message: Mapping[str, Any] = MESSAGE,
    deadline_s: float = 5.0,
    opened: Mapping[str, Any] | None = None,
    policy: str = "fallback",
    notes: Notes | None = None,
    message_id: str = "",
) -> ServerAnswer:
    """Of these servers, the first of which has these settings."""
    async with running(*fars), asking() as questions:
        servers = [Server(far.url, ACCOUNT) for far in fars]
        servers[0] = replace(servers[0], level="assistant", opened=opened or {})
        note = None if notes is None else lambda kind, data: notes.append((kind, data))
        chain = ServerChain(tuple(servers), policy)
        return await questions.ask(message, chain, deadline_s=deadline_s, note=note, message_id=message_id)


async def test_the_request_is_the_contract_s() -> None:
    far = Far()
    opened = {
        "secret": "sesame",
        "headers": {"X-Team": "seven", "authorization": "own", "X-Odd": 5},
        "authenticationPlan": {"type": "bearer", "token": "t"},
    }
    answer = await ask(far, opened=opened, message_id="msg_1")
    assert (answer.body, answer.status, answer.level) == ({"assistantId": "a"}, 200, "assistant")
    assert far.messages == [MESSAGE]
    headers = far.headers[0]
    assert (headers["x-vapi-secret"], headers["x-team"]) == ("sesame", "seven")
    # A header that the customer wrote goes before what a credential says.
    assert headers["authorization"] == "own"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"].isdigit()
    assert "webhook-signature" not in headers
    assert "x-odd" not in headers


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"token": "t"}, {"authorization": "Bearer t"}),
        ({"token": "t", "headerName": "X-Vapi-Secret", "bearerPrefixEnabled": False}, {"x-vapi-secret": "t"}),
    ],
)
async def test_a_bearer_plan(plan: dict[str, Any], expected: dict[str, str]) -> None:
    far = Far()
    await ask(far, opened={"authenticationPlan": {"type": "bearer"} | plan})
    assert far.headers[0].items() >= expected.items()


@pytest.mark.parametrize(
    "opened",
    [{"secret": KEY}, {"authenticationPlan": {"type": "hmac", "secretKey": KEY, "algorithm": "sha256"}}],
)
async def test_a_signing_key_signs_by_standard_webhooks_and_is_not_sent(opened: dict[str, Any]) -> None:
    far = Far()
    await ask(far, opened=opened)
    # The library of that specification, as a receiver uses it.
    assert Webhook(KEY).verify(far.bodies[0].decode(), far.headers[0]) == {"message": MESSAGE}
    assert KEY not in far.headers[0].values()


async def test_a_signature_can_be_checked_by_the_customer() -> None:
    plans = [
        {"type": "hmac", "secretKey": "key", "algorithm": "sha512", "signaturePrefix": "v1="},
        {
            "type": "hmac",
            "secretKey": "a2V5",
            "secretIsBase64": True,
            "algorithm": "sha256",
            "payloadFormat": "{svix-id}|{method}|{url}|{timestamp}|{body}",
            "signatureEncoding": "base64",
            "signatureHeader": "svix-signature",
            "timestampHeader": "svix-timestamp",
            "messageIdHeader": "svix-id",
        },
        {"type": "hmac", "secretKey": "key", "algorithm": "sha1", "includeTimestamp": False},
    ]
    far, urls = Far(), []
    for plan in plans:
        tricky = {"type": "x", "tricky": "{timestamp}{body}"}
        await ask(far, opened={"authenticationPlan": plan}, message=tricky)
        urls.append(far.url)
    first, second, third = far.headers
    signed = f"{first['x-timestamp']}.".encode() + far.bodies[0]
    assert first["x-signature"] == "v1=" + hmac.new(b"key", signed, hashlib.sha512).hexdigest()
    text = f"{second['svix-id']}|POST|{urls[1]}|{second['svix-timestamp']}|".encode() + far.bodies[1]
    expected = base64.b64encode(hmac.new(b"key", text, hashlib.sha256).digest()).decode()
    assert second["svix-signature"] == expected
    assert third["x-signature"] == hmac.new(b"key", far.bodies[2], hashlib.sha1).hexdigest()
    assert "x-timestamp" not in third


@pytest.mark.parametrize(
    "opened",
    [
        {"secret": "a\r\nX: y"},
        {"secret": "whsec_"},
        {"secret": "whsec_!"},
        {"headers": {"X": "a\nb"}},
        {"authenticationPlan": {"type": "other"}},
        {"authenticationPlan": {"type": "missing"}},
        {"authenticationPlan": {"type": "oauth2", "url": "file:///x"}},
        {"authenticationPlan": {"type": "hmac", "algorithm": "sha256"}},
        {"authenticationPlan": {"type": "hmac", "secretKey": "k", "algorithm": "md5"}},
        {"authenticationPlan": {"type": "hmac", "secretKey": "\u00e9", "secretIsBase64": True}},
    ],
)
async def test_what_cannot_be_signed_is_not_sent(opened: dict[str, Any]) -> None:
    far = Far()
    with pytest.raises(ProviderError) as caught:
        await ask(far, opened=opened)
    assert (caught.value.fault, caught.value.code) == (Fault.CONFIG, "bad_request")
    assert far.bodies == []


@pytest.mark.parametrize(
    ("far", "code"),
    [
        (Far(500), "unavailable"),
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
    notes: Notes = []
    with pytest.raises(ProviderError) as caught:
        await ask(far, opened={"secret": "sesame"}, deadline_s=0.3 if far.hang else 5.0, notes=notes)
    assert caught.value.code == code
    assert code in CODES
    assert "sesame" not in f"{caught.value}{notes}"
    assert len(far.bodies) == 1
    (asked, first), (answered, last) = notes
    assert (asked, answered) == ("ServerAsked", "ServerAnswered")
    assert (first["type"], first["level"], first["host"]) == ("assistant-request", "assistant", "127.0.0.1")
    assert last["code"] == code
    assert last["status"] == (far.status if code in ("unavailable", "refused") else 0)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "bad_url"),
        ("ftp://x/", "bad_url"),
        ("http://[::1", "bad_url"),
        ("http://127.0.0.1:1/", "unreachable"),
    ],
)
async def test_an_address_where_nobody_is(url: str, code: str) -> None:
    async with asking() as questions:
        with pytest.raises(ProviderError) as caught:
            await questions.ask(MESSAGE, ServerChain((Server(url),)), deadline_s=5.0)
    assert caught.value.code == code


async def test_nobody_to_ask() -> None:
    async with asking() as questions:
        with pytest.raises(ProviderError) as caught:
            await questions.ask(MESSAGE, ServerChain(), deadline_s=5.0)
    assert caught.value.code == "not_found"


async def test_an_answer_in_a_wrapper_is_taken() -> None:
    assert (await ask(Far(body=b'{"messageResponse": {"assistantId": "b"}}'))).body == {"assistantId": "b"}


@pytest.mark.parametrize("first", [Far(500), Far(404), Far(hang=True)], ids=["fails", "refuses", "hangs"])
async def test_the_next_server_is_asked_when_one_fails(first: Far) -> None:
    second, notes = Far(body=b'{"assistantId": "b"}'), list[Any]()
    answer = await ask(first, second, deadline_s=1.0 if first.hang else 5.0, notes=notes)
    assert (answer.body, answer.level) == ({"assistantId": "b"}, "account")
    assert first.messages == second.messages
    assert first.headers[0]["webhook-id"] == second.headers[0]["webhook-id"]
    assert [kind for kind, _ in notes].count("ServerAsked") == 2
    assert [kind for kind, _ in notes].count("ServerAnswered") == 2
    if first.hang:
        assert notes[-1][1]["code"] == "given_up"


async def test_an_answer_that_is_wrong_is_an_answer() -> None:
    second = Far()
    with pytest.raises(ProviderError):
        await ask(Far(body=b"hello"), second)
    assert second.bodies == []


async def test_by_precedence_only_the_first_is_asked() -> None:
    second = Far()
    with pytest.raises(ProviderError) as caught:
        await ask(Far(500), second, policy=PRECEDENCE)
    assert (caught.value.code, second.bodies) == ("unavailable", [])


async def test_a_question_is_not_asked_of_all() -> None:
    second = Far()
    assert (await ask(Far(), second, policy=FAN_OUT)).level == "assistant"
    assert second.bodies == []


async def test_a_tool_that_is_slow_is_not_run_twice() -> None:
    first, second = Far(hang=True), Far()
    with pytest.raises(ProviderError) as caught:
        await ask(first, second, message=TOOLS, deadline_s=0.3)
    assert (caught.value.code, second.bodies) == ("deadline", [])


async def test_all_of_them_fail_within_the_deadline() -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(ProviderError) as caught:
        await ask(Far(hang=True), Far(hang=True), deadline_s=0.5)
    assert caught.value.code == "deadline"
    assert loop.time() - began_s < 3.0


async def test_a_tool_s_error_comes_with_results() -> None:
    results = {"results": [{"toolCallId": "c", "error": "no such order"}]}
    far = Far(422, json.dumps(results).encode())
    answer = await ask(far, message=TOOLS)
    assert (answer.body, answer.status) == (results, 422)
    with pytest.raises(ProviderError):
        await ask(Far(422, json.dumps(results).encode()))
    with pytest.raises(ProviderError):
        await ask(Far(400, b'{"message": "no"}'), message=TOOLS)
