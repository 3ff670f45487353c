"""Calls and their events in SQLite: rows from the API, and from the projector, which may come twice and in either order.

A deleted call leaves an empty row behind, so that what is projected later finds it and is dropped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ormsgpack
from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update

from aywa.adapters.stores.sqlite.documents import dump, iso, newest, one, to_document, to_sealed_document
from aywa.adapters.stores.sqlite.engine import Database
from aywa.adapters.stores.sqlite.tables import call_events, calls
from aywa.ports.journal import CallProjection, JournalRecord
from aywa.ports.store import Change, Document, EarlierCall, JsonObject, ListQuery, NewCall

_EVENT = (
    call_events.c.call_id,
    call_events.c.org_id,
    call_events.c.seq,
    call_events.c.at_s,
    call_events.c.role,
    call_events.c.kind,
    call_events.c.data,
)
_INSERT_EVENT = """
INSERT INTO call_events (call_id, org_id, seq, at_s, role, kind, data) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""

# What a deleted call's row does not keep.
_FORGOTTEN = dict.fromkeys(("idempotency", "guest_digest", "due_ms", "key_id", "sealed"))
_CHANGE = (
    update(calls)
    .where(calls.c.id == bindparam("of_id"))
    .values(
        {name: bindparam(f"new_{name}") for name in ("type", "status", "updated_ms", "last_seq", "document")}
    )
)


class SqliteCalls:
    """The calls' documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, call: NewCall, idempotent_since_ms: int) -> None:
        async with self._database.write() as connection:
            if call.idempotency is not None:
                await connection.execute(
                    update(calls)
                    .where(
                        calls.c.org_id == call.document.org_id,
                        calls.c.idempotency == call.idempotency,
                        calls.c.created_ms < idempotent_since_ms,
                    )
                    .values(idempotency=None)
                )
            await connection.execute(insert(calls).values(**_columns(call)))

    async def earlier(self, org_id: str, idempotency: str, since_ms: int) -> EarlierCall | None:
        found = one(calls).add_columns(calls.c.digest)
        found = found.where(
            calls.c.org_id == org_id, calls.c.idempotency == idempotency, calls.c.created_ms >= since_ms
        )
        async with self._database.read() as connection:
            row = (await connection.execute(found)).first()
        return None if row is None else EarlierCall(to_document(row), row.digest)

    async def due(self, now_ms: int, limit: int) -> Sequence[Document]:
        found = one(calls).add_columns(calls.c.key_id, calls.c.sealed)
        found = found.where(calls.c.due_ms <= now_ms, calls.c.deleted_ms.is_(None))
        async with self._database.read() as connection:
            rows = await connection.execute(found.order_by(calls.c.due_ms, calls.c.id).limit(limit))
            return [to_sealed_document(row) for row in rows]

    async def next_due_ms(self) -> int | None:
        found = select(calls.c.due_ms).where(calls.c.due_ms.is_not(None), calls.c.deleted_ms.is_(None))
        async with self._database.read() as connection:
            row = (await connection.execute(found.order_by(calls.c.due_ms).limit(1))).first()
        return None if row is None else int(row[0])

    async def claim(self, org_id: str, call_id: str, now_ms: int, change: Change) -> Document | None:
        waiting = _one(org_id, call_id).where(calls.c.due_ms.is_not(None))
        taken = {"due_ms": None, "key_id": None, "sealed": None}
        return await self._change(org_id, call_id, now_ms, change, taken, waiting)

    async def postpone(self, document: Document, due_ms: int, now_ms: int) -> None:
        sealed = document.sealed
        kept = {
            "due_ms": due_ms,
            "key_id": None if sealed is None else sealed.key_id,
            "sealed": None if sealed is None else sealed.blob,
        }
        scheduled = {"status": "scheduled"}
        await self._change(document.org_id, document.id, now_ms, lambda body: body | scheduled, kept)

    async def refuse(self, org_id: str, call_id: str, now_ms: int, change: Change) -> Document | None:
        return await self._change(org_id, call_id, now_ms, change, {"idempotency": None})

    async def get(self, org_id: str, call_id: str) -> Document | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_one(org_id, call_id))).first()
        return None if row is None else to_document(row)

    async def guest(self, call_id: str, guest_digest: str, since_ms: int) -> str | None:
        found = select(calls.c.org_id).where(
            calls.c.id == call_id,
            calls.c.guest_digest == guest_digest,
            calls.c.created_ms >= since_ms,
            calls.c.deleted_ms.is_(None),
        )
        async with self._database.read() as connection:
            return (await connection.execute(found)).scalar_one_or_none()

    async def list(self, org_id: str, query: ListQuery) -> Sequence[str]:
        found = newest(calls, org_id, query).where(calls.c.deleted_ms.is_(None))
        async with self._database.read() as connection:
            return [str(row[0]) for row in await connection.execute(found)]

    async def change(self, org_id: str, call_id: str, now_ms: int, change: Change) -> Document | None:
        return await self._change(org_id, call_id, now_ms, change, {})

    async def _change(
        self,
        org_id: str,
        call_id: str,
        now_ms: int,
        change: Change,
        columns: dict[str, Any],
        chosen: Select[Any] | None = None,
    ) -> Document | None:
        async with self._database.write() as connection:
            row = (await connection.execute(_one(org_id, call_id) if chosen is None else chosen)).first()
            if row is None:
                return None
            old = to_document(row)
            body = change(json.loads(old.text)) | {"updatedAt": iso(now_ms)}
            new = Document(old.id, old.org_id, old.created_ms, now_ms, dump(body))
            await connection.execute(
                update(calls)
                .where(calls.c.id == call_id)
                .values(updated_ms=now_ms, status=body["status"], document=new.text, **columns)
            )
        return new

    async def delete(self, org_id: str, call_id: str, now_ms: int) -> Document | None:
        async with self._database.write(durable=True) as connection:
            row = (await connection.execute(_one(org_id, call_id))).first()
            if row is None:
                return None
            await connection.execute(
                update(calls)
                .where(calls.c.id == call_id)
                .values(deleted_ms=now_ms, document="{}", **_FORGOTTEN)
            )
            await connection.execute(delete(call_events).where(call_events.c.call_id == call_id))
        return to_document(row)


class SqliteProjection:
    """What the journal's projector writes, and what is read back of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, records: Sequence[JournalRecord], projections: Sequence[CallProjection]) -> None:
        await self._database.write_aside(lambda connection: _apply(connection, records, projections))

    async def events(self, org_id: str | None, call_id: str) -> list[JournalRecord]:
        found = select(*_EVENT).where(call_events.c.call_id == call_id).order_by(call_events.c.seq)
        if org_id is not None:
            found = found.where(call_events.c.org_id == org_id)
        async with self._database.read() as connection:
            rows = await connection.execute(found)
            return [JournalRecord(*row[:6], _event_data(row[6])) for row in rows]

    async def unended(self) -> list[tuple[str, str]]:
        found = select(calls.c.id, calls.c.org_id).where(
            # A scheduled one was never anywhere: it begins when it is due, in whatever process there is then.
            calls.c.status != "ended",
            calls.c.status != "scheduled",
            calls.c.deleted_ms.is_(None),
        )
        async with self._database.read() as connection:
            return [(row[0], row[1]) for row in await connection.execute(found)]


