"""The contract's Appendix C as checks of what a client sees, and for each a fault under which it must fail.

Here are those that need no audio; the others are in tests/e2e/test_conformance.py. A fault stands between the API and the client,
and spoils an answer as a careless server would.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.api.conftest import TRUNK

Asked = tuple[str, str, int, Any]
Spoil = Callable[[str, str, int, Any], tuple[int, Any]]
WEBSOCKET = {"provider": "vapi.websocket"}
OWN = {"id", "orgId", "createdAt", "updatedAt"}
PHONE: dict[str, Any] = {"number": "+493099999"}


@dataclass
class Probe:
    """Asks; an answer that is not as it should be fails the check. key: private; number: a phone number to call from."""

    http: httpx.AsyncClient
    number: str = ""

    async def ask(self, method: str, path: str, body: Any = None, status: int = 0, **more: Any) -> Any:
        """The answer's body, which must be JSON, as every 2xx (contract 2.2)."""
        answer = await self.http.request(method, path, json=body, **more)
        expected = status or {"POST": 201}.get(method, 200)
        assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        assert answer.content, f"{method} {path}: no body"
        return json.loads(answer.content)


ASSISTANT: dict[str, Any] = {
    "name": "Front desk",
    "firstMessage": "Hello {{name}}",
    "model": {
        "provider": "custom-llm",
        "url": "https://llm.example.com",
        "model": "x",
        "unheard": {"a": [1]},
    },
    "voice": {"provider": "custom-voice", "server": {"url": "https://voice.example.com"}},
    "transcriber": {"provider": "custom-transcriber", "server": {"url": "wss://ear.example.com"}},
    "silenceTimeoutSeconds": 20,
    "neverSeen": {"nested": [None, 1.5]},
    "endCallPhrases": ["goodbye"],
}


async def assistants_create(probe: Probe) -> None:
    made = await probe.ask("POST", "/assistant", ASSISTANT)
    assert made.keys() >= OWN
    for name in ("model", "voice", "transcriber"):
        assert made[name]["provider"] == ASSISTANT[name]["provider"]


async def assistants_get(probe: Probe) -> None:
    made = await probe.ask("POST", "/assistant", ASSISTANT)
    got = await probe.ask("GET", f"/assistant/{made['id']}")
    assert {name: got.get(name) for name in ASSISTANT} == ASSISTANT


async def assistants_list(probe: Probe) -> None:
    first, second = [await probe.ask("POST", "/assistant", {"name": name}) for name in ("1", "2")]
    listed = await probe.ask("GET", "/assistant?limit=2")
    assert isinstance(listed, list)
    assert [each["createdAt"] for each in listed] == sorted([e["createdAt"] for e in listed], reverse=True)
    assert {each["id"] for each in listed} == {first["id"], second["id"]}
    assert await probe.ask("GET", f"/assistant?createdAtLt={first['createdAt']}") == []


async def assistants_update(probe: Probe) -> None:
    made = await probe.ask("POST", "/assistant", ASSISTANT | {"metadata": {"a": 1, "b": 2}})
    changed = await probe.ask(
        "PATCH", f"/assistant/{made['id']}", {"metadata": {"c": 3}, "endCallPhrases": None}
    )
    assert changed["metadata"] == {"c": 3}
    assert "endCallPhrases" not in changed
    assert changed["firstMessage"] == ASSISTANT["firstMessage"]


async def errors(probe: Probe) -> None:
    for method, path, sent, status in (
        ("GET", "/assistant/none", None, 404),
        ("POST", "/assistant", {"name": "x" * 41}, 400),
    ):
        body = await probe.ask(method, path, sent, status=status)
        assert body.keys() >= {"message", "error", "statusCode"}
        assert body["statusCode"] == status
        if status == 400:
            assert [problem.split()[0] for problem in body["message"]] == ["name"]


async def bad_key(probe: Probe) -> None:
    for method in ("GET", "POST", "PATCH", "DELETE"):
        path = "/assistant" if method in ("GET", "POST") else "/assistant/x"
        await probe.ask(method, path, {}, 401, headers={"Authorization": "Bearer wrong"})


