"""Idempotency-Key: whatever a client creates is made once, however often it asks; each kind of thing by itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import Runtime

MADE: dict[str, dict[str, Any]] = {
    "/assistant": {"name": "Desk"},
    "/tool": {"type": "endCall"},
    "/squad": {"members": [{"assistant": {"name": "Desk"}}]},
    "/credential": {"provider": "openai", "apiKey": "planted"},
    "/phone-number": {"provider": "vapi", "sipUri": "sip:desk@host"},
}
EACH = pytest.mark.parametrize("path", MADE)


async def make(runtime: Runtime, path: str, name: str = "k", **more: Any) -> httpx.Response:
    return await runtime.client.post(path, json=MADE[path] | more, headers={"Idempotency-Key": name})


@EACH
async def test_what_is_asked_for_again_is_there_once(runtime: Runtime, path: str) -> None:
    first = await make(runtime, path)
    assert first.status_code == 201, first.text
    again = [await make(runtime, path) for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in again] == [(201, first.json())] * 2
    listed = (await runtime.client.get(path)).json()
    assert [each["id"] for each in listed] == [first.json()["id"]]


@EACH
async def test_of_many_at_once_one_makes_it(runtime: Runtime, path: str) -> None:
    answers = await asyncio.gather(*(make(runtime, path) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await runtime.client.get(path)).json()) == 1


@EACH
async def test_another_body_under_the_same_name_is_refused(runtime: Runtime, path: str) -> None:
    first = (await make(runtime, path)).json()
    answer = await make(runtime, path, ours="other")
    assert answer.status_code == 400
    assert answer.json()["message"] == ["Idempotency-Key must not be used again with another body"]
    assert [each["id"] for each in (await runtime.client.get(path)).json()] == [first["id"]]


async def test_the_answer_is_what_it_is_now_and_what_was_deleted_is_made_anew(runtime: Runtime) -> None:
    first = (await make(runtime, "/assistant")).json()
    changed = (await runtime.client.patch(f"/assistant/{first['id']}", json={"firstMessage": "Hi"})).json()
    assert (await make(runtime, "/assistant")).json() == changed
    await runtime.client.delete(f"/assistant/{first['id']}")
    assert (await make(runtime, "/assistant")).json()["id"] != first["id"]


async def test_a_name_is_another_one_for_another_kind_and_another_key(runtime: Runtime) -> None:
    ids = {(await make(runtime, path)).json()["id"] for path in ("/assistant", "/tool")}
    _, secret = await runtime.services.keys.create(runtime.org_id, "second")
    other = {"Idempotency-Key": "k", "Authorization": f"Bearer {secret}"}
    ids.add((await runtime.client.post("/assistant", json=MADE["/assistant"], headers=other)).json()["id"])
    assert len(ids) == 3


async def test_a_name_is_forgotten_after_a_day(runtime: Runtime) -> None:
    first = (await make(runtime, "/assistant")).json()
    assistants = runtime.services.assistants
    now = assistants._clock()
    assistants._clock = lambda: now + 24 * 3600 * 1000 + 1_000
    assert (await make(runtime, "/assistant")).json()["id"] != first["id"]


@pytest.mark.parametrize("name", ["", "k" * 256])
async def test_a_name_has_a_length(runtime: Runtime, name: str) -> None:
    answer = await make(runtime, "/assistant", name)
    assert answer.status_code == 400
    assert "Idempotency-Key" in json.dumps(answer.json())


async def test_a_file_is_kept_once(runtime: Runtime) -> None:
    async def upload(content: bytes, boundary: str) -> httpx.Response:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'.encode()
        )
        body = head + content + f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Idempotency-Key": "k",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        }
        return await runtime.client.post("/file", content=body, headers=headers)

    first = await upload(b"open until six", "one")
    assert first.status_code == 201, first.text
    again = await upload(b"open until six", "two")
    assert again.json() == first.json()
    assert (await upload(b"open until ten", "one")).status_code == 400
    assert len((await runtime.client.get("/file")).json()) == 1
    content = await runtime.client.get(f"/file/{first.json()['id']}/content")
    assert content.content == b"open until six"


async def test_a_number_that_is_taken_is_still_refused(runtime: Runtime) -> None:
    assert (await make(runtime, "/phone-number")).status_code == 201
    answer = await make(runtime, "/phone-number", "other")
    assert answer.status_code == 400
    assert "must be another" in answer.json()["message"][0]
