"""Tools that hooks want run, through the real session: beside the conversation, and beyond the call's end."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.testing.scripted_providers import ScriptedLlm
from tests.call.tools.test_conversations import HELLO, LOOKUP, Servers, returned

pytestmark = pytest.mark.virtual_time

RUN = {"type": "tool", "tool": LOOKUP}


def hooked(servers: Servers, on: str, *do: dict[str, Any], **more: Any) -> Rehearsal:
    hook = {"on": on, "do": list(do), **more}
    return Rehearsal({**HELLO, "hooks": [hook]}, llm=ScriptedLlm(), questions=servers)


async def test_a_tool_of_the_end_is_run_though_the_call_is_over() -> None:
    servers = Servers(takes_s=4.0)
    call = hooked(servers, "call.ending", RUN)
    await call.run([], 3.0)
    assert servers.over == 1
    (begun,) = call.journal.of("StartTool")
    (end,) = call.journal.of("EndCall")
    assert begun.at_s <= end.at_s <= 3.1
    (answer,) = call.journal.of("ToolReturned")
    assert (answer.role, answer.data["status"], answer.data["result"]) == ("note", "done", "found")
    assert answer.at_s == pytest.approx(7.0, abs=0.1)


async def test_only_an_end_that_the_filter_names_runs_it() -> None:
    servers = Servers()
    reasons = {"type": "oneOf", "key": "call.endedReason", "oneOf": ["pipeline-error"]}
    await hooked(servers, "call.ending", RUN, filters=[reasons]).run([], 3.0)
    assert servers.asked == []


async def test_a_tool_in_the_middle_of_the_call_holds_nobody_up() -> None:
    servers = Servers(takes_s=3.0)
    call = hooked(servers, "call.timeElapsed", RUN, options={"seconds": 1})
    await call.run([Utterance(2.0, ["tell", "me"])], 8.0)
    assert [text for role, text in call.messages if role == "bot"] == [
        "Hello there.",
        "Certainly. That is done.",
    ]
    (answer,) = returned(call)
    assert answer["result"] == "found"
    (turn,) = call.told("turn-latency")
    assert turn["latencyMs"] < 1000
    assert not call.journal.of("ChildFailed")


async def test_a_tool_that_fails_after_the_end_is_on_record() -> None:
    class Broken(Servers):
        async def ask(self, question: Any, note: Any = None) -> Any:
            raise LookupError("not of the kind that is foreseen")

    call = hooked(Broken(), "call.ending", RUN)
    await call.run([], 3.0)
    (answer,) = returned(call)
    assert answer["status"] == "failed"


async def test_a_hook_transfers_a_caller_who_says_nothing_more() -> None:
    servers = Servers()
    to = {
        "type": "transferCall",
        "destinations": [{"type": "number", "number": "+4930111", "message": "One moment."}],
    }
    call = hooked(
        servers,
        "customer.speech.timeout",
        {"type": "tool", "tool": to},
        options={"timeoutSeconds": 4, "triggerMaxCount": 1},
    )
    await call.run([], 14.0)
    (begun,) = call.journal.of("StartTransfer")
    assert begun.data["destination"]["number"] == "+4930111"
    assert ("bot", "One moment.") in call.messages
    # There is nobody to connect it here: the conversation goes on.
    assert call.journal.of("TransferChanged")[0].data["status"] == "failed"
