"""What a check tells, with its mend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. good: None for what is worth knowing and no fault. mend: what to do about it."""

    what: str
    good: bool | None
    told: str
    mend: str = ""
