"""Where this machine's data lies, and the embedded store in it; refuses to start anything else."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from aywa.ports.store import Store


def home() -> Path:
    """AYWA_HOME, else the platform's folder for a user's data."""
    chosen = os.environ.get("AYWA_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("aywa"))


def database(folder: Path) -> Path:
    """The store's file in a data folder."""
    return folder / "aywa.db"


async def open_store(folder: Path | None = None) -> Store:
    """The store in the data folder (default: `home()`), which is made for this user alone.

    Raises StoreUnavailable, StoreTooNew.
    """
    # SQLAlchemy takes a quarter of a second to import, which whoever only asks for `home` need not wait for.
    from aywa.adapters.stores.sqlite import open_sqlite

    folder = home() if folder is None else folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return await open_sqlite(database(folder))
