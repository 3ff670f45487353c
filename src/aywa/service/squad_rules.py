"""A squad's documented fields (contract 8). What is not named here is kept and echoed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aywa.service.rules import (
    Also,
    Anything,
    ListOf,
    Needs,
    Obj,
    Problems,
    Rule,
    Tagged,
    Text,
    check,
    join,
    shown,
)
from aywa.service.tool_rules import (
    ASSISTANT,
    CONTEXT_PLAN,
    DESTINATIONS_MAX,
    EXTRACTION_PLAN,
    OVERRIDES,
    TO_ASSISTANT,
)

MEMBERS_MAX = 100
_DESTINATION = Tagged(
    "type",
    {
        # A handoff's fields make it one; the older kind of transfer names the assistant.
        "assistant": Needs(
            Obj(
                {
                    **TO_ASSISTANT.rules,
                    "assistantId": Text(),
                    "assistant": ASSISTANT,
                    "assistantOverrides": OVERRIDES,
                    "contextEngineeringPlan": CONTEXT_PLAN,
                    "variableExtractionPlan": EXTRACTION_PLAN,
                }
            ),
            ("assistantName", "assistantId", "assistant"),
            exactly=False,
        )
    },
)
_MEMBER_FIELDS: dict[str, Rule] = {
    "assistantId": Text(),
    "assistant": ASSISTANT,
    "assistantOverrides": OVERRIDES,
    "assistantDestinations": ListOf(_DESTINATION, DESTINATIONS_MAX),
    "assistantVersion": Anything(),
}
MEMBERS = ListOf(Needs(Obj(_MEMBER_FIELDS), ("assistantId", "assistant")), MEMBERS_MAX, 1)
_SQUAD = Obj(
    {"name": Text(example="Front desk and booking"), "members": MEMBERS, "membersOverrides": OVERRIDES},
    ("members",),
    example={
        "name": "Front desk and booking",
        "members": [
            {
                "assistant": {"name": "Front desk", "firstMessage": "Hello, how can I help you?"},
                "assistantDestinations": [
                    {"type": "assistant", "assistantName": "Booking", "description": "books a table"}
                ],
            },
            {"assistant": {"name": "Booking", "firstMessage": "For how many people?"}},
        ],
    },
)


def _check_names(value: Any, path: str, problems: Problems) -> None:
    for problem in _same_names(value):
        problems.found.append(join(path, problem))


SQUAD = Also(_SQUAD, _check_names)


def squad_problems(body: Any) -> list[str]:
    """What is wrong with a squad."""
    return check(SQUAD, body)


def _same_names(body: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for index, member in enumerate(body.get("members") or ()):
        over, own = member.get("assistantOverrides") or {}, member.get("assistant") or {}
        name = over.get("name") or own.get("name")
        if isinstance(name, str) and name in seen:
            yield duplicate(index, name)
        elif isinstance(name, str):
            seen.add(name)


def duplicate(index: int, name: str) -> str:
    """That a member is called as one before it (contract 8)."""
    value = shown("name", name)
    return (
        f"members[{index}].assistant.name must be unique in the squad (Duplicate Assistant Name), got {value}"
    )
