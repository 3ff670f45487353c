"""Handing the conversation to another assistant: whom a model may name, whom it means, and what of the conversation goes along
(contract 8; the platform's pages "Configure handoff destinations" and "Pass context and variables").

Refuses to look anybody up: what a destination stands for is somebody else's to know.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

HANDOFF = "handoff"
ASSISTANT, SQUAD, DYNAMIC = "assistant", "squad", "dynamic"
KINDS = (ASSISTANT, SQUAD, DYNAMIC)
DESTINATION = "destination"
HANDED_OVER = "The conversation was handed over."
VARIABLES_MAX = 100
"""Of one handoff."""
MESSAGES_MAX = 10_000
_PREFIX = "handoff_to_"
_GROUP = "handoff_to_group_{}"
_NAME_MAX = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
# How alike a name must be to one that there is, to be taken for it.
_ALIKE = 0.6


class Context(Enum):
    """What the next assistant's model sees of the conversation so far. ROLLING: all of it, and the last one's instructions
    before the new ones. UNTRACED: all but the handoff itself. EARLIER: what was said before the last assistant began."""

    ALL = "all"
    NONE = "none"
    LAST = "lastNMessages"
    SPOKEN = "userAndAssistantMessages"
    EARLIER = "previousAssistantMessages"
    ROLLING = "rolling-history"
    UNTRACED = "swap-system-message-in-history-and-remove-transfer-tool-messages"


_BY_MODE = {
    "rolling-history": Context.ROLLING,
    "swap-system-message-in-history": Context.ALL,
    "swap-system-message-in-history-and-remove-transfer-tool-messages": Context.UNTRACED,
    "delete-history": Context.NONE,
}
_BY_PLAN = {
    each.value: each for each in (Context.ALL, Context.NONE, Context.LAST, Context.SPOKEN, Context.EARLIER)
}


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """most: messages of LAST."""

    context: Context = Context.ALL
    most: int = 0


def read_context(destination: Mapping[str, Any], *, transfer: bool = False) -> ContextPlan:
    """What goes along. transfer: the older way of naming it, of transferCall, counts where the newer is absent."""
    plan = destination.get("contextEngineeringPlan")
    # The documentation of controls has the plain word in its example (contract 15.1).
    kind = plan.get("type") if isinstance(plan, Mapping) else plan
    found = _BY_PLAN.get(kind) if isinstance(kind, str) else None
    if found is Context.LAST:
        most = plan.get("maxMessages") if isinstance(plan, Mapping) else None
        counts = isinstance(most, int | float) and not isinstance(most, bool) and 0 <= most <= MESSAGES_MAX
        return ContextPlan(found, int(most)) if counts and most is not None else ContextPlan()
    if found is None and transfer:
        mode = destination.get("transferMode")
        found = _BY_MODE.get(mode, Context.ROLLING) if isinstance(mode, str) else Context.ROLLING
    return ContextPlan(found or Context.ALL)


# --- whom a model may name -----------------------------------------------------------------------------------------


def is_destination(written: Mapping[str, Any]) -> bool:
    """One that a conversation can be handed to."""
    kind = written.get("type")
    return kind == DYNAMIC or (kind in KINDS and bool(name_of(written)))


def name_of(destination: Mapping[str, Any]) -> str:
    """What a model calls it; empty: it names nobody."""
    match destination.get("type"):
        case "dynamic":
            return DYNAMIC
        case "squad":
            squad = _mapping(destination.get("squad"))
            names = [destination.get("entryAssistantName"), squad.get("name"), destination.get("squadId")]
            return next(filter(None, map(_text, names)), SQUAD if squad else "")
        case _:
            inline = _mapping(destination.get("assistant"))
            names = [destination.get("assistantName"), inline.get("name"), destination.get("assistantId")]
            return next(filter(None, map(_text, names)), ASSISTANT if inline else "")


def tool_name(destinations: Sequence[Mapping[str, Any]], groups: int) -> str:
    """What a handoff tool is called that has no name of its own. groups: of how many destinations there were before it."""
    if len(destinations) != 1:
        return _GROUP.format(groups)
    plain = _NOT_IN_NAMES.sub("_", name_of(destinations[0])).strip("_") or ASSISTANT
    return f"{_PREFIX}{plain}"[:_NAME_MAX]


def description_of(destinations: Sequence[Mapping[str, Any]]) -> str:
    """What a model is told a handoff tool is for."""
    if len(destinations) == 1:
        whom, told = name_of(destinations[0]), _text(destinations[0].get("description"))
        name = "whoever is right for it" if whom == DYNAMIC else whom
        return f"Hands the conversation over to {name}." + (f" Use it when: {told}" if told else "")
    listed = [f"{name_of(each)}: {told}" for each in destinations if (told := _text(each.get("description")))]
    return " ".join(["Hands the conversation over to one of the destinations.", *listed])


def parameters_of(destinations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a handoff tool wants to know: whom, where there is a choice."""
    if len(destinations) == 1:
        return {"type": "object", "properties": {}}
    names = list(dict.fromkeys(map(name_of, destinations)))
    wanted = {"type": "string", "description": "whom to hand the conversation to", "enum": names}
    return {"type": "object", "properties": {DESTINATION: wanted}, "required": [DESTINATION]}


# --- whom it means -------------------------------------------------------------------------------------------------


def choose(destinations: Sequence[Mapping[str, Any]], wanted: str) -> Mapping[str, Any] | None:
    """The destination that a model means by the name; None: none of them. A name is understood also where it is written another
    way (contract 8), and where there is one destination there is nothing to choose."""
    if len(destinations) == 1:
        return destinations[0]
    by_name: dict[str, Mapping[str, Any]] = {
        key: each
        for each in reversed(destinations)
        for key in (*map(_key, _names(each)), _key(tool_name([each], 0)))
        if key
    }
    key = _key(wanted)
    if not key:
        return None
    if key in by_name:
        return by_name[key]
    within = [each for name, each in by_name.items() if key in name or name in key]
    if within and all(each is within[0] for each in within):
        return within[0]
    near = difflib.get_close_matches(key[:_NAME_MAX], by_name, 1, _ALIKE)
    return by_name[near[0]] if near else None


def choose_name(names: Sequence[str], wanted: str) -> str | None:
    """As `choose`, among the names themselves, and only as far as they are written another way."""
    if not _key(wanted):
        return None
    alike = [name for name in names if _key(name) == _key(wanted)]
    return wanted if wanted in alike else next(iter(alike), None)


def variables_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that become variables: all but the destination (contract 8)."""
    kept = [(name, value) for name, value in arguments.items() if name != DESTINATION]
    return dict(kept[:VARIABLES_MAX])


def _names(destination: Mapping[str, Any]) -> list[str]:
    """All that it may be called."""
    inline = _mapping(destination.get(ASSISTANT)) or _mapping(destination.get(SQUAD))
    given = [
        destination.get(name) for name in ("assistantName", "assistantId", "entryAssistantName", "squadId")
    ]
    return [name_of(destination), *filter(None, map(_text, [*given, inline.get("name")]))]


def _key(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
