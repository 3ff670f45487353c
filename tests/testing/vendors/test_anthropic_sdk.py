"""Anthropic's own client against the simulator: what it accepts is what we imitate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from aywa.testing.vendors.plan import Break, Plan, ToolCall, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from tests.testing.vendors.honest import KEY, is_honest

MESSAGES: Any = [{"role": "user", "content": "Hello?"}]
TOOLS: Any = [{"name": "book", "input_schema": {"type": "object"}}]
ROUTE = "anthropic.messages"


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as one:
        yield one


@pytest.fixture
async def client(vendors: SimulatedVendors) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=vendors.url, max_retries=0) as one:
        yield one


async def streamed(client: anthropic.AsyncAnthropic, **more: Any) -> list[Any]:
    options: Any = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": MESSAGES, **more}
    async with asyncio.timeout(20):
        events = [event async for event in await client.messages.create(stream=True, **options)]
    for event in events:
        is_honest(event)
    return events


async def test_a_streamed_answer(vendors: SimulatedVendors, client: anthropic.AsyncAnthropic) -> None:
    vendors.plans.next(ROUTE, Plan(text="One two.", cached_tokens=2048))
    events = await streamed(
        client, system=[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    )
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0].message.usage.cache_read_input_tokens == 2048
    assert [e.delta.text for e in events[2:4]] == ["One", " two."]
    assert (events[-2].delta.stop_reason, events[-2].usage.output_tokens) == ("end_turn", 2)


async def test_streamed_tool_calls(vendors: SimulatedVendors, client: anthropic.AsyncAnthropic) -> None:
    plan = Plan(text="One moment.", tool_calls=(ToolCall("book", '{"day": "Monday"}'), ToolCall("tell")))
    vendors.plans.next(ROUTE, plan, plan)
    _ = await streamed(client, tools=TOOLS)
    # The SDK's own assembling of the pieces.
    async with client.messages.stream(
        model="claude-haiku-4-5", max_tokens=50, messages=MESSAGES, tools=TOOLS
    ) as stream:
        whole = await stream.get_final_message()
    assert [(b.name, b.input) for b in whole.content if b.type == "tool_use"] == [
        ("book", {"day": "Monday"}),
        ("tell", {}),
    ]
    assert whole.stop_reason == "tool_use"


async def test_a_whole_answer(vendors: SimulatedVendors, client: anthropic.AsyncAnthropic) -> None:
    vendors.plans.next(ROUTE, Plan(text="One two three."), Plan(tool_calls=(ToolCall("book", '{"a": 1}'),)))
    for stop, limit in (("max_tokens", 2), ("tool_use", 50)):
        message = await client.messages.create(model="claude-haiku-4-5", max_tokens=limit, messages=MESSAGES)
        is_honest(message)
        assert message.stop_reason == stop


async def test_the_list_of_models(client: anthropic.AsyncAnthropic) -> None:
    models = await client.models.list()
    for model in models.data:
        is_honest(model)
    assert "claude-haiku-4-5" in {model.id for model in models.data}


async def test_a_wrong_key(vendors: SimulatedVendors) -> None:
    async with anthropic.AsyncAnthropic(api_key="sk-ant", base_url=vendors.url, max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as error:
            await streamed(client)
        assert error.value.type == "authentication_error"


@pytest.mark.parametrize(
    ("trouble", "kind", "named"),
    [
        (Trouble(Break.REFUSE, status=400), anthropic.BadRequestError, "invalid_request_error"),
        (Trouble(Break.REFUSE, status=403), anthropic.PermissionDeniedError, "permission_error"),
        (Trouble(Break.REFUSE, status=404), anthropic.NotFoundError, "not_found_error"),
        (Trouble(Break.REFUSE, status=429, retry_after_s=3), anthropic.RateLimitError, "rate_limit_error"),
        (Trouble(Break.REFUSE, status=500), anthropic.InternalServerError, "api_error"),
        (Trouble(Break.REFUSE, code="overloaded_error"), anthropic.APIStatusError, "overloaded_error"),
        (Trouble(Break.REFUSE, code="billing_error"), anthropic.APIStatusError, "billing_error"),
        (Trouble(Break.REFUSE, code="credit"), anthropic.BadRequestError, "invalid_request_error"),
    ],
)
async def test_refusals_have_the_vendors_types(
    vendors: SimulatedVendors,
    client: anthropic.AsyncAnthropic,
    trouble: Trouble,
    kind: type[anthropic.APIStatusError],
    named: str,
) -> None:
    vendors.plans.next(ROUTE, Plan(trouble=trouble))
    with pytest.raises(kind) as error:
        await streamed(client)
    assert error.value.type == named
    assert error.value.request_id
    if trouble.code == "overloaded_error":
        assert error.value.status_code == 529


async def test_an_error_inside_the_stream(
    vendors: SimulatedVendors, client: anthropic.AsyncAnthropic
) -> None:
    vendors.plans.next(ROUTE, Plan(text="One two.", extra={"error-inside": [1, "overloaded_error"]}))
    with pytest.raises(anthropic.APIStatusError) as error:
        await streamed(client)
    assert error.value.type == "overloaded_error"


async def test_the_vendors_rules(client: anthropic.AsyncAnthropic) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "book", "input": {}}
    for wrong in (
        {"model": "gpt-4.1"},
        {"extra_body": {"temperature": 1.5}},
        {"model": "claude-opus-4-7", "extra_body": {"temperature": 0.5}},
        {"model": "claude-opus-5-5", "thinking": {"type": "disabled"}},
        {"messages": [{"role": "assistant", "content": "Hello."}]},
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [*MESSAGES, {"role": "assistant", "content": [call]}, *MESSAGES]},
    ):
        with pytest.raises(anthropic.APIStatusError):
            await streamed(client, **wrong)
