"""What waits in the outbox, and what servers answered: hosts, states, causes and counts. No bodies, no headers, no addresses."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from aywa.boot.support.place import Place, iso
from aywa.boot.support.rows import Rows, Unreadable, counts, if_in_time, opened
from aywa.boot.support.settings import host_of

LATELY_S = 7 * 24 * 3600
NEWEST = 5000


def webhooks(place: Place) -> dict[str, Any]:
    """webhooks.json."""
    try:
        with opened(place) as rows:
            return _webhooks(rows, place.now_s)
    except Unreadable:
        return {}


def _webhooks(rows: Rows, now_s: float) -> dict[str, Any]:
    since_ms = round((now_s - LATELY_S) * 1000)
    states = counts(if_in_time(rows, "SELECT state, count(*) FROM outbox_deliveries GROUP BY state"))
    waiting = "SELECT min(created_ms), count(*) FROM outbox_deliveries WHERE state IN ('waiting', 'sending')"
    oldest = next(iter(if_in_time(rows, waiting)), (None, None))
    newest = if_in_time(
        rows,
        "SELECT endpoints, state, problem, updated_ms FROM outbox_deliveries WHERE problem <> ''"
        " ORDER BY updated_ms DESC LIMIT ?",
        NEWEST,
    )
    attempts = if_in_time(
        rows,
        "SELECT cause, status, count(*) FROM outbox_attempts WHERE started_ms > ? GROUP BY cause, status",
        since_ms,
    )
    disabled = if_in_time(rows, "SELECT endpoint, disabled_ms FROM outbox_endpoints LIMIT 100")
    return {
        "states": states,
        "waiting": oldest[1],
        "oldest_waiting_s": None if oldest[0] is None else round(now_s - oldest[0] / 1000),
        "servers": _servers(newest),
        "attempts": [{"cause": cause, "status": status, "count": count} for cause, status, count in attempts],
        "disabled": [
            {"host": host_of(key.rpartition(" ")[2]), "since": iso(at_ms / 1000)} for key, at_ms in disabled
        ],
    }


def _servers(newest: Any) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str, str]] = Counter()
    last: dict[tuple[str, str, str], int] = {}
    for endpoints, state, problem, updated_ms in newest:
        try:
            url = str(json.loads(endpoints)[0]["url"])
        except (ValueError, TypeError, LookupError):
            continue
        key = host_of(url) or "", problem, state
        counts[key] += 1
        last[key] = max(last.get(key, 0), updated_ms)
    return [
        {
            "host": host or None,
            "problem": problem,
            "state": state,
            "count": count,
            "newest": iso(last[host, problem, state] / 1000),
        }
        for (host, problem, state), count in counts.most_common(100)
    ]
