"""Configuration (assistants, tools, credentials ...): one table a kind, the JSON text beside what it is found
by, and beside the ciphertext of its secrets."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from aywa.adapters.stores.sql.database import Database
from aywa.adapters.stores.sql.tables import credentials, idempotency, phone_numbers
from aywa.core.numbers import number_key, sip_address
from aywa.ports.secrets import Sealed
from aywa.ports.store import (
    Change,
    Document,
    EarlierDocument,
    JsonObject,
    ListQuery,
    Once,
    Repeated,
    SealedChange,
    Span,
)


class SqlDocuments:
    """One table of documents."""

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table

    async def insert(self, document: Document, once: Once | None = None) -> None:
        async with self._database.write(durable=True) as connection:
            if once is not None:
                await self._note(connection, document, once)
            await connection.execute(
                insert(self._table).values(
                    id=document.id,
                    org_id=document.org_id,
                    created_ms=document.created_ms,
                    **self._written(document),
                )
            )

    async def earlier(self, org_id: str, name: str, since_ms: int) -> EarlierDocument | None:
        joined = self._table.join(idempotency, idempotency.c.document_id == self._table.c.id)
        found = self._sealed().add_columns(idempotency.c.digest).select_from(joined)
        found = found.where(*self._named(org_id, name), idempotency.c.created_ms >= since_ms)
        async with self._database.read() as connection:
            row = (await connection.execute(found)).first()
        return None if row is None else EarlierDocument(to_sealed_document(row), row.digest)

    async def get(self, org_id: str, document_id: str) -> Document | None:
        async with self._database.read() as connection:
            row = (await connection.execute(self._one(org_id, document_id))).first()
        return None if row is None else to_sealed_document(row)

    async def of_ids(self, org_id: str, ids: Collection[str]) -> Sequence[Document]:
        columns = self._table.c
        found = self._sealed().where(columns.org_id == org_id, columns.id.in_(ids))
        async with self._database.read() as connection:
            return [to_sealed_document(row) for row in await connection.execute(found)]

    async def of_id(self, document_id: str) -> Document | None:
        async with self._database.read() as connection:
            row = (await connection.execute(self._sealed().where(self._table.c.id == document_id))).first()
        return None if row is None else to_sealed_document(row)

    async def list(self, org_id: str, query: ListQuery) -> Sequence[str]:
        async with self._database.read() as connection:
            rows = await connection.execute(newest(self._table, org_id, query))
            return [str(row[0]) for row in rows]

    async def change(self, org_id: str, document_id: str, now_ms: int, change: Change) -> Document | None:
        return await self.change_sealed(
            org_id, document_id, now_ms, lambda body, sealed: (change(body), sealed)
        )

    async def change_sealed(
        self, org_id: str, document_id: str, now_ms: int, change: SealedChange
    ) -> Document | None:
        async with self._database.write(durable=True) as connection:
            row = (await connection.execute(self._one(org_id, document_id).with_for_update())).first()
            if row is None:
                return None
            old = to_sealed_document(row)
            body, sealed = change(json.loads(old.text), old.sealed)
            text = dump(body | {"updatedAt": iso(now_ms)})
            new = Document(old.id, old.org_id, old.created_ms, now_ms, text, sealed)
            await connection.execute(
                update(self._table).where(self._table.c.id == new.id).values(**self._written(new))
            )
        return new

    async def delete(self, org_id: str, document_id: str) -> Document | None:
        async with self._database.write(durable=True) as connection:
            row = (await connection.execute(self._one(org_id, document_id).with_for_update())).first()
            if row is not None:
                await connection.execute(delete(self._table).where(self._table.c.id == document_id))
                await connection.execute(
                    delete(idempotency).where(
                        idempotency.c.kind == self._table.name, idempotency.c.document_id == document_id
                    )
                )
        return None if row is None else to_sealed_document(row)

    async def _note(self, connection: AsyncConnection, document: Document, once: Once) -> None:
        # Old names are forgotten as new ones come.
        await connection.execute(delete(idempotency).where(idempotency.c.created_ms < once.since_ms))
        taken = select(idempotency.c.name).where(*self._named(document.org_id, once.name))
        if (await connection.execute(taken)).first() is not None:
            raise Repeated("something was made under this name before")
        named = insert(idempotency).values(
            org_id=document.org_id,
            kind=self._table.name,
            name=once.name,
            digest=once.digest,
            document_id=document.id,
            created_ms=document.created_ms,
        )
        try:
            await connection.execute(named)
        except IntegrityError as error:
            # Somebody else's, at the same time.
            raise Repeated("something is made under this name") from error

    def _named(self, org_id: str, name: str) -> tuple[ColumnElement[bool], ...]:
        columns = idempotency.c
        return (columns.org_id == org_id, columns.kind == self._table.name, columns.name == name)

    def _one(self, org_id: str, document_id: str) -> Select[Any]:
        return self._sealed().where(self._table.c.id == document_id, self._table.c.org_id == org_id)

    def _sealed(self) -> Select[Any]:
        return one(self._table).add_columns(self._table.c.key_id, self._table.c.sealed)

    def _written(self, document: Document) -> dict[str, Any]:
        """The columns that follow the document."""
        sealed = document.sealed
        return {
            "updated_ms": document.updated_ms,
            "document": document.text,
            "key_id": None if sealed is None else sealed.key_id,
            "sealed": None if sealed is None else sealed.blob,
        }


class SqlCredentials(SqlDocuments):
    """Their table, found by provider and name too."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, credentials)

    async def usable(
        self, org_id: str, providers: Collection[str], ids: Collection[str]
    ) -> Sequence[Document]:
        columns = self._table.c
        wanted = columns.provider.in_(providers) | columns.id.in_(ids) | columns.name.in_(ids)
        found = self._sealed().where(columns.org_id == org_id, wanted)
        async with self._database.read() as connection:
            rows = await connection.execute(found.order_by(columns.created_ms.desc(), columns.id.desc()))
            return [to_sealed_document(row) for row in rows]

    async def of_provider(self, provider: str) -> Sequence[Document]:
        columns = self._table.c
        found = self._sealed().where(columns.provider == provider)
        async with self._database.read() as connection:
            rows = await connection.execute(found.order_by(columns.created_ms, columns.id))
            return [to_sealed_document(row) for row in rows]

    def _written(self, document: Document) -> dict[str, Any]:
        body = json.loads(document.text)
        return super()._written(document) | {"provider": body["provider"], "name": body.get("name")}


