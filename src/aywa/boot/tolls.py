"""Whom and how often anybody's calls may ring, as the operator says it in the environment."""

from __future__ import annotations

import os

from aywa.boot.errors import CannotStart
from aywa.core.toll import TollRules

LISTED = "RUNTIME_OUTBOUND_ALLOW"
CALLS_PER_HOUR = "RUNTIME_OUTBOUND_CALLS_PER_HOUR"


def tolls_from_environment() -> TollRules:
    """RUNTIME_OUTBOUND_ALLOW: prefixes of numbers and hosts of SIP URIs, with commas between (+49,sip:*.example.com).
    RUNTIME_OUTBOUND_CALLS_PER_HOUR: of each organisation; without it, no limit where there is a list. Raises CannotStart."""
    listed = tuple(entry.strip() for entry in os.environ.get(LISTED, "").split(",") if entry.strip())
    text = os.environ.get(CALLS_PER_HOUR, "").strip()
    if not text:
        return TollRules(listed, None) if listed else TollRules()
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise CannotStart(f"{CALLS_PER_HOUR} must be a whole number of calls, got {text[:40]!r}")
    return TollRules(listed, int(text))
