"""OpenAI's own client against the simulator: what it accepts is what we imitate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from aywa.testing.vendors.plan import Break, Plan, ToolCall, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from tests.testing.vendors.honest import KEY, is_honest

MESSAGES: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]
TOOLS: Any = [{"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}]


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as one:
        yield one


@pytest.fixture
async def client(vendors: SimulatedVendors) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{vendors.url}/v1", max_retries=0) as one:
        yield one


async def streamed(client: openai.AsyncOpenAI, **more: Any) -> list[ChatCompletionChunk]:
    options: Any = {
        "model": "gpt-4.1",
        "messages": MESSAGES,
        "stream_options": {"include_usage": True},
        **more,
    }
    async with asyncio.timeout(20):
        chunks = [chunk async for chunk in await client.chat.completions.create(stream=True, **options)]
    for chunk in chunks:
        is_honest(chunk)
    return chunks


async def test_a_streamed_answer(vendors: SimulatedVendors, client: openai.AsyncOpenAI) -> None:
    vendors.plans.next("openai.chat", Plan(text="One two three.", cached_tokens=1024))
    *chunks, last = await streamed(client)
    assert [c.choices[0].delta.content for c in chunks] == ["", "One", " two", " three.", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 3
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.prompt_tokens_details.cached_tokens == 1024


async def test_streamed_tool_calls(vendors: SimulatedVendors, client: openai.AsyncOpenAI) -> None:
    plan = Plan(tool_calls=(ToolCall("book", '{"day": "Monday"}'), ToolCall("tell", "{}")))
    vendors.plans.next("openai.chat", plan, plan)
    chunks = await streamed(client, tools=TOOLS)
    pieces = [call for c in chunks if c.choices for call in c.choices[0].delta.tool_calls or []]
    assert [(p.index, p.function.name) for p in pieces if p.function and p.function.name] == [
        (0, "book"),
        (1, "tell"),
    ]
    assert (
        "".join(p.function.arguments or "" for p in pieces if p.function and p.index == 0)
        == '{"day": "Monday"}'
    )
    # The SDK's own assembling of the pieces agrees.
    async with client.chat.completions.stream(model="gpt-4.1", messages=MESSAGES, tools=TOOLS) as stream:
        whole = await stream.get_final_completion()
    calls = whole.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["book", "tell"]
    assert whole.choices[0].finish_reason == "tool_calls"


async def test_a_whole_answer(vendors: SimulatedVendors, client: openai.AsyncOpenAI) -> None:
    vendors.plans.next("openai.chat", Plan(text="One two three four."), Plan(tool_calls=(ToolCall("book"),)))
    answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_completion_tokens=2)
    is_honest(answer)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("One two", "length")
    answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=TOOLS)
    is_honest(answer)
    assert answer.choices[0].message.tool_calls is not None
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_the_list_of_models(client: openai.AsyncOpenAI) -> None:
    models = await client.models.list()
    for model in models.data:
        is_honest(model)
    assert "gpt-4.1" in {model.id for model in models.data}


async def test_a_wrong_key(vendors: SimulatedVendors) -> None:
    async with openai.AsyncOpenAI(api_key="sk-wrong", base_url=f"{vendors.url}/v1", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as error:
            await client.models.list()
        assert error.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            await streamed(client)


@pytest.mark.parametrize(
    ("trouble", "kind", "code"),
    [
        (Trouble(Break.REFUSE, status=400), openai.BadRequestError, None),
        (Trouble(Break.REFUSE, status=400, code="context_length_exceeded"), openai.BadRequestError, "context_length_exceeded"),
        (Trouble(Break.REFUSE, status=403), openai.PermissionDeniedError, "unsupported_country_region_territory"),
        (Trouble(Break.REFUSE, status=404), openai.NotFoundError, "model_not_found"),
        (Trouble(Break.REFUSE, status=429, retry_after_s=3), openai.RateLimitError, "rate_limit_exceeded"),
        (Trouble(Break.REFUSE, status=429, code="insufficient_quota"), openai.RateLimitError, "insufficient_quota"),
        (Trouble(Break.REFUSE, status=500), openai.InternalServerError, None),
        (Trouble(Break.REFUSE, status=503), openai.InternalServerError, "service_unavailable"),
    ],
)  # fmt: skip
async def test_refusals_have_the_vendors_types(
    vendors: SimulatedVendors, client: openai.AsyncOpenAI, trouble: Trouble, kind: type[openai.APIStatusError], code: str | None
) -> None:  # fmt: skip
    vendors.plans.next("openai.chat", Plan(trouble=trouble))
    with pytest.raises(kind) as error:
        await streamed(client)
    assert error.value.code == code
    assert error.value.status_code == trouble.status
    assert error.value.request_id
    if trouble.retry_after_s:
        assert error.value.response.headers["retry-after"] == "3"


async def test_the_vendors_rules(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await streamed(client, model="no-such-model")
    with pytest.raises(openai.BadRequestError) as error:
        await streamed(client, model="gpt-5-mini", temperature=0.5)
    assert (error.value.param, error.value.code) == ("temperature", "unsupported_value")
    with pytest.raises(openai.BadRequestError):
        await streamed(client, messages=[])
    with pytest.raises(openai.BadRequestError):
        await streamed(client, messages=[{"role": "tool", "content": "7"}])


async def test_a_cut_before_the_answer(vendors: SimulatedVendors, client: openai.AsyncOpenAI) -> None:
    vendors.plans.next("openai.chat", Plan(trouble=Trouble(Break.CUT)))
    with pytest.raises(openai.APIConnectionError):
        await streamed(client)
