"""Joins the tables into the store's port, whatever the dialect; refuses to open anything."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aywa.adapters.stores.sql.accounts import SqlKeys, SqlOrganisations
from aywa.adapters.stores.sql.calls import SqlCalls
from aywa.adapters.stores.sql.database import Database
from aywa.adapters.stores.sql.documents import SqlCredentials, SqlDocuments, SqlPhoneNumbers
from aywa.adapters.stores.sql.leases import SqlLeases
from aywa.adapters.stores.sql.notches import SqlNotches
from aywa.adapters.stores.sql.sealed import SqlSealed
from aywa.adapters.stores.sql.tables import assistants, files, org_settings, squads, tools
from aywa.core.leases import Fence
from aywa.core.webhooks import Delivery
from aywa.ports.journal import CallProjection, JournalRecord, ProjectionStore
from aywa.ports.outbox import Outbox


class SqlStore:
    """Everything of ports.store.Store but `check` and `close`. projection, outbox: the dialect's own. shared: whether other
    runtimes may have the same database."""

    def __init__(
        self, database: Database, projection: ProjectionStore, outbox: Outbox, *, shared: bool
    ) -> None:
        self.leases = SqlLeases(database, shared=shared)
        self._projection = projection
        self.organisations = SqlOrganisations(database)
        self.keys = SqlKeys(database)
        self.assistants = SqlDocuments(database, assistants)
        self.tools = SqlDocuments(database, tools)
        self.squads = SqlDocuments(database, squads)
        self.files = SqlDocuments(database, files)
        self.credentials = SqlCredentials(database)
        self.phone_numbers = SqlPhoneNumbers(database)
        self.calls = SqlCalls(database, self.leases)
        self.org_settings = SqlDocuments(database, org_settings)
        self.outbox = outbox
        self.notches = SqlNotches(database)
        self.sealed = SqlSealed(database)

    async def apply(
        self,
        records: Sequence[JournalRecord],
        projections: Sequence[CallProjection],
        deliveries: Sequence[Delivery] = (),
        fence: Fence | None = None,
    ) -> Collection[str]:
        """As the port says."""
        return await self._projection.apply(records, projections, deliveries, fence)

    async def events(self, org_id: str | None, call_id: str) -> list[JournalRecord]:
        """As the port says."""
        return await self._projection.events(org_id, call_id)

    async def unended(self) -> list[tuple[str, str]]:
        """As the port says."""
        return await self._projection.unended()
