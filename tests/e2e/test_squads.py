"""A squad of three over the API: the caller is handed on twice, with voice, memory and variables, and the record can be read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from aywa.boot.replay import read_log, replay
from aywa.testing.vendors.openai import CUSTOM
from aywa.testing.vendors.plan import Plan, ToolCall
from aywa.testing.vendors.server import SimulatedVendors
from tests.docs.test_commands import commands
from tests.e2e.client import Client, api, client
from tests.e2e.dev import Dev
from tests.e2e.test_guides import GUIDES, run


def assistant(name: str, url: str, **more: Any) -> dict[str, Any]:
    system = {"role": "system", "content": f"You are {name} and help {{{{caller}}}}."}
    model = {"provider": "custom-llm", "url": f"{url}/custom-llm", "model": "scripted", "messages": [system]}
    # The simulated model answers at once, and what it is asked is counted.
    plan = {"speculationEnabled": False}
    return {"name": name, "model": model, "startSpeakingPlan": plan, "voice": VOICE, **more}


VOICE = {"provider": "custom-voice", "server": {"url": "http://localhost/local"}}


async def say(one: Client, words: str) -> None:
    """The caller's words, without a recogniser in between."""
    message = {"role": "user", "content": words}
    await one.socket.send(json.dumps({"type": "add-message", "message": message}))


def to(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "assistant", "assistantName": name, "description": f"{name} is right for it", **more}


