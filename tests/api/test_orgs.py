"""/org: the organisation's account webhook and its policy; nobody else's, and no secret comes out."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.conftest import Runtime

SERVER = {"url": "https://example.com/hook", "secret": "planted", "headers": {"X-Key": "planted"}}


async def changed(runtime: Runtime, body: Any, org: str | None = None) -> httpx.Response:
    return await runtime.client.patch(f"/org/{org or runtime.org_id}", json=body)


async def test_an_organisation_without_settings(runtime: Runtime) -> None:
    (listed,) = (await runtime.client.get("/org")).json()
    got = (await runtime.client.get(f"/org/{runtime.org_id}")).json()
    assert listed == got
    assert (got["id"], got["name"], got["webhookPolicy"]) == (runtime.org_id, "default", "fallback")
    assert got["createdAt"].endswith("Z")
    assert "server" not in got
    assert (await runtime.services.org_settings.account(runtime.org_id)).server is None


async def test_its_account_webhook(runtime: Runtime) -> None:
    answer = await changed(runtime, {"server": SERVER, "webhookPolicy": "fan-out", "name": "x", "more": 1})
    assert answer.status_code == 200, answer.text
    assert "planted" not in answer.text
    body = answer.json()
    assert (body["server"], body["webhookPolicy"], body["name"]) == (
        {"url": SERVER["url"]},
        "fan-out",
        "default",
    )
    assert body["more"] == 1
    account = await runtime.services.org_settings.account(runtime.org_id)
    assert (account.server, account.policy) == (SERVER, "fan-out")
    # What is not sent stays; and so does a secret of what is.
    await changed(runtime, {"server": {"url": "https://example.com/other"}})
    account = await runtime.services.org_settings.account(runtime.org_id)
    assert (account.server, account.policy) == (SERVER | {"url": "https://example.com/other"}, "fan-out")
    assert "planted" not in (await runtime.client.get("/org")).text
    cleared = (await changed(runtime, {"server": None, "webhookPolicy": None})).json()
    assert "server" not in cleared
    assert cleared["webhookPolicy"] == "fallback"
    assert (await runtime.services.org_settings.account(runtime.org_id)).server is None


async def test_two_first_changes_at_once(runtime: Runtime) -> None:
    answers = await asyncio.gather(
        changed(runtime, {"webhookPolicy": "precedence"}), changed(runtime, {"server": SERVER})
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    account = await runtime.services.org_settings.account(runtime.org_id)
    assert (account.server, account.policy) == (SERVER, "precedence")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "body must be an object"),
        ({"webhookPolicy": "all"}, "webhookPolicy must be one of"),
        ({"server": "x"}, "server must be an object"),
        ({"server": {"url": "ftp://x"}}, "server.url must be a URL"),
        ({"server": {"secret": "planted"}}, "server.url must be a URL"),
        ({"server": SERVER | {"timeoutSeconds": 0}}, "server.timeoutSeconds must"),
    ],
)
async def test_what_is_wrong_is_named(runtime: Runtime, body: Any, problem: str) -> None:
    answer = await changed(runtime, body)
    assert answer.status_code == 400
    assert any(text.startswith(problem) for text in answer.json()["message"]), answer.text
    assert "planted" not in answer.text


async def test_another_organisation_s_is_not_there(runtime: Runtime) -> None:
    await changed(runtime, {"server": SERVER})
    foreign = runtime.as_key(runtime.keys["foreign"])
    assert (await foreign.get(f"/org/{runtime.org_id}")).status_code == 404
    assert (await foreign.patch(f"/org/{runtime.org_id}", json={"server": None})).status_code == 404
    assert "server" not in (await foreign.get("/org")).json()[0]
    assert (await runtime.as_key(runtime.keys["public"]).get("/org")).status_code == 403
    assert (await runtime.as_key(None).get("/org")).status_code == 401
    assert (await runtime.services.org_settings.account(runtime.org_id)).server == SERVER
