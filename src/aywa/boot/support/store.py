"""The store as a whole: whether it can be read, its schema, how much is in it, and whether its secrets open."""

from __future__ import annotations

from typing import Any

from aywa.adapters.stores.sql.migrations import HEAD, RECORDED, Applied, Chain, revision_of
from aywa.boot.store import database
from aywa.boot.support.place import Place, iso
from aywa.boot.support.rows import Rows, Unreadable, if_in_time, is_postgres, opened
from aywa.boot.support.secrets import Unsealed
from aywa.ports.store import StoreTooNew

TABLES = (
    "orgs api_keys assistants tools squads files credentials org_settings phone_numbers calls call_events outbox_deliveries"
    " outbox_attempts outbox_endpoints nodes call_notches"
).split()
CHECKED_BYTES = 512 * 1024 * 1024
"""A larger file is not read from end to end."""


def store(place: Place, unsealed: Unsealed) -> dict[str, Any]:
    """store.json. unsealed: what became of the secrets in it."""
    found: dict[str, Any] = {"kind": "postgres" if is_postgres(place) else "sqlite"}
    if not is_postgres(place):
        path = database(place.folder)
        found["there"] = path.exists()
        for name, file in (("bytes", path), ("log_bytes", path.with_name(f"{path.name}-wal"))):
            found[name] = file.stat().st_size if file.exists() else 0
    found["unknown_secrets"] = unsealed.unknown
    try:
        with opened(place) as rows:
            found["readable"] = True
            found |= _content(rows, found) | _untold(rows, place.now_s)
    except Unreadable as problem:
        found |= {"readable": False, "problem": problem.code}
        return found
    return found | {
        "sealed": {
            "rows": unsealed.rows,
            "opened": unsealed.opened,
            "without_key": unsealed.without_key,
            "altered": unsealed.altered,
        }
    }


def _content(rows: Rows, found: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"rows": {}} | _schema(rows, _chain(found["kind"]))
    for table in TABLES:
        for row in if_in_time(rows, f"SELECT count(*) FROM {table}"):  # noqa: S608 - names of ours
            told["rows"][table] = row[0]
    still_open = (
        "SELECT count(*) FROM calls WHERE status NOT IN ('ended', 'scheduled') AND deleted_ms IS NULL"
    )
    for row in if_in_time(rows, still_open):
        told["open_calls"] = row[0]
    for row in if_in_time(rows, "SELECT max(updated_ms) FROM calls"):
        told["newest"] = None if row[0] is None else iso(row[0] / 1000)
    if found["kind"] == "sqlite" and found["bytes"] <= CHECKED_BYTES:
        for row in if_in_time(rows, "PRAGMA quick_check(1)"):
            told["check"] = "ok" if row[0] == "ok" else "damaged"
    return told


def _untold(rows: Rows, now_s: float) -> dict[str, Any]:
    """Calls that analytics has not been told of."""
    for count, since_ms in if_in_time(
        rows, "SELECT count(*), min(since_ms) FROM call_notches WHERE version > told"
    ):
        return {"untold": {"calls": count, "oldest_s": since_ms and round(now_s - since_ms / 1000)}}
    return {}


def _chain(kind: str) -> Chain:
    # Each brings its driver along.
    if kind == "postgres":
        from aywa.adapters.stores.postgres.migrations import CHAIN as OF_POSTGRES

        return OF_POSTGRES
    from aywa.adapters.stores.sqlite.migrations import CHAIN

    return CHAIN


def _schema(rows: Rows, chain: Chain) -> dict[str, Any]:
    """Which revision it has, and whether this release may use it."""
    head = str(rows(HEAD)[0][0])
    # Older schemas keep no record of it.
    recorded = tuple(map(revision_of, if_in_time(rows, RECORDED)))
    told: dict[str, Any] = {"revision": head, "head": chain.head}
    try:
        told["pending"] = len(chain.pending(Applied(head, recorded)))
    except StoreTooNew:
        told["too_new"] = True
    return told
