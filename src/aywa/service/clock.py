"""Wall time and dates as the contract writes them (ISO 8601, UTC, milliseconds, Z)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]
"""Answers Unix milliseconds."""


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """Unix milliseconds as ISO 8601 UTC with milliseconds and Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> float:
    """ISO 8601 as Unix milliseconds, fractions kept; without an offset it is UTC. Raises ValueError."""
    # A "+" that a client forgot to escape in a query arrives as a space.
    moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() * 1000
