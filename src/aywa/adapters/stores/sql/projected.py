"""What a batch of the journal's projector makes of the calls' rows, alike in every dialect: a batch may come twice, and an older
one after a newer one. Refuses to read or write any row itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ormsgpack
from sqlalchemy import ColumnElement, Select, select

from aywa.adapters.stores.sql.documents import dump, iso
from aywa.adapters.stores.sql.tables import calls
from aywa.core.leases import Fence, admits
from aywa.core.webhooks import Delivery
from aywa.ports.journal import CallProjection, JournalRecord
from aywa.ports.store import JsonObject

EVENT = ("call_id", "org_id", "seq", "at_s", "role", "kind", "data")
"""An event's columns."""


@dataclass(slots=True)
class CallRow:
    """A call's row while a batch is applied to it. text: what is stored, None when the row is not there yet. owner, token: whose
    the call is, since when."""

    org_id: str
    created_ms: int
    deleted_ms: int | None = None
    last_seq: int = 0
    text: str | None = None
    owner: str | None = None
    token: int = 0
    body: JsonObject | None = None
    updated_ms: int = 0

    def take(self, projection: CallProjection, now_ms: int) -> None:
        """Takes over what is newer; anything else changes nothing."""
        if self.deleted_ms is not None or projection.org_id != self.org_id:
            return
        if projection.last_seq <= self.last_seq:
            return
        if self.body is None:
            self.body = json.loads(self.text) if self.text is not None else self._new(projection)
        self.body |= dict(projection.document)
        self.body["updatedAt"] = iso(now_ms)
        self.updated_ms = now_ms
        self.last_seq = projection.last_seq

    def values(self, call_id: str) -> dict[str, Any]:
        """What was taken over, as a new row or as the parameters of an update (new_..., of_id)."""
        assert self.body is not None
        values = {
            "type": self.body.get("type", ""),
            "status": self.body.get("status", "queued"),
            "updated_ms": self.updated_ms,
            "last_seq": self.last_seq,
            "document": dump(self.body),
            "expires_ms": expires_ms(self.body),
        }
        if self.text is not None:
            return {f"new_{name}": value for name, value in values.items()} | {"of_id": call_id}
        return {
            **values,
            "id": call_id,
            "org_id": self.org_id,
            "created_ms": self.created_ms,
            "assistant_id": self.body.get("assistantId"),
            "phone_number_id": self.body.get("phoneNumberId"),
            "lease_owner": self.owner,
            "lease_token": self.token,
        }

    def _new(self, projection: CallProjection) -> JsonObject:
        return {"id": projection.call_id, "orgId": self.org_id, "createdAt": iso(self.created_ms)}


def expires_ms(body: Mapping[str, Any]) -> int | None:
    """Until when the document says that its call is kept, in Unix milliseconds."""
    said = body.get("expiresAt")
    return round(datetime.fromisoformat(said).timestamp() * 1000) if isinstance(said, str) else None


def ids_of(
    records: Sequence[JournalRecord], projections: Sequence[CallProjection], deliveries: Sequence[Delivery]
) -> list[str]:
    """The calls that a batch speaks of."""
    ids = {record.call_id for record in records} | {item.call_id for item in projections}
    return sorted(ids | {one.call_id for one in deliveries if one.call_id is not None})


@dataclass(frozen=True, slots=True)
class Changes:
    """What a batch comes to. added: new rows of calls; changed: as CallRow.values has them; events: in EVENT's order. refused:
    calls that are another's, of which nothing is taken over."""

    added: Sequence[Mapping[str, Any]]
    changed: Sequence[Mapping[str, Any]]
    events: Sequence[tuple[Any, ...]]
    deliveries: Sequence[Delivery]
    refused: frozenset[str]


def changes(
    known: dict[str, CallRow],
    records: Sequence[JournalRecord],
    projections: Sequence[CallProjection],
    deliveries: Sequence[Delivery],
    now_ms: int,
    fence: Fence | None = None,
) -> Changes:
    """known: the rows that there are, of those that ids_of names; takes new ones in. fence: of who writes."""
    refused: frozenset[str] = frozenset()
    if fence is not None:
        refused = frozenset(
            call_id for call_id, row in known.items() if not admits(row.owner, row.token, fence)
        )
    for projection in projections:
        if projection.call_id in refused:
            continue
        row = known.get(projection.call_id)
        if row is None:
            row = known[projection.call_id] = CallRow(projection.org_id, now_ms)
            if fence is not None:
                row.owner, row.token = fence.owner, fence.token
        row.take(projection, now_ms)
    # In the order of their ids: who else writes the same rows waits for us, or we for them, and never both.
    touched = sorted((call_id, row) for call_id, row in known.items() if row.body)
    gone = refused | {call_id for call_id, row in known.items() if row.deleted_ms is not None}
    return Changes(
        [row.values(call_id) for call_id, row in touched if row.text is None],
        [row.values(call_id) for call_id, row in touched if row.text is not None],
        [event_row(record) for record in records if record.call_id not in gone],
        [one for one in deliveries if one.call_id not in gone],
        refused,
    )


def unended() -> Select[Any]:
    """Selects id and organisation of the calls that run, or ran when their process ended."""
    return select(calls.c.id, calls.c.org_id).where(*is_unended())


def is_unended() -> tuple[ColumnElement[bool], ...]:
    """Of a call that runs, or ran when its process ended."""
    # One that waits for its time, or for room, was never anywhere: it begins in whatever process there is then.
    return (
        calls.c.status != "ended",
        calls.c.status != "scheduled",
        calls.c.due_ms.is_(None),
        calls.c.deleted_ms.is_(None),
    )


def event_data(packed: Any) -> JsonObject:
    """A row's content. What cannot be read is told by its size: one bad row must not hide the others."""
    try:
        data = ormsgpack.unpackb(packed)
    except (ValueError, TypeError):
        data = None
    return data if isinstance(data, dict) else {"damaged_bytes": len(packed or b"")}


def event_row(record: JournalRecord) -> tuple[Any, ...]:
    """Its columns, in the order of EVENT."""
    return (
        record.call_id,
        record.org_id,
        record.seq,
        record.at_s,
        record.role,
        record.kind,
        ormsgpack.packb(dict(record.data)),
    )
