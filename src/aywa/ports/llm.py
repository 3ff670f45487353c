"""Language model: messages in, a stream of deltas out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """role: system, user, assistant or tool. tool_calls and tool_call_id as in OpenAI's chat format."""

    role: str
    content: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """model: the vendor's name, empty for the route's default. tools: OpenAI's function format."""

    messages: tuple[ChatMessage, ...]
    model: str = ""
    temperature: float = 0.5
    max_tokens: int = 250
    tools: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A tool call, or a piece of one: index says which; arguments are appended."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last delta. reason: stop, length or tool_calls."""

    reason: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


LlmDelta = TextDelta | ToolCallDelta | Finished


class Llm(Protocol):
    """A route to a model."""

    @property
    def name(self) -> str:
        """The route's name."""

    def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Closing the iterator cancels the generation. Raises ProviderError."""

    async def warm(self, request: LlmRequest) -> None:
        """Brings the request's beginning into the prompt cache, where there is one. Never raises."""
