"""Whether what the official Python SDK made of an answer is typed through and through.

It builds its models without checking them: a required field that is missing becomes None, and an object whose discriminator it
does not know becomes None as a whole (contract 2.5). So the answer as it came is laid beside what was made of it.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel


def untyped(made: Any, came: Any, path: str = "") -> list[str]:
    """Everything in which what was made falls short of what came."""
    return list(_untyped(made, came, path))


def _untyped(made: Any, came: Any, path: str) -> Iterator[str]:
    if isinstance(made, BaseModel):
        if not isinstance(came, Mapping):
            yield f"{path}: a {type(made).__name__} was made of {type(came).__name__}"
            return
        yield from _of_model(made, came, path)
    elif isinstance(made, list):
        if not isinstance(came, list) or len(came) != len(made):
            yield f"{path}: a list was made of something else"
            return
        for index, (one, other) in enumerate(zip(made, came, strict=True)):
            yield from _untyped(one, other, f"{path}[{index}]")


def _of_model(made: BaseModel, came: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, field in type(made).model_fields.items():
        wire = _wire(name, field)
        value = getattr(made, name, None)
        where = f"{path}.{wire}"
        given = came.get(wire)
        if value is None and field.is_required():
            yield f"{where} is required by {type(made).__name__}, and None"
        elif value is None and given is not None:
            yield f"{where} was lost: {str(given)[:80]}"
        elif isinstance(given, dict) and isinstance(value, dict) and _wants_model(field.annotation):
            yield f"{where} stayed a dict, of {type(made).__name__}"
        elif isinstance(given, dict | list):
            yield from _untyped(value, given, where)


def _wire(name: str, field: Any) -> str:
    return str(field.alias or name)


def _wants_model(annotation: Any) -> bool:
    """Whether it names models and no free dict."""
    flat = list(_flat(annotation))
    models = any(isinstance(each, type) and issubclass(each, BaseModel) for each in flat)
    free = any(each is Any or typing.get_origin(each) is dict or each is dict for each in flat)
    return models and not free


def _flat(annotation: Any) -> Iterator[Any]:
    yield annotation
    if typing.get_origin(annotation) is dict:
        return
    for each in typing.get_args(annotation):
        yield from _flat(each)
