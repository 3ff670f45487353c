"""Events from their record and commands into it, by the classes' own fields: a new class needs nothing here.

The record is what MessagePack or JSON leaves of a dataclass: mappings, lists, text, numbers, and bytes (in JSON: base64).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import typing
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any

from aywa.core import events


class NotDecoded(ValueError):
    """The record is not the event that it says it is: a field is missing, or is no such thing. The text says which."""


class UnknownKind(NotDecoded):
    """No event of this name is known here: a later version's, or none at all."""


EVENTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in typing.get_args(events.Event)}


def plain(value: Any) -> Any:
    """The value as a record holds it: dataclasses as mappings, tuples as lists, the rest as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def decode(kind: str, data: Mapping[str, Any]) -> tuple[events.Event, tuple[str, ...]]:
    """The event of a record, and the names of fields that this version does not know. Raises NotDecoded."""
    found = EVENTS.get(kind)
    if found is None:
        raise UnknownKind(f"no event {kind} is known to this version")
    types = _types(found)
    values = {
        name: _read(types[name], value, f"{kind}.{name}") for name, value in data.items() if name in types
    }
    missing = [
        each.name
        for each in dataclasses.fields(found)
        if each.name not in values and each.default is each.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise NotDecoded(f"{kind} lacks {', '.join(missing)}")
    event: events.Event = found(**values)
    return event, tuple(name for name in data if name not in types)


_known_types: dict[type[Any], Mapping[str, Any]] = {}


def _types(kind: type[Any]) -> Mapping[str, Any]:
    if kind not in _known_types:
        _known_types[kind] = typing.get_type_hints(kind)
    return _known_types[kind]


def _read(wanted: Any, value: Any, where: str) -> Any:
    """The value as the field's type wants it."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is UnionType:
        if value is None and NoneType in arguments:
            return None
        (inner,) = (each for each in arguments if each is not NoneType)
        return _read(inner, value, where)
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    if dataclasses.is_dataclass(wanted):
        return _read_part(typing.cast("type[Any]", wanted), value, where)
    if wanted is bytes and isinstance(value, str):
        return _unpacked(value, where)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        # JSON written elsewhere may have lost the point.
        return float(value)
    if not isinstance(value, origin or wanted) or (isinstance(value, bool) and wanted is not bool):
        raise NotDecoded(f"{where} is {type(value).__name__}, not {getattr(wanted, '__name__', wanted)}")
    return value


def _read_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise NotDecoded(f"{where} is {type(value).__name__}, not a list")
    if arguments[-1] is Ellipsis:
        return tuple(_read(arguments[0], item, where) for item in value)
    if len(value) != len(arguments):
        raise NotDecoded(f"{where} has an entry of {len(value)} values, not {len(arguments)}")
    return tuple(_read(inner, item, where) for inner, item in zip(arguments, value, strict=True))


def _read_part(wanted: type[Any], value: Any, where: str) -> Any:
    types = _types(wanted)
    if not isinstance(value, Mapping) or set(types) - set(value):
        raise NotDecoded(f"{where} holds something that is no {wanted.__name__}")
    return wanted(**{name: _read(inner, value[name], where) for name, inner in types.items()})


def _unpacked(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotDecoded(f"{where} is not base64") from None
