"""The newest calls, as figures: how each went and ended, what its routes failed with, and the decisions of those that ended
badly. Nothing that was said, and no numbers that were called.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ormsgpack

from aywa.boot.support.place import Place, iso
from aywa.boot.support.rows import Row, Rows, Unreadable, counts, if_in_time, opened

NEWEST = 100
TIMELINES = 5
TIMELINE_MOST = 400
_ROUTES = ("RouteFailed", "RouteSwitched", "RouteSkipped", "ReplyFailed", "ChildFailed")
_SHOWN = (
    "RecordDecision",
    "RouteFailed",
    "RouteSwitched",
    "ReplyFailed",
    "ChildFailed",
    "MediaWarned",
    "EndCall",
    "JournalLost",
)
_WELL = frozenset(
    "customer-ended-call assistant-ended-call assistant-said-end-call-phrase assistant-ended-call-after-message-spoken"
    " assistant-forwarded-call manually-canceled customer-busy customer-did-not-answer voicemail".split()
)
_FIGURES = {
    "wire_ms": "wireLatencyAverage",
    "endpointing_ms": "endpointingLatencyAverage",
    "transcriber_ms": "transcriberLatencyAverage",
    "model_ms": "modelLatencyAverage",
    "voice_ms": "voiceLatencyAverage",
}
_QUALITY = {
    "codec": "codec",
    "mos": "mos",
    "loss_percent": "lossPercent",
    "packets_received": "packetsReceived",
    "packets_sent": "packetsSent",
}


def calls(place: Place) -> dict[str, Any]:
    """calls.json."""
    try:
        with opened(place) as rows:
            return _calls(rows)
    except Unreadable:
        return {}


def _calls(rows: Rows) -> dict[str, Any]:
    # Without the documents first: a sort would carry them along.
    newest = if_in_time(
        rows, "SELECT id FROM calls WHERE deleted_ms IS NULL ORDER BY created_ms DESC LIMIT ?", NEWEST
    )
    wanted = [row[0] for row in newest]
    query = f"SELECT id, type, status, created_ms, document FROM calls WHERE id IN ({_marks(wanted)})"  # noqa: S608
    found = {row[0]: row for row in (if_in_time(rows, query, *wanted) if wanted else ())}
    shown = [_call(found[call_id]) for call_id in wanted if call_id in found]
    ids = [str(call["id"]) for call in shown]
    bad = [str(call["id"]) for call in shown if call["reason"] and call["reason"] not in _WELL][:TIMELINES]
    return {
        "newest": shown,
        "statuses": counts(if_in_time(rows, "SELECT status, count(*) FROM calls GROUP BY status")),
        "routes": _routes(rows, ids),
        "events": _events(rows, ids),
        "timelines": {call_id: _timeline(rows, call_id) for call_id in bad},
    }


def _call(row: Row) -> dict[str, Any]:
    call_id, kind, status, created_ms, text = row
    body = _mapping(_json(text))
    metrics = _mapping(_mapping(body.get("artifact")).get("performanceMetrics"))
    quality = _mapping(metrics.get("audioQuality"))
    turns = metrics.get("turnLatencies")
    warnings = [_mapping(warning) for warning in body.get("warnings") or ()]
    found = {
        "id": call_id,
        "type": kind,
        "status": status,
        "created": iso(created_ms / 1000),
        "started": body.get("startedAt"),
        "ended": body.get("endedAt"),
        "reason": body.get("endedReason"),
        "turns": len(turns) if isinstance(turns, list) else 0,
        "unexplained_gaps": metrics.get("unexplainedGaps"),
        "providers": _providers(body),
        "warnings": dict(Counter(str(w.get("code") or w.get("kind") or "request") for w in warnings)),
    }
    found |= {name: metrics.get(field) for name, field in _FIGURES.items()}
    return found | {name: quality.get(field) for name, field in _QUALITY.items()}


def _providers(body: Mapping[str, Any]) -> dict[str, str]:
    """What each cost entry was for: who worked in the call."""
    found: dict[str, str] = {}
    for entry in body.get("costs") or ():
        kind, provider = _mapping(entry).get("type"), _mapping(entry).get(str(_mapping(entry).get("type")))
        name = provider.get("provider") if isinstance(provider, Mapping) else None
        if isinstance(kind, str) and isinstance(name, str):
            found[kind] = name
    return found


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _routes(rows: Rows, ids: Sequence[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    found: Counter[tuple[str, str, str, str]] = Counter()
    query = f"SELECT kind, data FROM call_events WHERE call_id IN ({_marks(ids)}) AND kind IN ({_marks(_ROUTES)}) LIMIT 20000"  # noqa: S608
    for what, packed in if_in_time(rows, query, *ids, *_ROUTES):
        data = _unpacked(packed)
        route = str(data.get("route") or data.get("before") or data.get("child") or "")
        found[what, str(data.get("kind") or ""), route, str(data.get("code") or data.get("cause") or "")] += 1
    return [
        {"what": what, "kind": kind or None, "route": route or None, "code": code or None, "count": count}
        for (what, kind, route, code), count in found.most_common(200)
    ]


def _events(rows: Rows, ids: Sequence[str]) -> dict[str, int]:
    if not ids:
        return {}
    query = f"SELECT kind, count(*) FROM call_events WHERE call_id IN ({_marks(ids)}) GROUP BY kind"  # noqa: S608
    return counts(if_in_time(rows, query, *ids))


def _timeline(rows: Rows, call_id: str) -> list[dict[str, Any]]:
    query = (
        f"SELECT at_s, kind, data FROM call_events WHERE call_id = ? AND kind IN ({_marks(_SHOWN)})"  # noqa: S608
        f" ORDER BY seq DESC LIMIT {TIMELINE_MOST}"
    )
    found = [_entry(*row) for row in if_in_time(rows, query, call_id, *_SHOWN)]
    return found[::-1]


def _entry(at_s: float, kind: str, packed: bytes) -> dict[str, Any]:
    data = _unpacked(packed)
    shown = {"at": round(at_s, 3), "kind": kind}
    machine, decision = data.get("machine"), data.get("decision")
    if decision:
        shown["decision"] = f"{machine}.{decision}"
    return shown | {name: data[name] for name in ("reason", "code", "route") if data.get(name)}


def _unpacked(packed: Any) -> Mapping[str, Any]:
    try:
        return _mapping(ormsgpack.unpackb(bytes(packed)))
    except (ValueError, TypeError):
        return {}


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
