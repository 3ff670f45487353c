"""Who may do what: every operation x own key, foreign key, public key, none. Nothing foreign is read or written."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute

from aywa.api.app import ROUTERS
from aywa.api.other_lists import BARE, PAGES
from tests.api.conftest import TRUNK, Runtime

_CALL = {"assistant": {"firstMessage": "Hello"}, "transport": {"provider": "vapi.websocket"}}

FORM = {"file": ("hours.txt", b"open until six", "text/plain")}
"""A body that is sent as a form."""

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
    ("GET", "/org", None, 200, 200),
    ("GET", "/org/{org_id}", None, 200, 404),
    ("PATCH", "/org/{org_id}", {"server": {"url": "https://example.com/h"}}, 200, 404),
    ("GET", "/providers", None, 200, 200),
    ("POST", "/providers/check", {"provider": "openai"}, 200, 200),
    ("GET", "/trunks", None, 200, 200),
    ("POST", "/tool", {"type": "endCall"}, 201, 201),
    ("GET", "/tool", None, 200, 200),
    ("GET", "/tool/{tool_id}", None, 200, 404),
    ("PATCH", "/tool/{tool_id}", {"messages": []}, 200, 404),
    ("DELETE", "/tool/{tool_id}", None, 200, 404),
    ("POST", "/squad", {"members": [{"assistant": {}}]}, 201, 201),
    ("GET", "/squad", None, 200, 200),
    ("GET", "/squad/{squad_id}", None, 200, 404),
    ("PATCH", "/squad/{squad_id}", {"name": "m"}, 200, 404),
    ("DELETE", "/squad/{squad_id}", None, 200, 404),
    ("POST", "/file", FORM, 201, 201),
    ("POST", "/file/upload", FORM, 201, 201),
    ("GET", "/file", None, 200, 200),
    ("GET", "/file/{file_id}", None, 200, 404),
    ("GET", "/file/{file_id}/content", None, 200, 404),
    ("PATCH", "/file/{file_id}", {"name": "m"}, 200, 404),
    ("DELETE", "/file/{file_id}", None, 200, 404),
    ("POST", "/analytics", {"queries": []}, 201, 201),
    ("GET", "/webhook-delivery", None, 200, 200),
    ("GET", "/webhook-delivery/{delivery_id}", None, 200, 404),
    ("POST", "/webhook-delivery/replay", {"ids": ["{delivery_id}"]}, 200, 200),
    ("GET", "/webhook-endpoint/disabled", None, 200, 200),
    ("POST", "/webhook-endpoint/enable", {"url": "https://gone.example/"}, 200, 404),
    ("GET", "/eval", None, 200, 200),
    ("GET", "/eval/x", None, 404, 404),
    ("GET", "/chat", None, 200, 200),
]
OPEN = {"/health", "/healthz", "/readyz", "/docs", "/openapi.json", "/", "/talk/config.json"}
OPEN |= {"/artifact/{call_id}/{token}/{name}"}
# An address that nobody can guess, and that dies with its call (contract 15.1).
OPEN |= {"/live/{call_id}/{key}/control"}
# A vendor's signature opens these, and no key of ours does.
OPEN |= {"/inbound/{vendor}/{phone_number_id}", "/inbound/{vendor}/{phone_number_id}/{step}"}
# The operator's, with a door of their own: test_metrics.
OPEN |= {"/metrics", "/metrics.json"}


@pytest.mark.parametrize(("method", "path", "body", "own", "foreign"), OPERATIONS)
async def test_every_operation_with_every_kind_of_key(
    runtime: Runtime, method: str, path: str, body: Any, own: int, foreign: int
) -> None:
    names = {
        "assistant_id": await runtime.assistant(),
        "call_id": (await runtime.call())["id"],
        "credential_id": await runtime.credential(),
        "phone_number_id": await runtime.phone_number(sipUri="sip:demo@host"),
        "tool_id": await runtime.tool(),
        "squad_id": await runtime.squad(),
        "file_id": await runtime.file(),
        "delivery_id": await runtime.delivery(),
        "org_id": runtime.org_id,
    }
    before = await _all(runtime)
    public = 201 if path == "/call/web" else 403
    for key, status in (("foreign", foreign), ("public", public), (None, 401), ("wrong", 401), ("own", own)):
        headers = {"Authorization": "Bearer aywa_wrong"} if key == "wrong" else {}
        client = runtime.as_key(None if key in (None, "wrong") else runtime.keys[str(key)])
        # A SIP URI is one number's in the whole runtime, whose ever that is.
        sent = body | {"sipUri": f"sip:{key}@host"} if body and "sipUri" in body else body
        if body and "ids" in body:
            sent = {"ids": [names["delivery_id"]]}
        sent = {"files": FORM} if body is FORM else {"json": sent}
        answer = await client.request(method, path.format(**names), headers=headers, **sent)
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


_LISTS: tuple[str, ...] = ("/assistant", "/call", "/credential", "/phone-number", "/tool", "/squad", "/file")
_LISTS += ("/org", "/webhook-delivery", "/webhook-endpoint/disabled")


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
