"""A backup of everything that a runtime has, in one file, and taking it back on another machine.

It is a ZIP file: `manifest.json` says what must be in it, with the SHA-256 of each member; `tables/` holds the store's rows as
lines of JSON, the same for both dialects, read in one snapshot while the runtime goes on; `data/` holds recordings, uploaded
files and what waits to be carried to a bucket. What lies in a bucket is not in it. Nor are keys that open something, unless they
are asked for: the store's secrets stay sealed.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import sqlite3
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import aywa
from aywa.adapters.artifacts.whole_file import whole_file
from aywa.boot.lock import FolderLock
from aywa.boot.store import POSTGRES_URL, database, home, postgres_url, shown_place
from aywa.ports.journal import StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
FOLDERS: Final = ("artifacts", "files", "shipments")
"""Of the data folder, whole."""
KEYS: Final = ("store-key", "dev-key", "talk-key", "media-secret", "sip-password")
"""Of the data folder, when they are asked for."""
CHUNK_BYTES: Final = 1 << 20


_NO_BACKUP: Final = (
    zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, EOFError, RuntimeError,
)  # fmt: skip
"""What reading a file that is damaged, or none of ours, may raise; of OSErrors none, which say something of the disk."""


class BadBackup(Exception):
    """It cannot be taken back. The text says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. schema: the store's newest revision. members: name -> SHA-256, in hex. rows: by table.
    sealed_with: the ids of the keys that open its secrets."""

    made_ms: int
    version: str
    schema: str
    rows: Mapping[str, int]
    members: Mapping[str, str] = field(repr=False)
    sealed_with: tuple[str, ...] = ()
    keys: bool = False

    @property
    def files(self) -> int:
        """How many members are files of the data folder."""
        return sum(name.startswith("data/") for name in self.members)


# --- making one ----------------------------------------------------------------------------------------------------


async def back_up(target: Path, folder: Path | None = None, *, keys: bool = False) -> Manifest:
    """Writes the file, whole or not at all, for its owner alone. The runtime may run meanwhile.

    Raises StoreUnavailable, OSError.
    """
    folder = home() if folder is None else folder
    with whole_file(target) as file:
        written = _Written(file)
        try:
            return await _written(written, folder, keys)
        finally:
            await asyncio.to_thread(written.close)


async def _written(written: _Written, folder: Path, keys: bool) -> Manifest:
    from sqlalchemy import text

    from aywa.adapters.stores.sql.dump import lines_of, tables_of

    rows: dict[str, int] = {}
    sealed: set[str] = set()
    made_ms = time.time_ns() // 1_000_000
    async with _engine(folder) as engine, _snapshot(engine) as connection:
        schema = str(await connection.scalar(text("SELECT version_num FROM alembic_version")))
        for table in await tables_of(connection):
            with written.member(f"tables/{table.name}.jsonl") as member:
                count = -1  # the first line names the columns
                async for lines in lines_of(connection, table):
                    count += len(lines)
                    await asyncio.to_thread(member.write, "".join(f"{line}\n" for line in lines).encode())
            rows[table.name] = count
            if "key_id" in table.columns:
                found = await connection.execute(
                    table.select()
                    .with_only_columns(table.c.key_id)
                    .distinct()
                    .where(table.c.key_id.is_not(None))
                )
                sealed.update(str(row[0]) for row in found)
    for path in _data(folder, keys):
        await asyncio.to_thread(written.copy, path, f"data/{path.relative_to(folder).as_posix()}")
    manifest = Manifest(
        made_ms, aywa.__version__, schema, rows, dict(written.digests), tuple(sorted(sealed)), keys
    )
    told = {
        "format": FORMAT,
        "madeMs": made_ms,
        "version": manifest.version,
        "schema": schema,
        "rows": rows,
        "sealedWith": manifest.sealed_with,
        "keys": keys,
        "members": manifest.members,
    }
    with written.member(MANIFEST) as member:
        member.write(json.dumps(told, indent=1).encode())
    return manifest


class _Written:
    """The archive while it is made."""

    def __init__(self, file: Any) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=4)
        self.digests: dict[str, str] = {}

    def close(self) -> None:
        self._zip.close()

    def member(self, name: str) -> _Member:
        return _Member(self, name, self._zip.open(name, "w", force_zip64=True))

    def copy(self, path: Path, name: str) -> None:
        # What was deleted meanwhile belongs to no call any more.
        with suppress(FileNotFoundError), path.open("rb") as source, self.member(name) as member:
            while chunk := source.read(CHUNK_BYTES):
                member.write(chunk)


class _Member:
    def __init__(self, written: _Written, name: str, file: Any) -> None:
        self._written = written
        self._name = name
        self._file = file
        self._digest = hashlib.sha256()

    def __enter__(self) -> _Member:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._written.digests[self._name] = self._digest.hexdigest()

    def write(self, content: bytes) -> None:
        self._digest.update(content)
        self._file.write(content)


def _data(folder: Path, keys: bool) -> Iterator[Path]:
    for name in FOLDERS:
        yield from sorted(path for path in (folder / name).rglob("*") if path.is_file())
    if keys:
        yield from (folder / name for name in KEYS if (folder / name).is_file())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# --- taking one back -----------------------------------------------------------------------------------------------


async def examined(source: Path) -> Manifest:
    """Reads all of it and holds it against its manifest. Raises BadBackup, OSError."""
    return await asyncio.to_thread(_examined, source)


async def take_back(source: Path, folder: Path | None = None) -> Manifest:
    """Fills an empty store and the data folder. Nothing is changed if anything is wrong with the backup; the store gets all rows
    or none.

    Raises BadBackup, StoreUnavailable, StoreTooNew, CannotStart (a runtime uses the folder), OSError.
    """
    folder = home() if folder is None else folder
    from aywa.adapters.stores.sql.dump import told_anew

    manifest = await examined(source)
    lock = FolderLock(folder)
    try:
        staged = folder / f"restored.{os.getpid()}"
        try:
            await _make_schema(folder, manifest)
            with zipfile.ZipFile(source) as archive:
                await asyncio.to_thread(_unpack, archive, manifest, staged)
                await _fill(folder, archive, manifest)
            await asyncio.to_thread(_put, staged, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, staged, ignore_errors=True)
        await _make_schema(folder, None)
        async with _engine(folder) as engine:
            await told_anew(engine, time.time_ns() // 1_000_000_000)
    finally:
        lock.close()
    return manifest


def _examined(source: Path) -> Manifest:
    try:
        with zipfile.ZipFile(source) as archive:
            told = json.loads(archive.read(MANIFEST))
            if told["format"] != FORMAT:
                raise BadBackup(
                    f"it is of format {told['format']}: take it back with the release that made it"
                )
            manifest = Manifest(
                int(told["madeMs"]),
                str(told["version"]),
                str(told["schema"]),
                {str(name): int(count) for name, count in told["rows"].items()},
                {str(name): str(digest) for name, digest in told["members"].items()},
                tuple(map(str, told["sealedWith"])),
                bool(told["keys"]),
            )
            names = [info.filename for info in archive.infolist() if info.filename != MANIFEST]
            if sorted(names) != sorted(manifest.members) or any(map(_escapes, names)):
                raise BadBackup("it does not hold what its manifest says")
            for name, digest in manifest.members.items():
                if _digest(archive, name) != digest:
                    raise BadBackup(f"{name} in it is damaged")
    except _NO_BACKUP as error:
        raise BadBackup(f"it is no whole backup ({type(error).__name__})") from None
    return manifest


def _escapes(name: str) -> bool:
    parts = name.split("/")
    if parts[0] == "tables":
        return len(parts) != 2
    known = parts[0] == "data" and (parts[1:2] in ([each] for each in FOLDERS) or "/".join(parts[1:]) in KEYS)
    return not known or any(part in ("", ".", "..") for part in parts) or "\\" in name


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with archive.open(name) as member:
        while chunk := member.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _unpack(archive: zipfile.ZipFile, manifest: Manifest, folder: Path) -> None:
    for name in manifest.members:
        if not name.startswith("data/"):
            continue
        target = folder / name.removeprefix("data/")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with archive.open(name) as member, open(target, "wb", opener=_private) as file:
            while chunk := member.read(CHUNK_BYTES):
                file.write(chunk)


def _put(staged: Path, folder: Path) -> None:
    """Files to their places, when nothing can go wrong any more."""
    for path in sorted(staged.rglob("*")):
        if path.is_file():
            target = folder / path.relative_to(staged)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.replace(target)


async def _fill(folder: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from aywa.adapters.stores.sql.dump import NotEmpty, fill

    def lines(table: str) -> Iterable[str]:
        with archive.open(f"tables/{table}.jsonl") as member:
            yield from io.TextIOWrapper(member, "utf-8", newline="\n")

    async with _engine(folder) as engine:
        try:
            await fill(engine, manifest.rows, lines)
        except NotEmpty as error:
            raise BadBackup(f"the store is not empty: {error}; name another, or another AYWA_HOME") from None
        except (ValueError, SQLAlchemyError) as error:
            raise BadBackup(f"its rows do not fit into the store ({type(error).__name__})") from None


async def _make_schema(folder: Path, manifest: Manifest | None) -> None:
    """The backup's own schema, or this release's."""
    from aywa.adapters.stores.sql.migrations import Chain
    from aywa.ports.store import StoreTooNew

    class Migrations(Protocol):
        CHAIN: Chain

    def chain_of(migrations: Migrations) -> Chain:
        chain = migrations.CHAIN
        if manifest is None:
            return chain
        if manifest.schema not in chain.known:
            raise StoreTooNew(
                f"the backup has schema {manifest.schema}, and this release knows up to {chain.head}:"
                f" take it back with release {manifest.version} or a newer one"
            )
        return Chain(tuple(each for each in chain.revisions if each.id <= manifest.schema), chain.folders)

    url = postgres_url()
    if url is not None:
        from aywa.adapters.stores.postgres import migrations as of_postgres

        _ = await of_postgres.migrate(url, None, chain_of(of_postgres))
        return
    from aywa.adapters.stores.sqlite import migrations

    try:
        _ = await asyncio.to_thread(migrations.migrate, database(folder), None, chain_of(migrations))
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{database(folder)}: {error}") from error


# --- the store ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _engine(folder: Path) -> AsyncIterator[AsyncEngine]:
    from sqlalchemy import event
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    url = postgres_url()
    if url is not None:
        from aywa.adapters.stores.postgres.engine import engine_of

        engine, where = engine_of(url, kept=False), f"{POSTGRES_URL} ({shown_place(url)})"
    else:
        path = database(folder)
        if not path.exists():
            raise StoreUnavailable(f"there is no store in {folder}")
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}",
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"timeout": 30.0, "isolation_level": None},
        )
        where = str(path)

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN")

    try:
        yield engine
    except (DBAPIError, OSError) as error:
        raise StoreUnavailable(f"{where}: {type(getattr(error, 'orig', error)).__name__}") from error
    finally:
        await engine.dispose()


@asynccontextmanager
async def _snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """All that is read is of one moment."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            yield connection
