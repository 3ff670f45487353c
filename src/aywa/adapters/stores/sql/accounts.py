"""Organisations and API keys; refuses to see a key's secret but sealed."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row, insert, select, update

from aywa.adapters.stores.sql.database import Database
from aywa.adapters.stores.sql.tables import api_keys, orgs
from aywa.ports.secrets import Sealed
from aywa.ports.store import ApiKey, Organisation

_KEY = (
    api_keys.c.id,
    api_keys.c.org_id,
    api_keys.c.name,
    api_keys.c.kind,
    api_keys.c.digest,
    api_keys.c.hint,
    api_keys.c.created_ms,
    api_keys.c.last_used_ms,
    api_keys.c.revoked_ms,
    api_keys.c.key_id,
    api_keys.c.sealed,
    api_keys.c.scopes,
    api_keys.c.expires_ms,
)


class SqlOrganisations:
    """The tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, organisation: Organisation) -> None:
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                insert(orgs).values(
                    id=organisation.id, name=organisation.name, created_ms=organisation.created_ms
                )
            )

    async def get(self, org_id: str) -> Organisation | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_organisations().where(orgs.c.id == org_id))).first()
        return None if row is None else Organisation(*row)

    async def list(self) -> list[Organisation]:
        async with self._database.read() as connection:
            rows = await connection.execute(_organisations().order_by(orgs.c.created_ms, orgs.c.id))
            return [Organisation(*row) for row in rows]


class SqlKeys:
    """The keys' rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, key: ApiKey) -> None:
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                insert(api_keys).values(
                    id=key.id,
                    org_id=key.org_id,
                    name=key.name,
                    kind=key.kind,
                    digest=key.digest,
                    hint=key.hint,
                    created_ms=key.created_ms,
                    last_used_ms=key.last_used_ms,
                    revoked_ms=key.revoked_ms,
                    key_id=None if key.sealed is None else key.sealed.key_id,
                    sealed=None if key.sealed is None else key.sealed.blob,
                    scopes=None if key.scopes is None else json.dumps(key.scopes),
                    expires_ms=key.expires_ms,
                )
            )

    async def find(self, digest: str) -> ApiKey | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(*_KEY).where(api_keys.c.digest == digest))).first()
        return None if row is None else _key(row)

    async def list(self, org_id: str | None = None) -> list[ApiKey]:
        found = select(*_KEY).order_by(api_keys.c.created_ms, api_keys.c.id)
        if org_id is not None:
            found = found.where(api_keys.c.org_id == org_id)
        async with self._database.read() as connection:
            return [_key(row) for row in await connection.execute(found)]

    async def revoke(self, org_id: str | None, key_id: str, now_ms: int) -> ApiKey | None:
        wanted = api_keys.c.id == key_id
        if org_id is not None:
            wanted &= api_keys.c.org_id == org_id
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                update(api_keys).where(wanted, api_keys.c.revoked_ms.is_(None)).values(revoked_ms=now_ms)
            )
            row = (await connection.execute(select(*_KEY).where(wanted))).first()
        return None if row is None else _key(row)

    async def touch(self, key_id: str, now_ms: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(api_keys).where(api_keys.c.id == key_id).values(last_used_ms=now_ms)
            )


def _organisations() -> Any:
    return select(orgs.c.id, orgs.c.name, orgs.c.created_ms)


def _key(row: Row[*tuple[Any, ...]]) -> ApiKey:
    values: dict[str, Any] = dict(row._mapping)
    key_id, sealed, scopes = (values.pop(name) for name in ("key_id", "sealed", "scopes"))
    return ApiKey(
        **values,
        sealed=None if sealed is None else Sealed(key_id or "", sealed),
        scopes=None if scopes is None else tuple(json.loads(scopes)),
    )
