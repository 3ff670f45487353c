from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from aywa.adapters.llm.openai import OpenAiLlm
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta
from tests.adapters.llm.far import (
    CUT,
    DONE,
    END,
    HOLD,
    Far,
    Step,
    delta,
    event,
    failure,
    far_side,
    head,
    piece,
    plain,
    spoken,
    usage,
)

KEY = "sk-very-secret"
ASKED = LlmRequest((ChatMessage("system", "Be brief."), ChatMessage("user", "Hello?")))


@asynccontextmanager
async def route(*answers: Sequence[Step], key: str = KEY) -> AsyncIterator[tuple[OpenAiLlm, Far]]:
    async with far_side(*answers) as far:
        llm = OpenAiLlm(far.url, key, "gpt-test")
        try:
            yield llm, far
        finally:
            await llm.close()


async def take(llm: OpenAiLlm, request: LlmRequest = ASKED) -> list[LlmDelta]:
    async with asyncio.timeout(20):
        return [delta async for delta in llm.stream(request)]


async def failed(*answer: Step) -> ProviderError:
    async with route(answer) as (llm, _):
        with pytest.raises(ProviderError) as error:
            await take(llm)
    return error.value


# --- what is asked -----------------------------------------------------------------------------------------------


async def test_an_answer_comes_word_by_word_with_its_usage() -> None:
    answer = [*spoken("Hello there.")[:4], delta("stop"), usage(19, 10, 16), DONE, END]
    async with route(answer) as (llm, far):
        assert await take(llm) == [TextDelta("Hello"), TextDelta(" there."), Finished("stop", 19, 16, 10)]
        (request,) = far.requests
        assert request.line == "POST /v1/chat/completions HTTP/1.1"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["content-type"] == "application/json"
        assert request.body["model"] == "gpt-test"
        assert request.body["stream"] is True
        assert request.body["stream_options"] == {"include_usage": True}
        assert request.body["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ]
        assert "tools" not in request.body


async def test_a_request_carries_all_that_was_asked_for() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    request = LlmRequest(
        (ChatMessage("assistant", "", (call,)), ChatMessage("tool", "7", tool_call_id="call_1")),
        model="other",
        temperature=0.1,
        max_tokens=33,
        tools=(tool,),
        extra={"seed": 5},
    )
    async with route(spoken("Yes.")) as (llm, far):
        _ = await take(llm, request)
        body = far.requests[0].body
    assert body["messages"] == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "7", "tool_call_id": "call_1"},
    ]
    assert (body["model"], body["temperature"], body["tools"], body["seed"]) == ("other", 0.1, [tool], 5)
    assert body.get("max_completion_tokens", body.get("max_tokens")) == 33


async def test_without_a_key_none_is_sent() -> None:
    async with route(spoken("Yes."), key="") as (llm, far):
        _ = await take(llm)
        assert "authorization" not in far.requests[0].headers


async def test_tool_calls_come_in_pieces() -> None:
    def call(index: int, **fields: object) -> bytes:
        return delta(tool_calls=[{"index": index, **fields}])

    answer = [
        head(),
        delta(role="assistant", content=None),
        call(0, id="call_1", type="function", function={"name": "book", "arguments": ""}),
        call(0, function={"arguments": '{"day":'}),
        call(0, function={"arguments": '"Monday"}'}),
        call(1, id="call_2", type="function", function={"name": "tell", "arguments": "{}"}),
        delta("tool_calls"),
        usage(5, 7),
        DONE,
        END,
    ]
    async with route(answer) as (llm, _):
        assert await take(llm) == [
            ToolCallDelta(0, "call_1", "book", ""),
            ToolCallDelta(0, "", "", '{"day":'),
            ToolCallDelta(0, "", "", '"Monday"}'),
            ToolCallDelta(1, "call_2", "tell", "{}"),
            Finished("tool_calls", 5, 0, 7),
        ]


async def test_one_connection_serves_many_turns() -> None:
    async with route(spoken("One two three.")) as (llm, far):
        for _ in range(5):
            assert isinstance((await take(llm))[-1], Finished)
        # The other two are spare.
        assert (llm.waited, far.connections) == (1, 3)


