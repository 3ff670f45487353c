"""Conversations with tools that are run outside of the call, through the real session on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.call.session import OUTLAST_S
from aywa.call.tools.runs import NOWHERE
from aywa.core.codec import plain
from aywa.core.stock import EXCUSE
from aywa.core.tool_round import ROUNDS_MAX
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import LlmRequest
from aywa.ports.server_questions import Note, Question, ServerAnswer
from aywa.ports.telephony import TellTransfer
from aywa.testing.scripted_providers import ScriptedLlm

pytestmark = pytest.mark.virtual_time

LOOKUP: dict[str, Any] = {
    "type": "function",
    "function": {"name": "lookup", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
    "server": {"url": "https://tools.example.com"},
}
HELLO: dict[str, Any] = {"firstMessage": "Hello there.", "fillerPlan": {"messages": ["One moment."]}}


@dataclass
class Servers:
    """The customer's servers: each question is answered after `takes_s` by what `answer` makes of its calls."""

    takes_s: float = 0.0
    results: Mapping[str, Any] = field(default_factory=lambda: {"lookup": {"result": "found"}})
    error: ProviderError | None = None
    asked: list[Question] = field(default_factory=list)
    over: int = 0

    async def ask(self, question: Question, note: Note | None = None) -> ServerAnswer:
        self.asked.append(question)
        await asyncio.sleep(self.takes_s)
        self.over += 1
        if self.error is not None:
            raise self.error
        results = [
            {"toolCallId": call["id"], "name": call["name"], **self.results[call["name"]]}
            for call in question.fields["toolCallList"]
        ]
        return ServerAnswer({"results": results}, 200, "tool")


def model(*rounds: tuple[str, Sequence[tuple[str, Any]]]) -> ScriptedLlm:
    """Says and calls this, one after the other; then it has nothing more to ask."""

    def number(request: LlmRequest) -> int:
        return sum(1 for message in request.messages if message.tool_calls)

    def reply(request: LlmRequest) -> str:
        at = number(request)
        return rounds[at][0] if at < len(rounds) else "That is done."

    def calls(request: LlmRequest) -> list[tuple[str, str]]:
        at = number(request)
        return [(name, json.dumps(given)) for name, given in rounds[at][1]] if at < len(rounds) else []

    return ScriptedLlm(reply, calls=calls)


def rehearsal(servers: Servers, llm: ScriptedLlm, *tools: dict[str, Any], **assistant: Any) -> Rehearsal:
    written = list(tools) or [LOOKUP]
    return Rehearsal({**HELLO, "model": {"tools": written}, **assistant}, llm=llm, questions=servers)


ASKS = Utterance(2.0, ["look", "it", "up"])


def spoken(call: Rehearsal) -> list[str]:
    return [text for role, text in call.messages if role == "bot"]


def returned(call: Rehearsal) -> list[Any]:
    return [record.data for record in call.journal.of("ToolReturned")]


async def test_a_result_is_folded_into_the_conversation() -> None:
    servers = Servers()
    call = rehearsal(servers, model(("", [("lookup", {"q": "x"})])))
    await call.run([ASKS], 9.0)
    assert spoken(call) == ["Hello there.", "That is done."]
    (question,) = servers.asked
    assert question.kind == "tool-calls"
    assert question.server == LOOKUP["server"]
    assert question.fields["toolCallList"][0]["function"]["arguments"] == {"q": "x"}
    last = call.llm.requests[-1].messages
    assert [message.role for message in last][-3:] == ["user", "assistant", "tool"]
    assert last[-1].content == "found"
    # Its one attempt is on record before anybody was asked.
    order = [r.kind for r in call.journal.records if r.kind in ("StartTool", "ToolReturned")]
    assert order == ["StartTool", "ToolReturned"]


async def test_a_tool_is_run_once_however_often_its_reply_was_begun() -> None:
    servers = Servers()
    call = rehearsal(servers, model(("", [("lookup", {})])))
    await call.run([Utterance(2.0, ["look", 0.45, "it", 0.45, "up", 0.45, "please"])], 12.0)
    assert ("reply_discarded", "text_changed") in call.journal.decisions()
    assert len(servers.asked) == 1


