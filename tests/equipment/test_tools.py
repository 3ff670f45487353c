"""The agent's own tools over media sockets: keys go out where the vendor has a message for them, a call is passed on, and hung
up. The model is a simulated one that does what it is told when keys come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aywa.core.rtp.dtmf import KeyStarted
from aywa.core.rtp.tones import ToneReceiver
from aywa.testing.equipment.base import Equipment, Facts, HangUp, Keys, Transfer
from aywa.testing.equipment.call import Called, EquipmentCaller
from aywa.testing.equipment.known import EQUIPMENT, facts_for
from aywa.testing.equipment.report import measure
from aywa.testing.script import Keys as Press
from aywa.testing.script import Pause, Step, WaitReply
from aywa.testing.vendors.openai import CUSTOM
from aywa.testing.vendors.plan import Plan, ToolCall
from aywa.testing.vendors.server import SimulatedVendors
from tests.equipment.runtime import ASSISTANT, MediaRuntime, warnings

SAYS_SO = ("audiosocket", "chan_websocket", "audio_fork", "jambonz")
CLOSES = ("twilio", "plivo", "vonage")


@asynccontextmanager
async def doing(runtime: MediaRuntime, tool: Mapping[str, Any], arguments: str) -> AsyncIterator[str]:
    """The id of an assistant whose model calls this tool."""
    async with SimulatedVendors() as model:
        kind = str(tool["type"])
        model.plans.next(CUSTOM, Plan(text="", tool_calls=(ToolCall(kind, arguments),)))
        document = {
            **ASSISTANT,
            "firstMessage": "Press a key.",
            "keypadInputPlan": {"enabled": True, "timeoutSeconds": 2, "delimiters": ["#"]},
            "model": {
                "provider": "custom-llm",
                "url": f"{model.url}/custom-llm",
                "model": "scripted",
                "tools": [dict(tool)],
            },
        }
        async with runtime.api.assistant(document) as made:
            yield made


async def called_for(
    runtime: MediaRuntime, protocol: str, tool: Mapping[str, Any], arguments: str = "{}", pause_s: float = 6
) -> tuple[Called, dict[str, Any], list[dict[str, Any]]]:
    async with doing(runtime, tool, arguments) as assistant:
        facts = Facts(call_id=assistant) if protocol == "audiosocket" else facts_for(protocol)
        equipment: Equipment = EQUIPMENT[protocol](facts)
        steps: list[Step] = [WaitReply(15), Press("1#"), Pause(pause_s)]
        called = await runtime.call(equipment, steps, name=assistant)
        call = await runtime.document(equipment)
    assert measure(called).violations == ()
    return called, call, await runtime.timeline(call["id"])


async def test_keys_go_out_where_there_is_a_message_for_them(runtime: MediaRuntime) -> None:
    called, _, timeline = await called_for(runtime, "plivo", {"type": "dtmf"}, '{"dtmf": "42#"}')
    assert "".join(keys.digits for _, keys in called.equipment.of(Keys) if isinstance(keys, Keys)) == "42#"
    assert not [warning for warning in warnings(timeline) if "dtmf" in warning]


async def test_keys_that_no_message_carries_go_out_as_tones(runtime: MediaRuntime) -> None:
    called, _, timeline = await called_for(runtime, "jambonz", {"type": "dtmf"}, '{"dtmf": "42#"}')
    ear = ToneReceiver(called.equipment.rate_hz)
    heard = [event for frame in called.record.received for event in ear.hear(frame.pcm)]
    assert "".join(event.key for event in heard if isinstance(event, KeyStarted)) == "42#"
    assert not [warning for warning in warnings(timeline) if "dtmf" in warning]


@pytest.mark.parametrize("protocol", [*SAYS_SO, *CLOSES])
async def test_the_agent_hangs_up(runtime: MediaRuntime, protocol: str) -> None:
    called, call, _ = await called_for(runtime, protocol, {"type": "endCall"}, pause_s=15)
    assert called.ended_by == "runtime"
    assert bool(called.equipment.of(HangUp)) is (protocol in SAYS_SO)
    assert call["endedReason"] in ("assistant-ended-call", "assistant-ended-call-after-message-spoken")


async def test_a_call_is_passed_on_where_there_is_a_message_for_it(runtime: MediaRuntime) -> None:
    desk = "sip:desk@127.0.0.1"
    tool = {"type": "transferCall", "destinations": [{"type": "sip", "sipUri": desk, "message": ""}]}
    equipment = EQUIPMENT["audio_fork"](facts_for("audio_fork"))
    async with doing(runtime, tool, "{}") as assistant:
        # Passing on is the affair of a phone number: it pays.
        body = {"provider": "vapi", "sipUri": "sip:transfers@127.0.0.1", "assistantId": assistant}
        number = await runtime.api.ask("POST", "/phone-number", body)
        caller = EquipmentCaller(equipment, runtime.address("audio_fork", number["id"]))

        async def passed_on() -> None:
            """The dialplan takes the call away from the module, which then closes."""
            for _ in range(1000):
                await asyncio.sleep(0.02)
                if equipment.of(Transfer):
                    caller.hang_up()

        dialplan = asyncio.create_task(passed_on())
        try:
            await caller.call([WaitReply(15), Press("1#"), Pause(15)])
            call = await runtime.document(equipment)
        finally:
            dialplan.cancel()
            await runtime.api.ask("DELETE", f"/phone-number/{number['id']}")
    (transfer,) = [one for _, one in equipment.of(Transfer)]
    assert isinstance(transfer, Transfer)
    assert desk in str(transfer.data)
    assert call["endedReason"] == "assistant-forwarded-call"