@pytest.mark.parametrize("kept", [1, 3])
async def test_a_kept_connection_that_was_closed_meanwhile_costs_nothing(kept: int) -> None:
    # Each is closed in place of an answer to its second request, as a server does whose patience is at its end.
    whole = spoken("Yes.")
    async with route(*[whole] * kept, *[[CUT]] * kept, whole) as (llm, _):
        await asyncio.gather(*(take(llm) for _ in range(kept)))
        assert isinstance((await take(llm))[-1], Finished)
        # The spare ones were there before.
        assert llm.waited == kept


async def test_a_fresh_connection_that_is_closed_is_not_tried_again() -> None:
    async with route([CUT]) as (llm, far):
        with pytest.raises(ProviderError):
            await take(llm)
        assert len(far.requests) == 1


@pytest.mark.parametrize(
    "pieces",
    [
        # Comments and other fields of an event stream, and both line ends.
        [piece(b": OPENROUTER PROCESSING\n\nevent: message\nid: 7\nretry: 10\n"), delta(content="Hi."), delta("stop")],
        [piece(event(choices=[]).split(b"\r\n", 1)[1][:-2].replace(b"\n\n", b"\r\n\r\n")), *spoken("Hi.")[2:4]],
        # An event cut anywhere.
        [piece(b"data"), piece(b':{"choices":[{"delta":{"content":"H'), piece(b'i."}}]}\n'), piece(b"\n"), delta("stop")],
        # What other servers send beside it.
        [event(choices=None), event(error=None, choices=[]), delta(content="Hi."), delta("stop")],
        [piece(b'data: {"object":"chunk"}\n\n'), delta(content="Hi."), delta("stop")],
        [delta(content="Hi."), delta("stop"), event(choices=[], usage={"prompt_tokens": None})],
        [delta(content="Hi."), delta("stop"), event(choices=[], usage={"prompt_tokens_details": None})],
        [event(choices=[{"delta": None}]), delta(content="Hi."), delta("length")],
        [delta("stop", content="Hi.")],
    ],
    ids=["fields", "crlf", "cut", "nulls", "no-choices", "null-usage", "null-details", "null-delta", "at-once"],
)  # fmt: skip
async def test_what_servers_do_differently_does_not_matter(pieces: list[bytes]) -> None:
    async with route([head(), *pieces, DONE, END]) as (llm, _):
        deltas = await take(llm)
        assert deltas[:-1] == [TextDelta("Hi.")]
        assert isinstance(deltas[-1], Finished)


async def test_a_stream_without_its_last_word_is_whole_when_it_was_finished() -> None:
    async with route([head(), delta(content="Hi."), delta("stop"), END]) as (llm, _):
        assert await take(llm) == [TextDelta("Hi."), Finished("stop")]


async def test_a_server_that_does_not_end_its_answer_does_not_hold_the_turn() -> None:
    async with route([head(), delta(content="Hi."), delta("stop"), DONE, HOLD]) as (llm, far):
        assert await take(llm) == [TextDelta("Hi."), Finished("stop")]
        async with asyncio.timeout(10):
            await far.gone.wait()


# --- how it fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "fault", "retryable", "mend"),
    [
        ("400 Bad Request", "bad_request", Fault.CONFIG, False, ""),
        ("401 Unauthorized", "unauthorized", Fault.CONFIG, False, "check OPENAI_API_KEY"),
        ("403 Forbidden", "forbidden", Fault.CONFIG, False, "check that the key may use this model"),
        ("404 Not Found", "not_found", Fault.CONFIG, False, "check OPENAI_BASE_URL and OPENAI_MODEL"),
        ("408 Request Timeout", "refused", Fault.CONFIG, True, ""),
        ("422 Unprocessable Entity", "refused", Fault.CONFIG, False, ""),
        ("429 Too Many Requests", "rate_limited", Fault.CONFIG, True, "raise the quota, or wait"),
        ("500 Internal Server Error", "unavailable", Fault.PROVIDER, True, ""),
        ("502 Bad Gateway", "unavailable", Fault.PROVIDER, True, ""),
        ("503 Service Unavailable", "unavailable", Fault.PROVIDER, True, ""),
    ],
)
async def test_a_refusal_says_whose_fault_it_is(
    status: str, code: str, fault: Fault, retryable: bool, mend: str
) -> None:
    error = await failed(failure(status, f"Incorrect API key provided: {KEY}.", "some_error", "some_code"))
    assert (error.code, error.fault, error.retryable, error.mend) == (code, fault, retryable, mend)
    assert error.route == "openai"
    assert status[:3] in str(error)
    assert mend in str(error)
    assert KEY not in str(error)
    assert "Hello?" not in str(error)


