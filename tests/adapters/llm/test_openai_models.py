"""Which model is told what: the rules for the names we know, and what is learned from a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aywa.adapters.llm.openai import REASONING_ROOM, OpenAiLlm, reasoning_effort, takes_temperature
from aywa.ports.errors import Fault
from aywa.ports.llm import ChatMessage, Finished, LlmRequest
from aywa.testing.vendors.server import SimulatedVendors
from tests.adapters.llm.far import DONE, END, Far, delta, failure, far_side, head, plain, spoken
from tests.contracts.llm import failed, take, text_of

ASKED = LlmRequest((ChatMessage("user", "Hello?"),), temperature=0.3, max_tokens=100)


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as one:
        yield one


@pytest.mark.parametrize(
    ("model", "temperature", "effort"),
    [
        ("gpt-4.1", True, ""),
        ("gpt-4.1-mini-2025-04-14", True, ""),
        ("gpt-4o", True, ""),
        ("gpt-4o-mini", True, ""),
        ("chatgpt-4o-latest", True, ""),
        ("ft:gpt-4.1:org::id", True, ""),
        ("any-other", True, ""),
        ("o1", False, "low"),
        ("o3-mini-2025-01-31", False, "low"),
        ("o4-mini", False, "low"),
        ("o1-preview", False, ""),
        ("gpt-5", False, "minimal"),
        ("gpt-5-mini-2025-08-07", False, "minimal"),
        ("gpt-5-pro", False, ""),
        ("gpt-5-chat-latest", True, ""),
        ("gpt-5.1", True, "none"),
        ("gpt-5.1-codex", False, ""),
        ("gpt-5.2-chat-latest", False, ""),
        ("gpt-5.4-mini-2026-03-17", True, "none"),
        ("gpt-5.6-luna", False, "none"),
        ("gpt-6-sol", False, "none"),
    ],
)
def test_what_a_model_is_told(model: str, temperature: bool, effort: str) -> None:
    assert takes_temperature(model) is temperature
    assert reasoning_effort(model) == effort


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5-mini", "o4-mini", "gpt-5.2", "gpt-6-sol"])
async def test_the_vendor_takes_what_it_is_sent(vendors: SimulatedVendors, model: str) -> None:
    llm = OpenAiLlm(f"{vendors.url}/v1", "sim-key", model)
    try:
        assert text_of(await take(llm, ASKED))
    finally:
        await llm.close()
    (asked,) = vendors.world.asked("openai.chat")
    assert "max_tokens" not in asked.body
    thinks = asked.body.get("reasoning_effort") in ("minimal", "low")
    assert asked.body["max_completion_tokens"] == 100 + (REASONING_ROOM if thinks else 0)


def refusal_of(parameter: str | None, code: str | None = "unsupported_value") -> list[bytes]:
    body = f'{{"error": {{"message": "m", "type": "invalid_request_error", "param": "{parameter}", "code": "{code}"}}}}'
    return [plain("400 Bad Request", "application/json", body.encode())]


async def asked_after(far: Far, model: str, refusals: int) -> list[bool]:
    """Asks until it is refused no more; which refusals may be tried again."""
    llm = OpenAiLlm(far.url, "key", model)
    try:
        errors = [await failed(llm, ASKED) for _ in range(refusals)]
        for _ in range(2):
            assert text_of(await take(llm, ASKED))
    finally:
        await llm.close()
    assert {(error.code, error.fault, "leave it out" in error.mend) for error in errors} == {
        ("bad_request", Fault.CONFIG, True)
    }
    return [error.retryable for error in errors]


async def test_a_refused_parameter_is_left_out_from_then_on() -> None:
    async with far_side(refusal_of("temperature"), spoken("Yes.")) as far:
        assert await asked_after(far, "brand-new", 1) == [True]
        assert ["temperature" in request.body for request in far.requests] == [True, False, False]


async def test_a_refused_effort_is_raised_and_then_left_out() -> None:
    refused = refusal_of("reasoning_effort")
    async with far_side(refused, refused, spoken("Yes.")) as far:
        assert await asked_after(far, "gpt-7", 2) == [True, True]
        assert [r.body.get("reasoning_effort") for r in far.requests] == ["none", "low", None, None]


async def test_what_one_model_refuses_another_still_gets() -> None:
    async with far_side(refusal_of("temperature"), spoken("Yes.")) as far:
        llm = OpenAiLlm(far.url, "key", "one")
        try:
            assert (await failed(llm, ASKED)).retryable
            await take(llm, LlmRequest(ASKED.messages, model="two"))
        finally:
            await llm.close()
        assert "temperature" in far.requests[1].body


async def test_what_the_assistant_insists_on_is_refused_for_good() -> None:
    insists = LlmRequest(ASKED.messages, extra={"temperature": 0.1})
    async with far_side(refusal_of("temperature")) as far:
        llm = OpenAiLlm(far.url, "key", "one")
        try:
            assert [(await failed(llm, insists)).retryable for _ in range(2)] == [True, False]
        finally:
            await llm.close()


@pytest.mark.parametrize("parameter", ["messages", "model", "null"])
async def test_other_refusals_are_the_callers(parameter: str) -> None:
    async with far_side(refusal_of(parameter, "unsupported_value")) as far:
        llm = OpenAiLlm(far.url, "key", "one")
        try:
            error = await failed(llm, ASKED)
        finally:
            await llm.close()
        assert (error.code, error.retryable) == ("bad_request", False)


@pytest.mark.parametrize(
    ("status", "code", "expected", "retryable"),
    [
        ("429 Too Many Requests", "insufficient_quota", "quota", False),
        ("429 Too Many Requests", "rate_limit_exceeded", "rate_limited", True),
        ("404 Not Found", "model_not_found", "unknown_model", False),
        ("400 Bad Request", "context_length_exceeded", "bad_request", False),
        ("403 Forbidden", "unsupported_country_region_territory", "forbidden", False),
    ],
)
async def test_the_vendors_codes(status: str, code: str, expected: str, retryable: bool) -> None:
    async with far_side([failure(status, "said", "some_error", code)]) as far:
        llm = OpenAiLlm(far.url, "key", "gpt-4.1")
        try:
            error = await failed(llm, ASKED)
        finally:
            await llm.close()
    assert (error.code, error.retryable) == (expected, retryable)
    assert code in str(error)
    assert error.mend


async def test_tool_calls_that_are_all_number_0_are_told_apart_by_their_ids() -> None:
    def call(call_id: str | None, **function: str) -> bytes:
        return delta(tool_calls=[{"index": 0, "id": call_id, "function": function}])

    answer = [
        head(),
        call("a", name="one", arguments="{}"),
        call("b", name="two", arguments=""),
        call(None, arguments="{}"),
        delta("stop"),
        DONE,
        END,
    ]
    async with far_side(answer) as far:
        llm = OpenAiLlm(far.url, "key", "gpt-4.1")
        try:
            *calls, finished = await take(llm, ASKED)
        finally:
            await llm.close()
    assert [(c.index, c.name) for c in calls if not isinstance(c, Finished)] == [  # type: ignore[union-attr]
        (0, "one"),
        (1, "two"),
        (1, ""),
    ]
    # Such servers also forget to say why they stopped.
    assert isinstance(finished, Finished)
    assert finished.reason == "tool_calls"


async def test_a_filtered_answer_without_a_word_is_a_failure() -> None:
    async with far_side([head(), delta(content=""), delta("content_filter"), DONE, END]) as far:
        llm = OpenAiLlm(far.url, "key", "gpt-4.1")
        try:
            error = await failed(llm, ASKED)
        finally:
            await llm.close()
    assert (error.code, error.retryable) == ("refused", False)
