"""Whether a value is what a JSON Schema wants: the part of the language that says what data looks like.

Known: type, enum, const, properties, required, additionalProperties, items, the limits of numbers, texts and arrays, anyOf,
oneOf, allOf. What else a schema says (references, patterns, formats) is not held against a value. Never raises, whatever the
schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

DEPTH_MAX = 24
"""Schemas inside schemas that are followed."""
PROBLEMS_MAX = 20
STEPS_MAX = 20_000
"""Values looked at: a schema that branches at every level must not take a call's time."""


def problems_in(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """What is wrong, each with its path from `$`; empty: nothing."""
    return list(islice(_Check().of(value, schema, "$", 0), PROBLEMS_MAX))


class _Check:
    """One value against one schema."""

    def __init__(self) -> None:
        self._steps = 0

    def of(self, value: Any, schema: Any, path: str, depth: int) -> Iterator[str]:
        self._steps += 1
        if not isinstance(schema, Mapping) or depth > DEPTH_MAX or self._steps > STEPS_MAX:
            return
        kinds = _kinds(schema.get("type"))
        if kinds and not any(_KINDS[kind](value) for kind in kinds):
            yield f"{path} must be of type {' or '.join(kinds)}"
            return
        yield from _listed(value, schema, path)
        yield from self._combined(value, schema, path, depth)
        if isinstance(value, Mapping):
            yield from self._object(value, schema, path, depth)
        elif isinstance(value, list):
            yield from self._array(value, schema, path, depth)
        elif isinstance(value, str):
            yield from _limited(len(value), schema, ("minLength", "maxLength"), f"the length of {path}")
        elif _is_number(value):
            yield from _limited(value, schema, ("minimum", "maximum"), path)

    def _object(
        self, value: Mapping[Any, Any], schema: Mapping[str, Any], path: str, depth: int
    ) -> Iterator[str]:
        properties = _mapping(schema.get("properties"))
        for name in _list(schema.get("required")):
            if isinstance(name, str) and name not in value:
                yield f"{path}.{name} is missing"
        rest = schema.get("additionalProperties")
        for name, item in value.items():
            if name in properties:
                yield from self.of(item, properties[name], f"{path}.{name}", depth + 1)
            elif rest is False:
                yield f"{path}.{name} is not known"
            else:
                yield from self.of(item, rest, f"{path}.{name}", depth + 1)

    def _array(self, value: list[Any], schema: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
        yield from _limited(len(value), schema, ("minItems", "maxItems"), f"the length of {path}")
        for number, item in enumerate(value):
            yield from self.of(item, schema.get("items"), f"{path}[{number}]", depth + 1)

    def _combined(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
        for each in _list(schema.get("allOf")):
            yield from self.of(value, each, path, depth + 1)
        for word in ("anyOf", "oneOf"):
            choices = _list(schema.get(word))
            if choices and not any(self._fits(value, each, path, depth) for each in choices):
                yield f"{path} is none of what {word} allows"

    def _fits(self, value: Any, schema: Any, path: str, depth: int) -> bool:
        return next(self.of(value, schema, path, depth + 1), None) is None


def _listed(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(_same(value, each) for each in allowed):
        yield f"{path} must be one of the schema's enum"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{path} must be the schema's const"


def _limited(number: float, schema: Mapping[str, Any], names: tuple[str, str], what: str) -> Iterator[str]:
    least, most = (schema.get(name) for name in names)
    if least is not None and _is_number(least) and number < least:
        yield f"{what} must be at least {least}"
    if most is not None and _is_number(most) and number > most:
        yield f"{what} must be at most {most}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    # JSON has one kind of number: 2.0 is an integer.
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _same(value: Any, other: Any) -> bool:
    """JSON's equality: true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_whole,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}


def _kinds(value: Any) -> list[str]:
    """Those that are known; one that is not allows everything."""
    named = [value] if isinstance(value, str) else _list(value)
    known = [kind for kind in named if isinstance(kind, str) and kind in _KINDS]
    return known if len(known) == len(named) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