async def test_a_squad_of_three_hands_the_caller_on_twice(runtime: Dev) -> None:
    async with SimulatedVendors() as model, api(runtime.url, runtime.key) as ours:
        status, booking = await ours.ask(
            "POST", "/assistant", assistant("Booking", model.url, firstMessage="Booking here, {{caller}}.")
        )
        assert status == 201, booking
        extracts = {
            "type": "function",
            "name": "handoff_to_Booking",
            "parameters": {
                "type": "object",
                "properties": {"destination": {"type": "string"}, "party": {"type": "integer"}},
            },
        }
        front = assistant("Front", model.url, firstMessage="Hello, this is the front desk.")
        front["model"]["tools"] = [
            {"type": "handoff", "destinations": [to("Booking")], "function": dict(extracts)}
        ]
        billing = assistant("Billing", model.url, firstMessage="Billing for {{party}}.")
        squad: Mapping[str, Any] = {
            "name": "Hotel",
            "members": [
                {"assistant": front},
                {
                    "assistantId": booking["id"],
                    "assistantDestinations": [
                        to("Billing", contextEngineeringPlan={"type": "userAndAssistantMessages"})
                    ],
                },
                {"assistant": billing, "assistantDestinations": [to("Front", message="Back to the desk.")]},
            ],
            "membersOverrides": {"variableValues": {"caller": "you"}},
        }
        status, stored = await ours.ask("POST", "/squad", squad)
        assert status == 201, stored
        model.plans.next(
            CUSTOM,
            Plan(text="", tool_calls=(ToolCall("handoff_to_Booking", '{"party": 4}'),)),
            Plan(text="", tool_calls=(ToolCall("handoff_to_Billing"),)),
            Plan(text="Your bill is paid."),
        )
        overrides = {"variableValues": {"caller": "Ann"}}
        transport = {"provider": "vapi.websocket"}
        status, call = await ours.ask(
            "POST",
            "/call",
            {"squadId": stored["id"], "squadOverrides": overrides, "transport": transport},
        )
        assert status == 201, call
        async with client(call["transport"]["websocketCallUrl"]) as one:
            await one.told("speech-update", status="stopped", role="assistant")
            await say(one, "I want a table for four")
            await one.told(
                "transcript", role="assistant", transcriptType="final", transcript="Booking here, Ann."
            )
            await say(one, "and I want to pay")
            await one.told(
                "transcript", role="assistant", transcriptType="final", transcript="Billing for 4."
            )
            await say(one, "is it done")
            await one.told(
                "transcript", role="assistant", transcriptType="final", transcript="Your bill is paid."
            )
            await one.socket.send('{"type": "end-call"}')
            await one.closed()
        ended = await ours.ended(call["id"])
        _, timeline = await ours.ask("GET", f"/call/{call['id']}/timeline")
        async with ours.http.get(f"{runtime.url}/call/{call['id']}/call-logs") as answer:
            log = await answer.read()
        for path in (f"/assistant/{booking['id']}", f"/squad/{stored['id']}"):
            await ours.ask("DELETE", path)
    artifact = ended["artifact"]
    assert [each["assistantName"] for each in artifact["assistantActivations"]] == [
        "Front",
        "Booking",
        "Billing",
    ]
    assert artifact["assistantActivations"][1]["assistantId"] == booking["id"]
    assert artifact["variableValues"]["party"] == 4
    assert [(m["assistantName"], m["message"]) for m in artifact["messages"] if m["role"] == "bot"] == [
        ("Front", "Hello, this is the front desk."),
        ("Booking", "Booking here, Ann."),
        ("Billing", "Billing for 4."),
        ("Billing", "Your bill is paid."),
    ]
    kinds = [entry["kind"] for entry in timeline]
    assert kinds.count("handoff.taken_over") == 2
    assert kinds.count("handoff-prepared") == 2
    asked = model.world.asked(CUSTOM)[-1].body["messages"]
    assert asked[0] == {"role": "system", "content": "You are Billing and help Ann."}
    assert [message["role"] for message in asked[1:]] == [
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    report = replay(call["id"], read_log(call["id"], log))
    assert (report["identical"], report["damage"]) == (True, [])


def test_the_guide_makes_a_squad_and_calls_it(runtime: Dev, tmp_path: Path) -> None:
    squad, call = commands((GUIDES / "squads.md").read_text())
    made = json.loads(run(squad, runtime, tmp_path))
    assert [member["assistant"]["name"] for member in made["members"]] == ["Front", "Booking", "Billing"]
    begun = json.loads(run(call.replace("SQUAD_ID", made["id"]), runtime, tmp_path))
    assert begun["squadId"] == made["id"]
    assert begun["transport"]["websocketCallUrl"].startswith("ws://")


@asynccontextmanager
async def server(answer: Mapping[str, Any]) -> AsyncIterator[tuple[str, list[tuple[Mapping[str, str], Any]]]]:
    """A customer's server with one answer; its address, and what it was asked."""
    asked: list[tuple[Mapping[str, str], Any]] = []

    async def respond(request: web.Request) -> web.Response:
        asked.append((dict(request.headers), await request.json()))
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/where", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/where", asked
    finally:
        await runner.cleanup()


async def test_a_customers_server_says_who_takes_over(runtime: Dev) -> None:
    async with SimulatedVendors() as model, api(runtime.url, runtime.key) as ours:
        expert = assistant("Expert", model.url, firstMessage="Expert for {{topic}}.")
        status, stored = await ours.ask("POST", "/assistant", expert)
        assert status == 201, stored
        plan = {"type": "none"}
        destination = {
            "type": "assistant",
            "assistantId": stored["id"],
            "contextEngineeringPlan": plan,
            "assistantOverrides": {"variableValues": {"topic": "boats"}},
        }
        async with server({"destination": destination, "result": "Sent to the expert."}) as (url, asked):
            front = assistant("Front", model.url, firstMessage="Hello.")
            parameters = {"type": "object", "properties": {"intent": {"type": "string"}}}
            front["model"]["tools"] = [
                {
                    "type": "handoff",
                    "destinations": [{"type": "dynamic", "server": {"url": url, "secret": "s3cret-word"}}],
                    "function": {"name": "to_whoever", "parameters": parameters},
                }
            ]
            model.plans.next(
                CUSTOM,
                Plan(
                    text="",
                    tool_calls=(ToolCall("to_whoever", '{"intent": "rent", "destination": "dynamic"}'),),
                ),
                Plan(text="We have three boats."),
            )
            call_id, transport = await ours.place(front)
            async with client(transport) as one:
                await one.told("speech-update", status="stopped", role="assistant")
                await say(one, "I want a boat")
                await one.told(
                    "transcript", role="assistant", transcriptType="final", transcript="Expert for boats."
                )
                await say(one, "which ones are there")
                await one.told(
                    "transcript", role="assistant", transcriptType="final", transcript="We have three boats."
                )
                await one.socket.send('{"type": "end-call"}')
                await one.closed()
        ended = await ours.ended(call_id)
        _, timeline = await ours.ask("GET", f"/call/{call_id}/timeline")
        await ours.ask("DELETE", f"/assistant/{stored['id']}")
    ((headers, body),) = asked
    assert headers["X-Vapi-Secret"] == "s3cret-word"
    message = body["message"]
    assert (message["type"], message["parameters"]) == ("handoff-destination-request", {"intent": "rent"})
    assert message["call"]["id"] == call_id
    results = [m["result"] for m in ended["artifact"]["messages"] if m["role"] == "tool_call_result"]
    assert results == ["Sent to the expert."]
    assert ended["artifact"]["variableValues"]["intent"] == "rent"
    assert [message["role"] for message in model.world.asked(CUSTOM)[-1].body["messages"]] == [
        "system",
        "assistant",
        "user",
    ]
    assert "s3cret-word" not in json.dumps([ended, timeline])


async def test_a_control_hands_the_call_to_anybody_of_the_organisation(runtime: Dev) -> None:
    async with SimulatedVendors() as model, api(runtime.url, runtime.key) as ours:
        _, stored = await ours.ask(
            "POST", "/assistant", assistant("Night", model.url, firstMessage="Night desk.")
        )
        call_id, transport = await ours.place(assistant("Front", model.url, firstMessage="Hello."))
        _, call = await ours.ask("GET", f"/call/{call_id}")
        async with client(transport) as one:
            await one.told("speech-update", status="stopped", role="assistant")
            control = {
                "type": "handoff",
                "destination": {
                    "type": "assistant",
                    "assistantId": stored["id"],
                    "contextEngineeringPlan": "none",
                },
                "content": "One moment.",
            }
            async with ours.http.post(call["monitor"]["controlUrl"], json=control) as answer:
                assert answer.status == 200
            final: Mapping[str, Any] = {"role": "assistant", "transcriptType": "final"}
            await one.told("transcript", **final, transcript="One moment.")
            await one.told("transcript", **final, transcript="Night desk.")
            await one.socket.send('{"type": "end-call"}')
            await one.closed()
        ended = await ours.ended(call_id)
        await ours.ask("DELETE", f"/assistant/{stored['id']}")
    names = [each["assistantName"] for each in ended["artifact"]["assistantActivations"]]
    assert names == ["Front", "Night"]
