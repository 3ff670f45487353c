"""The local language model behind the port: one request to the child per answer. Keeps no history."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from aywa.adapters.local.process import ChildProcess
from aywa.ports.errors import ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta


class LocalLlm:
    """A route to the child's language model, which does one generation at a time."""

    def __init__(self, child: ChildProcess, name: str) -> None:
        self._child = child
        self.name = f"local-{name}"

    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmDelta]:
        """Closing the iterator cancels the generation. Raises ProviderError."""
        async with contextlib.aclosing(self._child.stream("llm", "complete", **_body(request))) as pieces:
            async for piece in pieces:
                if "text" in piece:
                    yield TextDelta(piece["text"])
                elif "tool" in piece:
                    yield ToolCallDelta(*piece["tool"])
                elif "finished" in piece:
                    yield Finished(
                        piece["finished"],
                        piece["prompt_tokens"],
                        piece["cached_tokens"],
                        piece["completion_tokens"],
                    )

    async def warm(self, request: LlmRequest) -> None:
        """Reads the prompt into the cache; gives way at once to an answer that is wanted. Never raises."""
        with contextlib.suppress(ProviderError):
            await self._child.ask("llm", "warm", **_body(request))

    async def close(self) -> None:
        """The child is closed by who opened it."""


def _body(request: LlmRequest) -> dict[str, Any]:
    return {
        "messages": [_message(message) for message in request.messages],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "tools": [dict(tool) for tool in request.tools],
    }


def _message(message: ChatMessage) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        made["tool_calls"] = [dict(call) for call in message.tool_calls]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    return made
