"""Requests of the model's within the dialog of a phone call, with sipp at the other end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aywa.testing.runtime import free_port
from aywa.testing.vendors.openai import CUSTOM
from aywa.testing.vendors.plan import Plan, ToolCall
from aywa.testing.vendors.server import SimulatedVendors
from tests.peers.runtime import PhoneRuntime
from tests.peers.sipp import Sipp

DOOR: dict[str, Any] = {
    "type": "sipRequest",
    "verb": "INFO",
    "function": {
        "name": "open",
        "parameters": {"type": "object", "properties": {"door": {"type": "string"}}},
    },
    "headers": {"X-Caller": "{{customer.number}}", "Content-Type": "text/x-door"},
    "body": "open {{door}}",
}
# As long as the call lasts, and longer: who sends nothing is gone.
SILENT_S = 20
NOTE: dict[str, Any] = {"type": "sipRequest", "verb": "MESSAGE", "body": "Hello."}


async def test_a_request_that_is_taken_and_one_that_is_refused(runtime: PhoneRuntime, tmp_path: Path) -> None:
    async with SimulatedVendors() as vendors:
        for name, arguments in (("open", '{"door": "the gate"}'), ("sipRequest", "{}"), ("endCall", "{}")):
            vendors.plans.next(CUSTOM, Plan(text="", tool_calls=(ToolCall(name, arguments),)))
        assistant = {
            "name": "Porter",
            "firstMessageMode": "assistant-speaks-first-with-model-generated-message",
            "model": {
                "provider": "custom-llm",
                "url": f"{vendors.url}/custom-llm",
                "model": "scripted",
                "messages": [{"role": "system", "content": "You are a porter."}],
                "tools": [DOOR, NOTE, {"type": "endCall"}],
            },
        }
        silence = tmp_path / "silence.ulaw"
        silence.write_bytes(b"\xff" * 8000 * SILENT_S)
        sipp = Sipp(tmp_path / "sipp", "uas_requests", speech=silence, port=free_port())
        credential, number = await runtime.trunk(sipp.port)
        try:
            async with sipp.started() as process:
                call_id = await runtime.dial(number, {"number": "+4930123456"}, assistant=assistant)
                call = await runtime.ended(call_id)
                async with asyncio.timeout(20):
                    code = await process.wait()
        finally:
            await runtime.forget(credential, number)
    ran = sipp.ran(code)
    assert code == 0, ran.errors
    assert "open the gate" in ran.messages
    results = [each["result"] for each in call["messages"] if each["role"] == "tool_call_result"]
    assert results == [
        "The INFO was answered with 200 OK.",
        "The MESSAGE was refused with 405 Method Not Allowed.",
        "The call ends.",
    ]
    entries = await runtime.ask("GET", f"/call/{call_id}/timeline")
    told = [each for each in entries if each["kind"] == "tool-requested"]
    assert ["INFO" in str(told[0]), "MESSAGE" in str(told[1]), len(told)] == [True, True, 2]
