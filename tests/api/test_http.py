"""What holds for every operation: error bodies, limits, what JSON is taken, CORS, health, descriptions, the talk page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from aywa.api.app import create_app
from aywa.api.health import Check
from aywa.api.settings import ApiSettings
from aywa.ports.journal import StoreUnavailable
from tests.api.conftest import SETTINGS, Runtime


def browse(app: FastAPI, base_url: str = "http://localhost:8080") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=base_url
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/nothing", 404), ("PUT", "/call", 405), ("POST", "/healthz", 405)],
)
async def test_routes_that_are_not_there(runtime: Runtime, method: str, path: str, status: int) -> None:
    answer = await runtime.client.request(method, path)
    assert answer.status_code == status
    phrase = {404: "Not Found", 405: "Method Not Allowed"}[status]
    assert answer.json() == {"message": f"Cannot {method} {path}", "error": phrase, "statusCode": status}
    if (method, path) == ("PUT", "/call"):
        assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 99999999999999999999}', "64 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "64 bits"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\\u0000"}', "U+0000"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\ud800": 1}', "surrogate"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "nested"),
        (b"[" * 90_000 + b"]" * 90_000, "nested"),
    ],
)
async def test_json_that_cannot_be_kept(runtime: Runtime, body: bytes, said: str) -> None:
    answer = await runtime.client.post("/assistant", content=body)
    assert answer.status_code == 400
    assert said in answer.json()["message"][0]


async def test_text_of_every_kind_is_kept(runtime: Runtime) -> None:
    text = 'é \U0001f600 \\u0000 \u2028 "quoted" </script> ' + "x" * 20_000
    created = await runtime.client.post("/assistant", json={"firstMessage": text})
    assert created.json()["firstMessage"] == text


async def test_a_body_past_the_limit_is_a_413(runtime: Runtime) -> None:
    body = json.dumps({"firstMessage": "x" * SETTINGS.payload_bytes}).encode()

    async def chunks() -> Any:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    for content in (body, chunks()):
        answer = await runtime.client.post("/assistant", content=content)
        assert answer.status_code == 413
        assert answer.json()["statusCode"] == 413
    assert (await runtime.client.get("/assistant")).json() == []


async def test_what_breaks_inside_stays_inside(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: Any) -> str:
        raise RuntimeError("sesame")

    monkeypatch.setattr(runtime.services.assistants, "list", broken)
    answer = await runtime.client.get("/assistant")
    assert answer.status_code == 500
    assert answer.json() == {
        "message": "Internal server error",
        "error": "Internal Server Error",
        "statusCode": 500,
    }


async def test_a_store_that_is_away_is_a_503(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_args: Any) -> str:
        raise StoreUnavailable("/secret/path")

    monkeypatch.setattr(runtime.services.assistants, "list", away)
    answer = await runtime.client.get("/assistant")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "/secret/path" not in answer.text


async def test_any_page_may_start_a_web_call_and_nothing_else(runtime: Runtime) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    allowed = await runtime.client.options("/call/web", headers=asked)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "*")
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    refused = await runtime.as_key(None).post(
        "/call/web", json={}, headers={"Origin": "https://shop.example"}
    )
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
    for path in ("/call", "/assistant"):
        other = await runtime.client.get(path, headers={"Origin": "https://shop.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_origins_that_the_operator_named_may_call_everything(runtime: Runtime) -> None:
    app = create_app(runtime.services, ApiSettings(cors_origins=("https://console.example",)))
    async with browse(app) as client:
        for origin, allowed in (("https://console.example", True), ("https://shop.example", False)):
            answer = await client.get("/assistant", headers={"Origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is allowed


async def test_addresses_name_the_public_url_when_there_is_one(runtime: Runtime) -> None:
    app = create_app(runtime.services, ApiSettings(public_url="https://voice.example/"))
    async with browse(app) as client:
        headers = {"Authorization": f"Bearer {runtime.keys['own']}"}
        answer = await client.post("/call/web", json={"assistant": {}}, headers=headers)
    assert answer.json()["webCallUrl"].startswith("https://voice.example/?call=")


async def test_alive_and_ready_need_no_key(runtime: Runtime) -> None:
    anybody = runtime.as_key(None)
    for path in ("/health", "/healthz", "/readyz"):
        assert (await anybody.get(path)).status_code == 200


async def test_one_check_that_fails_makes_it_not_ready(runtime: Runtime) -> None:
    async def well() -> str | None:
        return None

    async def ill() -> str | None:
        return "the models are being loaded"

    async def broken() -> str | None:
        raise StoreUnavailable("away")

    checks: dict[str, Check] = {"store": well, "models": ill, "disk": broken}
    async with browse(create_app(runtime.services, checks=checks)) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    told = answer.json()
    assert told.pop("since") == told["checks"]["store"]["since"]
    assert all(check.pop("since").endswith("Z") for check in told["checks"].values())
    assert told == {
        "status": "not ready",
        "checks": {
            "store": {"ok": True},
            "models": {"ok": False, "problem": "the models are being loaded"},
            "disk": {"ok": False, "problem": "StoreUnavailable"},
        },
    }


async def test_the_description_is_whole(runtime: Runtime) -> None:
    description = (await runtime.as_key(None).get("/openapi.json")).json()
    text = json.dumps(description)
    schemas = description["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) <= schemas.keys()
    assert {"CreateAssistant", "CreateCall", "Call", "Error", "TimelineEntry"} <= schemas.keys()
    operations = [(path, one) for path, methods in description["paths"].items() for one in methods.values()]
    assert len({one["operationId"] for _, one in operations}) == len(operations)
    for path, one in operations:
        assert one["summary"], path
        assert "422" not in one["responses"]
        assert path.startswith(("/health", "/readyz")) or one["security"] == [{"bearerAuth": []}], path


async def test_whatever_takes_something_says_that_it_may_be_refused(runtime: Runtime) -> None:
    """As schemathesis' coverage phase found (ST103)."""
    paths = (await runtime.client.get("/openapi.json")).json()["paths"]
    silent = [
        f"{method} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "requestBody" in operation or any(one["in"] == "query" for one in operation.get("parameters", ()))
        if "400" not in operation["responses"]
    ]
    assert not silent