async def test_what_is_asked_beside_words_is_asked_while_they_are_heard() -> None:
    servers = Servers(takes_s=0.5)
    call = rehearsal(servers, model(("Let me look that up for you.", [("lookup", {})])))
    await call.run([ASKS], 12.0)
    (asked,) = call.journal.of("StartTool")
    (back,) = call.journal.of("ToolReturned")
    heard_s = next(
        r.at_s for r in call.journal.of("RecordMessage") if "Let me" in str(r.data["message"].get("message"))
    )
    assert asked.at_s < heard_s
    assert back.at_s < heard_s
    assert spoken(call)[1:] == ["Let me look that up for you.", "That is done."]
    roles = [r.data["message"]["role"] for r in call.journal.of("RecordMessage")]
    assert roles == ["bot", "user", "bot", "tool_calls", "tool_call_result", "bot"]


async def test_whoever_interrupts_the_words_does_not_undo_what_was_asked() -> None:
    servers = Servers(takes_s=3.0)
    call = rehearsal(
        servers, model(("Let me look that up for you, this may take a while.", [("lookup", {})]))
    )
    await call.run([ASKS, Utterance(5.0, ["stop", "that", "now"])], 16.0)
    assert ("yielded", "interruption_phrase") in call.journal.decisions()
    roles = [r.data["message"]["role"] for r in call.journal.of("RecordMessage")]
    assert roles[:5] == ["bot", "user", "bot", "tool_calls", "tool_call_result"]
    assert len(servers.asked) == 1


async def test_one_filler_when_it_is_slow_and_none_when_it_is_not() -> None:
    slow = rehearsal(Servers(takes_s=2.5), model(("", [("lookup", {})])))
    await slow.run([ASKS], 14.0)
    assert spoken(slow) == ["Hello there.", "One moment.", "That is done."]
    quick = rehearsal(Servers(takes_s=0.3), model(("", [("lookup", {})])))
    await quick.run([ASKS], 9.0)
    assert "One moment." not in spoken(quick)


async def test_the_caller_is_never_left_in_silence_by_a_tool_that_does_not_answer() -> None:
    call = rehearsal(Servers(takes_s=1000), model(("", [("lookup", {})])))
    await call.run([ASKS], 27.0)
    gaps = [r.data for r in call.journal.of("RecordGap") if "unexplained" in r.data["reasons"]]
    assert not [g for g in gaps if g["reasons"]["unexplained"] >= 3.0]
    (answer,) = returned(call)
    assert (answer["status"], answer["detail"]) == ("failed", "deadline")
    assert spoken(call)[-1] == "That is done."


async def test_calls_of_one_reply_are_asked_beside_each_other() -> None:
    other = {**LOOKUP, "function": {"name": "other"}}
    servers = Servers(1.0, {"lookup": {"result": "found"}, "other": {"error": "no such thing"}})
    call = rehearsal(servers, model(("", [("lookup", {}), ("other", {})])), LOOKUP, other)
    await call.run([ASKS], 12.0)
    one, two = call.journal.of("StartTool")
    assert one.at_s == two.at_s
    assert [r["status"] for r in returned(call)] == ["done", "failed"]
    assert [m.content for m in call.llm.requests[-1].messages[-2:]] == [
        "found",
        "The tool failed: no such thing",
    ]


async def test_what_was_set_is_said_around_it() -> None:
    messages = [
        {"type": "request-start", "content": "Let me see."},
        {"type": "request-response-delayed", "content": "Still looking.", "timingMilliseconds": 3000},
        {"type": "request-complete", "content": "I have it."},
    ]
    call = rehearsal(Servers(takes_s=5.0), model(("", [("lookup", {})])), {**LOOKUP, "messages": messages})
    await call.run([ASKS], 16.0)
    assert spoken(call) == ["Hello there.", "Let me see.", "Still looking.", "I have it."]
    # What is said instead of the model's answer needs none.
    assert not any(message.role == "tool" for r in call.llm.requests for message in r.messages)


