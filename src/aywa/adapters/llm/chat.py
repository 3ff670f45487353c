"""OpenAI's chat completions as every server of them speaks: the request's body, and the stream back as deltas.

Wire: https://platform.openai.com/docs/api-reference/chat-streaming. What only one vendor does is in its adapter.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from aywa.adapters.wire.http import HttpRoute, Inspect
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta

PATH = "/chat/completions"
ACCEPT = {"Accept": "text/event-stream"}
INDEX_MAX = 1000
"""More tool calls than this in one answer are nonsense."""

# Other servers have other words for the same.
_REASONS = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


def common_body(request: LlmRequest, model: str) -> dict[str, Any]:
    """What every server takes, without the limit of tokens, which has two names."""
    body: dict[str, Any] = {
        "model": request.model or model,
        "messages": [_message(m) for m in request.messages],
        "stream": True,
    }
    if request.tools:
        body["tools"] = list(request.tools)
    return body


async def chat(
    http: HttpRoute, path: str, body: Mapping[str, Any], inspect: Inspect | None = None
) -> AsyncGenerator[LlmDelta, None]:
    """Asks, and yields what comes."""
    reason = ""
    usage: Mapping[str, Any] = {}
    calls = _ToolCalls()
    seen = False
    async with (
        http.ask("POST", path, body=body, headers=ACCEPT, inspect=inspect) as answer,
        aclosing(answer.events()) as events,
    ):
        async for event in events:
            seen = True
            if event.data == b"[DONE]":
                break
            chunk = answer.object(event.data)
            if chunk.get("error"):
                raise http.told(chunk)
            usage = chunk.get("usage") or usage
            try:
                # Some servers send a piece for their own purposes, without choices.
                choices = [
                    (c.get("finish_reason"), calls.deltas(c.get("delta") or {}))
                    for c in chunk.get("choices") or ()
                ]
            except (TypeError, ValueError, AttributeError):
                raise http.malformed("a piece of the stream has another shape") from None
            for ended, deltas in choices:
                reason = ended or reason
                for delta in deltas:
                    yield delta
        if not seen:
            raise http.not_a_stream(answer.content_type)
        if not reason:
            raise http.cut_short()
        if reason == "content_filter" and not calls.spoke:
            raise filtered(http)
        await answer.drain()
        yield _finished("tool_calls" if calls.any else _REASONS.get(str(reason), "stop"), usage)


def filtered(http: HttpRoute) -> ProviderError:
    """Not a word, because the vendor's filter did not like the conversation: the caller would hear nothing."""
    mend = "look at the prompt, or take another model"
    return http.error("refused", "the vendor's content filter gave no answer", Fault.CONFIG, mend=mend)


class _ToolCalls:
    """Which call a piece belongs to. Some servers number all of them 0, or none, and tell them apart by their ids."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._place: dict[int, int] = {}
        self.spoke = False
        """Whether there was any text."""

    @property
    def any(self) -> bool:
        """Whether there was one."""
        return bool(self._ids)

    def deltas(self, delta: Mapping[str, Any]) -> list[LlmDelta]:
        """Of one choice's delta. Raises what a wrong shape raises."""
        deltas: list[LlmDelta] = []
        # A model that was made to answer in a schema refuses in words beside it.
        if text := delta.get("content") or delta.get("refusal"):
            self.spoke = True
            deltas.append(TextDelta(str(text)))
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            call_id = str(call.get("id") or "")
            deltas.append(
                ToolCallDelta(
                    self._index(int(call.get("index") or 0), call_id),
                    call_id,
                    str(function.get("name") or ""),
                    str(function.get("arguments") or ""),
                )
            )
        return deltas

    def _index(self, index: int, call_id: str) -> int:
        if not 0 <= index < INDEX_MAX:
            raise ValueError("no place for such an index")
        place = self._place.get(index)
        if place is None or (call_id and self._ids[place] and self._ids[place] != call_id):
            place = self._place[index] = len(self._ids)
            self._ids.append(call_id)
        elif call_id:
            self._ids[place] = call_id
        return place


def _message(message: ChatMessage) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [dict(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _finished(reason: str, usage: Any) -> Finished:
    counts = usage if isinstance(usage, Mapping) else {}
    details = counts.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    if cached is None:
        # DeepSeek's word for it.
        cached = counts.get("prompt_cache_hit_tokens")
    return Finished(
        reason, count(counts.get("prompt_tokens")), count(cached), count(counts.get("completion_tokens"))
    )


def count(value: Any) -> int:
    """A number of tokens, or 0."""
    return int(value) if isinstance(value, int | float) else 0
