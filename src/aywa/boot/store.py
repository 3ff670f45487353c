"""Where this machine's data lies, and the store: PostgreSQL when RUNTIME_STORE_POSTGRES_URL says where, else a file in the data
folder; refuses to start anything else."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import platformdirs

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Store, StoreTooNew

POSTGRES_URL = "RUNTIME_STORE_POSTGRES_URL"
_SCHEME = re.compile(r"postgres(ql)?://", re.IGNORECASE)

T = TypeVar("T")


def home() -> Path:
    """AYWA_HOME, else the platform's folder for a user's data."""
    chosen = os.environ.get("AYWA_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("aywa"))


def database(folder: Path) -> Path:
    """The embedded store's file in a data folder."""
    return folder / "aywa.db"


def postgres_url(environment: Mapping[str, str] | None = None) -> str | None:
    """Where the store is, with the password; None for the embedded one. Raises StoreUnavailable for what is no such address."""
    # A line end that came along when the value was copied is not part of it.
    url = (os.environ if environment is None else environment).get(POSTGRES_URL, "").strip()
    if not url:
        return None
    if not _SCHEME.match(url):
        raise StoreUnavailable(f"{POSTGRES_URL} must begin with postgresql://")
    return url


def shown_place(url: str) -> str:
    """The address without what may be secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}" or "this machine"


def store_exists(folder: Path | None = None) -> bool:
    """Whether there is anything to read."""
    return postgres_url() is not None or database(home() if folder is None else folder).exists()


async def open_store(folder: Path | None = None) -> Store:
    """The store: the database that the environment names, or a file in the data folder (default: `home()`), which is made for
    this user alone.

    Raises StoreUnavailable, StoreTooNew.
    """
    url = postgres_url()
    # SQLAlchemy takes a quarter of a second to import, which whoever only asks for `home` need not wait for.
    if url is not None:
        from aywa.adapters.stores.postgres import open_postgres

        return await asked_of(url, open_postgres)
    from aywa.adapters.stores.sqlite import open_sqlite

    folder = home() if folder is None else folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return await open_sqlite(database(folder))


async def asked_of(url: str, ask: Callable[[str], Awaitable[T]]) -> T:
    """Errors say which database, by its setting and without its password."""
    try:
        return await ask(url)
    except (StoreUnavailable, StoreTooNew) as error:
        raise type(error)(f"{POSTGRES_URL} ({shown_place(url)}): {error}") from error


async def why_too_new(url: str) -> str:
    """Why a PostgreSQL database's schema cannot be used by this release; empty where it can. Raises StoreUnavailable."""
    from aywa.adapters.stores.postgres.migrations import CHAIN, stored

    try:
        _ = CHAIN.pending(await stored(url))
    except StoreTooNew as error:
        return str(error)
    return ""
