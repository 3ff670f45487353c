"""The translation between the port's messages, which are OpenAI's, and Anthropic's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from aywa.adapters.llm.anthropic import BEGINS, GOES_ON, THINKING_ROOM, AnthropicLlm, messages
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from tests.adapters.llm.far import END, Step, far_side, head, piece, plain
from tests.contracts.llm import failed, take, text_of

ROUTE = "anthropic.messages"
KEY = "sim-key"
ASKED = LlmRequest(
    (ChatMessage("system", "Be brief."), ChatMessage("user", "Hello?")), temperature=1.7, max_tokens=90
)


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as one:
        yield one


async def asked(vendors: SimulatedVendors, model: str, request: LlmRequest = ASKED) -> Any:
    llm = AnthropicLlm(vendors.url, KEY, model)
    try:
        assert text_of(await take(llm, request))
    finally:
        await llm.close()
    return vendors.world.asked(ROUTE)[-1]


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


# --- what is asked -----------------------------------------------------------------------------------------------


async def test_a_request(vendors: SimulatedVendors) -> None:
    one = await asked(vendors, "claude-haiku-4-5")
    assert one.key_right
    assert one.headers["anthropic-version"] == "2023-06-01"
    assert one.body == {
        "model": "claude-haiku-4-5",
        "max_tokens": 90,
        "messages": [{"role": "user", "content": [said("Hello?")]}],
        "stream": True,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "temperature": 1.0,
    }


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/"])
async def test_the_base_may_end_in_the_version(vendors: SimulatedVendors, base: str) -> None:
    llm = AnthropicLlm(vendors.url + base, KEY, "claude-haiku-4-5")
    try:
        assert text_of(await take(llm, ASKED))
    finally:
        await llm.close()


async def test_what_is_told_later_does_not_spoil_the_cache(vendors: SimulatedVendors) -> None:
    chat = (*ASKED.messages, ChatMessage("system", "Closing soon."), ChatMessage("user", "And?"))
    one = await asked(vendors, "claude-haiku-4-5", LlmRequest(chat))
    assert [(b["text"], "cache_control" in b) for b in one.body["system"]] == [
        ("Be brief.", True),
        ("Closing soon.", False),
    ]


async def test_tools(vendors: SimulatedVendors) -> None:
    tools = (
        {
            "type": "function",
            "function": {"name": "book", "description": "Books.", "parameters": {"type": "object"}},
        },
        {"type": "function", "function": {"name": "tell"}},
    )
    one = await asked(vendors, "claude-haiku-4-5", LlmRequest(ASKED.messages, tools=tools))
    assert one.body["tools"] == [
        {"name": "book", "input_schema": {"type": "object"}, "description": "Books."},
        {"name": "tell", "input_schema": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("model", "expected", "tokens"),
    [
        ("claude-3-5-haiku-latest", {"temperature": 1.0}, 90),
        ("claude-sonnet-4-20250514", {"temperature": 1.0}, 90),
        ("claude-haiku-4-5-20251001", {"temperature": 1.0}, 90),
        ("claude-opus-4-6", {"temperature": 1.0}, 90),
        ("claude-opus-4-7", {}, 90),
        ("claude-opus-4-8", {}, 90),
        ("claude-sonnet-5", {"thinking": {"type": "disabled"}}, 90),
        ("claude-haiku-5-5", {"thinking": {"type": "disabled"}}, 90),
        ("claude-opus-5-5", {"output_config": {"effort": "low"}}, 90 + THINKING_ROOM),
        ("claude-fable-5-1", {"output_config": {"effort": "low"}}, 90 + THINKING_ROOM),
    ],
)
async def test_what_a_model_is_told(
    vendors: SimulatedVendors, model: str, expected: dict[str, Any], tokens: int
) -> None:
    body = (await asked(vendors, model)).body
    assert {
        name: body[name] for name in ("temperature", "thinking", "output_config") if name in body
    } == expected
    assert body["max_tokens"] == tokens


async def test_what_a_model_refuses_is_left_out_from_then_on() -> None:
    refusal = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "`temperature` is deprecated"},
    }
    refused = [plain("400 Bad Request", "application/json", json.dumps(refusal).encode())]
    async with far_side(refused, stream(*SPOKEN)) as far:
        llm = AnthropicLlm(far.url, KEY, "claude-haiku-4-5")
        try:
            error = await failed(llm, ASKED)
            assert (error.code, error.retryable) == ("bad_request", True)
            assert text_of(await take(llm, ASKED)) == "Yes."
        finally:
            await llm.close()
        assert ["temperature" in r.body for r in far.requests] == [True, False]


CALL = {"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"day": "Monday"}'}}
USE = {"type": "tool_use", "id": "c1", "name": "book", "input": {"day": "Monday"}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "booked"}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    ("chat", "expected"),
    [
        ([], [user(said(BEGINS))]),
        ([ChatMessage("system", "x")], [user(said(BEGINS))]),
        (
            [ChatMessage("assistant", "Hi."), ChatMessage("user", "Yes.")],
            [user(said(BEGINS)), assistant(said("Hi.")), user(said("Yes."))],
        ),
        (
            [ChatMessage("user", "Hm."), ChatMessage("assistant", "Hi. ")],
            [user(said("Hm.")), assistant(said("Hi.")), user(said(GOES_ON))],
        ),
        (
            [ChatMessage("user", "A"), ChatMessage("user", " "), ChatMessage("user", "B")],
            [user(said("A"), said("B"))],
        ),
        (
            [
                ChatMessage("user", "A"),
                ChatMessage("assistant", "Ok.", (CALL,)),
                ChatMessage("user", "Well?"),
                ChatMessage("tool", "booked", tool_call_id="c1"),
            ],
            [user(said("A")), assistant(said("Ok."), USE), user(RESULT, said("Well?"))],
        ),
    ],
)  # fmt: skip
def test_roles_take_turns(chat: Sequence[ChatMessage], expected: list[dict[str, Any]]) -> None:
    assert messages(chat) == expected


@pytest.mark.parametrize("arguments", ["", "{not json", "[1]", None, "[" * 100_000])
def test_arguments_that_are_no_object(arguments: Any) -> None:
    call = {"id": "c1", "function": {"name": "book", "arguments": arguments}}
    turns = messages([ChatMessage("user", "A"), ChatMessage("assistant", "", (call,))])
    assert turns[1]["content"][0]["input"] == {}


# --- what comes --------------------------------------------------------------------------------------------------


def event(kind: str, **fields: Any) -> bytes:
    return piece(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode())


def stream(*events: bytes) -> list[Step]:
    return [head(), *events, END]


START = event(
    "message_start",
    message={
        "usage": {
            "input_tokens": 5,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "output_tokens": 1,
        }
    },
)
TEXT = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
STOP = event("message_stop")
SPOKEN = (
    START,
    event("ping"),
    TEXT,
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Yes."}),
    event("content_block_stop", index=0),
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7}),
    STOP,
)  # fmt: skip


def ended(reason: str) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 7})


async def of(*events: bytes) -> list[LlmDelta]:
    async with far_side(stream(*events)) as far:
        llm = AnthropicLlm(far.url, KEY, "claude-haiku-4-5")
        try:
            return await take(llm, ASKED)
        finally:
            await llm.close()


async def test_the_prompt_counts_with_what_was_cached() -> None:
    assert await of(*SPOKEN) == [TextDelta("Yes."), Finished("stop", 10, 3, 7)]


async def test_unknown_events_blocks_and_deltas_are_passed_over() -> None:
    deltas = await of(
        event("new_thing", index=0),
        START,
        event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm."}),
        event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"}),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block={"type": "text", "text": "A"}),
        event("content_block_delta", index=1, delta={"type": "new_delta"}),
        ended("max_tokens"),
        STOP,
    )
    assert deltas == [TextDelta("A"), Finished("length", 10, 3, 7)]


async def test_a_call_without_arguments_gets_an_empty_object() -> None:
    deltas = await of(
        START,
        event(
            "content_block_start",
            index=3,
            content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}},
        ),
        event("content_block_stop", index=3),
        ended("tool_use"),
        STOP,
    )
    assert deltas == [
        ToolCallDelta(0, "t", "f", ""),
        ToolCallDelta(0, "", "", "{}"),
        Finished("tool_calls", 10, 3, 7),
    ]


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ((START, TEXT), "cut_short"),
        ((), "not_a_stream"),
        ((START, ended("refusal"), STOP), "refused"),
        ((START, event("error", error={"type": "overloaded_error", "message": "x"})), "unavailable"),
        ((START, event("error", error={"type": "rate_limit_error", "message": "x"})), "rate_limited"),
        ((START, event("error", error={"type": "something", "message": "x"})), "failed"),
        ((START, event("error")), "failed"),
        ((event("message_start"),), "malformed"),
        ((event("message_start", message=7),), "malformed"),
        ((event("content_block_start", index=0, content_block={}),), "malformed"),
        ((event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "{"}),), "malformed"),
        ((event("message_delta", delta=None),), "malformed"),
        ((piece(b"data: [1]\n\n"),), "malformed"),
    ],
)  # fmt: skip
async def test_a_broken_answer_is_a_known_failure(events: tuple[bytes, ...], code: str) -> None:
    async with far_side(stream(*events)) as far:
        llm = AnthropicLlm(far.url, KEY, "claude-haiku-4-5")
        try:
            assert (await failed(llm, ASKED)).code == code
        finally:
            await llm.close()


@pytest.mark.parametrize(
    ("trouble", "code", "fault", "retryable"),
    [
        (Trouble(Break.REFUSE, code="overloaded_error"), "unavailable", Fault.PROVIDER, True),
        (Trouble(Break.REFUSE, code="credit"), "quota", Fault.CONFIG, False),
        (Trouble(Break.REFUSE, code="too-long"), "bad_request", Fault.CONFIG, False),
        (Trouble(Break.REFUSE, status=413), "bad_request", Fault.CONFIG, False),
        (Trouble(Break.REFUSE, status=504), "unavailable", Fault.PROVIDER, True),
    ],
)
async def test_the_vendors_refusals(
    vendors: SimulatedVendors, trouble: Trouble, code: str, fault: Fault, retryable: bool
) -> None:
    vendors.plans.next(ROUTE, Plan(trouble=trouble))
    llm = AnthropicLlm(vendors.url, KEY, "claude-haiku-4-5")
    try:
        error = await failed(llm, ASKED)
    finally:
        await llm.close()
    assert (error.code, error.fault, error.retryable) == (code, fault, retryable)


async def test_an_error_after_words(vendors: SimulatedVendors) -> None:
    vendors.plans.next(ROUTE, Plan(text="One two three.", extra={"error-inside": [2, "overloaded_error"]}))
    llm = AnthropicLlm(vendors.url, KEY, "claude-haiku-4-5")
    stream = llm.stream(ASKED)
    try:
        assert [await anext(stream), await anext(stream)] == [TextDelta("One"), TextDelta(" two")]
        with pytest.raises(ProviderError, match="overloaded_error") as error:
            await anext(stream)
    finally:
        await llm.close()
    assert error.value.retryable
