"""Headers for what an endpoint carries; tokens of OAuth2: asked for once, kept while they are good, forgotten when refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from standardwebhooks.webhooks import Webhook

from aywa.adapters.webhooks import oauth2
from aywa.adapters.webhooks.oauth2 import OAuth2Tokens
from aywa.adapters.webhooks.signing import Signing
from aywa.ports.webhooks import CannotSign
from tests.adapters.webhooks.far import Far, running

SECRET = "planted"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def granted(token: str = "t1", **more: Any) -> bytes:
    return json.dumps({"access_token": token, "token_type": "bearer"} | more).encode()


def plan(far: Far, **more: Any) -> dict[str, Any]:
    return {"type": "oauth2", "url": far.url, "clientId": "me", "clientSecret": SECRET} | more


async def headers(signing: Signing, auth: str = "a", org: str = "o") -> Mapping[str, str]:
    return await signing.headers(org, auth, url="https://h/", body="{}", message_id="msg_1", timestamp_s=7)


async def test_a_token_is_asked_for_once_and_kept_until_shortly_before_its_end() -> None:
    far, clock = Far(body=granted(expires_in=100)), Clock()
    async with running(far), aiohttp.ClientSession() as http:
        tokens = OAuth2Tokens(lambda: http, clock)
        wanted = plan(far, scope="calls")
        assert await asyncio.gather(*(tokens.of(wanted) for _ in range(5))) == ["t1"] * 5
        clock.now_s += 69
        assert await tokens.of(wanted) == "t1"
        assert len(far.bodies) == 1
        far.body = granted("t2")
        clock.now_s += 2
        assert await tokens.of(wanted) == "t2"
        tokens.forget(wanted)
        assert await tokens.of(wanted) == "t2"
        assert await tokens.of(wanted | {"clientSecret": "another"}) == "t2"
        await tokens.close()
    assert len(far.bodies) == 4
    assert parse_qs(far.bodies[0].decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["me"],
        "client_secret": [SECRET],
        "scope": ["calls"],
    }


@pytest.mark.parametrize("expires_in", [None, "x", True, 0, -1, 1e12])
async def test_a_token_that_does_not_say_how_long_it_lives(expires_in: Any) -> None:
    far, clock = Far(body=granted(expires_in=expires_in)), Clock()
    async with running(far), aiohttp.ClientSession() as http:
        tokens = OAuth2Tokens(lambda: http, clock)
        await tokens.of(plan(far))
        clock.now_s += oauth2.LIFE_S
        await tokens.of(plan(far))
    assert len(far.bodies) == 2


@pytest.mark.parametrize(
    ("far", "retryable"),
    [
        (Far(500), True),
        (Far(429), True),
        (Far(401), False),
        (Far(302), False),
        (Far(body=b"hello"), False),
        (Far(body=b"[]"), False),
        (Far(body=granted("")), False),
        (Far(body=granted("a\nb")), False),
        (Far(body=b" " * (oauth2.ANSWER_MAX_BYTES + 1)), False),
    ],
    ids=str,
)
async def test_a_token_that_cannot_be_had(far: Far, retryable: bool) -> None:
    async with running(far), aiohttp.ClientSession() as http:
        tokens = OAuth2Tokens(lambda: http)
        with pytest.raises(CannotSign) as caught:
            await tokens.of(plan(far))
    assert caught.value.retryable is retryable
    assert SECRET not in str(caught.value)


async def test_a_token_server_that_is_not_there_or_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth2, "TIMEOUT_S", 0.2)
    far = Far(hang=True)
    async with running(far), aiohttp.ClientSession() as http:
        tokens = OAuth2Tokens(lambda: http)
        for wanted in (plan(far), plan(far, url="http://127.0.0.1:1/")):
            with pytest.raises(CannotSign) as caught:
                await tokens.of(wanted)
            assert caught.value.retryable


async def test_tokens_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth2, "TOKENS_MAX", 2)
    far = Far(body=granted())
    async with running(far), aiohttp.ClientSession() as http:
        tokens = OAuth2Tokens(lambda: http)
        for name in ("1", "2", "3", "1"):
            await tokens.of(plan(far, clientId=name))
    assert len(far.bodies) == 4


async def test_an_endpoint_s_auth_is_looked_up_and_a_refused_token_forgotten() -> None:
    far = Far(body=granted())
    looked_up: list[tuple[str, str]] = []

    async def opened(org_id: str, auth: str) -> Mapping[str, Any]:
        looked_up.append((org_id, auth))
        return {"authenticationPlan": plan(far)} if auth else {"secret": "sesame"}

    async with running(far), aiohttp.ClientSession() as http:
        signing = Signing(OAuth2Tokens(lambda: http), opened)
        assert (await headers(signing))["Authorization"] == "Bearer t1"
        signing.refused("o", "a")
        signing.refused("o", "a")
        far.body = granted("t2")
        assert (await headers(signing))["Authorization"] == "Bearer t2"
        plain = await headers(signing, "")
    assert plain == {
        "Content-Type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": "7",
        "X-Vapi-Secret": "sesame",
    }
    assert looked_up == [("o", "a"), ("o", "a"), ("o", "")]


async def test_the_operator_s_key_signs_for_whoever_has_nothing_of_their_own() -> None:
    far = Far(body=granted())
    servers: dict[str, Mapping[str, Any]] = {
        "bare": {},
        "secret": {"secret": "sesame"},
        "plan": {"authenticationPlan": {"type": "bearer", "token": "t"}},
    }

    async def opened(org_id: str, auth: str) -> Mapping[str, Any]:
        return servers[auth]

    async with running(far), aiohttp.ClientSession() as http:
        signing = Signing(OAuth2Tokens(lambda: http), opened, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        signed = {name: "webhook-signature" in await headers(signing, name) for name in servers}
        assert signed == {"bare": True, "secret": False, "plan": False}
        letter = await headers(signing, "bare")
    expected = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").sign(
        "msg_1", datetime.fromtimestamp(7, UTC), "{}"
    )
    assert letter["webhook-signature"] == expected
