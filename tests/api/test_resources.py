"""/tool and /squad as a client sees them, and what a call makes of both."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.ports.calls import whole_of
from tests.api.conftest import Runtime

SECRET = "hush-hush-4711"
FUNCTION: dict[str, Any] = {
    "type": "function",
    "function": {"name": "lookup", "parameters": {"type": "object"}},
    "server": {"url": "https://example.com/tools", "secret": SECRET, "headers": {"X-Key": SECRET}},
    "neverSeen": {"nested": [True, None]},
}
REQUEST: dict[str, Any] = {
    "type": "apiRequest",
    "name": "weather",
    "method": "GET",
    "url": "https://example.com",
    "headers": {
        "type": "object",
        "properties": {
            "Authorization": {"type": "string", "value": f"Bearer {SECRET}"},
            "X-Trace": {"type": "string", "value": "shown"},
        },
    },
}
WEBSOCKET = {"provider": "vapi.websocket"}


async def test_a_tool_comes_back_as_it_was_sent_but_for_its_secrets(runtime: Runtime) -> None:
    created = await runtime.client.post("/tool", json=FUNCTION)
    body = created.json()
    assert created.status_code == 201
    assert body["server"] == {"url": "https://example.com/tools"}
    assert (body["function"], body["neverSeen"]) == (FUNCTION["function"], FUNCTION["neverSeen"])
    assert (await runtime.client.get(f"/tool/{body['id']}")).json() == body
    request = (await runtime.client.post("/tool", json=REQUEST)).json()
    assert request["headers"]["properties"] == {
        "Authorization": {"type": "string"},
        "X-Trace": {"type": "string", "value": "shown"},
    }
    assert SECRET not in (await runtime.client.get("/tool")).text


async def test_a_change_replaces_fields_and_keeps_secrets_that_it_does_not_name(runtime: Runtime) -> None:
    name = await runtime.tool(**FUNCTION)
    read = (await runtime.client.get(f"/tool/{name}")).json()
    # As a client does that sends back what it has read.
    changed = await runtime.client.patch(f"/tool/{name}", json=read | {"async": True, "neverSeen": None})
    assert changed.status_code == 200
    assert "neverSeen" not in changed.json()
    assert changed.json()["async"] is True
    plan = await _plan(runtime, name)
    server = plan.assistant["model"]["tools"][0]["server"]
    assert whole_of(plan.keys, server)["secret"] == SECRET
    cleared = {"server": {"url": "https://example.com/other", "secret": None}}
    await runtime.client.patch(f"/tool/{name}", json=cleared)
    server = (await _plan(runtime, name)).assistant["model"]["tools"][0]["server"]
    assert whole_of(runtime.host.plans[-1].keys, server) == {
        "url": "https://example.com/other",
        "secret": None,
        "headers": {"X-Key": SECRET},
    }


async def test_the_type_of_a_tool_stays(runtime: Runtime) -> None:
    name = await runtime.tool(type="endCall")
    answer = await runtime.client.patch(f"/tool/{name}", json={"type": "dtmf"})
    assert answer.status_code == 400
    assert answer.json()["message"] == ['type must not be changed: make a new tool, got "dtmf"']


async def _plan(runtime: Runtime, *tools: str, **assistant: Any) -> Any:
    model = {"provider": "custom-llm", "tools": [{"type": "endCall"}], "toolIds": list(tools)}
    if "tools" not in assistant:
        model |= {"tools": []}
    await runtime.call(assistant={"model": model, **assistant})
    return runtime.host.plans[-1]


async def test_a_call_takes_its_tools_along_and_no_secret_of_theirs_is_on_record(runtime: Runtime) -> None:
    function, request = await runtime.tool(**FUNCTION), await runtime.tool(**REQUEST)
    plan = await _plan(runtime, function, request, server={"url": "https://e.com", "secret": SECRET})
    tools = plan.assistant["model"]["tools"]
    assert [tool["id"] for tool in tools] == [function, request]
    assert "toolIds" not in plan.assistant["model"]
    assert SECRET not in repr(plan.assistant)
    assert SECRET not in repr(plan)
    assert whole_of(plan.keys, tools[0]["server"]) == FUNCTION["server"]
    assert whole_of(plan.keys, tools[1])["headers"] == REQUEST["headers"]
    assert whole_of(plan.keys, plan.assistant["server"]) == {"url": "https://e.com", "secret": SECRET}
    assert SECRET not in (await runtime.client.get("/call")).text


async def test_the_older_fields_of_a_server_become_the_newer_ones_in_a_call(runtime: Runtime) -> None:
    name = await runtime.assistant(serverUrl="https://old.example.com", serverUrlSecret=SECRET)
    assert SECRET not in (await runtime.client.get(f"/assistant/{name}")).text
    await runtime.call(assistantId=name)
    plan = runtime.host.plans[-1]
    server = whole_of(plan.keys, plan.assistant["server"])
    assert server == {"url": "https://old.example.com", "secret": SECRET}


async def test_a_tool_that_is_not_there_fails_the_call_and_a_hook_s_only_warns(runtime: Runtime) -> None:
    hook = {"on": "call.ending", "do": [{"type": "tool", "toolId": "gone"}]}
    asked = {"transport": WEBSOCKET, "assistant": {"model": {"provider": "openai", "toolIds": ["gone"]}}}
    refused = await runtime.client.post("/call", json=asked)
    assert refused.status_code == 400
    assert refused.json()["message"] == [
        'assistant.model.toolIds[0] must be the id of an existing tool, got "gone"'
    ]
    await runtime.call(assistant={"hooks": [hook]})
    assert 'the tool "gone" of a hook does not exist; it is not run' in runtime.host.plans[-1].warnings
    there = await runtime.tool()
    hook["do"] = [{"type": "tool", "toolId": there}]
    await runtime.call(assistant={"hooks": [hook]})
    assert runtime.host.plans[-1].assistant["hooks"][0]["do"][0]["tool"]["type"] == "endCall"


async def test_another_organisation_s_tool_is_not_there(runtime: Runtime) -> None:
    foreign = runtime.as_key(runtime.keys["foreign"])
    theirs = (await foreign.post("/tool", json={"type": "endCall"})).json()["id"]
    asked = {"transport": WEBSOCKET, "assistant": {"model": {"provider": "openai", "toolIds": [theirs]}}}
    assert (await runtime.client.post("/call", json=asked)).status_code == 400


async def test_a_query_tool_s_files_travel_with_the_call(runtime: Runtime) -> None:
    file = await runtime.file(content=b"We close at six.")
    base = {"provider": "google", "name": "hours", "fileIds": [file, "gone"]}
    tool = await runtime.tool(type="query", knowledgeBases=[base])
    plan = await _plan(runtime, tool)
    assert {name: text.text for name, text in plan.files.items()} == {file: "We close at six."}
    assert 'file "gone" cannot be searched: it is not there, or no text' in plan.warnings


BAD_TOOLS = [
    ({}, "type is required"),
    ({"type": "hammer"}, "type must be one of the following values: function, apiRequest"),
    ({"type": "function"}, "function is required"),
    ({"type": "function", "function": {"name": "a b"}}, "function.name must consist of 1 to 64 letters"),
    ({"type": "function", "function": {"name": "a", "description": "x" * 1001}}, "function.description must be shorter"),
    ({"type": "apiRequest", "url": "u"}, "method is required"),
    ({"type": "apiRequest", "method": "HEAD", "url": "u"}, "method must be one of"),
    ({"type": "apiRequest", "method": "GET", "url": "u", "name": "x" * 41}, "name must consist of 1 to 40"),
    ({"type": "apiRequest", "method": "GET", "url": "u", "timeoutSeconds": 301}, "timeoutSeconds must not be greater"),
    ({"type": "code", "code": "x" * 50_001}, "code must be shorter"),
    ({"type": "endCall", "messages": [{"type": "request-begin"}]}, "messages[0].type must be one of"),
    ({"type": "endCall", "messages": [{"content": "x"}]}, "messages[0].type is required"),
    (
        {"type": "endCall", "messages": [{"type": "request-response-delayed", "timingMilliseconds": 99}]},
        "messages[0].timingMilliseconds must not be less than 100",
    ),
    ({"type": "transferCall", "destinations": [{"type": "number"}]}, "destinations[0].number is required"),
    ({"type": "handoff", "destinations": [{"type": "assistant"}]}, "destinations[0] needs one of assistantName"),
    ({"type": "handoff", "destinations": [{"type": "squad"}]}, "destinations[0] needs exactly one of squadId"),
    ({"type": "function", "function": {"name": "a"}, "variableExtractionPlan": {"aliases": [{"key": "x" * 41, "value": ""}]}},
     "variableExtractionPlan.aliases[0].key must be shorter"),
    ({"type": "sipRequest"}, "verb is required"),
    ({"type": "sipRequest", "verb": "BYE"}, "verb must be one of"),
    ({"type": "sipRequest", "verb": "INFO", "body": "x" * 8193}, "body"),
    ([], "body must be an object"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said"), BAD_TOOLS)
async def test_a_tool_that_breaks_a_rule_is_refused_with_its_path(
    runtime: Runtime, body: Any, said: str
) -> None:
    answer = await runtime.client.post("/tool", json=body)
    assert answer.status_code == 400
    assert any(problem.startswith(said) for problem in answer.json()["message"]), answer.text
    if isinstance(body, dict) and "type" in body:
        inside = await runtime.client.post(
            "/assistant", json={"model": {"provider": "openai", "tools": [body]}}
        )
        assert any(f"model.tools[0].{said}" in problem for problem in inside.json()["message"]), inside.text


# --- squads -----------------------------------------------------------------------------------------------------------


async def test_a_call_to_a_squad_has_its_members_merged_in_the_contract_s_order(runtime: Runtime) -> None:
    booking = await runtime.assistant(name="Booking", firstMessage="base", metadata={"base": 1, "kept": 1})
    squad = await runtime.squad(
        members=[
            {
                "assistantId": booking,
                "assistantOverrides": {
                    "firstMessage": "member",
                    "metadata": {"member": 1},
                    "variableValues": {"a": "member", "b": "member"},
                },
                "assistantDestinations": [{"type": "assistant", "assistantName": "Desk"}],
            },
            {"assistant": {"name": "Desk", "server": {"url": "https://e.com", "secret": SECRET}}},
        ],
        membersOverrides={
            "firstMessage": "squad",
            "variableValues": {"b": "squad"},
            "metadata": {"squad": 1},
        },
    )
    call = await runtime.call(
        squadId=squad,
        assistant=None,
        squadOverrides={"metadata": {"call": 1}, "variableValues": {"c": "call"}},
    )
    plan = runtime.host.plans[-1]
    first, second = plan.members
    assert (first.name, first.assistant_id, second.name, second.assistant_id) == (
        "Booking",
        booking,
        "Desk",
        None,
    )
    assert first.assistant == plan.assistant
    assert first.assistant["firstMessage"] == "squad"
    assert first.assistant["metadata"] == {"base": 1, "kept": 1, "member": 1, "squad": 1, "call": 1}
    assert first.destinations == ({"type": "assistant", "assistantName": "Desk"},)
    assert plan.variables == {"a": "member", "b": "squad", "c": "call"}
    assert whole_of(second.keys, second.assistant["server"])["secret"] == SECRET
    assert call["squadId"] == squad
    assert SECRET not in (await runtime.client.get(f"/squad/{squad}")).text


async def test_a_transient_squad_needs_no_document(runtime: Runtime) -> None:
    members = [{"assistant": {"name": "One", "firstMessage": "Hi {{x}}"}}, {"assistant": {"name": "Two"}}]
    call = await runtime.call(assistant=None, squad={"members": members})
    assert [member.name for member in runtime.host.plans[-1].members] == ["One", "Two"]
    assert call["squad"]["members"] == members
    web = await runtime.client.post("/call/web", json={"squad": {"members": members}})
    assert web.status_code == 201


BAD_SQUADS = [
    ({}, "members is required"),
    ({"members": []}, "members must contain at least 1 elements"),
    ({"members": [{}]}, "members[0] needs exactly one of assistantId, assistant"),
    ({"members": [{"assistantId": "a", "assistant": {}}]}, "members[0] needs exactly one of"),
    ({"members": [{"assistantId": "gone"}]}, "members[0].assistantId must be the id of an existing assistant"),
    ({"members": [{"assistant": {"name": "x" * 41}}]}, "members[0].assistant.name must be shorter"),
    ({"members": [{"assistant": {"name": "A"}}, {"assistant": {"name": "A"}}]},
     "members[1].assistant.name must be unique in the squad (Duplicate Assistant Name)"),
    ({"members": [{"assistant": {}, "assistantDestinations": [{"type": "number"}]}]},
     "members[0].assistantDestinations[0].type must be one of the following values: assistant"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said"), BAD_SQUADS)
async def test_a_squad_that_breaks_a_rule_is_refused_with_its_path(
    runtime: Runtime, body: Any, said: str
) -> None:
    answer = await runtime.client.post("/squad", json=body)
    assert answer.status_code == 400
    assert any(problem.startswith(said) for problem in answer.json()["message"]), answer.text


async def test_two_members_of_one_name_are_found_at_the_call_s_beginning(runtime: Runtime) -> None:
    ids = [await runtime.assistant(name="Same"), await runtime.assistant(name="Same")]
    squad = await runtime.squad(members=[{"assistantId": name} for name in ids])
    answer = await runtime.client.post("/call", json={"squadId": squad, "transport": WEBSOCKET})
    assert answer.status_code == 400
    assert "Duplicate Assistant Name" in answer.text


async def test_exactly_one_brain(runtime: Runtime) -> None:
    squad: dict[str, Any] = {"members": [{"assistant": {}}]}
    answer = await runtime.client.post(
        "/call", json={"squad": squad, "assistant": {}, "transport": WEBSOCKET}
    )
    assert "assistant must not be given together with squad" in answer.text
