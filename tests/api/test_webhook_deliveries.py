"""/webhook-delivery, /webhook-endpoint: what became of each message, sending it again, servers that answered 410."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.core.webhooks import Endpoint
from tests.api.conftest import Runtime

TIME = "2023-11-14T22:13:20.000Z"


async def listed(runtime: Runtime, **query: Any) -> list[str]:
    answer = await runtime.client.get("/webhook-delivery", params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()]


async def replayed(runtime: Runtime, **body: Any) -> list[str]:
    answer = await runtime.client.post("/webhook-delivery/replay", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["hasMore"] is False
    return list(answer.json()["replayed"])


async def test_a_delivery_is_told_with_every_attempt_and_without_secrets(runtime: Runtime) -> None:
    await runtime.delivery(call_id="call-1")
    answer = await runtime.client.get("/webhook-delivery/msg_1")
    assert "planted" not in answer.text
    body = answer.json()
    assert {
        name: body[name] for name in ("id", "type", "status", "attemptCount", "replayCount", "callId")
    } == {
        "id": "msg_1",
        "type": "hang",
        "status": "failed",
        "attemptCount": 1,
        "replayCount": 0,
        "callId": "call-1",
    }
    assert (body["createdAt"], body["problem"]) == (TIME, "status_410")
    assert body["url"] == "https://gone.example/?key=…"
    assert body["body"] == {"message": {"type": "hang"}}
    assert body["endpoints"] == [{"url": body["url"], "timeoutSeconds": 20.0}]
    [attempt] = body["attempts"]
    assert attempt == {
        "number": 1,
        "url": body["url"],
        "startedAt": "1970-01-01T00:00:00.001Z",
        "endedAt": "1970-01-01T00:00:00.005Z",
        "cause": "answered",
        "request": {"headers": {"authorization": "[redacted]"}},
        "response": {"status": 410, "headers": {"server": "x"}, "body": "gone"},
        "times": {"dnsMs": 1.0},
    }
    [short] = (await runtime.client.get("/webhook-delivery")).json()
    assert short == {
        name: value for name, value in body.items() if name not in ("body", "endpoints", "attempts")
    }


async def test_lists_are_filtered(runtime: Runtime) -> None:
    await runtime.delivery("a", call_id="call-1")
    await runtime.delivery("b", kind="transcript", created_ms=1_700_000_001_000)
    assert await listed(runtime) == ["b", "a"]
    assert await listed(runtime, limit=1) == ["b"]
    assert await listed(runtime, type="hang") == ["a"]
    assert await listed(runtime, callId="call-1") == ["a"]
    assert await listed(runtime, status="waiting") == []
    assert await listed(runtime, createdAtLe=TIME) == ["a"]
    answer = await runtime.client.get("/webhook-delivery", params={"status": "gone", "limit": "1"})
    assert answer.status_code == 400
    assert "status" in answer.text


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"ids": ["a"]}, ["a"]),
        ({"callId": "call-1"}, ["a"]),
        ({"failedSince": "2023-11-14T22:13:21.000Z"}, ["b"]),
        ({"failedSince": TIME}, ["b", "a"]),
        ({"createdAtGe": TIME, "createdAtLt": "2023-11-14T22:13:21Z"}, ["a"]),
        ({"createdAtGt": TIME}, ["b"]),
        ({"failedSince": TIME, "type": "hang"}, ["a"]),
        ({"createdAtLe": TIME, "status": "delivered"}, []),
        ({"ids": ["nobody"]}, []),
    ],
)
async def test_what_is_over_is_sent_again(runtime: Runtime, body: dict[str, Any], ids: list[str]) -> None:
    await runtime.delivery("a", call_id="call-1")
    await runtime.delivery("b", kind="transcript", created_ms=1_700_000_001_000)
    assert await replayed(runtime, **body) == ids
    for one in ids:
        kept = (await runtime.client.get(f"/webhook-delivery/{one}")).json()
        assert (kept["status"], kept["replayCount"]) == ("waiting", 1)
        assert "nextAttemptAt" in kept


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "needs one of"),
        ({"status": "failed"}, "needs one of"),
        ({"ids": []}, "ids must contain"),
        ({"ids": ["x"] * 1001}, "ids must contain"),
        ({"failedSince": "yesterday"}, "failedSince must be a valid ISO 8601"),
        ({"ids": [7], "createdAtGe": 3}, "createdAtGe must be a string"),
        ({"ids": ["x"], "status": "waiting"}, "status must be one of"),
        ([], "must be an object"),
    ],
)
async def test_a_bad_replay_is_told_what_is_wrong(runtime: Runtime, body: Any, path: str) -> None:
    answer = await runtime.client.post("/webhook-delivery/replay", json=body)
    assert answer.status_code == 400, answer.text
    assert path in answer.text


async def test_a_server_that_answered_410_is_listed_and_enabled(runtime: Runtime) -> None:
    await runtime.delivery()
    [one] = (await runtime.client.get("/webhook-endpoint/disabled")).json()
    assert one == {"url": "https://gone.example:443/", "disabledAt": "1970-01-01T00:00:00.005Z"}
    url = {"url": "https://GONE.example/?key=other"}
    answer = await runtime.client.post("/webhook-endpoint/enable", json=url)
    assert answer.json() == {"url": "https://gone.example:443/", "enabled": True}
    assert (await runtime.client.post("/webhook-endpoint/enable", json=url)).status_code == 404
    assert (await runtime.client.post("/webhook-endpoint/enable", json={})).status_code == 400
    assert (await runtime.client.get("/webhook-endpoint/disabled")).json() == []


async def test_an_address_that_is_none_is_shown_as_such(runtime: Runtime) -> None:
    await runtime.delivery(endpoints=(Endpoint("http://[bad"),))
    assert (await runtime.client.get("/webhook-delivery/msg_1")).json()["url"] == "(no address)"
