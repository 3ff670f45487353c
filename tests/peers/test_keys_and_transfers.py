"""What the agent does with keys, and its own tools, with a softphone at the other end: entries become turns, keys are pressed,
callers are passed on, and the call's document says how it sounded and how late its replies were.

The model is a simulated one that does what the keys say.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from aywa.testing.runtime import free_port
from aywa.testing.script import HangUp, Keys, Pause, Say, Step, WaitReply
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Answer, Softphone, Talked, report
from aywa.testing.vendors.openai import CUSTOM
from aywa.testing.vendors.plan import Plan, ToolCall
from aywa.testing.vendors.server import SimulatedVendors
from tests.peers.runtime import PhoneRuntime, sounded

CUSTOMER = {"number": "+4930123456"}
APART_MS = 45


@pytest.fixture
async def model() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as vendors:
        vendors.plans.answer(
            CUSTOM, lambda body: f"You pressed {re.findall('Entry: (.*)', _last(body))[-1]}."
        )
        yield vendors


def _last(body: Mapping[str, Any]) -> str:
    said = [message["content"] for message in body["messages"] if message["role"] in ("user", "tool")]
    return f"{said[-1]} Entry: nothing" if "Entry" not in said[-1] else str(said[-1])


def assistant(model: SimulatedVendors, *tools: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "Keys",
        "firstMessage": "Press a key.",
        "firstMessageInterruptionsEnabled": True,
        "keypadInputPlan": {"enabled": True, "timeoutSeconds": 2, "delimiters": ["#"]},
        "model": {
            "provider": "custom-llm",
            "url": f"{model.url}/custom-llm",
            "model": "scripted",
            "tools": list(tools),
        },
    }


def tool(name: str, arguments: str = "{}") -> Plan:
    return Plan(text="", tool_calls=(ToolCall(name, arguments),))


class Answering:
    """A softphone that is called."""

    def __init__(self, *steps: Step, setup: Setup | None = None) -> None:
        self._steps = steps
        self._phone = Softphone(setup or Setup(), on_ready=self._ready)
        self._uri: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.call: asyncio.Task[Talked] = asyncio.create_task(self._phone.call(Answer(20), list(self._steps)))

    def _ready(self, uri: str) -> None:
        self._uri.set_result(uri.partition(";")[0])

    async def uri(self) -> str:
        return await self._uri

    async def port(self) -> int:
        return int((await self._uri).rpartition(":")[2])


async def talk(
    runtime: PhoneRuntime, document: Mapping[str, Any], *steps: Step
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The softphone is called by the assistant and does its steps: its report, and the call's document."""
    phone = Answering(*steps)
    credential, number = await runtime.trunk(await phone.port())
    try:
        call_id = await runtime.dial(number, CUSTOMER, assistant=dict(document))
        told = report(await phone.call)
        return told, await runtime.ended(call_id)
    finally:
        await runtime.forget(credential, number)


def said(call: Mapping[str, Any], role: str) -> list[str]:
    return [message["message"] for message in call["messages"] if message["role"] == role]


def results(call: Mapping[str, Any]) -> Sequence[str]:
    return [message["result"] for message in call["messages"] if message["role"] == "tool_call_result"]


async def test_an_entry_is_a_turn_and_has_its_answer(runtime: PhoneRuntime, model: SimulatedVendors) -> None:
    told, call = await talk(
        runtime, assistant(model), WaitReply(), Keys("42#"), WaitReply(), Keys("7"), WaitReply(), HangUp()
    )
    assert not told["missed"]
    assert said(call, "user") == ["User's Keypad Entry: 42", "User's Keypad Entry: 7"]
    assert said(call, "bot") == ["Press a key.", "You pressed 42.", "You pressed 7."]


