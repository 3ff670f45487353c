"""The contract's conformance probe (Appendix C) where it needs a call that is alive: one call, looked at by each check; and each
check shown able to fail, on what was seen with one thing in it spoiled. The checks without audio are in tests/sdk."""

from __future__ import annotations

import asyncio
import copy
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from vapi.core.unchecked_base_model import construct_type
from vapi.types.bot_message import BotMessage
from vapi.types.call import Call
from vapi.types.call_ended_reason import CallEndedReason

from tests.e2e.client import QUIET, api, client, speaking
from tests.e2e.dev import Dev
from tests.sdk.typed import untyped

SECRET = "conformance-secret"
METRICS = [f"{part}LatencyAverage" for part in ("model", "voice", "transcriber", "endpointing", "turn")]
METRICS += ["fromTransportLatencyAverage", "toTransportLatencyAverage"]
METRICS += ["numUserInterrupted", "numAssistantInterrupted"]
FLAT = (
    "transcript",
    "summary",
    "messages",
    "recordingUrl",
    "stereoRecordingUrl",
    "durationMs",
    "durationSeconds",
)
ENDED_REASONS = {value for each in typing.get_args(CallEndedReason) for value in typing.get_args(each)}


@dataclass
class Seen:
    """What a customer sees of one call."""

    call: dict[str, Any]
    frames: int
    recording: tuple[int, bytes]
    webhooks: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [message for _, message in self.webhooks if message["type"] == kind]


async def _call(runtime: Dev) -> Seen:
    webhooks: list[tuple[dict[str, str], dict[str, Any]]] = []
    reported = asyncio.Event()

    async def receive(request: web.Request) -> web.Response:
        message = (await request.json())["message"]
        webhooks.append((dict(request.headers), message))
        if message["type"] == "end-of-call-report":
            reported.set()
        return web.json_response({})

    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        server = {"url": f"http://127.0.0.1:{port}/", "headers": {"X-Vapi-Secret": SECRET}}
        spoken: dict[str, Any] = {
            **QUIET,
            "firstMessageMode": "assistant-speaks-first",
            "firstMessage": "Hello {{ name | upcase }}, {{ missing }}welcome.",
            "server": server,
        }
        async with api(runtime.url, runtime.key) as asked:
            overrides = {"variableValues": {"name": "Ann"}}
            call_id, url = await asked.place(spoken, assistantOverrides=overrides)
            async with client(url) as caller, speaking(caller):
                await caller.told("speech-update", status="stopped", role="assistant")
                await caller.socket.send(json.dumps({"type": "end-call"}))
                await asked.ended(call_id)
                frames = len(caller.frames)
            async with asyncio.timeout(90):
                await reported.wait()
            async with asked.http.get(f"{runtime.url}/call/{call_id}/mono-recording") as answer:
                recording = answer.status, await answer.read()
            _, call = await asked.ask("GET", f"/call/{call_id}")
            return Seen(call, frames, recording, webhooks)
    finally:
        await runner.cleanup()


def audio_and_end(seen: Seen) -> None:
    assert seen.frames > 20
    assert seen.call["status"] == "ended"
    assert seen.call["endedReason"] in ENDED_REASONS


def liquid(seen: Seen) -> None:
    spoken = [message["message"] for message in seen.call["artifact"]["messages"] if message["role"] == "bot"]
    assert spoken == ["Hello ANN, welcome."]


def artifact(seen: Seen) -> None:
    made = construct_type(type_=Call, object_=seen.call)
    assert untyped(made, seen.call) == []
    messages = made.artifact.messages
    assert [type(each) for each in messages if each.role == "bot"] == [BotMessage]
    metrics = seen.call["artifact"]["performanceMetrics"]
    assert isinstance(metrics["turnLatencies"], list)
    averages = [metrics[name] for name in METRICS if name in metrics]
    assert all(isinstance(each, int | float) for each in averages), metrics
    assert all(isinstance(cost["cost"], int | float) for cost in seen.call["costs"])


def recording(seen: Seen) -> None:
    status, content = seen.recording
    assert status == 200
    assert content[:4] == b"RIFF"


def report(seen: Seen) -> None:
    statuses = [message["status"] for message in seen.told("status-update")]
    assert statuses == [each for each in ("queued", "ringing", "in-progress", "ended") if each in statuses]
    assert statuses[-2:] == ["in-progress", "ended"]
    (told,) = seen.told("end-of-call-report")
    assert seen.webhooks[-1][1] is told or seen.webhooks[-1][1]["type"] == "end-of-call-report"
    assert told["artifact"]["messages"] == told["messages"]
    assert told.keys() >= {"endedReason", "artifact", "analysis", "call", "assistant"}
    missing = [name for name in FLAT if name not in told and name != "summary"]
    assert not missing, missing
    assert all(headers.get("X-Vapi-Secret") == SECRET for headers, _ in seen.webhooks)


def _spoil(change: Callable[[Seen], Any]) -> Callable[[Seen], Seen]:
    def spoiled(seen: Seen) -> Seen:
        other = copy.deepcopy(seen)
        change(other)
        return other

    return spoiled


def _set(value: Any, name: str, new: Any) -> None:
    value[name] = new


CHECKS: dict[int, tuple[Callable[[Seen], None], Callable[[Seen], Seen]]] = {
    13: (audio_and_end, _spoil(lambda seen: _set(seen.call, "endedReason", "it-ended"))),
    16: (
        liquid,
        _spoil(lambda seen: _set(seen.call["artifact"]["messages"][-1], "message", "Hello {{ name }}")),
    ),
    21: (
        artifact,
        _spoil(lambda seen: [message.pop("source", 0) for message in seen.call["artifact"]["messages"]]),
    ),
    22: (recording, _spoil(lambda seen: setattr(seen, "recording", (204, b"")))),
    24: (
        report,
        _spoil(lambda seen: [message.pop("transcript", 0) for message in seen.told("end-of-call-report")]),
    ),
}
"""The contract's number of a check -> the check, and a fault that it must notice."""


async def test_a_call_is_what_the_contract_s_probe_asks_for(runtime: Dev) -> None:
    seen = await _call(runtime)
    for check, spoil in CHECKS.values():
        check(seen)
        with pytest.raises((AssertionError, KeyError, TypeError, ValueError)):
            check(spoil(seen))
