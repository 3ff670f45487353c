"""The header by which a creating request is known again."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A name of yours for this request: sent again with it within a day, it gets what it made the first time.",
    ),
]
