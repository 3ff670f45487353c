"""Every call of the official Python SDK on the resources that there are answers a fully typed object; every list of the others
parses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from vapi import AsyncVapi
from vapi.core.api_error import ApiError

from tests.api.conftest import TRUNK
from tests.sdk.conftest import Sdk

SERVER = {"url": "https://example.com/hook", "timeoutSeconds": 5}
FUNCTION = {
    "name": "lookup",
    "description": "Looks it up.",
    "parameters": {"type": "object", "properties": {}},
}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": FUNCTION,
        "server": SERVER,
        "async": False,
        "messages": [
            {"type": "request-start", "content": "One moment.", "blocking": True},
            {"type": "request-response-delayed", "content": "Still looking.", "timingMilliseconds": 2000},
            {"type": "request-complete", "content": "Found it.", "role": "assistant"},
            {"type": "request-failed", "content": "It failed.", "endCallAfterSpokenEnabled": True},
        ],
        "variableExtractionPlan": {"aliases": [{"key": "a", "value": "{{$.a}}"}]},
        "rejectionPlan": {"conditions": [{"type": "regex", "regex": "no", "target": {"role": "user"}}]},
    },
    {"type": "apiRequest", "name": "weather", "method": "GET", "url": "https://example.com/{{city}}"},
    {
        "type": "transferCall",
        "destinations": [{"type": "number", "number": "+493012345", "message": "One moment"}],
    },
    {
        "type": "handoff",
        "destinations": [{"type": "assistant", "assistantName": "Booking"}],
        "function": FUNCTION,
    },
    {"type": "endCall"},
    {"type": "dtmf", "sipInfoDtmfEnabled": True},
    {"type": "voicemail", "beepDetectionEnabled": False},
    {"type": "sms", "metadata": {"from": "+493012345"}},
    {"type": "sipRequest", "verb": "INFO", "body": "x"},
    {"type": "mcp", "server": SERVER, "metadata": {"protocol": "shttp"}},
    {
        "type": "query",
        "knowledgeBases": [{"provider": "google", "name": "hours", "description": "d", "fileIds": ["f"]}],
    },
    {"type": "code", "code": "return 1", "timeoutSeconds": 5},
    {"type": "bash", "subType": "bash_20241022", "name": "bash"},
    {"type": "google.sheets.row.append"},
    {"type": "slack.message.send"},
    {"type": "gohighlevel.contact.get"},
]
ASSISTANT: dict[str, Any] = {
    "name": "Front desk",
    "first_message": "Hello",
    "first_message_mode": "assistant-speaks-first",
    "model": {
        "provider": "custom-llm",
        "url": "https://llm.example.com/v1",
        "model": "x",
        "messages": [{"role": "system", "content": "You are kind."}],
        "tools": TOOLS,
        "temperature": 0.5,
    },
    "voice": {"provider": "custom-voice", "server": {"url": "https://voice.example.com"}},
    "transcriber": {"provider": "deepgram", "model": "nova-3", "language": "en"},
    "server": SERVER,
    "end_call_phrases": ["goodbye"],
    "hooks": [
        {
            "on": "customer.speech.timeout",
            "options": {"timeoutSeconds": 10, "triggerMaxCount": 2},
            "do": [{"type": "say", "exact": "Are you there?"}],
        }
    ],
    "start_speaking_plan": {
        "waitSeconds": 0.4,
        "customEndpointingRules": [{"type": "assistant", "regex": "number", "timeoutSeconds": 2}],
    },
    "stop_speaking_plan": {"numWords": 2},
    "voicemail_detection": {"provider": "vapi", "type": "audio"},
    "analysis_plan": {"summaryPlan": {"enabled": True}},
    "artifact_plan": {"recordingEnabled": True},
    "metadata": {"a": 1},
}


async def test_assistants(sdk: Sdk) -> None:
    client = sdk.client.assistants
    made = await sdk.typed(client.create(**ASSISTANT))
    assert [tool.type for tool in made.model.tools] == [tool["type"] for tool in TOOLS]
    assert (await sdk.typed(client.get(made.id))) == made
    assert [each.id for each in await sdk.typed(client.list(limit=10))] == [made.id]
    changed = await sdk.typed(client.update(made.id, name="Desk"))
    assert (changed.name, changed.first_message) == ("Desk", "Hello")
    assert (await sdk.typed(client.delete(made.id))).id == made.id
    with pytest.raises(ApiError) as gone:
        await client.get(made.id)
    assert gone.value.status_code == 404


@pytest.mark.parametrize("body", TOOLS, ids=[tool["type"] for tool in TOOLS])
async def test_tools(sdk: Sdk, body: dict[str, Any]) -> None:
    client = sdk.client.tools
    made = await sdk.typed(client.create(request=body))
    assert made.type == body["type"]
    assert type(made).__name__ != "dict"
    assert (await sdk.typed(client.get(made.id))).id == made.id
    assert [each.type for each in await sdk.typed(client.list())] == [body["type"]]
    # 3.x sends the type along, older ones do not (contract 2.7).
    changes: list[dict[str, Any]] = [{"messages": []}, {"messages": [], "type": body["type"]}]
    for change in changes:
        assert (await sdk.typed(client.update(made.id, request=change))).messages == []
    assert (await sdk.typed(client.delete(made.id))).id == made.id


async def test_squads(sdk: Sdk) -> None:
    stored = await sdk.runtime.assistant(name="Booking")
    client = sdk.client.squads
    members: Any = [
        {
            "assistant": {"name": "Front desk", "model": {"provider": "openai", "model": "gpt-4.1"}},
            "assistantOverrides": {"tools:append": [{"type": "endCall"}], "variableValues": {"a": "b"}},
            "assistantDestinations": [
                {
                    "type": "assistant",
                    "assistantName": "Booking",
                    "message": "One moment",
                    "description": "books",
                    "transferMode": "rolling-history",
                }
            ],
        },
        {"assistantId": stored},
    ]
    made = await sdk.typed(client.create(name="Two", members=members))
    assert [member.assistant_id for member in made.members] == [None, stored]
    assert (await sdk.typed(client.get(made.id))) == made
    assert len(await sdk.typed(client.list(limit=5))) == 1
    changed = await sdk.typed(client.update(made.id, members=members[1:]))
    assert (changed.name, len(changed.members)) == ("Two", 1)
    assert (await sdk.typed(client.delete(made.id))).id == made.id


async def test_phone_numbers(sdk: Sdk) -> None:
    trunk = await sdk.runtime.credential(**TRUNK)
    client = sdk.client.phone_numbers
    number: Any = {
        "provider": "byo-phone-number",
        "credentialId": trunk,
        "number": "+493012345",
        "name": "Desk",
    }
    made = await sdk.typed(client.create(request=number))
    by_uri: Any = {"provider": "vapi", "sipUri": "sip:desk@host"}
    await sdk.typed(client.create(request=by_uri))
    assert (await sdk.typed(client.get(made.id))).number == "+493012345"
    assert len(await sdk.typed(client.list())) == 2
    page = await sdk.typed(client.phone_number_controller_find_all_paginated(limit=1))
    assert (len(page.results), page.metadata.total_items, page.metadata.items_per_page) == (1, 2, 1)
    changed = await sdk.typed(client.update(made.id, request={"name": "Other"}))
    assert changed.name == "Other"
    assert (await sdk.typed(client.delete(made.id))).id == made.id


async def test_files(sdk: Sdk) -> None:
    client = sdk.client.files
    made = await sdk.typed(client.create(file=("hours.txt", b"until six"), purpose="assistant"))
    assert (made.name, made.bytes, made.status) == ("hours.txt", 9, "done")
    assert (await sdk.typed(client.get(made.id))).id == made.id
    assert [each.id for each in await sdk.typed(client.list(purpose="assistant"))] == [made.id]
    assert await sdk.typed(client.list(purpose="knowledge-base-v2")) == []
    assert (await sdk.typed(client.update(made.id, name="open.txt"))).name == "open.txt"
    assert (await sdk.typed(client.delete(made.id))).id == made.id


async def test_calls(sdk: Sdk) -> None:
    client = sdk.client.calls
    transport: Any = {
        "provider": "vapi.websocket",
        "audioFormat": {"format": "pcm_s16le", "sampleRate": 16000},
    }
    made = await sdk.typed(
        client.create(
            assistant={"firstMessage": "Hello {{name}}", "model": ASSISTANT["model"]},
            assistant_overrides={"variableValues": {"name": "Ann"}},
            request_options={"additional_body_parameters": {"transport": transport}},
        )
    )
    assert made.type == "vapi.websocketCall"
    assert (await sdk.typed(client.get(made.id))).id == made.id
    assert [each.id for each in await sdk.typed(client.list(id=made.id, limit=3))] == [made.id]
    assert (await sdk.typed(client.update(made.id, name="First"))).name == "First"
    assert (await sdk.typed(client.delete(made.id))).id == made.id


async def test_a_call_without_anything_is_a_typed_bad_request(sdk: Sdk) -> None:
    from vapi.errors.bad_request_error import BadRequestError

    with pytest.raises(BadRequestError) as refused:
        await sdk.client.calls.create()
    assert refused.value.body.keys() >= {"message", "error", "statusCode"}


async def test_analytics(sdk: Sdk) -> None:
    await sdk.runtime.call()
    queries: Any = [
        {
            "name": "by type",
            "table": "call",
            "operations": [{"operation": "count", "column": "id"}, {"operation": "sum", "column": "cost"}],
            "groupBy": ["type"],
        }
    ]
    answered = await sdk.typed(sdk.client.analytics.get(queries=queries))
    assert answered[0].result == [{"type": "vapi.websocketCall", "countid": 1, "sumcost": 0}]


def _lists(client: AsyncVapi) -> dict[str, Callable[[], Awaitable[Any]]]:
    return {
        "boards": client.board.board_controller_find_all,
        "campaigns": client.campaigns.campaign_controller_find_all,
        "campaigns v2": client.campaigns.campaign_controller_find_all_v_2,
        "chats": client.chats.list,
        "evals": client.eval.eval_controller_get_paginated,
        "eval runs": client.eval.eval_controller_get_runs_paginated,
        "insights": client.insight.insight_controller_find_all,
        "knowledge bases": client.knowledge_bases_v_2.knowledge_base_v_2_controller_find_all,
        "scorecards": client.observability_scorecard.scorecard_controller_get_paginated,
        "sessions": client.sessions.list,
        "personalities": client.simulation_personalities.personality_controller_find_all,
        "runs": client.simulation_runs.simulation_run_controller_find_all,
        "scenarios": client.simulation_scenarios.scenario_controller_find_all,
        "suites": client.simulation_suites.simulation_suite_controller_find_all,
        "simulations": client.simulations.simulation_controller_find_all,
        "structured outputs": client.structured_outputs.structured_output_controller_find_all,
        "traffic allocations": client.traffic_allocations.traffic_allocation_controller_find_all_paginated,
        "dictionaries": lambda: (
            client.provider_resources.provider_resource_controller_get_provider_resources_paginated(
                provider="cartesia", resource_name="pronunciation-dictionary"
            )
        ),
    }


@pytest.mark.parametrize("name", _lists(AsyncVapi(token="none")))
async def test_the_lists_of_other_tiers_parse(sdk: Sdk, name: str) -> None:
    listed = await sdk.typed(_lists(sdk.client)[name]())
    assert listed == [] or listed.results == []


async def test_items_of_other_tiers_are_a_clean_404(sdk: Sdk) -> None:
    for asking in (
        sdk.client.chats.get("x"),
        sdk.client.sessions.get("x"),
        sdk.client.chats.create(input="Hi"),
    ):
        with pytest.raises(ApiError) as missing:
            await asking
        assert missing.value.status_code == 404
        assert missing.value.body.keys() == {"message", "error", "statusCode"}
