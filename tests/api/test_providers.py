"""GET /providers and POST /providers/check: for private keys, without secrets, and with the keys of the one who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aywa.core.route_health import RouteStatus
from aywa.ports.calls import ProviderKey
from aywa.ports.providers import RouteCheck, WhatToCheck
from aywa.service.providers import ProviderUse
from tests.api.conftest import Runtime


@dataclass
class Routes:
    """Remembers what it was asked."""

    asked: list[tuple[WhatToCheck, Mapping[str, ProviderKey]]] = field(default_factory=list)

    def statuses(self, org_id: str) -> Sequence[RouteStatus]:
        return [
            RouteStatus("openai/gpt-4.1", "open", 90.0, 1, 30, 4, "unavailable", 0.25, 0.61234),
            RouteStatus("openai/gpt-4o", "closed", 0.0, 0, 1, 0, "", None, None),
        ]

    def now_s(self) -> float:
        return 100.0

    async def check(self, what: WhatToCheck, keys: Mapping[str, ProviderKey]) -> Sequence[RouteCheck]:
        self.asked.append((what, keys))
        return [RouteCheck("model", "openai", "openai/x", ok=True, first_s=0.1234, source="env")]


@pytest.fixture
def routes(runtime: Runtime) -> Routes:
    made = Routes()
    services = runtime.services
    use = ProviderUse(made, services.assistants, services.credentials, lambda: 1_767_225_610_000)
    runtime.app.state.services = replace(services, providers=use)
    return made


async def test_the_routes_are_told(runtime: Runtime, routes: Routes) -> None:
    assert (await runtime.client.get("/providers")).json() == [
        {
            "route": "openai/gpt-4.1",
            "circuit": "open",
            "since": "2026-01-01T00:00:00.000Z",
            "active": 1,
            "requests": 30,
            "failures": 4,
            "lastCode": "unavailable",
            "firstP50Ms": 250.0,
            "firstP95Ms": 612.3,
        },
        {
            "route": "openai/gpt-4o",
            "circuit": "closed",
            "since": None,
            "active": 0,
            "requests": 1,
            "failures": 0,
            "lastCode": "",
            "firstP50Ms": None,
            "firstP95Ms": None,
        },
    ]


async def test_without_a_process_that_asks_there_are_none(runtime: Runtime) -> None:
    assert (await runtime.client.get("/providers")).json() == []
    assert (await runtime.client.post("/providers/check", json={})).json() == []


async def test_only_private_keys_may(runtime: Runtime, routes: Routes) -> None:
    for secret, status in ((runtime.keys["public"], 403), (None, 401)):
        stranger = runtime.as_key(secret)
        assert (await stranger.get("/providers")).status_code == status
        assert (await stranger.post("/providers/check", json={})).status_code == status
    assert routes.asked == []


async def test_a_check_uses_the_keys_of_who_asks(runtime: Runtime, routes: Routes) -> None:
    await runtime.credential(apiKey="sk-planted", baseUrl="http://ours/v1")
    answer = await runtime.client.post("/providers/check", json={"provider": "openai", "model": "m"})
    assert answer.json() == [
        {
            "part": "model",
            "provider": "openai",
            "route": "openai/x",
            "ok": True,
            "firstMs": 123.4,
            "code": "",
            "message": "",
            "mend": "",
            "source": "env",
        }
    ]
    what, keys = routes.asked[-1]
    assert what == WhatToCheck(None, "openai", "m")
    assert (keys["openai"].key, keys["openai"].base_url) == ("sk-planted", "http://ours/v1")
    theirs = runtime.as_key(runtime.keys["foreign"])
    assert (await theirs.post("/providers/check", json={"timeoutSeconds": 2})).status_code == 200
    assert routes.asked[-1] == (WhatToCheck(timeout_s=2), {})


async def test_an_assistant_is_checked_by_id_or_as_it_is(runtime: Runtime, routes: Routes) -> None:
    model = {"provider": "openai", "model": "gpt-4.1"}
    inline = [{"provider": "openai", "apiKey": "sk-inline"}]
    document: dict[str, Any] = {"model": model, "credentials": inline}
    stored = await runtime.assistant(**document)
    for body in ({"assistantId": stored}, {"assistant": document}):
        assert (await runtime.client.post("/providers/check", json=body)).status_code == 200
        what, keys = routes.asked[-1]
        assert what.assistant is not None
        assert what.assistant["model"] == model
        assert keys["openai"].key == "sk-inline"
        assert "sk-inline" not in repr(what)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "body must be an object, got an array of 0"),
        ({"timeoutSeconds": 0}, "timeoutSeconds must not be less than 0.1, got 0"),
        ({"timeoutSeconds": 61}, "timeoutSeconds must not be greater than 60, got 61"),
        ({"provider": 1}, "provider must be a string, got 1"),
        ({"assistantId": "x", "assistant": {}}, "one of assistantId and assistant is enough"),
        ({"assistantId": "x"}, 'assistantId must be the id of an existing assistant, got "x"'),
        ({"assistant": {"name": 1}}, "name must be a string, got 1"),
    ],
)
async def test_a_bad_request_is_told(runtime: Runtime, routes: Routes, body: Any, message: str) -> None:
    answer = await runtime.client.post("/providers/check", json=body)
    assert answer.status_code == 400
    assert message in str(answer.json()["message"])
    assert routes.asked == []
