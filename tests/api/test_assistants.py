"""/assistant as a client sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.conftest import Runtime

LEGACY: dict[str, Any] = {
    "name": "Old export",
    "silenceTimeoutSeconds": 20,
    "serverUrl": "https://example.com/hook",
    "isServerUrlSecretSet": True,
    "responseDelaySeconds": 0.4,
    "model": {
        "provider": "openai",
        "model": "gpt-4.1",
        "functions": [{"name": "x"}],
        "unheardOf": {"a": [1, None]},
    },
    "hooks": [{"on": "call.ending", "do": [{"type": "tool", "toolId": "t1"}]}],
    "neverSeen": {"nested": [True, 1.5, "é", None]},
}


async def test_everything_that_was_sent_comes_back(runtime: Runtime) -> None:
    created = await runtime.client.post("/assistant", json=LEGACY)
    assert created.status_code == 201
    body = created.json()
    assert {name: body[name] for name in LEGACY} == LEGACY
    assert body["orgId"] == runtime.org_id
    assert body["createdAt"] == body["updatedAt"]
    assert body["createdAt"].endswith("Z")
    assert (await runtime.client.get(f"/assistant/{body['id']}")).json() == body


async def test_only_the_runtime_sets_ids_and_dates(runtime: Runtime) -> None:
    own = {"id": "mine", "orgId": "theirs", "createdAt": "never"}
    body = (await runtime.client.post("/assistant", json=own)).json()
    assert body.keys() == {"id", "orgId", "createdAt", "updatedAt"}
    assert body["id"] != "mine"
    changed = (await runtime.client.patch(f"/assistant/{body['id']}", json=own)).json()
    assert (changed["id"], changed["orgId"]) == (body["id"], runtime.org_id)


async def test_patch_replaces_whole_fields_clears_with_null_and_keeps_the_rest(runtime: Runtime) -> None:
    name = await runtime.assistant(firstMessage="Hi", metadata={"a": 1, "b": 2}, endCallPhrases=["bye"])
    answer = await runtime.client.patch(
        f"/assistant/{name}", json={"metadata": {"c": 3}, "endCallPhrases": None}
    )
    body = answer.json()
    assert answer.status_code == 200
    assert body["metadata"] == {"c": 3}
    assert "endCallPhrases" not in body
    assert (body["name"], body["firstMessage"]) == ("Front desk", "Hi")
    assert (await runtime.client.get(f"/assistant/{name}")).json() == body


async def test_patch_of_a_model_without_provider_is_merged(runtime: Runtime) -> None:
    name = await runtime.assistant(model={"provider": "openai", "model": "gpt-4.1", "temperature": 1})
    merged = await runtime.client.patch(f"/assistant/{name}", json={"model": {"toolIds": ["t"]}})
    assert merged.json()["model"] == {
        "provider": "openai",
        "model": "gpt-4.1",
        "temperature": 1,
        "toolIds": ["t"],
    }
    replaced = await runtime.client.put(
        f"/assistant/{name}", json={"model": {"provider": "groq", "model": "m"}}
    )
    assert replaced.json()["model"] == {"provider": "groq", "model": "m"}


async def test_a_bad_patch_changes_nothing(runtime: Runtime) -> None:
    name = await runtime.assistant(firstMessage="Hi")
    before = (await runtime.client.get(f"/assistant/{name}")).json()
    answer = await runtime.client.patch(
        f"/assistant/{name}", json={"firstMessage": "Ho", "maxDurationSeconds": 1}
    )
    assert answer.status_code == 400
    assert (await runtime.client.get(f"/assistant/{name}")).json() == before


async def test_delete_answers_the_object(runtime: Runtime) -> None:
    name = await runtime.assistant()
    deleted = await runtime.client.delete(f"/assistant/{name}")
    assert (deleted.status_code, deleted.json()["id"]) == (200, name)
    gone = await runtime.client.get(f"/assistant/{name}")
    assert gone.status_code == 404
    assert gone.json() == {
        "message": f"Assistant {name} does not exist.",
        "error": "Not Found",
        "statusCode": 404,
    }


async def test_lists_are_bare_arrays_newest_first_with_a_cursor(runtime: Runtime) -> None:
    made = [await runtime.assistant(name=f"a{n}") for n in range(5)]
    first = (await runtime.client.get("/assistant", params={"limit": 2})).json()
    assert [one["id"] for one in first] == made[:2:-1]
    rest = await runtime.client.get("/assistant", params={"createdAtLt": first[-1]["createdAt"]})
    assert [one["id"] for one in rest.json()] == made[2::-1]


async def test_twenty_at_once_are_twenty(runtime: Runtime) -> None:
    made = await asyncio.gather(*(runtime.assistant(name=f"a{n}") for n in range(20)))
    assert len(set(made)) == 20
    assert len((await runtime.client.get("/assistant")).json()) == 20


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"limit": "-1"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": ""}, "limit"),
        ({"createdAtGt": ""}, "createdAtGt"),
        ({"createdAtGt": "yesterday"}, "createdAtGt"),
        ({"updatedAtLe": "2026-13-01T00:00:00Z"}, "updatedAtLe"),
    ],
)
async def test_bad_list_parameters_are_named(runtime: Runtime, parameters: dict[str, str], path: str) -> None:
    answer = await runtime.client.get("/assistant", params=parameters)
    assert answer.status_code == 400
    assert answer.json()["message"][0].startswith(path)


async def test_all_problems_come_at_once_each_with_path_rule_and_value(runtime: Runtime) -> None:
    answer = await runtime.client.post(
        "/assistant",
        json={
            "name": "n" * 41,
            "firstMessageMode": "shout",
            "maxDurationSeconds": 9,
            "silenceTimeoutSeconds": "long",
            "endCallPhrases": ["ok then", "x"],
            "voicemailMessage": "v" * 1001,
            "model": {"provider": "acme", "temperature": 2.5, "maxTokens": 1, "messages": {}},
            "voice": {"voiceId": "v"},
            "startSpeakingPlan": {"waitSeconds": 6, "transcriptionEndpointingPlan": {"onNumberSeconds": 4}},
            "stopSpeakingPlan": {"numWords": 11, "voiceSeconds": 0.6, "backoffSeconds": -1},
            "voicemailDetection": {"provider": "vapi", "backoffPlan": {"maxRetries": 0}},
            "server": {"timeoutSeconds": 301, "headers": []},
        },
    )
    assert answer.status_code == 400
    body = answer.json()
    assert (body["error"], body["statusCode"]) == ("Bad Request", 400)
    paths = [problem.split(" ")[0] for problem in body["message"]]
    assert paths == [
        "name",
        "firstMessageMode",
        "maxDurationSeconds",
        "silenceTimeoutSeconds",
        "endCallPhrases[1]",
        "voicemailMessage",
        "model.provider",
        "model.temperature",
        "model.maxTokens",
        "model.messages",
        "voice.provider",
        "startSpeakingPlan.waitSeconds",
        "startSpeakingPlan.transcriptionEndpointingPlan.onNumberSeconds",
        "stopSpeakingPlan.numWords",
        "stopSpeakingPlan.voiceSeconds",
        "stopSpeakingPlan.backoffSeconds",
        "voicemailDetection.backoffPlan.maxRetries",
        "server.timeoutSeconds",
        "server.headers",
    ]
    assert "maxDurationSeconds must not be less than 10, got 9 (range 10 to 43200)" in body["message"]
    assert body["message"][0].endswith("... (41 characters)") or body["message"][0].endswith(f'"{"n" * 41}"')


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'"text"', b"null"])
async def test_a_body_that_is_no_object_is_a_400(runtime: Runtime, body: bytes) -> None:
    name = await runtime.assistant()
    for method, path in (("POST", "/assistant"), ("PATCH", f"/assistant/{name}"), ("POST", "/call")):
        answer = await runtime.client.request(method, path, content=body)
        assert answer.status_code == 400, (method, path)
        assert answer.json()["message"][0].startswith("body must be an object")
