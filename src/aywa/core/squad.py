"""A squad's members as they answer: the destinations of a member become tools of its model (contract 8; the official tooling's
notes on squads). Refuses to look anybody up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aywa.core.handoff import ASSISTANT, HANDOFF
from aywa.core.tools import DESTINATIONS_MAX, TRANSFER

# What only the newer kind of destination has.
_NEWER = (
    "assistantId",
    "assistant",
    "contextEngineeringPlan",
    "variableExtractionPlan",
    "assistantOverrides",
)


def with_destinations(assistant: Mapping[str, Any], destinations: Any) -> dict[str, Any]:
    """The assistant with tools that lead to these: a handoff each, and the older ones among the destinations of a transfer."""
    written = [each for each in _list(destinations)[:DESTINATIONS_MAX] if isinstance(each, Mapping)]
    if not written:
        return dict(assistant)
    whole = [{"type": ASSISTANT, **each} for each in written]
    newer = [each for each in whole if _is_newer(each)]
    older = [each for each in whole if not _is_newer(each)]
    model = _mapping(assistant.get("model"))
    tools = [*_list(model.get("tools")), *map(_handoff, newer)]
    return {**assistant, "model": {**model, "tools": _with_transfers(tools, older)}}


def _handoff(destination: Mapping[str, Any]) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": HANDOFF, "destinations": [destination]}
    message = destination.get("message")
    if isinstance(message, str):
        tool["messages"] = [{"type": "request-start", "content": message}]
    return tool


def _with_transfers(tools: Sequence[Any], older: Sequence[Mapping[str, Any]]) -> list[Any]:
    """They join the transfer tool that is there; the first, for of two with one name only that is offered."""
    if not older:
        return list(tools)
    found = list(tools)
    for at, tool in enumerate(found):
        if isinstance(tool, Mapping) and tool.get("type") == TRANSFER:
            found[at] = {**tool, "destinations": [*_list(tool.get("destinations")), *older]}
            return found
    return [*found, {"type": TRANSFER, "destinations": list(older)}]


def _is_newer(destination: Mapping[str, Any]) -> bool:
    return any(destination.get(name) is not None for name in _NEWER)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
