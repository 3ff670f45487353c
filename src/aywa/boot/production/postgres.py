"""Whether PostgreSQL answers, lets us in, and holds what this release knows. Asks; changes nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aywa.boot.finding import Finding
from aywa.boot.production.codes import API_KEY, ENCRYPTION, POSTGRES, PREVIOUS, fault, note
from aywa.boot.secrets import EXCHANGE, rotated
from aywa.boot.store import why_too_new
from aywa.ports.journal import StoreUnavailable
from aywa.ports.sealed import KnownKey
from aywa.ports.secrets import KEY_ID_CHARACTERS, SEALED
from aywa.service.rotation import rotated_away

if TYPE_CHECKING:
    import asyncpg

ANSWER_S, ALL_S = 10.0, 20.0
OLDEST = 12
CLOCKS_APART_S = 30.0
_SEALED = (
    "api_keys",
    "credentials",
    "org_settings",
    "phone_numbers",
    "tools",
    "assistants",
    "squads",
    "calls",
)
_URL = f"{POSTGRES}=postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=require"


@dataclass(frozen=True, slots=True)
class Known:
    """What is compared. key_ids: of the keys that are set, the one that seals first. api_key: one is set. too_new: why the
    schema cannot be used."""

    key_ids: Sequence[str]
    api_key: bool
    too_new: Callable[[str], Awaitable[str]] = why_too_new


async def ask_postgres(url: str, known: Known, clock: Callable[[], float] = time.time) -> list[Finding]:
    """All that is wrong there."""
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=ANSWER_S, command_timeout=ANSWER_S)
    except Exception as error:  # noqa: BLE001 - a driver has many ways to say no
        return [_refused(error)]
    try:
        async with asyncio.timeout(ALL_S):
            return [
                *await _server(connection, clock),
                *await _schema(connection, url, known),
                *await _kept(connection, known),
            ]
    except (asyncpg.PostgresError, asyncpg.InterfaceError, StoreUnavailable, OSError, TimeoutError) as error:
        told = f"PostgreSQL did not answer a question: {type(error).__name__}"
        return [fault("postgres.unreachable", POSTGRES, told, _URL)]
    finally:
        connection.terminate()


def _refused(error: BaseException) -> Finding:
    """The driver's own texts are not told: they may quote the address."""
    import asyncpg

    # PostgreSQL 15, Appendix A: 28P01 invalid_password, 28000 invalid_authorization_specification, 3D000 invalid_catalog_name.
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return fault("postgres.password", POSTGRES, "PostgreSQL refuses the user or the password", _URL)
        case asyncpg.InvalidCatalogNameError():
            mend = "CREATE DATABASE aywa OWNER aywa;"
            return fault(
                "postgres.database_missing", POSTGRES, "PostgreSQL has no database of that name", mend
            )
        case ssl.SSLError() | ConnectionError() if "SSL" in str(error) or isinstance(error, ssl.SSLError):
            mend = f"{POSTGRES}=...?sslmode=verify-full&sslrootcert=/etc/aywa/db-ca.pem"
            return fault(
                "postgres.tls", POSTGRES, "PostgreSQL has no TLS, or a certificate that is not believed", mend
            )
        case socket.gaierror():
            return fault("postgres.unreachable", POSTGRES, "PostgreSQL's host has no address", _URL)
        case TimeoutError():
            told = f"PostgreSQL does not answer within {ANSWER_S:g} s"
            return fault("postgres.unreachable", POSTGRES, told, _URL)
        case asyncpg.ClientConfigurationError() | ValueError():
            return fault("postgres.unreachable", POSTGRES, "PostgreSQL's address cannot be used", _URL)
        case _:
            told = f"PostgreSQL cannot be reached ({type(error).__name__})"
            return fault("postgres.unreachable", POSTGRES, told, _URL)


