"""What a private key may do, where it may not do everything: areas of the API, to read or to write in. Decides only.

A scope is `calls:read` or `calls:write`, or `*` for every area; write includes read. An area is what a path begins with.
"""

from __future__ import annotations

from collections.abc import Sequence

READ, WRITE = "read", "write"
EVERY = "*"
OTHERS = "others"
_AREAS = {
    "analytics": "analytics",
    "assistant": "assistants",
    "call": "calls",
    "credential": "credentials",
    "file": "files",
    "live": "calls",
    "metrics": "metrics",
    "metrics.json": "metrics",
    "org": "orgs",
    "phone-number": "phone-numbers",
    "providers": "providers",
    "squad": "squads",
    "tool": "tools",
    "trunks": "phone-numbers",
    "webhook-delivery": "webhooks",
    "webhook-endpoint": "webhooks",
}
AREAS = (EVERY, *sorted({*_AREAS.values(), OTHERS}))
SCOPES = tuple(f"{area}:{way}" for area in AREAS for way in (READ, WRITE))
"""All there are."""

_READING = ("GET", "HEAD", "OPTIONS")
_ASKS = ("analytics",)
"""Whose POST changes nothing."""


def scope_of(method: str, path: str) -> str:
    """The scope that a request needs."""
    steps = path.strip("/").split("/")
    first = steps[1] if len(steps) > 1 and steps[0] == "v2" else steps[0]
    way = READ if method in _READING or first in _ASKS else WRITE
    return f"{_AREAS.get(first, OTHERS)}:{way}"


def grants(scopes: Sequence[str] | None, needed: str) -> bool:
    """Whether these include the one that is needed. None: all there are."""
    if scopes is None:
        return True
    area, _, way = needed.partition(":")
    ways = (WRITE,) if way == WRITE else (READ, WRITE)
    return any(f"{one}:{each}" in scopes for one in (area, EVERY) for each in ways)
