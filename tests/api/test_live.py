"""POST to a call's controlUrl, and how its document shows the addresses. The call host takes notes and runs nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.api.app import create_app
from aywa.ports.calls import LiveKeys, SteeringRefused
from aywa.ports.store import Store
from aywa.service.live import Monitors
from aywa.service.services import LiveParts, Services, join_services
from tests.api.conftest import SETTINGS, RememberingHost

BASE = "http://localhost:8080"
SAY = {"type": "say", "content": "Hello."}


@dataclass
class LiveHost(RememberingHost):
    """A host whose calls can be steered: notes what was asked."""

    asked: list[tuple[str, Mapping[str, Any], str]] = field(default_factory=list)
    refuses: SteeringRefused | None = None

    def live(self, call_id: str) -> tuple[str, LiveKeys] | None:
        plan = next((plan for plan in self.plans if plan.call_id == call_id), None)
        return None if plan is None else (plan.org_id, plan.live)

    def steer(self, call_id: str, message: Mapping[str, Any], who: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append((call_id, message, who))


@dataclass
class Site:
    """The API with such a host. client: nobody in particular; own, public, foreign: keys."""

    client: httpx.AsyncClient
    host: LiveHost
    services: Services
    own: str
    public: str
    foreign: str

    async def call(self, path: str = "/call", key: str = "", **assistant: Any) -> dict[str, Any]:
        body: dict[str, Any] = {"assistant": {"firstMessage": "Hello"} | assistant}
        if path == "/call":
            body["transport"] = {"provider": "vapi.websocket"}
        answer = await self.client.post(path, json=body, headers=bearer(key or self.own))
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def control(self, call: Mapping[str, Any], message: Any, key: str = "") -> httpx.Response:
        return await self.client.post(
            call["monitor"]["controlUrl"], json=message, headers=bearer(key) if key else {}
        )


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
async def site(store: Store) -> AsyncIterator[Site]:
    host = LiveHost()
    monitors = Monitors(lambda: "ws://localhost:8081", lambda: "http://api.example")
    services = join_services(store, host, vault=AesGcmVault(bytes(32)), live=LiveParts(host, monitors))
    org = await services.orgs.default()
    foreign = await services.orgs.create("foreign")
    keys = [
        (await services.keys.create(org_id, name, kind))[1]
        for org_id, name, kind in (
            (org.id, "own", "private"),
            (org.id, "page", "public"),
            (foreign.id, "x", "private"),
        )
    ]
    transport = httpx.ASGITransport(create_app(services, SETTINGS), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield Site(client, host, services, *keys)


async def test_a_call_shows_where_it_is_listened_to_and_steered(site: Site) -> None:
    call = await site.call()
    live = site.host.plans[0].live
    assert call["monitor"] == {
        "listenUrl": f"ws://localhost:8081/live/{call['id']}/{live.listen}/listen",
        "controlUrl": f"{BASE}/live/{call['id']}/{live.control}/control",
    }
    read = await site.client.get(f"/call/{call['id']}", headers=bearer(site.own))
    assert read.json()["monitor"] == call["monitor"]
    assert site.host.plans[0].call["monitor"] == call["monitor"]


async def test_a_page_that_calls_is_not_told(site: Site) -> None:
    call = await site.call("/call/web", site.public)
    assert "monitor" not in call
    read = await site.client.get(f"/call/{call['id']}", headers=bearer(site.own))
    assert set(read.json()["monitor"]) == {"listenUrl", "controlUrl"}


async def test_the_address_is_the_key(site: Site) -> None:
    call = await site.call()
    answer = await site.control(call, SAY)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    (asked,) = site.host.asked
    assert asked == (call["id"], SAY, "127.0.0.1")


async def test_an_address_that_is_wrong_or_over_is_not_there(site: Site) -> None:
    call = await site.call()
    url = call["monitor"]["controlUrl"]
    for wrong in (url.replace("/control", "x/control"), f"{BASE}/live/{call['id']}/x/control"):
        answer = await site.client.post(wrong, json=SAY)
        assert answer.status_code == 404
        assert answer.json()["error"] == "Not Found"
    site.host.plans.clear()
    assert (await site.control(call, SAY)).status_code == 404
    assert (await site.client.get(url)).status_code == 405


async def test_where_a_key_is_wanted_any_of_the_organisations_does(site: Site) -> None:
    call = await site.call(monitorPlan={"controlAuthenticationEnabled": True})
    for key, status in (("", 401), ("aywa_x", 401), (site.foreign, 403), (site.public, 200), (site.own, 200)):
        assert (await site.control(call, SAY, key)).status_code == status
    assert [who for _, _, who in site.host.asked] == ["page from 127.0.0.1", "own from 127.0.0.1"]


async def test_what_is_wrong_with_a_control_is_named(site: Site) -> None:
    call = await site.call()
    wrong: list[Any] = [{"type": "dance"}, {"type": "say", "content": 5}, [], "x", None]
    for message in wrong:
        answer = await site.control(call, message)
        assert answer.status_code == 400, message
        assert isinstance(answer.json()["message"], list)
    broken = await site.client.post(call["monitor"]["controlUrl"], content=b"{")
    assert broken.status_code == 400
    long = await site.control(call, {"type": "say", "content": "x" * 300_000})
    assert long.status_code == 413
    assert site.host.asked == []


@pytest.mark.parametrize("status", [400, 429])
async def test_what_cannot_be_asked_now_is_said(site: Site, status: int) -> None:
    call = await site.call()
    site.host.refuses = SteeringRefused("not now", status)
    answer = await site.control(call, SAY)
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) is (status == 429)
    assert "not now" in answer.text


async def test_any_page_may_steer_with_the_address(site: Site) -> None:
    call = await site.call()
    headers = {"Origin": "https://desk.example", "Access-Control-Request-Method": "POST"}
    answer = await site.client.options(call["monitor"]["controlUrl"], headers=headers)
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_nobody_says_what_the_monitor_is(site: Site) -> None:
    body = {
        "assistant": {"monitorPlan": {"listenEnabled": False, "controlEnabled": False}},
        "transport": {"provider": "vapi.websocket"},
        "monitor": {"listenUrl": "ws://evil.example"},
    }
    answer = await site.client.post("/call", json=body, headers=bearer(site.own))
    assert "evil" not in answer.text


async def test_a_runtime_without_calls_to_steer_has_no_such_address(runtime: Any) -> None:
    answer = await runtime.client.post("/live/a/b/control", json=SAY)
    assert answer.status_code == 404
