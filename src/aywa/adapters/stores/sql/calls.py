"""Calls: rows as the API makes and changes them. What the journal's projector makes of them: projected.py.

A deleted call leaves an empty row behind, so that what is projected later finds it and is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update

from aywa.adapters.stores.sql.database import Database
from aywa.adapters.stores.sql.documents import (
    dump,
    iso,
    newest,
    one,
    to_document,
    to_sealed_document,
    within,
)
from aywa.adapters.stores.sql.leases import SqlLeases
from aywa.adapters.stores.sql.projected import expires_ms
from aywa.adapters.stores.sql.tables import call_events, calls, outbox_attempts, outbox_deliveries
from aywa.core.webhooks import Delivery
from aywa.ports.store import (
    Change,
    Document,
    EarlierCall,
    ListQuery,
    NewCall,
    RemovedCall,
    Span,
    Tell,
    untold,
)

# What a deleted call's row does not keep.
_FORGOTTEN = dict.fromkeys(("idempotency", "guest_digest", "due_ms", "key_id", "sealed"))


class SqlCalls:
    """The calls' documents."""

    def __init__(self, database: Database, leases: SqlLeases) -> None:
        self._database = database
        self._leases = leases

    async def insert(
        self, call: NewCall, idempotent_since_ms: int, deliveries: Sequence[Delivery] = ()
    ) -> None:
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
            owned = self._leases.columns if call.due_ms is None else {}
            await connection.execute(insert(calls).values(**_columns(call), **owned))
            await self._database.enqueue_along(connection, deliveries, call.document.created_ms)

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

    async def claim(
        self,
        org_id: str,
        call_id: str,
        now_ms: int,
        change: Change,
        deliveries: Sequence[Delivery] = (),
    ) -> Document | None:
        waiting = _one(org_id, call_id).where(calls.c.due_ms.is_not(None))
        taken = {"due_ms": None, "key_id": None, "sealed": None, **self._leases.columns}
        return await self._change(org_id, call_id, now_ms, change, taken, waiting, deliveries)

    async def waiting(self, now_ms: int) -> int:
        found = select(func.count()).where(calls.c.due_ms <= now_ms, calls.c.deleted_ms.is_(None))
        async with self._database.read() as connection:
            return int((await connection.execute(found)).scalar_one())

    async def postpone(self, document: Document, due_ms: int, now_ms: int, change: Change) -> Document | None:
        sealed = document.sealed
        kept = {
            "due_ms": due_ms,
            "lease_owner": None,
            "key_id": None if sealed is None else sealed.key_id,
            "sealed": None if sealed is None else sealed.blob,
        }
        return await self._change(document.org_id, document.id, now_ms, change, kept)

    async def refuse(
        self,
        org_id: str,
        call_id: str,
        now_ms: int,
        change: Change,
        deliveries: Sequence[Delivery] = (),
    ) -> Document | None:
        return await self._change(
            org_id, call_id, now_ms, change, {"idempotency": None}, deliveries=deliveries
        )

    async def get(self, org_id: str, call_id: str) -> Document | None:
        found = _one(org_id, call_id).add_columns(calls.c.key_id, calls.c.sealed)
        async with self._database.read() as connection:
            row = (await connection.execute(found)).first()
        return None if row is None else to_sealed_document(row)

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

    async def figures(
        self, org_id: str, created: Span, paths: Sequence[str], limit: int
    ) -> Sequence[tuple[int, Sequence[Any]]]:
        values = self._database.call_figures(paths)
        found = select(calls.c.created_ms, values).where(
            calls.c.org_id == org_id, calls.c.deleted_ms.is_(None), *within(calls.c.created_ms, created)
        )
        found = found.order_by(calls.c.created_ms, calls.c.id).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(found)).all()
        return [(row[0], json.loads(row[1])[: len(paths)]) for row in rows]

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
        deliveries: Sequence[Delivery] = (),
    ) -> Document | None:
        async with self._database.write() as connection:
            wanted = _one(org_id, call_id) if chosen is None else chosen
            row = (await connection.execute(wanted.with_for_update())).first()
            if row is None:
                return None
            old = to_document(row)
            body = change(json.loads(old.text)) | {"updatedAt": iso(now_ms)}
            new = Document(old.id, old.org_id, old.created_ms, now_ms, dump(body))
            await connection.execute(
                update(calls)
                .where(calls.c.id == call_id)
                .values(
                    updated_ms=now_ms,
                    status=body["status"],
                    document=new.text,
                    expires_ms=expires_ms(body),
                    **columns,
                )
            )
            await self._database.enqueue_along(connection, deliveries, now_ms)
        return new

    async def expired(self, now_ms: int, limit: int) -> Sequence[Document]:
        own = outbox_deliveries.c
        told = select(own.id).where(own.call_id == calls.c.id, own.state.in_(("waiting", "sending")))
        found = one(calls).where(calls.c.expires_ms <= now_ms, calls.c.deleted_ms.is_(None), ~told.exists())
        async with self._database.read() as connection:
            rows = await connection.execute(found.order_by(calls.c.expires_ms, calls.c.id).limit(limit))
            return [to_document(row) for row in rows]

    async def removed(self, org_id: str | None, limit: int) -> Sequence[RemovedCall]:
        found = _removed().order_by(calls.c.deleted_ms.desc(), calls.c.id).limit(limit)
        if org_id is not None:
            found = found.where(calls.c.org_id == org_id)
        async with self._database.read() as connection:
            return [RemovedCall(*row) for row in await connection.execute(found)]

    async def gone(self, ids: Collection[str]) -> Sequence[RemovedCall]:
        async with self._database.read() as connection:
            rows = await connection.execute(_removed().where(calls.c.id.in_(ids)))
            return [RemovedCall(*row) for row in rows]

    async def delete(
        self, org_id: str, call_id: str, now_ms: int, tell: Tell = untold, *, expired: bool = False
    ) -> Document | None:
        async with self._database.write(durable=True) as connection:
            row = (await connection.execute(_one(org_id, call_id).with_for_update())).first()
            if row is None:
                return None
            await connection.execute(
                update(calls)
                .where(calls.c.id == call_id)
                .values(
                    deleted_ms=now_ms, expired_ms=now_ms if expired else None, document="{}", **_FORGOTTEN
                )
            )
            await connection.execute(delete(call_events).where(call_events.c.call_id == call_id))
            # What was still to be told of it is forgotten too.
            own = select(outbox_deliveries.c.id).where(outbox_deliveries.c.call_id == call_id)
            await connection.execute(delete(outbox_attempts).where(outbox_attempts.c.delivery_id.in_(own)))
            await connection.execute(delete(outbox_deliveries).where(outbox_deliveries.c.call_id == call_id))
            await self._database.enqueue_along(connection, tell(to_document(row)), now_ms)
        return to_document(row)


def _one(org_id: str, call_id: str) -> Select[Any]:
    return one(calls).where(calls.c.id == call_id, calls.c.org_id == org_id, calls.c.deleted_ms.is_(None))


def _removed() -> Select[Any]:
    """Selects what a RemovedCall holds."""
    c = calls.c
    found = select(c.id, c.org_id, c.assistant_id, c.created_ms, c.deleted_ms, c.expired_ms.is_not(None))
    return found.where(c.deleted_ms.is_not(None))


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
