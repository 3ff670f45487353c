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
    """model: the vendor's name, empty for the route's default. tools: OpenAI's function format. metadata, call, customer,
    phone_number: of the call, for a customer's own model that is to see them (contract 4.3). extra: fields of the wire's
    request body, put over ours."""

    messages: tuple[ChatMessage, ...]
    model: str = ""
    temperature: float = 0.5
    max_tokens: int = 250
    tools: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] | None = None
    call: Mapping[str, Any] | None = None
    customer: Mapping[str, Any] | None = None
    phone_number: Mapping[str, Any] | None = None


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
class Flush:
    """What was said so far is to be spoken at once (`<flush />`, contract 4.3)."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The last delta. reason: stop, length or tool_calls."""

    reason: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


LlmDelta = TextDelta | ToolCallDelta | Flush | Finished


class Llm(Protocol):
    """A route to a model."""

    @property
    def name(self) -> str:
        """The route's name."""

    def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Closing the iterator cancels the generation. Raises ProviderError."""

    async def warm(self, request: LlmRequest) -> None:
        """Makes the next request quick: dials, or brings the request's beginning into the prompt cache. Never raises."""

    async def close(self) -> None:
        """Closes its connections; what still streams ends with ProviderError."""
