"""SQL in files of its own, each statement under a line `-- name: what_it_does`; refuses to put values into any."""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def named_sql(package: str, file: str) -> dict[str, str]:
    """The file's statements by their names. What stands before the first is for the reader."""
    _, *parts = _NAME.split((files(package) / file).read_text("utf-8"))
    statements = {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    if len(statements) * 2 != len(parts):
        raise ValueError(f"{file} has two statements of one name")
    return statements
