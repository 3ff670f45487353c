"""Tokens that a customer signs with his private key (contract 2.1), signed here by PyJWT."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import jwt
import pytest

from tests.api.conftest import Runtime

PAGE = "https://shop.example.com"


def _token(runtime: Runtime, *, secret: str | None = None, algorithm: str = "HS256", **more: Any) -> str:
    token = {"tag": "public"} | more.pop("token", {})
    payload = {"orgId": runtime.org_id, "token": token} | more
    return jwt.encode(payload, secret or runtime.keys["own"], algorithm=algorithm)


async def _web(runtime: Runtime, token: str, body: Any = None, origin: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} | ({} if origin is None else {"Origin": origin})
    return await runtime.as_key(None).post("/call/web", json=body or {"assistant": {}}, headers=headers)


async def test_a_public_token_may_begin_a_web_call_and_nothing_else(runtime: Runtime) -> None:
    token = _token(runtime)
    assert (await _web(runtime, token)).status_code == 201
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/call", "/assistant", "/credential"):
        assert (await runtime.as_key(None).get(path, headers=headers)).status_code == 403


async def test_a_private_token_may_do_what_a_private_key_may(runtime: Runtime) -> None:
    headers = {"Authorization": f"Bearer {_token(runtime, token={'tag': 'private'})}"}
    answer = await runtime.as_key(None).post("/assistant", json={"name": "n"}, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["orgId"] == runtime.org_id


async def test_restrictions_are_kept(runtime: Runtime) -> None:
    own, other = await runtime.assistant(), await runtime.assistant()
    squad = await runtime.squad()
    limits = {
        "enabled": True,
        "allowedOrigins": [PAGE],
        "allowedAssistantIds": [own],
        "allowTransientAssistant": False,
    }
    token = _token(runtime, token={"restrictions": limits})
    assert (await _web(runtime, token, {"assistantId": own}, PAGE)).status_code == 201
    assert (await _web(runtime, token, {"assistantId": own})).status_code == 403
    assert (await _web(runtime, token, {"assistantId": own}, "https://evil.example")).status_code == 403
    assert (await _web(runtime, token, {"assistantId": other}, PAGE)).status_code == 403
    assert (await _web(runtime, token, {"squadId": squad}, PAGE)).status_code == 403
    assert (await _web(runtime, token, {"assistant": {}}, PAGE)).status_code == 403
    assert (await _web(runtime, token, {"squad": {"members": []}}, PAGE)).status_code == 403
    off = _token(runtime, token={"restrictions": limits | {"enabled": False}})
    assert (await _web(runtime, off, {"assistant": {}})).status_code == 201


async def test_a_token_that_is_not_good_opens_nothing(runtime: Runtime) -> None:
    now = time.time()
    foreign = next(org for org in await runtime.services.orgs.list() if org.name == "foreign")
    bad = [
        _token(runtime, secret="another-secret-of-enough-length-000"),
        _token(runtime, secret=runtime.keys["public"]),
        _token(runtime, secret=runtime.keys["foreign"]),
        _token(runtime, orgId=foreign.id),
        _token(runtime, secret="x" * 64, algorithm="HS512"),
        jwt.encode({"orgId": runtime.org_id}, "", algorithm="none"),
        _token(runtime, exp=now - 60),
        _token(runtime, nbf=now + 60),
        _token(runtime, token={"tag": "root"}),
        _token(runtime, token={"restrictions": []}),
        _token(runtime, token={"restrictions": {"enabled": True, "allowedOrigins": "x"}}),
        _token(runtime)[:-2] + "xx",
        "a.b.c",
        "e30.e30.e30",
        "é.é.é",
    ]
    for token in bad:
        header = {b"Authorization": b"Bearer " + token.encode("latin-1")}
        answer = await runtime.as_key(None).post("/call/web", json={"assistant": {}}, headers=header)
        assert answer.status_code == 401, token
    assert runtime.host.plans == []


async def test_a_token_dies_with_its_key(runtime: Runtime) -> None:
    key, secret = await runtime.services.keys.create(runtime.org_id, "short")
    token = _token(runtime, secret=secret, exp=time.time() + 60)
    assert (await _web(runtime, token)).status_code == 201
    await runtime.services.keys.revoke(None, key.id)
    assert (await _web(runtime, token)).status_code == 401


async def test_a_key_s_secret_is_kept_only_sealed(runtime: Runtime) -> None:
    keys = await runtime.store.keys.list(runtime.org_id)
    sealed = {key.kind: key.sealed for key in keys}
    assert sealed["public"] is None
    assert sealed["private"] is not None
    assert runtime.keys["own"].encode() not in sealed["private"].blob
    assert all(runtime.keys[name] not in repr(keys) for name in ("own", "public"))


@pytest.mark.parametrize("value", [True, "soon", [1]])
async def test_a_time_that_is_no_number_is_refused(runtime: Runtime, value: Any) -> None:
    from aywa.service.key_tokens import BadToken, read_token

    token = jwt.api_jws.PyJWS().encode(
        f'{{"orgId":"x","exp":{json.dumps(value)}}}'.encode(), "k" * 40, algorithm="HS256"
    )
    with pytest.raises(BadToken, match="exp must be a number"):
        read_token(token)


async def test_the_operator_s_own_key_opens_everything_and_signs_tokens(runtime: Runtime) -> None:
    own = "aywa_9fQ2vL7xT4mWc8ZrKd3pYb6HnJ5sGt1u"

    async def status() -> int:
        answer = await runtime.client.get("/assistant", headers={"Authorization": f"Bearer {own}"})
        return answer.status_code

    assert await status() == 401
    runtime.services.keys.admit(runtime.org_id, own)
    assert await status() == 200
    assert (await _web(runtime, _token(runtime, secret=own))).status_code == 201
    assert (await _web(runtime, _token(runtime, secret=own, exp=1))).status_code == 401
    # It is nowhere kept, so that another one takes its place when the runtime starts again.
    assert all(key.name != "RUNTIME_API_KEY" for key in await runtime.services.keys.list())
    runtime.services.keys.admit(runtime.org_id, own + "2")
    assert await status() == 401
