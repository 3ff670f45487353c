"""OpenAI chat completions, streamed, and every server that speaks the same: POST {base}/chat/completions, SSE back.

Wire: https://platform.openai.com/docs/api-reference/chat-streaming. Retries and deadlines are the router's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta

MAX_LINE_BYTES = 1 << 20
# How long the end of a finished answer may take to come: with it the connection can be used again.
DRAIN_S = 0.2

_CHECK_URL = "check OPENAI_BASE_URL"

_STATUS_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    429: "rate_limited",
}
_MENDS = {
    401: "check OPENAI_API_KEY",
    403: "check that the key may use this model",
    404: f"{_CHECK_URL} and OPENAI_MODEL",
    429: "raise the quota, or wait",
}


@dataclass(slots=True)
class _Connection:
    """The one that a request went out on. kept: from an earlier request."""

    kept: bool = False


async def _note_kept(session: aiohttp.ClientSession, context: Any, parameters: object) -> None:
    context.trace_request_ctx.kept = True


class OpenAiLlm:
    """One route. The session is made on first use and kept, so that a turn pays no handshake."""

    def __init__(self, base_url: str, key: str, model: str, name: str = "openai") -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._key = key
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._model = model
        self._name = name
        self._http: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """The route's name."""
        return self._name

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """As the port says."""
        if any(ord(character) < 32 or ord(character) == 127 for character in self._key):
            raise self._error(
                "bad_key", "its key holds a line end or the like", Fault.CONFIG, retryable=False,
                mend=_MENDS[401],
            )  # fmt: skip
        try:
            async with await self._ask(self._body(request)) as answer:
                if answer.status != 200:
                    raise self._refused(answer.status)
                if answer.content_type in ("text/html", "application/json"):
                    raise self._no_stream(answer.content_type)
                async for delta in self._deltas(answer):
                    yield delta
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise self._error(
                "bad_url", "its address is not one of HTTP", Fault.CONFIG, retryable=False, mend=_CHECK_URL
            ) from error
        except aiohttp.ClientError as error:
            mend = _CHECK_URL if isinstance(error, aiohttp.ClientConnectorError) else ""
            name = type(error).__name__
            raise self._error("unreachable", name, Fault.NETWORK, retryable=True, mend=mend) from error

    async def warm(self, request: LlmRequest) -> None:
        """The provider keeps its own prompt cache; opening the connection is for the router."""

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()

    async def _ask(self, body: Mapping[str, Any]) -> aiohttp.ClientResponse:
        """The answer, as far as its head. A kept connection may turn out to be closed by the far side: then another is
        taken, at last a fresh one."""
        while True:
            connection = _Connection()
            try:
                return await self._session().post(
                    self._url,
                    json=body,
                    headers=self._headers,
                    allow_redirects=False,
                    trace_request_ctx=connection,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not connection.kept:
                    raise

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_reuseconn.append(_note_kept)
            self._http = aiohttp.ClientSession(
                timeout=timeout, read_bufsize=MAX_LINE_BYTES, trace_configs=[tracing]
            )
        return self._http

    def _body(self, request: LlmRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model or self._model,
            "messages": [_message(m) for m in request.messages],
            "temperature": request.temperature,
            "max_completion_tokens": request.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body["tools"] = list(request.tools)
        return body | dict(request.extra)

    async def _deltas(self, answer: aiohttp.ClientResponse) -> AsyncIterator[LlmDelta]:
        reason = ""
        usage: Mapping[str, Any] = {}
        seen = False
        async for data in self._events(answer):
            seen = True
            if data == b"[DONE]":
                break
            chunk = self._chunk(data)
            usage = chunk.get("usage") or usage
            try:
                choices = [
                    (c.get("finish_reason"), _choice_deltas(c.get("delta") or {})) for c in chunk["choices"]
                ]
            except (KeyError, TypeError, ValueError, AttributeError):
                raise self._malformed("a piece of the stream has another shape") from None
            for ended, deltas in choices:
                reason = ended or reason
                for delta in deltas:
                    yield delta
        if not seen:
            raise self._no_stream(answer.content_type)
        if not reason:
            raise self._error(
                "cut_short", "the stream ended before it was finished", Fault.NETWORK, retryable=True
            )
        await _drain(answer)
        yield _finished(str(reason), usage)

    async def _events(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """What the lines of data hold."""
        try:
            async for line in answer.content:
                if line.startswith(b"data:") and (data := line[5:].strip()):
                    yield data
        except (ValueError, HttpProcessingError):
            raise self._malformed("a line is too long") from None

    def _chunk(self, data: bytes) -> dict[str, Any]:
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            raise self._malformed("a piece of the stream is not JSON") from None
        if not isinstance(chunk, dict):
            raise self._malformed("a piece of the stream is not an object")
        if chunk.get("error"):
            raise self._error("failed", "the stream carried an error", Fault.PROVIDER, retryable=True)
        # Some servers send a piece for their own purposes, without choices.
        return {**chunk, "choices": chunk.get("choices") or ()}

    def _refused(self, status: int) -> ProviderError:
        code = _STATUS_CODES.get(status, "unavailable" if status >= 500 else "refused")
        fault = Fault.PROVIDER if status >= 500 else Fault.CONFIG
        retryable = status >= 500 or status in (408, 429)
        mend = _MENDS.get(status, "" if status >= 400 else _CHECK_URL)
        return self._error(code, f"answered {status}", fault, retryable=retryable, mend=mend)

    def _no_stream(self, content_type: str) -> ProviderError:
        return self._error(
            "not_a_stream",
            f"answered 200 with {content_type[:80]}, not with a stream of events",
            Fault.CONFIG,
            retryable=False,
            mend=_CHECK_URL,
        )

    def _malformed(self, message: str) -> ProviderError:
        return self._error("malformed", message, Fault.PROVIDER, retryable=True)

    def _error(
        self, code: str, message: str, fault: Fault, *, retryable: bool, mend: str = ""
    ) -> ProviderError:
        return ProviderError(self._name, code, message, fault=fault, retryable=retryable, mend=mend)


def _message(message: ChatMessage) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [dict(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _choice_deltas(delta: Mapping[str, Any]) -> list[LlmDelta]:
    deltas: list[LlmDelta] = []
    if text := delta.get("content"):
        deltas.append(TextDelta(str(text)))
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        deltas.append(
            ToolCallDelta(
                int(call.get("index") or 0),
                str(call.get("id") or ""),
                str(function.get("name") or ""),
                str(function.get("arguments") or ""),
            )
        )
    return deltas


def _finished(reason: str, usage: Any) -> Finished:
    counts = usage if isinstance(usage, Mapping) else {}
    details = counts.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    return Finished(
        reason, _count(counts.get("prompt_tokens")), _count(cached), _count(counts.get("completion_tokens"))
    )


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


async def _drain(answer: aiohttp.ClientResponse) -> None:
    """Takes the little that follows the last event; whoever does not end his answer gets no second request on it."""
    with suppress(TimeoutError, aiohttp.ClientError, ValueError, HttpProcessingError):
        async with asyncio.timeout(DRAIN_S):
            while not answer.content.at_eof():
                _ = await answer.content.readline()
