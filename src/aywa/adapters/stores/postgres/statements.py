"""Named SQL for asyncpg: `:name` becomes `$1`; refuses to put values into any text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aywa.adapters.stores.sql.storable import storable

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


async def run(connection: Any, text: str, values: Mapping[str, Any]) -> list[Any]:
    """The statement's rows. connection: the driver's."""
    numbered_text, bound = bind(text, values)
    found: list[Any] = await connection.fetch(numbered_text, *bound)
    return found


def bind(text: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The statement as the driver takes it, and its values in order."""
    numbered_text, names = numbered(text)
    return numbered_text, [_kept(values[name]) for name in names]


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    return list(map(_kept, value)) if isinstance(value, list | tuple) else value


_KNOWN: dict[str, tuple[str, list[str]]] = {}


def numbered(text: str) -> tuple[str, list[str]]:
    """:name as $1, $2 ..., and the names in that order. There are few texts: those of the files, and the lists' filters."""
    known = _KNOWN.get(text)
    if known is None:
        names = list(dict.fromkeys(_PARAMETER.findall(text)))
        numbered_text = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", text)
        known = _KNOWN[text] = (numbered_text, names)
    return known


def columns(values: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns, for unnest."""
    return {name: [row[name] for row in values] for name in values[0]}
