"""OpenAI chat completions, streamed, and every server that speaks the same: POST {base}/chat/completions, SSE back.

Wire: https://platform.openai.com/docs/api-reference/chat-streaming. Retries and deadlines are the router's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta

MAX_LINE_BYTES = 1 << 20

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
    404: "check OPENAI_BASE_URL and OPENAI_MODEL",
    429: "raise the quota, or wait",
}


class OpenAiLlm:
    """One route. The session is made on first use and kept, so that a turn pays no handshake."""

    def __init__(self, base_url: str, key: str, model: str, name: str = "openai") -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
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
        try:
            async with self._session().post(
                self._url, json=self._body(request), headers=self._headers
            ) as answer:
                if answer.status != 200:
                    raise await self._refused(answer)
                async for delta in self._deltas(answer):
                    yield delta
        except aiohttp.ClientError as error:
            raise self._error("unreachable", type(error).__name__, Fault.NETWORK, retryable=True) from error

    async def warm(self, request: LlmRequest) -> None:
        """The provider keeps its own prompt cache; opening the connection is for the router."""

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            self._http = aiohttp.ClientSession(timeout=timeout, read_bufsize=MAX_LINE_BYTES)
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
        async for line in answer.content:
            data = line.strip().removeprefix(b"data:").strip()
            if not line.startswith(b"data:") or not data:
                continue
            if data == b"[DONE]":
                break
            chunk = self._chunk(data)
            usage = chunk.get("usage") or usage
            for choice in chunk.get("choices") or ():
                reason = choice.get("finish_reason") or reason
                for delta in _choice_deltas(choice.get("delta") or {}):
                    yield delta
        if not reason:
            raise self._error(
                "cut_short", "the stream ended before it was finished", Fault.NETWORK, retryable=True
            )
        yield _finished(reason, usage)

    def _chunk(self, data: bytes) -> dict[str, Any]:
        try:
            chunk = json.loads(data)
        except ValueError:
            raise self._error(
                "malformed", "a piece of the stream is not JSON", Fault.PROVIDER, retryable=True
            ) from None
        if not isinstance(chunk, dict) or "error" in chunk:
            raise self._error("failed", "the stream carried an error", Fault.PROVIDER, retryable=True)
        return chunk

    async def _refused(self, answer: aiohttp.ClientResponse) -> ProviderError:
        status = answer.status
        code = _STATUS_CODES.get(status, "unavailable" if status >= 500 else "refused")
        fault = Fault.PROVIDER if status >= 500 else Fault.CONFIG
        retryable = status >= 500 or status == 429
        return self._error(
            code, f"answered {status}", fault, retryable=retryable, mend=_MENDS.get(status, "")
        )

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
                int(call.get("index", 0)),
                str(call.get("id") or ""),
                str(function.get("name") or ""),
                str(function.get("arguments") or ""),
            )
        )
    return deltas


def _finished(reason: str, usage: Mapping[str, Any]) -> Finished:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Finished(
        reason, int(usage.get("prompt_tokens", 0)), int(cached), int(usage.get("completion_tokens", 0))
    )
