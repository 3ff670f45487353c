"""Whether a tool call is refused before it is run (contract 5, rejectionPlan): all its conditions are true. One that cannot be
tried is not, and refuses nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from aywa.call.rules import RULE_S, TEXT_MAX, RuleThreads
from aywa.call.tools.templates import Templates
from aywa.core.settings import Pattern
from aywa.core.turns.js_pattern import PatternError, translate

CONDITIONS_MAX = 32
DEPTH_MAX = 5
_ROLES = {"bot": "assistant", "tool_call_result": "tool", "tool_calls": "assistant"}


@dataclass(frozen=True, slots=True)
class Said:
    """What conditions look at: the conversation in the contract's form, and in OpenAI's."""

    messages: Sequence[Mapping[str, Any]]
    chat: Sequence[Mapping[str, Any]]


async def refuses(plan: Any, said: Said, templates: Templates, threads: RuleThreads) -> bool:
    """Never raises. What is too much to be tried refuses nothing, and is told among the templates' problems."""
    conditions = plan.get("conditions") if isinstance(plan, Mapping) else None
    if not isinstance(conditions, list) or not conditions:
        return False
    inner = templates.beneath({"messages": [dict(message) for message in said.chat]})
    trial = _Trial(said, inner)
    found = await threads.offload(lambda: trial.all(conditions, 0))
    if found is None:
        templates.problems.append("rejectionPlan was not tried: too many rules wait for their turn")
    return found is True


class _Trial:
    def __init__(self, said: Said, templates: Templates) -> None:
        self._said = said
        self._templates = templates

    def all(self, conditions: Any, depth: int) -> bool:
        listed = conditions if isinstance(conditions, list) else []
        return bool(listed) and all(self._holds(each, depth) for each in listed[:CONDITIONS_MAX])

    def _any(self, conditions: Any, depth: int) -> bool:
        listed = conditions if isinstance(conditions, list) else []
        return any(self._holds(each, depth) for each in listed[:CONDITIONS_MAX])

    def _holds(self, condition: Any, depth: int) -> bool:
        written = condition if isinstance(condition, Mapping) else {}
        if depth > DEPTH_MAX:
            return False
        match written.get("type"):
            case "regex":
                return self._matches(written)
            case "liquid":
                text = self._templates.text(str(written.get("liquid") or ""), "rejectionPlan.liquid")
                return text.strip() == "true"
            case "group":
                combine = self._any if written.get("operator") == "OR" else self.all
                return combine(written.get("conditions"), depth + 1)
            case _:
                return False

    def _matches(self, written: Mapping[str, Any]) -> bool:
        source = written.get("regex")
        text = self._text(written.get("target"))
        if not isinstance(source, str) or text is None:
            return False
        try:
            pattern = regex.compile(translate(Pattern(source)), regex.VERSION0)
            found = pattern.search(text[-TEXT_MAX:], timeout=RULE_S, concurrent=True) is not None
        except (PatternError, regex.error, TimeoutError, RecursionError, MemoryError) as error:
            self._templates.problems.append(f"rejectionPlan.regex: {type(error).__name__}")
            return False
        return found is not (written.get("negate") is True)

    def _text(self, target: Any) -> str | None:
        """The message that is looked at: the last one, unless the target names a role or a position."""
        wanted = target if isinstance(target, Mapping) else {}
        role, position = wanted.get("role"), wanted.get("position", -1)
        if not isinstance(position, int):
            return None
        fitting = [m for m in self._said.messages if role is None or _role(m) == role or m["role"] == role]
        if not -len(fitting) <= position < len(fitting):
            return None
        message = fitting[position]
        return str(message.get("message") or message.get("result") or "")


def _role(message: Mapping[str, Any]) -> str:
    role = str(message["role"])
    return _ROLES.get(role, role)
