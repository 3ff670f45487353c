"""/credential as a client sees it: secrets go in and never come out; inline credentials of assistants and calls likewise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from aywa.service.credential_rules import KEYED, PROVIDERS
from tests.api.conftest import Runtime

PLANTED = "planted-0f3a"
ACCEPTED: list[dict[str, Any]] = [
    {"provider": "openai", "apiKey": PLANTED, "name": "Ours", "baseUrl": "https://gateway.example/v1"},
    {"provider": "11labs", "apiKey": f" {PLANTED}\n", "apiUrl": "https://api.eu.example"},
    {"provider": "playht", "apiKey": PLANTED, "userId": "u"},
    {"provider": "azure", "service": "speech", "region": "eastus", "apiKey": PLANTED},
    {"provider": "azure-openai", "region": "eastus", "models": ["gpt-4.1"], "openAIKey": PLANTED},
    {"provider": "custom-llm", "apiKey": PLANTED},
    {
        "provider": "custom-llm",
        "authenticationPlan": {
            "type": "oauth2",
            "url": "https://idp/t",
            "clientId": "c",
            "clientSecret": PLANTED,
        },
    },
    {
        "provider": "webhook",
        "authenticationPlan": {"type": "bearer", "token": PLANTED, "headerName": "X-Key"},
    },
    {
        "provider": "custom-credential",
        "authenticationPlan": {
            "type": "hmac",
            "secretKey": PLANTED,
            "algorithm": "sha256",
            "secretIsBase64": True,
        },
        "encryptionPlan": {"type": "public-key", "publicKey": {"format": "spki-pem", "pem": "-----BEGIN"}},
    },
    {
        "provider": "byo-sip-trunk",
        "gateways": [{"ip": "203.0.113.7", "port": 5060}],
        "outboundAuthenticationPlan": {"authUsername": "me", "authPassword": PLANTED},
    },
    {
        "provider": "s3",
        "awsAccessKeyId": "AKIA",
        "awsSecretAccessKey": PLANTED,
        "region": "eu-west-1",
        "s3BucketName": "calls",
        "s3PathPrefix": "a/",
    },
    {"provider": "gcp", "gcpKey": {"privateKey": PLANTED}, "bucketPlan": {"name": "n"}},
    {"provider": "twilio", "accountSid": "AC1", "authToken": PLANTED},
    {"provider": "vonage", "apiKey": PLANTED, "apiSecret": PLANTED},
    {"provider": "slack-webhook", "webhookUrl": f"https://hooks.example/{PLANTED}"},
    {"provider": "google.calendar.oauth2-client"},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "provider is required"),
    ({"provider": "elevenlabs", "apiKey": PLANTED}, "provider must be one of the following values: 11labs"),
    ({"provider": 5, "apiKey": PLANTED}, "provider must be one of"),
    ({"provider": "openai"}, "apiKey is required for openai"),
    ({"provider": "openai", "apiKey": 5}, "apiKey must be a string, got a hidden value"),
    ({"provider": "openai", "apiKey": {"a": PLANTED}}, "apiKey must be a string, got a hidden value"),
    ({"provider": "openai", "apiKey": "  "}, "apiKey must not be empty"),
    ({"provider": "openai", "apiKey": f"{PLANTED}\r\nX: y"}, "apiKey must consist of printable ASCII"),
    ({"provider": "openai", "apiKey": f"{PLANTED} x"}, "apiKey must consist of printable ASCII"),
    ({"provider": "openai", "apiKey": f"{PLANTED}\u00e9"}, "apiKey must consist of printable ASCII"),
    ({"provider": "openai", "apiKey": PLANTED * 2000}, "apiKey must be shorter than or equal to 20000"),
    ({"provider": "openai", "apiKey": PLANTED, "name": "n" * 41}, "name must be shorter"),
    ({"provider": "openai", "apiKey": PLANTED, "baseUrl": "gateway"}, "baseUrl must be a URL that begins"),
    (
        {"provider": "openai", "apiKey": PLANTED, "baseUrl": "file:///etc"},
        "baseUrl must be a URL that begins",
    ),
    ({"provider": "openai", "apiKey": PLANTED, "baseUrl": "https://a:99999"}, "baseUrl must be a URL"),
    (
        {"provider": "openai", "apiKey": PLANTED, "baseUrl": "https://x/\u00e9"},
        "baseUrl must be a URL that begins",
    ),
    (
        {"provider": "openai", "apiKey": PLANTED, "baseUrl": f"https://me:{PLANTED}@host"},
        "baseUrl must not hold a user name or a password",
    ),
    ({"provider": "custom-llm"}, "apiKey or authenticationPlan is required for custom-llm"),
    ({"provider": "webhook"}, "authenticationPlan is required for webhook"),
    ({"provider": "twilio", "accountSid": "AC"}, "accountSid and authToken or"),
    (
        {"provider": "webhook", "authenticationPlan": {"type": "basic", "password": PLANTED}},
        "authenticationPlan.type must be one of the following values: bearer, hmac, oauth2",
    ),
    (
        {"provider": "webhook", "authenticationPlan": {"type": "hmac", "secretKey": PLANTED}},
        "authenticationPlan.algorithm is required where type is hmac",
    ),
    ({"provider": "webhook", "authenticationPlan": PLANTED}, "authenticationPlan must be an object"),
]


@pytest.mark.parametrize("body", ACCEPTED, ids=lambda body: str(body["provider"]))
async def test_everything_comes_back_but_the_secrets(runtime: Runtime, body: dict[str, Any]) -> None:
    with capture_logs() as logs:
        created = await runtime.client.post("/credential", json=body)
        assert created.status_code == 201, created.text
        document = created.json()
        path = f"/credential/{document['id']}"
        answers = [
            created,
            await runtime.client.get(path),
            await runtime.client.get("/credential"),
            await runtime.client.patch(path, json={"name": "Other"}),
            await runtime.client.patch(path, json=body),
            await runtime.client.delete(path),
        ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 200]
    assert not any(PLANTED in answer.text for answer in answers)
    assert PLANTED not in str(logs)
    assert document["orgId"] == runtime.org_id
    assert document["provider"] == body["provider"]
    for name in ("name", "baseUrl", "apiUrl", "region", "userId", "gateways", "accountSid", "encryptionPlan"):
        if name in body and name != "encryptionPlan":
            assert document[name] == body[name]
    assert (await runtime.client.get(path)).status_code == 404
    assert (await runtime.client.get("/credential")).json() == []


@pytest.mark.parametrize(("body", "problem"), REFUSED)
async def test_what_is_refused_says_why_and_quotes_no_secret(
    runtime: Runtime, body: dict[str, Any], problem: str
) -> None:
    answer = await runtime.client.post("/credential", json=body)
    assert answer.status_code == 400
    assert any(each.startswith(problem) for each in answer.json()["message"]), answer.text
    assert PLANTED not in answer.text


@pytest.mark.parametrize("body", [None, [], "x", 5])
async def test_a_body_that_is_no_object_is_refused(runtime: Runtime, body: Any) -> None:
    made = await runtime.credential()
    for method, path in (("POST", "/credential"), ("PATCH", f"/credential/{made}")):
        answer = await runtime.client.request(method, path, content=json.dumps(body))
        assert answer.status_code == 400, answer.text


async def test_lists_are_bare_newest_first_and_bounded(runtime: Runtime) -> None:
    made = [await runtime.credential(name=f"n{number}") for number in range(3)]
    found = (await runtime.client.get("/credential", params={"limit": 2})).json()
    assert len(found) == 2
    assert {each["id"] for each in found} < set(made)
    assert all(each.keys() >= {"id", "orgId", "createdAt", "updatedAt", "provider", "name"} for each in found)
    assert (await runtime.client.get("/credential", params={"limit": "x"})).status_code == 400


async def test_every_provider_with_a_key_alone_is_taken(runtime: Runtime) -> None:
    for provider in KEYED:
        await runtime.credential(provider=provider)
    assert len(PROVIDERS) == len(set(PROVIDERS)) == 58


async def test_an_assistant_s_own_credentials_are_not_echoed_and_reach_its_calls(runtime: Runtime) -> None:
    given = [{"provider": "openai", "apiKey": PLANTED, "name": "a"}, {"provider": "11labs", "apiKey": "el-1"}]
    created = await runtime.client.post("/assistant", json={"name": "Desk", "credentials": given})
    assert created.status_code == 201
    assert created.json()["credentials"] == [{"provider": "openai", "name": "a"}, {"provider": "11labs"}]
    path = f"/assistant/{created.json()['id']}"
    read = (await runtime.client.get(path)).json()
    answers = [created.text, json.dumps(read), (await runtime.client.get("/assistant")).text]

    async def keys() -> dict[str, str]:
        await runtime.call(assistantId=read["id"])
        plan = runtime.host.plans[-1]
        assert PLANTED not in json.dumps([plan.assistant, plan.call]) + repr(plan)
        return {provider: key.key for provider, key in plan.keys.items()}

    assert await keys() == {"openai": PLANTED, "11labs": "el-1"}
    # Sent back as it was read, and changed elsewhere: nothing is lost.
    answers.append((await runtime.client.patch(path, json=read | {"firstMessage": "Hi"})).text)
    answers.append((await runtime.client.patch(path, json={"name": "Front"})).text)
    assert await keys() == {"openai": PLANTED, "11labs": "el-1"}
    other = [{"provider": "openai", "name": "a", "apiKey": "sk-2"}]
    answers.append((await runtime.client.patch(path, json={"credentials": other})).text)
    assert await keys() == {"openai": "sk-2"}
    answers.append((await runtime.client.patch(path, json={"credentials": None})).text)
    assert await keys() == {}
    refused = await runtime.client.patch(path, json={"credentials": [{"provider": "x", "apiKey": PLANTED}]})
    assert refused.status_code == 400
    answers += [refused.text, (await runtime.client.delete(path)).text]
    assert not any(PLANTED in answer or "sk-2" in answer for answer in answers)


async def test_a_transient_assistant_s_credentials_are_for_its_call_only(runtime: Runtime) -> None:
    own = {"credentials": [{"provider": "openai", "apiKey": PLANTED}], "firstMessage": "Hello"}
    call = await runtime.call(assistant=own)
    over = {"credentials": [{"provider": "openai", "apiKey": f"{PLANTED}-2"}]}
    other = await runtime.call(assistant=own, assistantOverrides=over)
    first, second = runtime.host.plans
    assert first.keys["openai"].key == PLANTED
    assert second.keys["openai"].key == f"{PLANTED}-2"
    for plan in (first, second):
        assert PLANTED not in json.dumps([plan.assistant, plan.call]) + repr(plan)
    kept = (await runtime.client.get("/call")).text
    assert PLANTED not in json.dumps([call, other]) + kept
    assert call["assistant"]["credentials"] == [{"provider": "openai"}]
    web = await runtime.client.post("/call/web", json={"assistant": own})
    assert web.status_code == 201
    assert PLANTED not in web.text


async def test_overrides_take_an_assistant_s_own_credentials_away(runtime: Runtime) -> None:
    name = await runtime.assistant(credentials=[{"provider": "openai", "apiKey": "sk-1"}])
    await runtime.call(assistantId=name, assistantOverrides={"credentials": None})
    assert dict(runtime.host.plans[-1].keys) == {}


@pytest.mark.parametrize("junk", ["x", 5, {"apiKey": PLANTED}, [PLANTED], [{"apiKey": PLANTED}]])
async def test_inline_credentials_that_are_malformed_are_refused_unquoted(
    runtime: Runtime, junk: Any
) -> None:
    for method, path, body in (
        ("POST", "/assistant", {"credentials": junk}),
        ("POST", "/call/web", {"assistant": {"credentials": junk}}),
        ("POST", "/call/web", {"assistant": {}, "assistantOverrides": {"credentials": junk}}),
    ):
        answer = await runtime.client.request(method, path, json=body)
        assert answer.status_code == 400, answer.text
        assert PLANTED not in answer.text


async def test_a_stored_credential_reaches_the_call_and_none_of_another_organisation(
    runtime: Runtime,
) -> None:
    model = {"provider": "openai", "model": "gpt-4.1"}
    foreign = runtime.as_key(runtime.keys["foreign"])
    theirs = (await foreign.post("/credential", json={"provider": "openai", "apiKey": "sk-theirs"})).json()[
        "id"
    ]
    await runtime.call(assistant={"model": model, "credentialIds": [theirs]})
    plan = runtime.host.plans[-1]
    assert dict(plan.keys) == {}
    assert "does not exist" in plan.warnings[0]
    await runtime.credential(apiKey="sk-ours")
    await runtime.call(assistant={"model": model})
    assert runtime.host.plans[-1].keys["openai"].key == "sk-ours"


async def test_the_description_gives_no_secret_out(runtime: Runtime) -> None:
    schemas = (await runtime.client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["CreateCredential"]["properties"]["apiKey"]["writeOnly"] is True
    assert "apiKey" not in schemas["Credential"]["properties"]
    assert "required" not in schemas["UpdateCredential"]
