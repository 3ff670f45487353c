"""Brings a database file to this release's schema; refuses a file that a newer release has changed for good.

Alembic is imported only when there is something to do: looking takes a millisecond, importing it takes many.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from aywa.adapters.stores.sql.migrations import (
    HEAD,
    RECORDED,
    SHARED,
    Applied,
    Chain,
    Stage,
    apply,
    chain_of,
    revision_of,
)
from aywa.ports.store import StoreTooNew

CHAIN = chain_of(Path(__file__).parent / "versions", SHARED)

_BUSY_S = 30.0


def migrate(path: Path, stage: Stage | None = None, chain: Chain = CHAIN) -> bool:
    """Migrates the file, making it if need be; False when there was nothing to do. Blocks: call it in a thread.

    Raises StoreTooNew, StoreUnavailable, sqlite3.Error.
    """
    try:
        planned = chain.planned(stored(path), stage)
    except StoreTooNew as error:
        raise StoreTooNew(f"{path}: {error}") from None
    if planned:
        _upgrade(path, chain, planned[-1].id)
    return bool(planned)


def stored(path: Path) -> Applied:
    """What the file says of its schema. Raises sqlite3.Error."""
    if not path.exists():
        return Applied()
    connection = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        head = connection.execute(HEAD).fetchone() if "alembic_version" in tables else None
        recorded = connection.execute(RECORDED).fetchall() if "schema_revisions" in tables else []
    finally:
        connection.close()
    return Applied(None if head is None else str(head[0]), tuple(map(revision_of, recorded)))


def _upgrade(path: Path, chain: Chain, target: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": _BUSY_S, "isolation_level": None}
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        # Two processes may start at once: the second waits here and then finds nothing to do.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        apply(connection, chain, target, time.time_ns() // 1_000_000)
        connection.exec_driver_sql("COMMIT")
    engine.dispose()
