"""Puts together the tool calls of a reply from the pieces in which a model writes them. Refuses to know what they are for."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from aywa.core.events import ToolCall
from aywa.core.tool_round import CALLS_MAX
from aywa.core.tools import ARGUMENTS_MAX
from aywa.ports.llm import ToolCallDelta


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    length: int = 0


@dataclass(slots=True)
class ToolCalls:
    """Those of one reply. A call beyond CALLS_MAX is not kept; arguments beyond ARGUMENTS_MAX are cut, and no JSON any more."""

    _calls: dict[int, _Call] = field(default_factory=dict)

    def take(self, delta: ToolCallDelta) -> None:
        """A piece."""
        call = self._calls.get(delta.index)
        if call is None:
            if len(self._calls) >= CALLS_MAX:
                return
            call = self._calls[delta.index] = _Call()
        call.id = call.id or delta.id
        call.name = call.name or delta.name
        if call.length <= ARGUMENTS_MAX:
            call.arguments.append(delta.arguments[: ARGUMENTS_MAX + 1])
            call.length += len(delta.arguments)

    @property
    def whole(self) -> tuple[ToolCall, ...]:
        """As the model ended with them. One without a name is none; one without an id is given one, for its result needs it."""
        return tuple(
            ToolCall(call.id or f"call_{secrets.token_hex(8)}", call.name, "".join(call.arguments))
            for _, call in sorted(self._calls.items())
            if call.name
        )
