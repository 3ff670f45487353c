"""The guide to deliveries, read out to a real runtime: a message that its server refused is found, and sent again."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.webhooks import Delivery, Endpoint
from tests.docs.test_commands import commands
from tests.e2e.dev import Dev, until
from tests.e2e.test_guides import GUIDES, run


class _Server(BaseHTTPRequestHandler):
    """Answers as it is told; keeps the ids that it heard."""

    status = 404
    heard: tuple[str, ...] = ()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        _Server.heard += (self.headers["webhook-id"],)
        self.send_response(_Server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        return None


@contextmanager
def serving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def _put(runtime: Dev, *deliveries: tuple[str, str]) -> None:
    """As the projector of the running process would: into its store."""
    store = await open_sqlite(runtime.home / "aywa.db")
    org = (await store.organisations.list())[0].id
    now = time.time_ns() // 1_000_000
    await store.outbox.enqueue(
        [
            Delivery(name, org, "hang", '{"message":{"type":"hang"}}', (Endpoint(url),), now)
            for name, url in deliveries
        ],
        now,
    )
    await store.close()


def test_a_refused_message_is_found_and_sent_again(runtime: Dev, tmp_path: Path) -> None:
    listed, shown, fetched, one, again, since, posted, disabled = commands(
        (GUIDES / "deliveries.md").read_text()
    )

    def status() -> str:
        return str(json.loads(run(one.replace("MESSAGE_ID", "msg_1"), runtime, tmp_path))["status"])

    def came_since(before: int) -> bool:
        return len(_Server.heard) > before and status() in ("failed", "delivered")

    with serving() as url:
        asyncio.run(_put(runtime, ("msg_1", url)))
        until(lambda: status() == "failed", 30)
        assert "msg_1" in run(listed, runtime, tmp_path)
        assert "404" in run(shown.replace("MESSAGE_ID", "msg_1"), runtime, tmp_path)
        assert json.loads(run(fetched, runtime, tmp_path))[0]["id"] == "msg_1"
        for command in (since, again, posted):
            heard = len(_Server.heard)
            _Server.status = 200 if command is posted else 404
            run(command.replace("MESSAGE_ID", "msg_1"), runtime, tmp_path)
            until(partial(came_since, heard), 30)
        assert (status(), set(_Server.heard)) == ("delivered", {"msg_1"})
        assert json.loads(run(disabled, runtime, tmp_path)) == []
