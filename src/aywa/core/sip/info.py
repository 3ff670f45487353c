"""Digits by SIP INFO, in the two forms that are in use, and other INFO packages (RFC 6086). Reads and writes bodies only."""

from __future__ import annotations

from aywa.core.sip.uri import Unreadable, read_number

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"
DIGITS = frozenset("0123456789*#ABCD")
# What a telephone that does not say how long means.
DURATION_MS = 160
DURATION_MAX_MS = 10_000
# RFC 4733 3.2: numbers for the signs, as some send them.
SIGNS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}


def read(content_type: str, body: bytes) -> tuple[str, int] | None:
    """The digit and its length in ms; None when it is anything else."""
    text = body[:200].decode("ascii", "replace")
    if content_type == PLAIN:
        digit = _digit(text)
        return (digit, DURATION_MS) if digit else None
    if content_type != RELAY:
        return None
    values = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        values[name.strip().lower()] = value.strip()
    digit = _digit(values.get("signal", ""))
    try:
        duration_ms = read_number(values.get("duration", ""), DURATION_MAX_MS)
    except Unreadable:
        duration_ms = DURATION_MS
    return (digit, duration_ms or DURATION_MS) if digit else None


def write(digit: str, duration_ms: int) -> bytes:
    """The body of application/dtmf-relay."""
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode("ascii", "replace")


def _digit(text: str) -> str:
    sign = text.strip().upper()
    sign = SIGNS.get(sign, sign)
    return sign if sign in DIGITS else ""