async def test_a_request_start_that_blocks_is_said_first() -> None:
    messages = [{"type": "request-start", "content": "One thing after the other.", "blocking": True}]
    call = rehearsal(Servers(), model(("", [("lookup", {})])), {**LOOKUP, "messages": messages})
    await call.run([ASKS], 12.0)
    (asked,) = call.journal.of("StartTool")
    said = next(r for r in call.journal.of("RecordMessage") if "thing" in str(r.data["message"]))
    assert asked.at_s >= said.at_s


async def test_silence_that_is_wanted_is_silence_with_a_reason() -> None:
    messages = [{"type": "request-start", "content": ""}]
    call = rehearsal(Servers(takes_s=6.0), model(("", [("lookup", {})])), {**LOOKUP, "messages": messages})
    await call.run([ASKS], 16.0)
    assert spoken(call) == ["Hello there.", "That is done."]
    gap = max(call.journal.of("RecordGap"), key=lambda r: r.data["reasons"].get("tool_silenced", 0))
    assert gap.data["reasons"]["tool_silenced"] > 5.0


async def test_an_async_tool_is_sent_and_not_waited_for() -> None:
    servers = Servers(takes_s=4.0)
    call = rehearsal(servers, model(("", [("lookup", {})])), {**LOOKUP, "async": True})
    await call.run([ASKS], 12.0)
    assert spoken(call) == ["Hello there.", "That is done."]
    assert servers.over == 1


async def test_a_failure_is_owned_up_to_in_the_assistants_words() -> None:
    messages = [
        {"type": "request-failed", "content": "That did not work.", "endCallAfterSpokenEnabled": True}
    ]
    error = ProviderError("srv", "refused", "the server answered 500", fault=Fault.PROVIDER, retryable=False)
    call = rehearsal(Servers(error=error), model(("", [("lookup", {})])), {**LOOKUP, "messages": messages})
    await call.run([ASKS], 12.0)
    assert spoken(call)[-1] == "That did not work."
    assert call.ended_reason == "assistant-ended-call-after-message-spoken"
    assert returned(call)[0]["detail"] == "refused"


async def test_a_model_that_loops_is_cut_with_a_spoken_excuse() -> None:
    servers = Servers()
    call = rehearsal(servers, model(*[("", [("lookup", {})])] * (ROUNDS_MAX + 9)))
    await call.run([ASKS], 14.0)
    assert len(servers.asked) == ROUNDS_MAX
    assert spoken(call)[-1] == EXCUSE


async def test_variables_of_an_answer_are_the_calls_from_then_on() -> None:
    plan = {
        "schema": {"type": "object", "properties": {"name": {"type": "string"}}},
        "aliases": [{"key": "shout", "value": "{{ $.name | upcase }}"}],
    }
    tool = {**LOOKUP, "variableExtractionPlan": plan}
    fixed = {
        **LOOKUP,
        "function": {"name": "second"},
        "parameters": [{"key": "who", "value": "{{name}}/{{shout}}"}],
    }
    servers = Servers(
        0.0, {"lookup": {"result": '{"name": "Ann", "age": 5}'}, "second": {"result": {"ok": True}}}
    )
    call = rehearsal(servers, model(("", [("lookup", {})]), ("", [("second", {"who": "me"})])), tool, fixed)
    await call.run([ASKS], 12.0)
    assert returned(call)[0]["variables"] == {"name": "Ann", "shout": "ANN"}
    assert servers.asked[1].fields["toolCallList"][0]["arguments"] == {"who": "Ann/ANN"}
    assert call.session is not None
    assert call.session.conversation.variables == {"name": "Ann", "shout": "ANN"}


async def test_what_is_said_when_it_is_done_may_say_what_was_told() -> None:
    plan = {"schema": {"type": "object", "properties": {"status": {"type": "string"}}}}
    messages = [{"type": "request-complete", "content": "Your order is {{status}}."}]
    tool = {**LOOKUP, "variableExtractionPlan": plan, "messages": messages}
    call = rehearsal(
        Servers(0.0, {"lookup": {"result": {"status": "on its way"}}}), model(("", [("lookup", {})])), tool
    )
    await call.run([ASKS], 12.0)
    assert spoken(call)[-1] == "Your order is on its way."


