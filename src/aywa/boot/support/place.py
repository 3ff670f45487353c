"""What is looked at: a data folder, an environment, a runtime's address; and how much time is left. Looks at nothing itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

DEADLINE_S = 45.0
"""For everything that is collected; the rest of the minute is for what is done with it."""


@dataclass(frozen=True, slots=True)
class Place:
    """url, key: of the runtime that is asked. now_s: Unix time. until_s: by the monotonic clock."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    url: str
    key: str | None = field(repr=False)
    now_s: float = field(default_factory=time.time)
    until_s: float = field(default_factory=lambda: time.monotonic() + DEADLINE_S)

    @property
    def left_s(self) -> float:
        """Until everything must be there."""
        return max(0.0, self.until_s - time.monotonic())


def iso(at_s: float) -> str:
    """UTC, to the second."""
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return ""
