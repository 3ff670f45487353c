"""A recorded call whose tools were run outside of it: decided again bit for bit, and answered as it was; nobody is asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.core import events as ev
from aywa.journal.replay.identity import Identity, compare
from aywa.journal.replay.recording import Recording, read_recording
from aywa.journal.replay.what_if import simulate, what_if
from aywa.ports.llm import LlmRequest
from aywa.ports.server_questions import Note, Question, ServerAnswer
from aywa.service.overrides import merged
from aywa.testing.scripted_providers import ScriptedLlm
from aywa.testing.virtual_time import run_virtual
from tests.journal.replay.calls import stored

LOOKUP: dict[str, Any] = {
    "type": "function",
    "function": {"name": "lookup"},
    "variableExtractionPlan": {"schema": {"properties": {"name": {}, "n": {}}}},
    "messages": [
        {"type": "request-response-delayed", "content": "Still looking.", "timingMilliseconds": 1000}
    ],
}


@dataclass
class Server:
    async def ask(self, question: Question, note: Note | None = None) -> ServerAnswer:
        await asyncio.sleep(2.0)
        (call,) = question.fields["toolCallList"]
        return ServerAnswer(
            {"results": [{"toolCallId": call["id"], "result": {"name": "Ann \ud83d", "n": 10**30}}]},
            200,
            "tool",
        )


def calls(request: LlmRequest) -> list[tuple[str, str]]:
    asked = any(message.tool_calls for message in request.messages)
    # More than 64 bits, which a record cannot hold as a number.
    return [] if asked else [("lookup", json.dumps({"q": "x", "n": 10**30}))]


def recorded(reply: str = "") -> tuple[Recording, Identity]:
    llm = ScriptedLlm(lambda r: "That is done." if not calls(r) else reply, 0.2, calls=calls)
    assistant = {"firstMessage": "Hello.", "model": {"tools": [LOOKUP]}}
    call = Rehearsal(assistant, llm=llm, questions=Server())
    run_virtual(call.run([Utterance(2.0, ["look", "it", "up"])], 12.0))
    recording = read_recording("call-1", stored(call.journal.records))
    return recording, compare(recording)


def test_it_is_decided_again() -> None:
    for reply in ("", "Let me look that up for you."):
        _, identity = recorded(reply)
        assert identity.difference is None
        kinds = [type(each.item).__name__ for each in identity.told]
        assert kinds.count("StartTool") == kinds.count("ToolReturned") == 1


def test_a_what_if_is_answered_as_the_call_was() -> None:
    recording, identity = recorded()
    assert recording.started is not None
    same = what_if(recording, identity, recording.started.assistant)
    assert same.reproduced
    over = merged(recording.started.assistant, {"startSpeakingPlan": {"waitSeconds": 1.0}})
    found = simulate(recording, identity, over)
    answers = [each.item for each in found.told if isinstance(each.item, ev.ToolReturned)]
    assert [(each.status, each.variables) for each in answers] == [("done", {"name": "Ann ?", "n": 1e30})]
    assert found.estimated_from_s is None


def test_what_nobody_was_asked_is_not_made_up() -> None:
    recording, identity = recorded()
    assert recording.started is not None
    for each in identity.told:
        if isinstance(each.item, ev.ToolReturned):
            identity.told.remove(each)
            break
    found = simulate(recording, identity, recording.started.assistant)
    answers = [each.item for each in found.told if isinstance(each.item, ev.ToolReturned)]
    assert [each.status for each in answers] == ["failed"]
    assert found.estimated_from_s is not None
