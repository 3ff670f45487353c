"""The contract's probe (Appendix C) where a call is steered, listened to and asks a tool server: checks 14, 15 and 23 on one
call, each shown able to fail on what was seen with one thing in it spoiled."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from aywa.testing.vendors.openai import CUSTOM
from aywa.testing.vendors.plan import Plan
from aywa.testing.vendors.server import SimulatedVendors
from tests.e2e.client import Api, api, client, eventually, speaking
from tests.e2e.dev import Dev
from tests.e2e.test_conformance import CHECKS as OF_A_CALL
from tests.e2e.test_tools import VOICE, asks, heard, say
from tests.sdk.probe import CHECKS as WITHOUT_AUDIO

SECRET = "conformance-secret"
RESULT = "Table nine is free."
SAID = {"content": "The first is by content.", "message": "The second is by message."}
ADDED = "The caller is a regular guest."
FRAME_BYTES = 1280
"""20 ms of two sides, 16 bits at 16 kHz."""


@dataclass
class Steered:
    """What was seen of the call. controls: type of the message -> status of the answer. told: by which server, with which
    headers, which message. spoken: the assistant's words. models: what the model was asked, last."""

    controls: dict[str, int] = field(default_factory=dict)
    frames: list[int] = field(default_factory=list)
    told: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)
    model_messages: list[dict[str, Any]] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        message = (await request.json())["message"]
        self.told.append((request.path, dict(request.headers), message))
        if message["type"] != "tool-calls":
            return web.json_response({})
        results = [{"toolCallId": call["id"], "result": RESULT} for call in message["toolCallList"]]
        return web.json_response({"results": results})


async def _steer(ours: Api, seen: Steered, url: str, name: str, message: dict[str, Any]) -> None:
    async with ours.http.post(url, json=message, headers={"Authorization": ""}) as answer:
        seen.controls[name] = answer.status


async def _listen(url: str, seen: Steered) -> None:
    with suppress(ConnectionClosed):
        async with connect(url) as ears:
            async for frame in ears:
                if isinstance(frame, bytes):
                    seen.frames.append(len(frame))


async def _call(runtime: Dev) -> Steered:
    seen = Steered()
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/{which}", seen.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        far = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with SimulatedVendors() as model, api(runtime.url, runtime.key) as ours:
            await _talk(ours, seen, model, far)
            seen.model_messages = model.world.asked(CUSTOM)[-1].body["messages"]
        await eventually(lambda: _reported(seen))
    finally:
        await runner.cleanup()
    return seen


async def _reported(seen: Steered) -> bool:
    return any(message["type"] == "end-of-call-report" for _, _, message in seen.told)


async def _talk(ours: Api, seen: Steered, model: SimulatedVendors, far: str) -> None:
    model.plans.next(CUSTOM, asks("find_table", guests=2), Plan(text="It is table nine."))
    tool = {
        "type": "function",
        "function": {"name": "find_table", "parameters": {"type": "object", "properties": {"guests": {}}}},
        "server": {"url": f"{far}/tool", "secret": SECRET},
    }
    assistant = {
        "model": {
            "provider": "custom-llm",
            "url": f"{model.url}/custom-llm",
            "model": "scripted",
            "tools": [tool],
        },
        "startSpeakingPlan": {"speculationEnabled": False},
        "voice": VOICE,
        "firstMessage": "Hello.",
        "server": {"url": f"{far}/assistant"},
        "serverMessages": ["tool-calls", "status-update", "end-of-call-report"],
    }
    call_id, url = await ours.place(assistant)
    _, call = await ours.ask("GET", f"/call/{call_id}")
    monitor = call["monitor"]
    async with client(url) as one, speaking(one):
        listening = asyncio.create_task(_listen(monitor["listenUrl"], seen))
        await heard(one, "Hello.")
        where = monitor["controlUrl"]
        for name, words in SAID.items():
            await _steer(ours, seen, where, f"say {name}", {"type": "say", name: words})
            await heard(one, words)
        added = {"role": "system", "content": ADDED}
        await _steer(
            ours, seen, where, "add-message",
            {"type": "add-message", "message": added, "triggerResponseEnabled": False},
        )  # fmt: skip
        for control in ("mute-assistant", "unmute-assistant"):
            await _steer(ours, seen, where, control, {"type": "control", "control": control})
        await _steer(ours, seen, where, "unknown", {"type": "dance"})
        await say(one, "A table for two.")
        await heard(one, "It is table nine.")
        await _steer(ours, seen, where, "end-call", {"type": "end-call"})
        await one.closed()
        async with asyncio.timeout(20):
            await listening
    ended = await ours.ended(call_id)
    await _steer(ours, seen, where, "after the end", {"type": "say", "content": "Nobody is here."})
    seen.spoken = [message["message"] for message in ended["messages"] if message["role"] == "bot"]


