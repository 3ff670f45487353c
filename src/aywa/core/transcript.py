"""The words of a call as lines of text, under the names that its assistant gives the two parties (contract 6.4, 13.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NAME_MAX = 100
"""Characters of a party's name."""


@dataclass(frozen=True, slots=True)
class TranscriptPlan:
    """artifactPlan.transcriptPlan. enabled: the call's document has one at all."""

    enabled: bool = True
    assistant_name: str = "AI"
    user_name: str = "User"


def read_transcript_plan(assistant: Mapping[str, Any]) -> TranscriptPlan:
    """Of a resolved assistant."""
    plan = _mapping(_mapping(assistant.get("artifactPlan")).get("transcriptPlan"))
    own = TranscriptPlan()
    return TranscriptPlan(
        plan.get("enabled") is not False,
        _name(plan.get("assistantName"), own.assistant_name),
        _name(plan.get("userName"), own.user_name),
    )


def transcript_of(messages: Iterable[Mapping[str, Any]], plan: TranscriptPlan | None = None) -> str:
    """A line for each message that was spoken or heard; messages in the contract's shape."""
    plan = plan or TranscriptPlan()
    names = {"bot": plan.assistant_name, "user": plan.user_name}
    return "\n".join(f"{names[m['role']]}: {m['message']}" for m in messages if m["role"] in names)


def shortened(text: str, characters: int) -> str:
    """A text that is too long, without its middle: how a call began and how it ended says the most about it."""
    if len(text) <= characters:
        return text
    begins = characters // 3
    return f"{text[:begins]}\n[...]\n{text[len(text) - (characters - begins) :]}"


def _name(value: Any, own: str) -> str:
    return value[:NAME_MAX] if isinstance(value, str) and value else own


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