async def test_the_model_presses_keys_and_hangs_up(runtime: PhoneRuntime, model: SimulatedVendors) -> None:
    model.plans.next(CUSTOM, tool("dtmf", '{"dtmf": "90w1"}'), tool("endCall"))
    document = assistant(model, {"type": "dtmf"}, {"type": "endCall"}) | {"endCallMessage": "Goodbye."}
    told, call = await talk(runtime, document, WaitReply(), Keys("1#"), Pause(3.0), Keys("2#"), Pause(15.0))
    assert [key["key"] for key in told["keys_heard"]] == ["9", "0", "1"]
    assert results(call) == ["The keys were pressed.", "The call ends."]
    assert said(call, "bot")[-1] == "Goodbye."
    assert (call["endedReason"], told["ended_by"]) == ("assistant-ended-call", "far side")


@pytest.mark.parametrize("verb", ["dial", "refer"])
async def test_the_model_passes_the_caller_on(
    runtime: PhoneRuntime, model: SimulatedVendors, verb: str, spoken: bytes
) -> None:
    desk = Answering(Pause(0.5), Say(spoken[: 2 * 8000]), Pause(1.0), HangUp())
    destination = {
        "type": "sip",
        "sipUri": await desk.uri(),
        "message": "Putting you through.",
        "transferPlan": {"sipVerb": verb},
    }
    model.plans.next(CUSTOM, tool("transferCall"))
    document = assistant(model, {"type": "transferCall", "destinations": [destination]})
    told, call = await talk(runtime, document, WaitReply(), Keys("1#"), Pause(20.0), HangUp())
    assert call["endedReason"] == "assistant-forwarded-call"
    assert said(call, "bot")[-1] == "Putting you through."
    (transfer,) = call["artifact"]["transfers"]
    if verb == "refer":
        # The softphone says that it has called, and calls nobody.
        assert transfer["status"] == "completed"
        desk.call.cancel()
        await asyncio.gather(desk.call, return_exceptions=True)
    else:
        assert (await desk.call).connected
        assert transfer["status"] in ("connected", "completed")
        assert told["heard"][-1]["end_ms"] > told["heard"][0]["end_ms"] + 2000


async def test_nobody_is_there_and_the_call_goes_on(runtime: PhoneRuntime, model: SimulatedVendors) -> None:
    destination = {
        "type": "sip",
        "sipUri": f"sip:nobody@127.0.0.1:{free_port()}",
        "message": "",
        "transferPlan": {"sipVerb": "dial", "dialTimeout": 2},
    }
    model.plans.next(CUSTOM, tool("transferCall"))
    document = assistant(model, {"type": "transferCall", "destinations": [destination]})
    told, call = await talk(runtime, document, WaitReply(), Keys("1#"), Pause(8.0), HangUp())
    assert "did not succeed" in results(call)[0]
    assert said(call, "bot")[-1] == "You pressed nothing."
    assert call["artifact"]["transfers"][0]["status"] in ("no-answer", "failed")
    assert call["endedReason"] == "customer-ended-call"
    # While it rang he heard that, and nobody asked him whether he is there.
    sounded(told)


async def test_how_it_sounded_and_how_late_replies_were(
    runtime: PhoneRuntime, model: SimulatedVendors, spoken: bytes
) -> None:
    model.plans.set(CUSTOM, Plan(text="That is noted."))
    turn: list[Step] = [Say(spoken[: 2 * 8000 * 2]), WaitReply()]
    steps: list[Step] = [WaitReply(), *turn * 3, HangUp()]
    told, call = await talk(runtime, assistant(model), *steps)
    metrics = call["artifact"]["performanceMetrics"]
    quality = metrics["audioQuality"]
    assert (quality["codec"], quality["packetsLost"]) == ("PCMU", 0)
    assert quality["mos"] > 4
    wire = [turn["wireLatency"] for turn in metrics["turnLatencies"]]
    heard = [turn["latency_ms"] for turn in told["turns"]]
    assert len(wire) == len(heard) == 3
    for ours, peers in zip(wire, heard, strict=True):
        assert ours == pytest.approx(peers, abs=APART_MS)
