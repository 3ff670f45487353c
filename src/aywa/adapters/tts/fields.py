"""What an assistant's `voice` document says (contract 4.4), read without trust: what has another shape counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text(document: Mapping[str, Any], name: str) -> str:
    """The field's text; empty without one."""
    value = document.get(name)
    return value if isinstance(value, str) else ""


def number(document: Mapping[str, Any], name: str, least: float, most: float) -> float | None:
    """The field's number, brought between the vendor's bounds; None without one."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return min(max(float(value), least), most)


def flag(document: Mapping[str, Any], name: str) -> bool | None:
    """The field's truth; None without one."""
    value = document.get(name)
    return value if isinstance(value, bool) else None


def language(tag: str) -> str:
    """The language of a BCP 47 tag, as vendors want it; empty for none and for `multi`."""
    primary = tag.partition("-")[0].lower()
    return "" if primary == "multi" or not primary.isalpha() or len(primary) not in (2, 3) else primary