@pytest.mark.parametrize(
    ("answer", "code", "fault", "retryable"),
    [
        ([plain("200 OK", "text/html", b"<html>Sign in</html>")], "not_a_stream", Fault.CONFIG, False),
        ([head("200 OK", "text/plain"), piece(b"It works!\n"), END], "not_a_stream", Fault.CONFIG, False),
        ([plain("200 OK", "application/json", b'{"choices":[]}')], "not_a_stream", Fault.CONFIG, False),
        ([plain("200 OK", "text/event-stream", b"")], "not_a_stream", Fault.CONFIG, False),
        ([plain("301 Moved", "text/html", b"", "Location: /login")], "refused", Fault.CONFIG, False),
        ([plain("307 Moved", "text/html", b"", "Location: http://127.0.0.1:9/")], "refused", Fault.CONFIG, False),
        ([head(), piece(b"data: {not json}\n\n"), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), piece(b"data: \xff\xfe\n\n"), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), piece(b"data: " + b"[" * 100_000 + b"\n\n"), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), piece(b"data: [1, 2]\n\n"), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), piece(b'data: "text"\n\n'), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), event(choices=7), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), event(choices=[7]), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), event(choices=[{"delta": "text"}]), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), delta(tool_calls=7), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), delta(tool_calls=["x"]), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), delta(tool_calls=[{"index": "x"}]), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), piece(b"data: " + b"x" * 3_000_000), HOLD], "malformed", Fault.PROVIDER, True),
        ([head(), delta(content="Hel"), event(error={"message": KEY, "code": 500}), HOLD], "failed", Fault.PROVIDER, True),
        ([head(), delta(content="Hel"), CUT], "cut_short", Fault.NETWORK, True),
        ([head(), delta(content="Hel"), END], "cut_short", Fault.NETWORK, True),
        ([head(), delta(content="Hel"), DONE, END], "cut_short", Fault.NETWORK, True),
        ([CUT], "unreachable", Fault.NETWORK, True),
        ([b"HTTP/1.1 banana\r\n\r\n", HOLD], "unreachable", Fault.NETWORK, True),
        ([b"\x15\x03\x01\x00\x02\x02\x50", CUT], "unreachable", Fault.NETWORK, True),
        ([head(), b"zz\r\nnot a chunk\r\n", HOLD], "unreachable", Fault.NETWORK, True),
    ],
)  # fmt: skip
async def test_a_broken_answer_is_a_known_failure(
    answer: list[Step], code: str, fault: Fault, retryable: bool
) -> None:
    error = await failed(*answer)
    assert (error.code, error.fault, error.retryable) == (code, fault, retryable)
    assert KEY not in str(error)
    assert "\n" not in str(error)
    if fault is Fault.CONFIG:
        assert "OPENAI_BASE_URL" in error.mend


async def test_what_came_before_the_failure_was_told() -> None:
    async with route([head(), delta(content="Hel"), delta(content="lo"), CUT]) as (llm, _):
        stream = llm.stream(ASKED)
        assert [await anext(stream), await anext(stream)] == [TextDelta("Hel"), TextDelta("lo")]
        with pytest.raises(ProviderError):
            await anext(stream)


async def test_after_a_failure_the_next_turn_is_served() -> None:
    async with route([CUT], [head(), CUT], spoken("Here again.")) as (llm, _):
        for _ in range(2):
            with pytest.raises(ProviderError):
                await take(llm)
        assert await take(llm)