def _one(org_id: str, call_id: str) -> Select[Any]:
    return one(calls).where(calls.c.id == call_id, calls.c.org_id == org_id, calls.c.deleted_ms.is_(None))


def _apply(
    connection: Connection, records: Sequence[JournalRecord], projections: Sequence[CallProjection]
) -> None:
    ids = {record.call_id for record in records} | {item.call_id for item in projections}
    known = _known(connection, ids)
    now_ms = time.time_ns() // 1_000_000
    for projection in projections:
        row = known.setdefault(projection.call_id, _CallRow(projection.org_id, now_ms))
        row.take(projection, now_ms)
    added = [row.values(call_id) for call_id, row in known.items() if row.body and row.text is None]
    changed = [row.values(call_id) for call_id, row in known.items() if row.body and row.text is not None]
    if added:
        connection.execute(insert(calls), added)
    if changed:
        connection.execute(_CHANGE, changed)
    rows = [_event_row(record) for record in records if not _is_deleted(known, record.call_id)]
    if rows:
        # Hundreds a second: as the driver takes them.
        connection.exec_driver_sql(_INSERT_EVENT, rows)


def _known(connection: Connection, ids: Iterable[str]) -> dict[str, _CallRow]:
    known: dict[str, _CallRow] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), 500):  # older SQLite builds take 999 parameters at most
        found = select(
            calls.c.id,
            calls.c.org_id,
            calls.c.created_ms,
            calls.c.deleted_ms,
            calls.c.last_seq,
            calls.c.document,
        ).where(calls.c.id.in_(wanted[start : start + 500]))
        for call_id, *values in connection.execute(found):
            known[call_id] = _CallRow(*values)
    return known


def _is_deleted(known: dict[str, _CallRow], call_id: str) -> bool:
    return call_id in known and known[call_id].deleted_ms is not None


@dataclass(slots=True)
class _CallRow:
    """A call's row while a batch is applied to it. text: what is stored, None when the row is not there yet."""

    org_id: str
    created_ms: int
    deleted_ms: int | None = None
    last_seq: int = 0
    text: str | None = None
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
        """What was taken over, as a new row or as the parameters of _CHANGE."""
        assert self.body is not None
        values = {
            "type": self.body.get("type", ""),
            "status": self.body.get("status", "queued"),
            "updated_ms": self.updated_ms,
            "last_seq": self.last_seq,
            "document": dump(self.body),
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
        }

    def _new(self, projection: CallProjection) -> JsonObject:
        return {"id": projection.call_id, "orgId": self.org_id, "createdAt": iso(self.created_ms)}


def _columns(call: NewCall) -> dict[str, Any]:
    document = call.document
    return {
        "id": document.id,
        "org_id": document.org_id,
        "type": call.type,
        "status": call.status,
        "assistant_id": call.assistant_id,
        "created_ms": document.created_ms,
        "updated_ms": document.updated_ms,
        "last_seq": 0,
        "idempotency": call.idempotency,
        "digest": call.digest,
        "guest_digest": call.guest_digest,
        "phone_number_id": call.phone_number_id,
        "due_ms": call.due_ms,
        "document": document.text,
        "key_id": None if document.sealed is None else document.sealed.key_id,
        "sealed": None if document.sealed is None else document.sealed.blob,
    }


def _event_data(packed: Any) -> JsonObject:
    """A row's content. What cannot be read is told by its size: one bad row must not hide the others."""
    try:
        data = ormsgpack.unpackb(packed)
    except (ValueError, TypeError):
        data = None
    return data if isinstance(data, dict) else {"damaged_bytes": len(packed or b"")}


def _event_row(record: JournalRecord) -> tuple[Any, ...]:
    """In the order of _EVENT."""
    return (
        record.call_id,
        record.org_id,
        record.seq,
        record.at_s,
        record.role,
        record.kind,
        ormsgpack.packb(dict(record.data)),
    )
