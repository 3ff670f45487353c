"""Keys that may not do everything: every operation with each scope, and keys whose time is over."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from aywa.api.app import ROUTERS
from aywa.api.other_lists import BARE, PAGES
from aywa.service.errors import Rejected
from aywa.service.scopes import SCOPES, grants, scope_of
from tests.api.conftest import Runtime
from tests.api.test_access import OPEN, OPERATIONS


async def client(runtime: Runtime, *scopes: str, **more: Any) -> httpx.AsyncClient:
    _, secret = await runtime.services.keys.create(runtime.org_id, "", "private", scopes or None, **more)
    return holding(runtime, secret)


def holding(runtime: Runtime, secret: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {secret}"}
    transport = httpx.ASGITransport(runtime.app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers)


async def test_no_operation_is_done_without_its_scope(runtime: Runtime) -> None:
    """Asked of each with a key that has every scope but those of its own area."""
    missing = "00000000-0000-4000-8000-000000000000"
    for method, path, *_ in OPERATIONS:
        needed = scope_of(method, path)
        area = needed.partition(":")[0]
        others = [scope for scope in SCOPES if not scope.startswith(("*", f"{area}:"))]
        where = path.replace("{", "").replace("}", "").replace("_id", missing)
        answer = await (await client(runtime, *others)).request(method, where)
        assert answer.status_code == 403, (method, path, answer.text)
        assert needed in answer.json()["message"]
        answer = await (await client(runtime, needed)).request(method, where)
        assert answer.status_code not in (401, 403), (method, path, answer.text)
        assert grants((f"{area}:write",), needed)
        assert grants((f"*:{needed.partition(':')[2]}",), needed)


async def test_who_may_read_may_not_write(runtime: Runtime) -> None:
    kept = await runtime.assistant()
    reader = await client(runtime, "*:read")
    assert (await reader.get(f"/assistant/{kept}")).status_code == 200
    assert (await reader.post("/analytics", json={"queries": []})).status_code == 201
    for method, path in (
        ("PATCH", f"/assistant/{kept}"),
        ("DELETE", f"/assistant/{kept}"),
        ("POST", "/call"),
    ):
        assert (await reader.request(method, path, json={})).status_code == 403
    assert (await runtime.client.get(f"/assistant/{kept}")).status_code == 200


async def test_a_key_opens_until_its_time_is_over(runtime: Runtime) -> None:
    keys = runtime.services.keys
    now = keys._clock()
    short = await client(runtime, expires_ms=now + 60_000)
    assert (await short.get("/call")).status_code == 200
    keys._clock = lambda: now + 60_000
    answer = await short.get("/call")
    assert (answer.status_code, answer.json()["message"]) == (401, "The API key has expired.")


def _token(secret: str, org_id: str) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    said = f"{part({'alg': 'HS256'})}.{part({'orgId': org_id, 'token': {'tag': 'private'}})}"
    signature = hmac.new(secret.encode(), said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_a_token_may_do_no_more_than_the_key_that_signed_it_and_no_longer(runtime: Runtime) -> None:
    keys = runtime.services.keys
    now = keys._clock()
    _, secret = await keys.create(runtime.org_id, "", "private", ("calls:read",), now + 60_000)
    holder = holding(runtime, _token(secret, runtime.org_id))
    assert (await holder.get("/call")).status_code == 200
    assert (await holder.get("/assistant")).status_code == 403
    keys._clock = lambda: now + 60_000
    assert (await holder.get("/call")).status_code == 401


@pytest.mark.parametrize(
    ("kind", "scopes", "expires_ms", "problem"),
    [
        ("private", ("calls:delete",), None, "scopes must be of the following values"),
        ("private", (), None, "scopes must name one at least"),
        ("public", ("calls:read",), None, "scopes must be absent for a public key"),
        ("private", None, 1, "expires must be in the future"),
    ],
)
async def test_what_no_key_can_be_limited_to_is_said(
    runtime: Runtime, kind: str, scopes: tuple[str, ...] | None, expires_ms: int | None, problem: str
) -> None:
    with pytest.raises(Rejected, match=problem):
        await runtime.services.keys.create(runtime.org_id, "", kind, scopes, expires_ms)


def test_write_includes_read_and_an_area_no_other() -> None:
    assert grants(None, "calls:write")
    assert grants(("calls:write",), "calls:read")
    assert not grants(("calls:read",), "calls:write")
    assert not grants(("calls:write",), "files:read")
    assert grants(("*:write",), "files:read")
    assert not grants((), "files:read")


def test_every_route_has_an_area_of_its_own() -> None:
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    others = {route.path for route in routes if scope_of("GET", route.path).startswith("others")}
    known = {path for _, path, *_ in OPERATIONS if scope_of("GET", path).startswith("others")}
    # What answers empty lists and nothing else.
    assert known == {"/eval", "/eval/x", "/chat"}
    quiet = {*BARE, *PAGES, "/provider/{provider}/{resource}"}
    assert {path.removesuffix("/{item_id}") for path in others} - quiet - OPEN == set()