@pytest.mark.parametrize(
    ("url", "code", "fault"),
    [
        ("http://127.0.0.1:9/v1", "unreachable", Fault.NETWORK),
        ("localhost:8000/v1", "bad_url", Fault.CONFIG),
        ("/v1", "bad_url", Fault.CONFIG),
        ("ftp://localhost/v1", "bad_url", Fault.CONFIG),
        ("http://", "bad_url", Fault.CONFIG),
        ("http://localhost:99999/v1", "bad_url", Fault.CONFIG),
        ("http://[::1/v1", "bad_url", Fault.CONFIG),
    ],
)
async def test_an_address_where_nobody_is(url: str, code: str, fault: Fault) -> None:
    llm = OpenAiLlm(url, KEY, "gpt-test")
    try:
        with pytest.raises(ProviderError) as error:
            await take(llm)
    finally:
        await llm.close()
    assert (error.value.code, error.value.fault) == (code, fault)
    assert "OPENAI_BASE_URL" in error.value.mend
    assert KEY not in str(error.value)


@pytest.mark.parametrize("key", ["two\nlines", "carriage\rreturn", "nul\0"])
async def test_a_key_that_no_header_can_carry(key: str) -> None:
    async with route(spoken("Yes."), key=key) as (llm, far):
        with pytest.raises(ProviderError) as error:
            await take(llm)
        assert far.requests == []
    assert (error.value.code, error.value.fault, error.value.retryable) == ("bad_key", Fault.CONFIG, False)
    assert "OPENAI_API_KEY" in error.value.mend
    assert key not in str(error.value)


# --- how it is stopped -------------------------------------------------------------------------------------------


async def test_closing_the_stream_closes_the_connection() -> None:
    async with route([head(), delta(content="Once"), HOLD]) as (llm, far):
        stream = llm.stream(ASKED)
        assert await anext(stream) == TextDelta("Once")
        await stream.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            await far.gone.wait()


@pytest.mark.parametrize("answer", [[HOLD], [head(), HOLD], [head(), delta(content="Once"), HOLD]])
async def test_cancelling_closes_the_connection(answer: list[Step]) -> None:
    async with route(answer) as (llm, far):
        asking = asyncio.create_task(take(llm))
        async with asyncio.timeout(10):
            while not far.requests:  # noqa: ASYNC110 - the far side counts, it does not tell
                await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(10):
            await far.gone.wait()


async def test_a_slow_stream_is_told_as_it_comes() -> None:
    async with route([head(), delta(content="Once"), HOLD]) as (llm, _):
        stream = llm.stream(ASKED)
        assert await asyncio.wait_for(anext(stream), 10) == TextDelta("Once")
        await stream.aclose()  # type: ignore[attr-defined]


async def test_warming_dials_and_asks_nothing() -> None:
    async with route(spoken("Yes.")) as (llm, far):
        await llm.warm(ASKED)
        await llm.warm(ASKED)
        assert (far.connections, far.requests) == (2, [])
        _ = await take(llm)
        assert llm.waited == 0


async def test_warming_never_fails() -> None:
    for url in ("http://127.0.0.1:9/v1", "ftp://x", "http://[::1/v1", "nowhere"):
        llm = OpenAiLlm(url, KEY, "gpt-test")
        await llm.warm(ASKED)
        await llm.close()
        await llm.warm(ASKED)


@pytest.mark.parametrize("answer", [[HOLD], [head(), HOLD], [head(), delta(content="Once"), HOLD]])
async def test_closing_the_route_ends_what_streams(answer: list[Step]) -> None:
    async with route(answer) as (llm, far):
        asking = asyncio.create_task(take(llm))
        async with asyncio.timeout(10):
            while not far.requests:  # noqa: ASYNC110 - the far side counts, it does not tell
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        await llm.close()
        with pytest.raises(ProviderError) as error:
            await asyncio.wait_for(asking, 5)
        assert error.value.code == "closed"
        with pytest.raises(ProviderError) as error:
            await take(llm)
        assert error.value.code == "closed"
