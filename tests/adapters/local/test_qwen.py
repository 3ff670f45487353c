"""The language model streams, stops when it is told, and its tool calls are found however they are written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.local.engine import LocalEngine, open_local
from aywa.adapters.local.qwen import _Answer, written_calls
from aywa.ports.llm import ChatMessage, Finished, LlmRequest, TextDelta, ToolCallDelta

SYSTEM = (
    "You are a receptionist. Answer in one short sentence. Opening hours: nine to five, Monday to Friday. "
)
TOOL = {
    "type": "function",
    "function": {
        "name": "book",
        "description": "Books an appointment",
        "parameters": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]},
    },
}


@pytest.fixture
async def mind(models: Path) -> AsyncIterator[LocalEngine]:
    engine = await open_local(models, roles=("llm",))
    await engine.ready()
    yield engine
    await engine.close()


def request(text: str, **more: Any) -> LlmRequest:
    return LlmRequest((ChatMessage("system", SYSTEM), ChatMessage("user", text)), temperature=0.0, **more)


@pytest.mark.all
async def test_it_streams_an_answer(mind: LocalEngine) -> None:
    deltas = [delta async for delta in mind.llm.stream(request("When are you open?"))]
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    assert "nine" in text.lower() or "9" in text
    finished = deltas[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "stop"
    assert finished.prompt_tokens > 20
    assert finished.completion_tokens == pytest.approx(len(deltas), abs=3)


def listening(pid: int) -> list[str]:
    """Addresses that a process takes connections on, TCP over both IPs."""
    sockets = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table]
    return [line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]


@pytest.mark.all
async def test_nobody_else_can_ask_it(mind: LocalEngine) -> None:
    assert mind.child.pid is not None
    assert listening(mind.child.pid) == []
    assert [d async for d in mind.llm.stream(request("When are you open?"))]


@pytest.mark.all
async def test_it_ends_at_its_limit(mind: LocalEngine) -> None:
    deltas = [delta async for delta in mind.llm.stream(request("Tell me a long story.", max_tokens=5))]
    assert isinstance(deltas[-1], Finished)
    assert deltas[-1].reason == "length"


@pytest.mark.all
async def test_warming_fills_the_cache(mind: LocalEngine) -> None:
    asked = request("When are you open?")
    await mind.llm.warm(asked)
    deltas = [delta async for delta in mind.llm.stream(asked)]
    assert isinstance(deltas[-1], Finished)
    assert deltas[-1].cached_tokens >= deltas[-1].prompt_tokens - 2


@pytest.mark.all
@pytest.mark.parametrize("pieces", [0, 3])
async def test_a_cancelled_answer_frees_the_model(mind: LocalEngine, pieces: int) -> None:
    long = LlmRequest(
        (ChatMessage("system", SYSTEM * 20), ChatMessage("user", "Tell me a story.")), max_tokens=3000
    )
    async with contextlib.aclosing(mind.llm.stream(long)) as deltas:  # type: ignore[type-var]
        for _ in range(pieces):
            await anext(deltas)
        if not pieces:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(deltas)
    begun = time.monotonic()
    async with contextlib.aclosing(mind.llm.stream(request("Hi"))) as deltas:  # type: ignore[type-var]
        await anext(deltas)
    assert time.monotonic() - begun < 30.0


@pytest.mark.all
async def test_an_answer_goes_before_a_warming(mind: LocalEngine) -> None:
    long = LlmRequest((ChatMessage("system", SYSTEM * 40), ChatMessage("user", "Hi")))
    warming = asyncio.ensure_future(mind.llm.warm(long))
    await asyncio.sleep(0)
    deltas = [delta async for delta in mind.llm.stream(request("When are you open?"))]
    assert isinstance(deltas[-1], Finished)
    await warming


@pytest.mark.all
async def test_tools_are_called_or_not_but_never_spoken_of(mind: LocalEngine) -> None:
    deltas = [delta async for delta in mind.llm.stream(request("Book me in for Tuesday.", tools=(TOOL,)))]
    assert isinstance(deltas[-1], Finished)
    calls = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    assert '"name"' not in text
    assert (deltas[-1].reason == "tool_calls") == bool(calls)


@pytest.mark.all
async def test_the_whole_engine_stays_below_its_limit(models: Path) -> None:
    engine = await open_local(models)
    try:
        await engine.ready()
        assert [delta async for delta in engine.llm.stream(request("When are you open?"))]
        assert 500 < engine.rss_mb() <= 1000
    finally:
        await engine.close()


CALL = {"name": "book", "arguments": {"day": "Tuesday"}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CALL),
        f"\n{json.dumps(CALL)}",
        f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>",
        f"```json\n{json.dumps(CALL)}\n```",
        json.dumps(CALL).replace("{", "{{").replace("}", "}}"),
        '{"name": "book", "parameters": {"day": "Tuesday"}}',
    ],
)
def test_a_written_call_is_found(text: str) -> None:
    assert written_calls(text) == [("book", '{"day": "Tuesday"}')]


def test_two_written_calls_are_found() -> None:
    assert len(written_calls(f"{json.dumps(CALL)}\n{json.dumps(CALL)}")) == 2


@pytest.mark.parametrize("text", ["Sure.", '{"day": "Tuesday"}', "{broken", "", '{"name": 5}', "[1]"])
def test_what_is_no_call_is_text(text: str) -> None:
    assert written_calls(text) == []


def answer(tools: bool, *texts: str) -> list[Any]:
    got: list[Any] = []
    made = _Answer(got.append, tools)
    for text in texts:
        made.take({"choices": [{"delta": {"content": text}, "finish_reason": None}]})
    made.take({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    made.finish()
    return got


def test_text_is_passed_on_at_once() -> None:
    assert [piece.get("text") for piece in answer(False, "{", "Hi")[:-1]] == ["{", "Hi"]
    assert [piece.get("text") for piece in answer(True, " ", "Hi", " {")[:-1]] == [" Hi", " {"]


def test_a_call_in_pieces_is_held_back() -> None:
    got = answer(True, '{"name"', ': "book", "arguments"', ': {"day": "Tuesday"}}')
    assert got[0] == {"tool": [0, "call_0", "book", '{"day": "Tuesday"}']}
    assert got[1]["finished"] == "tool_calls"
    assert got[1]["prompt_tokens"] == 3


def test_what_only_looked_like_a_call_is_said() -> None:
    assert answer(True, "{", "smile}")[0] == {"text": "{smile}"}