async def tools_create(probe: Probe) -> None:
    for body in (
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        {"type": "apiRequest", "method": "GET", "url": "https://example.com"},
        {"type": "transferCall", "destinations": [{"type": "number", "number": "+493012345"}]},
        {"type": "endCall"},
        {"type": "mcp", "server": {"url": "https://example.com"}},
    ):
        made = await probe.ask("POST", "/tool", body)
        assert {name: made.get(name) for name in body} == body


async def tools_lifecycle(probe: Probe) -> None:
    made = await probe.ask("POST", "/tool", {"type": "dtmf"})
    assert (await probe.ask("PATCH", f"/tool/{made['id']}", {"sipInfoDtmfEnabled": True}))[
        "sipInfoDtmfEnabled"
    ]
    assert made["id"] in {each["id"] for each in await probe.ask("GET", "/tool")}
    assert (await probe.ask("DELETE", f"/tool/{made['id']}"))["id"] == made["id"]
    await probe.ask("GET", f"/tool/{made['id']}", status=404)


async def trunk(probe: Probe) -> None:
    made = await probe.ask("POST", "/credential", TRUNK)
    number = {"provider": "byo-phone-number", "number": "+493055555", "credentialId": made["id"]}
    bought = await probe.ask("POST", "/phone-number", number)
    assert (bought["provider"], bought["credentialId"]) == (number["provider"], made["id"])
    assert "trunk-password" not in json.dumps(await probe.ask("GET", f"/credential/{made['id']}"))
    await probe.ask("DELETE", f"/phone-number/{bought['id']}")
    await probe.ask("DELETE", f"/credential/{made['id']}")


async def pages(probe: Probe) -> None:
    paths = "v2/phone-number chat session campaign structured-output eval reporting/insight reporting/board"
    for path in paths.split():
        page = await probe.ask("GET", f"/{path}")
        assert isinstance(page["results"], list)
        assert {"itemsPerPage", "totalItems", "currentPage"} <= page["metadata"].keys()


async def squads(probe: Probe) -> None:
    stored = await probe.ask("POST", "/assistant", {"name": "Booking"})
    members = [
        {
            "assistant": {"name": "Desk"},
            "assistantOverrides": {"tools:append": [{"type": "endCall"}]},
            "assistantDestinations": [{"type": "assistant", "assistantName": "Booking"}],
        },
        {"assistantId": stored["id"]},
    ]
    made = await probe.ask("POST", "/squad", {"members": members})
    assert made["members"] == members
    call = await probe.ask("POST", "/call", {"squadId": made["id"], "transport": WEBSOCKET})
    assert call["squadId"] == made["id"]


async def websocket_call(probe: Probe) -> None:
    call = await probe.ask("POST", "/call", {"assistant": ASSISTANT, "transport": WEBSOCKET})
    assert (call["type"], call["status"]) == ("vapi.websocketCall", "queued")
    assert call["transport"]["provider"] == "vapi.websocket"
    assert call["transport"]["websocketCallUrl"].startswith("ws")


async def nothing(probe: Probe) -> None:
    body = await probe.ask("POST", "/call", {}, 400)
    assert body["error"] == "Bad Request"
    assert isinstance(body["message"], list)


async def batch(probe: Probe) -> None:
    customers = [PHONE, {"number": "+493088888"}, {"number": "not a number"}]
    asked = {"assistant": ASSISTANT, "phoneNumberId": probe.number, "customers": customers}
    answered = await probe.ask("POST", "/call", asked)
    assert [call["customer"]["number"] for call in answered["results"]] == ["+493099999", "+493088888"]
    assert len({call["id"] for call in answered["results"]}) == 2
    assert [error["customer"] for error in answered["errors"]] == [{"number": "not a number"}]
    assert all(isinstance(error["error"], str) and error["error"] for error in answered["errors"])


async def schedule(probe: Probe) -> None:
    asked = {"assistant": ASSISTANT, "phoneNumberId": probe.number, "customer": PHONE}
    # Within the year for which a call may be planned.
    later = asked | {"schedulePlan": {"earliestAt": (await _now(probe))[:4] + "-12-31T23:00:00.000Z"}}
    call = await probe.ask("POST", "/call", later)
    assert call["status"] == "scheduled"
    assert (await probe.ask("DELETE", f"/call/{call['id']}", {}))["id"] == call["id"]


async def _now(probe: Probe) -> str:
    return str((await probe.ask("POST", "/assistant", {}))["createdAt"])


