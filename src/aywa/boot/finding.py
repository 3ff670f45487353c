"""What a check tells, with its mend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. good: None for what is worth knowing and no fault. mend: what to do about it. code: stable, for
    programs; setting: the variable that it is about; why: what happens if nothing is done."""

    what: str
    good: bool | None
    told: str
    mend: str = ""
    code: str = ""
    setting: str = ""
    why: str = ""