async def test_the_examples_of_the_description_are_accepted(runtime: Runtime) -> None:
    schemas = (await runtime.client.get("/openapi.json")).json()["components"]["schemas"]
    created = await runtime.client.post("/assistant", json=schemas["CreateAssistant"]["example"])
    assert created.status_code == 201
    name = created.json()["id"]
    assert (
        await runtime.client.patch(f"/assistant/{name}", json=schemas["UpdateAssistant"]["example"])
    ).is_success
    for path, schema in (("/call", "CreateCall"), ("/call/web", "CreateWebCall")):
        answer = await runtime.client.post(path, json=schemas[schema]["example"])
        assert answer.status_code == 201
    answer = await runtime.client.patch(f"/call/{answer.json()['id']}", json=schemas["UpdateCall"]["example"])
    assert answer.status_code == 200


async def test_pages_load_nothing_from_elsewhere(runtime: Runtime) -> None:
    anybody = runtime.as_key(None)
    for path in ("/docs", "/docs/docs.js", "/docs/docs.css", "/", "/talk/app.js"):
        answer = await anybody.get(path)
        assert answer.status_code == 200, path
        assert not re.search(r"""(src|href|from|import|url)\s*[=(]?\s*["'(]?https?://""", answer.text), path
    assert (await anybody.get("/talk/../../pyproject.toml")).status_code == 404
    assert (await anybody.get("/talk/%2e%2e/%2e%2e/settings.py")).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST.", 200),
        ("voice.lan:8443", 200),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.1.5", 403),
    ],
)
async def test_the_page_s_key_is_told_only_under_our_own_names(
    runtime: Runtime, host: str, status: int
) -> None:
    app = create_app(
        runtime.services,
        ApiSettings(talk_hosts=("voice.lan",)),
        talk_page=Path(__file__).parent,
        talk_config=lambda: {"publicKey": "aywa_page", "assistantId": "a"},
    )
    async with browse(app) as client:
        answer = await client.get("/talk/config.json", headers={"Host": host})
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"callUrl": "/call/web", "publicKey": "aywa_page", "assistantId": "a"}
        assert answer.headers["cache-control"] == "no-store"
    else:
        assert "aywa_page" not in answer.text


async def test_a_page_is_served_only_where_one_is_wanted(runtime: Runtime) -> None:
    async with browse(create_app(runtime.services)) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/talk/config.json")).status_code == 404
