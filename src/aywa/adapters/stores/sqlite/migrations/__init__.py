"""Brings a database file to this release's schema; refuses a file that a newer release has written.

Alembic is imported only when there is something to do: looking takes a millisecond, importing it takes many.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from aywa.ports.store import StoreTooNew

HEAD = "0003"
"""The newest revision in versions/ (a test compares them)."""

KNOWN = frozenset({"0001", "0002", HEAD})
"""Every revision in versions/."""

_BUSY_S = 30.0


def migrate(path: Path) -> bool:
    """Migrates the file, making it if need be; False when there was nothing to do. Blocks: call it in a thread.

    Raises StoreTooNew, sqlite3.Error.
    """
    revision = stored_revision(path)
    if revision == HEAD:
        return False
    if revision is not None and revision not in KNOWN:
        raise StoreTooNew(
            f"{path} has schema {revision}, which this release does not know (it knows up to {HEAD}):"
            " start the newer release, or restore the backup from before the update"
        )
    _upgrade(path)
    return True


def stored_revision(path: Path) -> str | None:
    """The file's revision; None for a file that is missing or empty."""
    if not path.exists():
        return None
    connection = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    finally:
        connection.close()
    return None if row is None else str(row[0])


def _upgrade(path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(
        f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": _BUSY_S, "isolation_level": None}
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        # Two processes may start at once: the second waits here and then finds nothing to do.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.exec_driver_sql("COMMIT")
    engine.dispose()
