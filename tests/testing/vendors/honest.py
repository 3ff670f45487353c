"""How strictly a vendor's SDK reads what a simulator says: every field known to it, none missing, each of its type.

The SDKs themselves build their models without validation, so a wrong answer would pass unseen.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

KEY = "sim-key"


def is_honest(model: BaseModel) -> None:
    """Fails where a field is unknown, missing or of another type."""
    _ = type(model).model_validate(model.model_dump(exclude_unset=True, by_alias=True, warnings="error"))
    _known(model, type(model).__name__)


def _known(value: Any, path: str) -> None:
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{path}: {value.model_extra}"
        for name, inner in value:
            _known(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            _known(inner, path)