def controlled(seen: Steered) -> None:
    went_well = (
        "say content",
        "say message",
        "add-message",
        "mute-assistant",
        "unmute-assistant",
        "end-call",
    )
    assert {name: seen.controls[name] for name in went_well} == dict.fromkeys(went_well, 200)
    assert seen.controls["unknown"] == 400
    assert seen.controls["after the end"] in (404, 410)
    assert set(SAID.values()) <= set(" ".join(seen.spoken).replace(". ", ".|").split("|"))
    assert {"role": "system", "content": ADDED} in [
        {name: message.get(name) for name in ("role", "content")} for message in seen.model_messages
    ]


def listened(seen: Steered) -> None:
    assert len(seen.frames) > 50
    assert set(seen.frames) == {FRAME_BYTES}


def tool_calls(seen: Steered) -> None:
    ((path, headers, message),) = [each for each in seen.told if each[2]["type"] == "tool-calls"]
    # Its own server comes first, and nobody else is told (contract 7.1).
    assert path == "/tool"
    assert {which for which, _, other in seen.told if other is not message} == {"/assistant"}
    assert headers["X-Vapi-Secret"] == SECRET
    wanted = {"guests": 2}
    for name in ("toolCalls", "toolCallList"):
        (call,) = message[name]
        assert (call["type"], call["name"], call["function"]["name"]) == (
            "function",
            "find_table",
            "find_table",
        )
        assert call["function"]["arguments"] == call["arguments"] == call["parameters"] == wanted
    (both,) = message["toolWithToolCallList"]
    assert both["function"]["name"] == "find_table"
    assert both["toolCall"]["id"] == message["toolCallList"][0]["id"]
    assert both["toolCall"]["function"]["parameters"] == both["toolCall"]["function"]["arguments"] == wanted
    assert {"call", "assistant", "timestamp", "artifact"} <= message.keys()
    results = [each["content"] for each in seen.model_messages if each["role"] == "tool"]
    assert results == [RESULT]


def _spoil(change: Callable[[Steered], Any]) -> Callable[[Steered], Steered]:
    def spoiled(seen: Steered) -> Steered:
        other = copy.deepcopy(seen)
        change(other)
        return other

    return spoiled


def _as_text(seen: Steered) -> None:
    """The arguments as the schema has them, which no handler reads (contract 7.5)."""
    for _, _, message in seen.told:
        for call in message.get("toolCallList", ()):
            call["function"]["arguments"] = json.dumps(call["arguments"])


def _to_both(seen: Steered) -> None:
    seen.told += [("/assistant", head, body) for _, head, body in seen.told if body["type"] == "tool-calls"]


CHECKS: dict[int, tuple[Callable[[Steered], None], list[Callable[[Steered], Steered]]]] = {
    14: (
        controlled,
        [
            _spoil(lambda seen: seen.controls.update({"unknown": 200})),
            _spoil(lambda seen: seen.controls.update({"after the end": 200})),
            _spoil(lambda seen: seen.spoken.clear()),
            _spoil(lambda seen: seen.model_messages.clear()),
        ],
    ),
    15: (
        listened,
        [_spoil(lambda seen: seen.frames.clear()), _spoil(lambda seen: seen.frames.append(7))],
    ),
    23: (
        tool_calls,
        [
            _spoil(_as_text),
            _spoil(_to_both),
            _spoil(lambda seen: [headers.pop("X-Vapi-Secret", 0) for _, headers, _ in seen.told]),
            _spoil(lambda seen: [message.pop("toolCalls", 0) for _, _, message in seen.told]),
            _spoil(lambda seen: seen.model_messages.clear()),
        ],
    ),
}
"""The contract's number of a check -> the check, and faults that it must notice."""


async def test_a_steered_call_is_what_the_contract_s_probe_asks_for(runtime: Dev) -> None:
    seen = await _call(runtime)
    for check, faults in CHECKS.values():
        check(seen)
        for spoil in faults:
            with pytest.raises((AssertionError, KeyError, TypeError, ValueError)):
                check(spoil(seen))


def test_all_of_the_25_checks_are_there() -> None:
    assert sorted([*CHECKS, *OF_A_CALL, *WITHOUT_AUDIO]) == list(range(1, 26))
