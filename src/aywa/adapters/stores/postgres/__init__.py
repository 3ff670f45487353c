"""The store in PostgreSQL, for one runtime or several."""

from aywa.adapters.stores.postgres.outbox import PostgresOutbox, open_outbox
from aywa.adapters.stores.postgres.store import PostgresStore, open_postgres

__all__ = ["PostgresOutbox", "PostgresStore", "open_outbox", "open_postgres"]
