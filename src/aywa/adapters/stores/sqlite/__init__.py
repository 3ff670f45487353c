"""The embedded store: one SQLite file; refuses to be shared over a network file system."""

from aywa.adapters.stores.sqlite.store import SqliteStore, open_sqlite

__all__ = ["SqliteStore", "open_sqlite"]