class SqlPhoneNumbers(SqlDocuments):
    """Their table, found also by what an INVITE names."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, phone_numbers)

    async def of_trunks(self, credential_ids: Collection[str], number: str) -> Sequence[Document]:
        columns = self._table.c
        # A number without a number takes whatever its trunk brings and no other one is.
        wanted = columns.number.in_((number_key(number), ""))
        found = self._sealed().where(columns.credential_id.in_(credential_ids), wanted)
        return await self._found(found.order_by(columns.number.desc(), columns.created_ms, columns.id))

    async def of_uri(self, user: str) -> Document | None:
        found = await self._found(self._sealed().where(self._table.c.uri_user == user.lower()))
        return found[0] if found else None

    async def with_accounts(self) -> Sequence[Document]:
        columns = self._table.c
        return await self._found(
            self._sealed().where(columns.account.is_not(None)).order_by(columns.created_ms, columns.id)
        )

    async def _found(self, query: Select[Any]) -> list[Document]:
        async with self._database.read() as connection:
            return [to_sealed_document(row) for row in await connection.execute(query)]

    def _written(self, document: Document) -> dict[str, Any]:
        body = json.loads(document.text)
        credential_id, number, uri = (body.get(name) for name in ("credentialId", "number", "sipUri"))
        address = sip_address(uri) if isinstance(uri, str) else None
        authentication = body.get("authentication")
        account = authentication.get("username") if isinstance(authentication, dict) else None
        keys = {
            "credential_id": credential_id,
            "number": None if credential_id is None else number_key(number or ""),
            "uri_user": None if address is None else address.user.lower(),
            "account": account,
        }
        return super()._written(document) | keys


def one(table: Table) -> Select[Any]:
    """Selects what to_document reads."""
    return select(table.c.id, table.c.org_id, table.c.created_ms, table.c.updated_ms, table.c.document)


def to_document(row: Row[*tuple[Any, ...]]) -> Document:
    """A row of `one` as the port's record."""
    return Document(row[0], row[1], row[2], row[3], row[4])


def to_sealed_document(row: Row[*tuple[Any, ...]]) -> Document:
    """Like to_document, with the two columns of the sealed secrets behind."""
    return replace(to_document(row), sealed=None if row[6] is None else Sealed(row[5] or "", row[6]))


def dump(body: JsonObject) -> str:
    """A document's text. ASCII only, so that every string a client can send can be stored."""
    return json.dumps(body, separators=(",", ":"), allow_nan=False)


def iso(ms: int) -> str:
    """Unix milliseconds as ISO 8601 UTC with milliseconds and Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def newest(table: Table, org_id: str, query: ListQuery) -> Select[Any]:
    """Selects the texts that the query asks for."""
    columns = table.c
    found = select(columns.document).where(columns.org_id == org_id)
    for bound in (*within(columns.created_ms, query.created), *within(columns.updated_ms, query.updated)):
        found = found.where(bound)
    for name, value in query.equal:
        found = found.where(columns[name] == value)
    return found.order_by(columns.created_ms.desc(), columns.id.desc()).limit(query.limit)


def within(column: ColumnElement[int], span: Span) -> list[ColumnElement[bool]]:
    """The span as conditions."""
    bounds: list[ColumnElement[bool]] = []
    if span.gt is not None:
        bounds.append(column > span.gt)
    if span.lt is not None:
        bounds.append(column < span.lt)
    if span.ge is not None:
        bounds.append(column >= span.ge)
    if span.le is not None:
        bounds.append(column <= span.le)
    return bounds
