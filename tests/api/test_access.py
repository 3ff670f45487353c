"""Who may do what: every operation x own key, foreign key, public key, none. Nothing foreign is read or written."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute

from aywa.api.app import ROUTERS
from aywa.api.other_lists import BARE, PAGES
from tests.api.conftest import TRUNK, Runtime

_CALL = {"assistant": {"firstMessage": "Hello"}, "transport": {"provider": "vapi.websocket"}}

# method, path, body, status for: own, foreign
OPERATIONS: list[tuple[str, str, Any, int, int]] = [
    ("POST", "/assistant", {"name": "n"}, 201, 201),
    ("GET", "/assistant", None, 200, 200),
    ("GET", "/assistant/{assistant_id}", None, 200, 404),
    ("PATCH", "/assistant/{assistant_id}", {"name": "m"}, 200, 404),
    ("PUT", "/assistant/{assistant_id}", {"name": "m"}, 200, 404),
    ("DELETE", "/assistant/{assistant_id}", None, 200, 404),
    ("POST", "/call", _CALL, 201, 201),
    ("POST", "/call/phone", _CALL, 201, 201),
    ("POST", "/call/web", {"assistant": {}}, 201, 201),
    ("GET", "/call", None, 200, 200),
    ("GET", "/call/{call_id}", None, 200, 404),
    ("PATCH", "/call/{call_id}", {"name": "m"}, 200, 404),
    ("GET", "/call/{call_id}/timeline", None, 200, 404),
    ("GET", "/call/{call_id}/call-logs", None, 200, 404),
    ("GET", "/call/{call_id}/mono-recording", None, 404, 404),
    ("DELETE", "/call/{call_id}", None, 200, 404),
    ("POST", "/credential", {"provider": "openai", "apiKey": "sk-1"}, 201, 201),
    ("GET", "/credential", None, 200, 200),
    ("GET", "/credential/{credential_id}", None, 200, 404),
    ("PATCH", "/credential/{credential_id}", {"apiKey": "sk-2"}, 200, 404),
    ("DELETE", "/credential/{credential_id}", None, 200, 404),
    ("POST", "/phone-number", {"provider": "vapi", "sipUri": "sip:new@host"}, 201, 201),
    ("GET", "/phone-number", None, 200, 200),
    ("GET", "/v2/phone-number", None, 200, 200),
    ("GET", "/phone-number/{phone_number_id}", None, 200, 404),
    ("PATCH", "/phone-number/{phone_number_id}", {"name": "m"}, 200, 404),
    ("DELETE", "/phone-number/{phone_number_id}", None, 200, 404),
    ("GET", "/providers", None, 200, 200),
    ("POST", "/providers/check", {"provider": "openai"}, 200, 200),
    ("GET", "/trunks", None, 200, 200),
    ("GET", "/squad", None, 200, 200),
    ("GET", "/squad/x", None, 404, 404),
    ("GET", "/chat", None, 200, 200),
]
OPEN = {"/health", "/healthz", "/readyz", "/docs", "/openapi.json", "/", "/talk/config.json"}
OPEN |= {"/artifact/{call_id}/{token}/{name}"}
# A vendor's signature opens these, and no key of ours does.
OPEN |= {"/inbound/{vendor}/{phone_number_id}", "/inbound/{vendor}/{phone_number_id}/{step}"}


@pytest.mark.parametrize(("method", "path", "body", "own", "foreign"), OPERATIONS)
async def test_every_operation_with_every_kind_of_key(
    runtime: Runtime, method: str, path: str, body: Any, own: int, foreign: int
) -> None:
    names = {
        "assistant_id": await runtime.assistant(),
        "call_id": (await runtime.call())["id"],
        "credential_id": await runtime.credential(),
        "phone_number_id": await runtime.phone_number(sipUri="sip:demo@host"),
    }
    before = await _all(runtime)
    public = 201 if path == "/call/web" else 403
    for key, status in (("foreign", foreign), ("public", public), (None, 401), ("wrong", 401), ("own", own)):
        headers = {"Authorization": "Bearer aywa_wrong"} if key == "wrong" else {}
        client = runtime.as_key(None if key in (None, "wrong") else runtime.keys[str(key)])
        # A SIP URI is one number's in the whole runtime, whose ever that is.
        sent = body | {"sipUri": f"sip:{key}@host"} if body and "sipUri" in body else body
        answer = await client.request(method, path.format(**names), json=sent, headers=headers)
        assert answer.status_code == status, (key, answer.text)
        if status >= 400:
            assert answer.json().keys() >= {"message", "error", "statusCode"}
        if key == "foreign" and status < 400:
            assert not any(name in answer.text for name in names.values())
        after = await _all(runtime)
        if status == 201 and key == "public":
            before = after  # the page's key is of our own organisation
        elif key != "own":
            assert after == before


_LISTS = ("/assistant", "/call", "/credential", "/phone-number")


async def _all(runtime: Runtime) -> list[str]:
    return [(await runtime.client.get(path)).text for path in _LISTS]


async def test_a_foreign_assistant_cannot_be_called(runtime: Runtime) -> None:
    body = _CALL | {"assistantId": await runtime.assistant()}
    del body["assistant"]
    foreign = runtime.as_key(runtime.keys["foreign"])
    assert (await foreign.post("/call", json=body)).status_code == 400
    assert (await foreign.post("/call/web", json=body)).status_code == 400
    assert runtime.host.plans == []


async def test_a_foreign_phone_number_cannot_be_called_from_nor_a_foreign_trunk_used(
    runtime: Runtime,
) -> None:
    trunk = await runtime.credential(**TRUNK)
    number = await runtime.phone_number(credentialId=trunk)
    foreign = runtime.as_key(runtime.keys["foreign"])
    body = {"assistant": {}, "phoneNumberId": number, "customer": {"number": "+493099999"}}
    answer = await foreign.post("/call", json=body)
    assert answer.status_code == 400
    assert "existing phone number" in answer.text
    mine = {"provider": "byo-phone-number", "credentialId": trunk, "number": "+493011111"}
    assert (await foreign.post("/phone-number", json=mine)).status_code == 400
    to_mine = {"provider": "vapi", "sipUri": "sip:x@h", "assistantId": await runtime.assistant()}
    assert (await foreign.post("/phone-number", json=to_mine)).status_code == 400
    assert (runtime.host.plans, runtime.telephone.dialled) == ([], [])


async def test_foreign_ids_in_a_bulk_delete_stay(runtime: Runtime) -> None:
    kept = (await runtime.call())["id"]
    foreign = runtime.as_key(runtime.keys["foreign"])
    theirs = (await foreign.post("/call", json=_CALL)).json()["id"]
    answer = await foreign.request("DELETE", f"/call/{theirs}", json={"ids": [kept]})
    assert answer.status_code == 200
    assert (await runtime.client.get(f"/call/{kept}")).status_code == 200
    assert (kept, "call-deleted") not in runtime.host.ended


async def test_a_revoked_key_opens_nothing(runtime: Runtime) -> None:
    key, secret = await runtime.services.keys.create(runtime.org_id, "short")
    headers = {"Authorization": f"Bearer {secret}"}
    anybody = runtime.as_key(None)
    assert (await anybody.get("/call", headers=headers)).status_code == 200
    await runtime.services.keys.revoke(None, key.id)
    answer = await anybody.get("/call", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "aywa_x", "Bearer \u00ff"])
async def test_a_malformed_authorization_is_a_401(runtime: Runtime, header: str) -> None:
    answer = await runtime.as_key(None).get("/call", headers={b"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401


def test_every_route_is_in_the_table_or_open() -> None:
    listed = {path for _, path, *_ in OPERATIONS} | OPEN
    quiet = {*BARE, *PAGES, "/provider/{provider}/{resource}"}
    quiet |= {f"{path}/{{item_id}}" for path in quiet}
    quiet |= {"/call/{call_id}/{side}-recording"}
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > len(OPERATIONS)
    assert {route.path for route in routes} - listed - quiet == set()