async def call_filters(probe: Probe) -> None:
    stored = await probe.ask("POST", "/assistant", {"name": "a"})
    one = await probe.ask("POST", "/call", {"assistantId": stored["id"], "transport": WEBSOCKET})
    other = await probe.ask("POST", "/call", {"assistant": {}, "transport": WEBSOCKET})
    for query in (f"id={one['id']}", f"assistantId={stored['id']}"):
        assert [call["id"] for call in await probe.ask("GET", f"/call?{query}")] == [one["id"]]
    listed = await probe.ask("GET", f"/call?createdAtGe={one['createdAt']}")
    assert {call["id"] for call in listed} == {one["id"], other["id"]}
    assert (await probe.ask("PATCH", f"/call/{one['id']}", {"name": "First"}))["name"] == "First"


async def sweep(probe: Probe) -> None:
    assert (await probe.ask("GET", "/chat"))["results"] == []
    assert (await probe.ask("GET", "/session"))["results"] == []
    file = await probe.http.post("/file", files={"file": ("a.txt", b"text")}, data={"purpose": "assistant"})
    assert (file.status_code, file.json()["bytes"]) == (201, 4)
    assert file.json()["id"] in {each["id"] for each in await probe.ask("GET", "/file?purpose=assistant")}
    query = {
        "name": "n",
        "table": "call",
        "operations": [{"operation": "count", "column": "id", "alias": "c"}],
    }
    answered = await probe.ask("POST", "/analytics", {"queries": [query]})
    assert answered[0]["name"] == "n"
    assert isinstance(answered[0]["result"][0]["c"], int)
    web = await probe.ask("POST", "/call/web", {"assistant": ASSISTANT})
    assert web["webCallUrl"].startswith("http")
    assert web["assistant"]["voice"]["provider"] == "custom-voice"
    assert isinstance(web["transport"]["callToken"], str)


def _answers(method: str, path: str, change: Callable[[Any], Any]) -> Spoil:
    """Spoils the body of the answers to these requests."""

    def spoil(asked: str, where: str, status: int, body: Any) -> tuple[int, Any]:
        hit = asked == method and where.startswith(path) and status < 400
        return (status, change(body)) if hit else (status, body)

    return spoil


def _status(wanted: int, other: int) -> Spoil:
    """Answers with another status."""
    return lambda _method, _path, status, body: (other if status == wanted else status, body)


def _without(*names: str) -> Callable[[Any], Any]:
    return lambda body: {name: value for name, value in body.items() if name not in names}


def _errors_as(change: Callable[[Any], Any]) -> Spoil:
    return lambda _method, _path, status, body: (status, change(body) if status >= 400 else body)


CHECKS: dict[int, tuple[Callable[[Probe], Awaitable[None]], Spoil]] = {
    1: (assistants_create, _answers("POST", "/assistant", lambda b: b | {"model": {"provider": "ours"}})),
    2: (assistants_get, _answers("GET", "/assistant/", _without("neverSeen"))),
    3: (assistants_list, _answers("GET", "/assistant", lambda b: {"results": b})),
    4: (assistants_update, _answers("PATCH", "/assistant", lambda b: b | {"metadata": {"a": 1, "c": 3}})),
    5: (errors, _errors_as(lambda body: {"detail": body["message"]})),
    6: (bad_key, _status(401, 403)),
    7: (tools_create, _answers("POST", "/tool", _without("function"))),
    8: (
        tools_lifecycle,
        lambda method, _path, status, body: (204, None) if method == "DELETE" else (status, body),
    ),
    9: (trunk, _answers("POST", "/phone-number", _without("credentialId"))),
    10: (pages, _answers("GET", "/chat", lambda b: b["results"])),
    11: (squads, _answers("POST", "/squad", lambda b: b | {"members": b["members"][:1]})),
    12: (websocket_call, _answers("POST", "/call", lambda b: b | {"transport": {"provider": "ours"}})),
    17: (nothing, _status(400, 500)),
    18: (batch, _answers("POST", "/call", lambda b: b | {"errors": []})),
    19: (schedule, _answers("POST", "/call", lambda b: b | {"status": "queued"})),
    20: (call_filters, _answers("GET", "/call", lambda b: b[::-1] + b[:1])),
    25: (sweep, _answers("POST", "/call/web", _without("webCallUrl"))),
}
"""The contract's number of a check -> the check, and what it must notice."""
