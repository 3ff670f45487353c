"""What is configured: how much of each, and which providers the assistants name. No prompts, no names, no numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aywa.boot.support.place import Place
from aywa.boot.support.rows import Rows, Unreadable, counts, if_in_time, opened
from aywa.boot.support.settings import host_of

NEWEST = 100


def configured(place: Place) -> dict[str, Any]:
    """configured.json."""
    try:
        with opened(place) as rows:
            return _configured(rows)
    except Unreadable:
        return {}


def _configured(rows: Rows) -> dict[str, Any]:
    keys = if_in_time(rows, "SELECT kind, revoked_ms IS NULL, count(*) FROM api_keys GROUP BY 1, 2")
    credentials = if_in_time(rows, "SELECT provider, count(*) FROM credentials GROUP BY provider")
    assistants = if_in_time(
        rows, "SELECT id, document FROM assistants ORDER BY updated_ms DESC LIMIT ?", NEWEST
    )
    return {
        "organisations": _count(rows, "orgs"),
        "keys": {kind if good else f"{kind}-revoked": count for kind, good, count in keys},
        "credentials": counts(credentials),
        "phone_numbers": _count(rows, "phone_numbers"),
        "assistants": [_assistant(*row) for row in assistants],
    }


def _count(rows: Rows, table: str) -> int | None:
    found = if_in_time(rows, f"SELECT count(*) FROM {table}")  # noqa: S608 - names of ours
    return found[0][0] if found else None


def _assistant(assistant_id: str, text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    parts = {name: body.get(name) for name in ("model", "voice", "transcriber", "server")}
    found: dict[str, Any] = {"id": assistant_id}
    for name in ("model", "voice", "transcriber"):
        part = parts[name]
        found[name] = part.get("provider") if isinstance(part, Mapping) else None
    server = parts["server"]
    url = server.get("url") if isinstance(server, Mapping) else None
    found["server"] = host_of(url) if isinstance(url, str) else None
    return found
