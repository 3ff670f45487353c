"""A data folder as a runtime leaves it, in a moment and without a runtime: for the tests of support bundles."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.postgres import open_postgres
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.boot.lock import FolderLock
from aywa.boot.support.place import Place
from aywa.core.webhooks import Cause, Delivery, Endpoint, Outcome, State, endpoint_key
from aywa.journal.segment import encode
from aywa.ports.journal import CallProjection, JournalRecord
from aywa.ports.outbox import ClaimQuery, Finished, Sent
from aywa.ports.store import ApiKey, Document, NewCall, Organisation, Store
from aywa.service.sealing import Seal

ORG = "0a0a0a0a-0000-4000-8000-000000000001"
KEY = bytes(range(32))
KEY_TEXT = base64.b64encode(KEY).decode()
CALL = "1b1b1b1b-0000-4000-8000-{:012}"


@lru_cache(maxsize=1)
def _empty_database() -> bytes:
    async def made(path: Path) -> None:
        await (await open_sqlite(path)).close()

    with TemporaryDirectory() as folder:
        path = Path(folder) / "aywa.db"
        asyncio.run(made(path))
        return path.read_bytes()


@dataclass
class Home:
    """What to put there. calls: their documents, with `events` to be taken out of each. servers: address -> (problem, status,
    cause). now_ms: when it all happened. postgres: the database to use instead."""

    folder: Path
    calls: Sequence[Mapping[str, Any]] = ()
    servers: Sequence[tuple[str, Cause, int | None]] = ()
    credentials: Sequence[tuple[str, Mapping[str, str]]] = ()
    assistants: Sequence[Mapping[str, Any]] = ()
    keys: Sequence[str] = ()
    now_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    waiting_ms: int | None = None
    postgres: str = ""

    def made(self) -> Home:
        """Writes all of it, but what a running process would have besides."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("dev-key", "talk-key", "media-secret"):
            (self.folder / name).write_text(f"{name}-of-the-tests-0\n")
            (self.folder / name).chmod(0o600)
        (self.folder / "store-key").write_text(KEY_TEXT)
        (self.folder / "store-key").chmod(0o600)
        # Migrating an empty database takes longer than all the rest.
        if not self.postgres:
            (self.folder / "aywa.db").write_bytes(_empty_database())
        asyncio.run(self._store())
        self._journal()
        return self

    async def _store(self) -> None:
        path = self.folder / "aywa.db"
        store: Store = await (open_postgres(self.postgres) if self.postgres else open_sqlite(path))
        vault = AesGcmVault(KEY)
        await store.organisations.insert(Organisation(ORG, "default", 1))
        for number, (provider, secrets) in enumerate(self.credentials):
            row_id = f"credential-{number}"
            sealed = Seal(vault, "credential").close(ORG, row_id, [([n], v) for n, v in secrets.items()])
            body = {"id": row_id, "orgId": ORG, "provider": provider}
            await store.credentials.insert(Document(row_id, ORG, 1, 1, json.dumps(body), sealed))
        for number, assistant in enumerate(self.assistants):
            row_id = f"assistant-{number}"
            await store.assistants.insert(
                Document(row_id, ORG, 1, 1, json.dumps({"id": row_id, **assistant}))
            )
        for number, secret in enumerate(self.keys):
            sealed = vault.seal(secret.encode(), (ORG, "api-key", f"key-{number}", "secret"))
            await store.keys.insert(
                ApiKey(f"key-{number}", ORG, "k", "private", f"digest-{number}", secret[:6], 1, sealed=sealed)
            )
        for number, call in enumerate(self.calls):
            await self._call(store, number, dict(call))
        await self._outbox(store)
        await store.close()

    async def _call(self, store: Store, number: int, call: dict[str, Any]) -> None:
        call_id = CALL.format(number)
        events: list[tuple[str, Mapping[str, Any]]] = call.pop("events", [])
        body = {"id": call_id, "orgId": ORG, "type": "inboundPhoneCall", "status": "ended", **call}
        text = json.dumps(body)
        row = NewCall(Document(call_id, ORG, self.now_ms, self.now_ms, text), body["type"], body["status"])
        await store.calls.insert(row, 0)
        records = [
            JournalRecord(call_id, ORG, seq, seq / 10, "event", kind, data)
            for seq, (kind, data) in enumerate(events, 1)
        ]
        await store.apply(records, [CallProjection(call_id, ORG, len(events), body)])

    async def _outbox(self, store: Store) -> None:
        for number, (url, cause, status) in enumerate(self.servers):
            at_ms = self.now_ms
            put = Delivery(
                f"msg_{number}", ORG, "hang", '{"message":{}}', (Endpoint(url),), at_ms, None, number
            )
            await store.outbox.enqueue([put], at_ms)
            [claimed] = await store.outbox.claim(ClaimQuery("test", at_ms, at_ms + 1000, 1, 1))
            sent = Sent(Outcome(cause, status), excerpt="an answer", dns_ms=1.0, total_ms=12.0)
            await store.outbox.finish([Finished(claimed, sent, at_ms, State.FAILED, claimed.progress)], at_ms)
            if status == 410:
                await store.outbox.disable(ORG, endpoint_key(url), at_ms)
        if self.waiting_ms is not None:
            url = "https://slow.example/hook"
            put = Delivery("msg_w", ORG, "hang", "{}", (Endpoint(url),), self.waiting_ms, None, 99)
            await store.outbox.enqueue([put], self.waiting_ms)

    def _journal(self) -> None:
        where = self.folder / "journal"
        where.mkdir(exist_ok=True)
        lines = [encode("call", ORG, seq, seq / 10, "event", "Happened", {"n": seq}) for seq in range(1, 20)]
        data = b"".join(lines)
        (where / "00000001.journal").write_bytes(data)
        (where / "projected.json").write_text(json.dumps({"file": "00000001.journal", "offset": len(data)}))


HEALTHY: Mapping[str, Any] = {
    "/health": {"status": "ok", "version": "0.1.0"},
    "/readyz": {"status": "ready", "checks": {"store": {"ok": True}, "journal": {"ok": True}}},
    "/metrics.json": {"metrics": [{"samples": [{"name": "aywa_calls_max", "labels": {}, "value": 50.0}]}]},
    "/trunks": [],
}


@contextmanager
def answering(answers: Mapping[str, Any]) -> Iterator[str]:
    """A runtime's answers to questions about itself; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = answers.get(self.path)
            ready = not (isinstance(content, dict) and content.get("status") == "not ready")
            data = json.dumps(content).encode()
            self.send_response(404 if content is None else 200 if ready else 503)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def running(home: Home, answers: Mapping[str, Any] = HEALTHY, **environment: str) -> Iterator[Place]:
    """As if a runtime ran there."""
    lock = FolderLock(home.folder)
    try:
        with answering(answers) as url:
            yield place(home.folder, url, **environment)
    finally:
        lock.close()


def place(folder: Path, url: str = "http://127.0.0.1:9", **environment: str) -> Place:
    """One without a runtime."""
    return Place(folder, environment, url, "key-of-the-tests")