async def _server(connection: asyncpg.Connection[Any], clock: Callable[[], float]) -> list[Finding]:
    row = await connection.fetchrow(
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only,"
        " current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,"
        " current_setting('is_superuser') AS superuser, extract(epoch FROM clock_timestamp())::float8 AS now_s,"
        " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates"
    )
    now_s = clock()
    assert row is not None
    found = []
    version = connection.get_server_version().major
    if version < OLDEST:
        told = f"PostgreSQL is {version}; {OLDEST} is the oldest that is supported"
        found.append(fault("postgres.old", POSTGRES, told, f"upgrade it to {OLDEST} or later"))
    if row["read_only"]:
        found.append(
            fault(
                "postgres.read_only", POSTGRES, "PostgreSQL takes no writes there", f"{_URL} of the primary"
            )
        )
    elif not row["creates"]:
        mend = "GRANT CREATE, USAGE ON SCHEMA public TO aywa;"
        found.append(fault("postgres.no_create", POSTGRES, "the user may not make tables", mend))
    if row["encoding"] != "UTF8":
        mend = "CREATE DATABASE aywa ENCODING 'UTF8' TEMPLATE template0;"
        found.append(fault("postgres.encoding", POSTGRES, "the database's encoding is not UTF8", mend))
    if row["fsync"] != "on":
        found.append(
            note("postgres.no_fsync", POSTGRES, "PostgreSQL's fsync is off", "fsync = on in postgresql.conf")
        )
    if row["superuser"] == "on":
        mend = "CREATE ROLE aywa LOGIN PASSWORD '...'; CREATE DATABASE aywa OWNER aywa;"
        found.append(note("url.superuser", POSTGRES, "the user is a superuser", mend))
    if abs(row["now_s"] - now_s) > CLOCKS_APART_S:
        told = f"this machine's clock and PostgreSQL's are {abs(row['now_s'] - now_s):.0f} s apart"
        found.append(fault("clock.differs", POSTGRES, told, "timedatectl set-ntp true"))
    return found


async def _schema(connection: asyncpg.Connection[Any], url: str, known: Known) -> list[Finding]:
    if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
        if await connection.fetchval("SELECT to_regclass('calls') IS NOT NULL"):
            told = "there is a table `calls` that no release of this runtime made"
            return [fault("postgres.schema_foreign", POSTGRES, told, "CREATE DATABASE aywa OWNER aywa;")]
        return []
    why = await known.too_new(url)
    mend = "start the newer release, or restore a backup from before it"
    return [fault("postgres.schema_newer", POSTGRES, why, mend)] if why else []


async def _kept(connection: asyncpg.Connection[Any], known: Known) -> list[Finding]:
    """What lies in the database, held against the settings: a stored key, and who sealed."""
    columns = await connection.fetch(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND column_name = 'key_id' AND table_name = ANY($1::text[])",
        list(_SEALED),
    )
    tables = [row["table_name"] for row in columns]
    found = []
    if known.key_ids:
        strange: set[str] = set()
        for table in tables:
            rows = await connection.fetch(
                f"SELECT DISTINCT key_id FROM {table} WHERE key_id IS NOT NULL AND sealed IS NOT NULL"  # noqa: S608 - of the list above
            )
            strange |= {row["key_id"] for row in rows} - set(known.key_ids)
        strange |= await _waiting(connection) - set(known.key_ids)
        newer = rotated_away(await _keys(connection), known.key_ids)
        if newer is not None:
            found.append(
                fault("encryption_key.swapped", ENCRYPTION, rotated(known.key_ids[0], newer), EXCHANGE)
            )
        if strange:
            told = f"the database holds secrets that were sealed with another key ({', '.join(sorted(strange))[:80]})"
            mend = f"{PREVIOUS}= the key of then, beside {ENCRYPTION}"
            found.append(fault("encryption_key.wrong", ENCRYPTION, told, mend))
    if not known.api_key:
        stored = "api_keys" in tables and await connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE revoked_ms IS NULL AND kind = 'private')"
        )
        if not stored:
            found.append(no_api_key())
    return found


async def _keys(connection: asyncpg.Connection[Any]) -> list[KnownKey]:
    if await connection.fetchval("SELECT to_regclass('encryption_keys')") is None:
        return []
    return [
        KnownKey(*row) for row in await connection.fetch("SELECT id, since_ms, done_ms FROM encryption_keys")
    ]


async def _waiting(connection: asyncpg.Connection[Any]) -> set[str]:
    """The ids of the keys that what waits to be sent is signed by."""
    if await connection.fetchval("SELECT to_regclass('outbox_deliveries')") is None:
        return set()
    rows = await connection.fetch(
        "SELECT DISTINCT substr(endpoints, strpos(endpoints, $1) + length($1), $2) AS key_id FROM outbox_deliveries"
        " WHERE state IN ('waiting', 'sending') AND strpos(endpoints, $1) > 0",
        SEALED,
        KEY_ID_CHARACTERS,
    )
    return {row["key_id"] for row in rows}


def no_api_key() -> Finding:
    """Neither set nor stored."""
    return fault("api_auth.missing", API_KEY, f"{API_KEY} is not set, and no key is stored")
