"""Values that a model reads out of a conversation: only what was asked for, and never more than there is time for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aywa.call.extraction import ANSWER_MAX, VALUE_MAX, extract
from aywa.call.replies import ReplyRoutes
from aywa.core.handoff import VARIABLES_MAX
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.tts import TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts

pytestmark = pytest.mark.virtual_time

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "number"}}}
CHAT = (
    {"role": "user", "content": "I am Ann"},
    {"role": "assistant", "content": "", "tool_calls": [{}]},
    {"role": "system", "content": "a note"},
    {"role": "tool", "content": "x", "tool_call_id": "c"},
)


def routes(answer: str = "{}", **more: Any) -> tuple[ScriptedLlm, ReplyRoutes]:
    llm = ScriptedLlm(reply=lambda request: answer, **more)
    return llm, ReplyRoutes(llm, ScriptedTts(), TtsOptions(8000))


async def test_what_the_schema_names_and_nothing_else_is_taken() -> None:
    llm, made = routes('Sure: ```{"name": "Ann", "age": null, "shoe": 44}```')
    found = await extract(made, SCHEMA, CHAT)
    assert (found.values, found.code, found.route) == ({"name": "Ann"}, "", "scripted-llm")
    assert found.completion_tokens > 0
    (request,) = llm.requests
    assert json.dumps(SCHEMA) in request.messages[0].content
    assert request.messages[1].content == "user: I am Ann"
    assert request.tools == ()


async def test_a_schema_that_names_nothing_takes_whatever_there_is() -> None:
    _, made = routes('{"a": 1}')
    assert (await extract(made, {"type": "object"}, CHAT)).values == {"a": 1}


@pytest.mark.parametrize("answer", ["no idea", "[1, 2]", "{broken}", '"{" }', "{" * 400 + "}" * 400])
async def test_an_answer_that_is_no_object_is_no_answer(answer: str) -> None:
    _, made = routes(answer)
    assert (await extract(made, SCHEMA, CHAT)).code == "malformed"


async def test_nothing_is_without_bound() -> None:
    whole = {f"v{n}": "x" for n in range(2 * VARIABLES_MAX)}
    _, made = routes(json.dumps(whole, separators=(",", ":")))
    assert len((await extract(made, {"x": 1}, CHAT)).values) == VARIABLES_MAX
    _, made = routes(json.dumps({"name": "y" * VALUE_MAX}))
    assert (await extract(made, SCHEMA, CHAT)).values == {}
    _, made = routes("word " * ANSWER_MAX)
    assert (await extract(made, SCHEMA, CHAT)).code == "malformed"


async def test_who_takes_too_long_or_fails_is_not_waited_for() -> None:
    _, made = routes(first_token_s=60.0)
    began_s = asyncio.get_running_loop().time()
    assert (await extract(made, SCHEMA, CHAT, 2.0)).code == "deadline"
    assert asyncio.get_running_loop().time() - began_s < 3.0
    llm, made = routes()
    error = ProviderError("m", "refused", "no", fault=Fault.CONFIG, retryable=False)
    llm.fail_next.extend([error, error, error])
    assert (await extract(made, SCHEMA, CHAT)).code == "refused"


async def test_where_nothing_was_said_nobody_is_asked() -> None:
    llm, made = routes()
    assert (await extract(made, SCHEMA, CHAT[1:])).code == "nothing_said"
    assert not llm.requests
