"""Takes variables out of a tool's answer, as a JSON Schema names them (contract 5, variableExtractionPlan): an object's
properties become variables of their own. Bounded, whatever the answer is; what the schema does not name is not taken."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

VARIABLES_MAX = 64
ITEMS_MAX = 200
DEPTH_MAX = 8
SIZE_MAX = 16_000
"""Characters of one variable as JSON."""
KEY_MAX = 40
"""Characters of an alias's key (contract 5)."""
_SAFE_INTEGER = 2**53


def extracted(schema: Any, answer: Any) -> dict[str, Any]:
    """The variables. Of an answer that is no object, none."""
    picked = _pick(schema, answer, 0)
    if not isinstance(picked, dict):
        return {}
    fitting = ((name, value) for name, value in picked.items() if fits(value))
    return {name: value for _, (name, value) in zip(range(VARIABLES_MAX), fitting, strict=False)}


def clean(text: str) -> str:
    """Half of a surrogate pair, as some servers cut an emoji, is no character, and no record could hold it."""
    return text.encode("utf-8", "replace").decode()


def fits(value: Any) -> bool:
    """Small enough to be carried with the call."""
    return len(json.dumps(value)) <= SIZE_MAX


def _pick(schema: Any, value: Any, depth: int) -> Any:
    """What the schema names of the value; None where it is not there, or is something else."""
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX:
        return None
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        if not isinstance(value, Mapping):
            return None
        named = [name for name in properties if isinstance(name, str) and name in value]
        found = {name: _pick(properties[name], value[name], depth + 1) for name in named[:ITEMS_MAX]}
        return {clean(name): each for name, each in found.items() if each is not None}
    if schema.get("type") == "array" or "items" in schema:
        if not isinstance(value, list):
            return None
        items = [_pick(schema.get("items") or {}, each, depth + 1) for each in value[:ITEMS_MAX]]
        return [each for each in items if each is not None]
    return _plain(value, depth)


def _number(value: float) -> int | float | None:
    """As JavaScript has it."""
    if isinstance(value, int) and abs(value) < _SAFE_INTEGER:
        return value
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _plain(value: Any, depth: int) -> Any:
    """As it is, as far as it goes."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if depth > DEPTH_MAX:
        return None
    if isinstance(value, Mapping):
        names = [name for name in value if isinstance(name, str)]
        return {clean(name): _plain(value[name], depth + 1) for name in names[:ITEMS_MAX]}
    if isinstance(value, list):
        return [_plain(each, depth + 1) for each in value[:ITEMS_MAX]]
    return None
