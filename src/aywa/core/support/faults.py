"""Names what is wrong from a bundle alone: one rule a fault, each with what it saw and the mend. Refuses to guess: a rule that
does not see what it looks for says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Files = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """code: stable. told: what was seen. mend: what to do about it."""

    code: str
    told: str
    mend: str


Rule = Callable[[Files], Iterator[Fault]]


def named(files: Files, rules: Sequence[Rule]) -> list[Fault]:
    """What the rules see, in their order, each fault once."""
    found: dict[tuple[str, str], Fault] = {}
    for rule in rules:
        for fault in rule(files):
            found.setdefault((fault.code, fault.told), fault)
    return list(found.values())


def at(files: Files, *path: str) -> Any:
    """What stands there; None where it does not."""
    value: Any = files
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def rows(files: Files, *path: str) -> list[Mapping[str, Any]]:
    """The mappings of a list that stands there."""
    value = at(files, *path)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def number(files: Files, *path: str) -> float | None:
    """A number that stands there."""
    return figure(at(files, *path))


def figure(value: Any) -> float | None:
    """The value, if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def is_running(files: Files) -> bool:
    """A runtime holds the folder, or answers."""
    return at(files, "folder.json", "lock", "held") is True or answers(files)


def answers(files: Files) -> bool:
    """It says that it is alive."""
    return at(files, "runtime.json", "health", "answered") is True