async def test_a_hook_at_the_end_of_the_call_runs_its_tool_to_its_end() -> None:
    hooks = [{"on": "call.ending", "do": [{"type": "tool", "tool": LOOKUP}]}]
    servers = Servers(takes_s=1.0)
    call = rehearsal(servers, model(), hooks=hooks)
    await call.run([ASKS], 9.0)
    assert servers.over == 1
    assert call.ended_reason == "customer-ended-call"
    assert returned(call)[0]["status"] == "done"


async def test_a_tool_that_nobody_waits_for_does_not_hold_up_the_end_of_the_call_for_long() -> None:
    call = rehearsal(Servers(takes_s=200.0), model(("", [("lookup", {})])), {**LOOKUP, "async": True})
    began_s = asyncio.get_running_loop().time()
    await call.run([ASKS], 9.0)
    assert asyncio.get_running_loop().time() - began_s < 9.0 + OUTLAST_S + 0.1


@dataclass
class Switchboard(Servers):
    """Says where a transfer goes."""

    body: Mapping[str, Any] = field(default_factory=dict)

    async def ask(self, question: Question, note: Note | None = None) -> ServerAnswer:
        self.asked.append(question)
        return ServerAnswer(self.body, 200, "assistant")


@dataclass
class Line:
    """Passes a caller on."""

    begun: list[Mapping[str, Any]] = field(default_factory=list)

    async def begin(self, destination: Mapping[str, Any], tell: TellTransfer) -> None:
        self.begun.append(destination)
        tell("busy", 486, "Busy Here")


async def test_the_customers_server_says_where_a_transfer_goes() -> None:
    sales = {"type": "number", "number": "+4930111"}
    servers, line = Switchboard(body={"destination": sales}), Line()
    call = rehearsal(servers, model(("", [("transferCall", {})])), {"type": "transferCall"})
    call.transfers = line
    await call.run([ASKS], 12.0)
    assert servers.asked[0].kind == "transfer-destination-request"
    assert line.begun == [sales]
    assert spoken(call)[1:] == ["Transferring the call now.", "That is done."]


@pytest.mark.parametrize("nobody", [True, False])
async def test_nobody_knows_where_a_transfer_goes(nobody: bool) -> None:
    error = ProviderError("srv", "no_server", "there is none", fault=Fault.CONFIG, retryable=False)
    call = rehearsal(Servers(error=error), model(("", [("transferCall", {})])), {"type": "transferCall"})
    if nobody:
        call.questions = None
    await call.run([ASKS], 12.0)
    assert returned(call)[0]["result"] == NOWHERE
    assert spoken(call)[-1] == "That is done."


async def test_a_rejected_call_asks_nobody() -> None:
    plan = {"conditions": [{"type": "regex", "regex": "confirm", "negate": True, "target": {"role": "user"}}]}
    servers = Servers()
    call = rehearsal(servers, model(("", [("lookup", {})])), {**LOOKUP, "rejectionPlan": plan})
    await call.run([ASKS], 12.0)
    assert servers.asked == []
    assert returned(call)[0]["status"] == "refused"
    assert "refused" in call.llm.requests[-1].messages[-1].content


async def test_a_call_without_anybody_to_ask_goes_on() -> None:
    call = Rehearsal({**HELLO, "model": {"tools": [LOOKUP]}}, llm=model(("", [("lookup", {})])))
    await call.run([ASKS], 9.0)
    assert spoken(call)[-1] == "That is done."
    assert returned(call)[0]["detail"] == "no_server"


async def test_records_of_tools_are_plain() -> None:
    call = rehearsal(Servers(), model(("", [("lookup", {"n": 10**30})])))
    await call.run([ASKS], 9.0)
    assert json.dumps([plain(r.data) for r in call.journal.of("StartTool")])
