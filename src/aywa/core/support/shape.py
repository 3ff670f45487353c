"""The allow-list: which fields of a section go into a bundle, and what each may look like. What it does not name stays out.

A shape is a kind of leaf, a mapping of named fields, `Each` of a list, or `Keyed` by names that are not known in advance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Union

WORD_MAX = 120
LINE_MAX = 300
_WORD = re.compile(rf"[A-Za-z0-9_.:/+\-]{{1,{WORD_MAX}}}\Z")
_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)\Z")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.:_\-]{1,253})(?::\d{1,5})?\Z")


class Kind(Enum):
    """A leaf. NUMBER: also a truth value. WORD: no spaces. LINE: a sentence of ours; only such texts may have spaces.
    HOST: a name or an address, with a port."""

    NUMBER = "number"
    WORD = "word"
    ID = "id"
    TIME = "time"
    HOST = "host"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Each:
    """A list; what is past `most` is left out."""

    of: Shape
    most: int = 1000


@dataclass(frozen=True, slots=True)
class Keyed:
    """A mapping whose names are words; what is past `most` is left out."""

    of: Shape
    most: int = 1000


Shape = Union[Kind, Each, Keyed, Mapping[str, "Shape"]]  # noqa: UP007 - it names itself

_PATTERNS = {Kind.WORD: _WORD, Kind.ID: _ID, Kind.TIME: _TIME, Kind.HOST: _HOST}
_NOTHING = object()


def kept(value: Any, shape: Shape) -> tuple[Any, int]:
    """What of the value the shape names, and how much was left out: also a leaf that does not look as it should. None stays."""
    left_out = [0]
    found = _kept(value, shape, left_out)
    return (None if found is _NOTHING else found), left_out[0]


def _kept(value: Any, shape: Shape, left_out: list[int]) -> Any:
    if value is None:
        return None
    if isinstance(shape, Kind):
        return value if _fits(value, shape) else _left(left_out)
    if isinstance(shape, Each):
        if not isinstance(value, list | tuple):
            return _left(left_out)
        items = [_kept(item, shape.of, left_out) for item in value[: shape.most]]
        left_out[0] += max(0, len(value) - shape.most)
        return [item for item in items if item is not _NOTHING]
    if not isinstance(value, Mapping):
        return _left(left_out)
    if isinstance(shape, Keyed):
        return _keyed(value, shape, left_out)
    left_out[0] += sum(name not in shape for name in value)
    pairs = {name: _kept(value[name], of, left_out) for name, of in shape.items() if name in value}
    return {name: item for name, item in pairs.items() if item is not _NOTHING}


def _keyed(value: Mapping[Any, Any], shape: Keyed, left_out: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in value.items():
        if len(found) == shape.most or not _fits(name, Kind.WORD):
            _ = _left(left_out)
            continue
        one = _kept(item, shape.of, left_out)
        if one is not _NOTHING:
            found[name] = one
    return found


def _left(left_out: list[int]) -> object:
    left_out[0] += 1
    return _NOTHING


def _fits(value: Any, kind: Kind) -> bool:
    if kind is Kind.NUMBER:
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if not isinstance(value, str):
        return False
    if kind is Kind.LINE:
        return len(value) <= LINE_MAX and value.isprintable()
    return _PATTERNS[kind].match(value) is not None
