"""A real runtime's messages: a server that fails is fallen back from, and a call whose process was killed is reported all the
same, once."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.e2e.dev import Dev, started, until

REPORTED_S = 60.0


@dataclass
class Receiver:
    """Keeps what it is sent, and answers with this status."""

    status: int = 200
    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def of(self, call_id: str) -> list[tuple[str, str]]:
        """Type and status of what it was told of the call, each message once."""
        found = {m["id"]: m for m in self.messages if m["call"]["id"] == call_id}
        return [(m["type"], m.get("status", "")) for m in sorted(found.values(), key=lambda m: m["sequence"])]


@contextmanager
def receiving(*receivers: Receiver, host: str = "127.0.0.1") -> Iterator[None]:
    servers = []
    for receiver in receivers:

        class Handler(BaseHTTPRequestHandler):
            to = receiver

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.to.messages.append(json.loads(body)["message"])
                self.to.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(self.to.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        server = ThreadingHTTPServer((host, 0), Handler)
        receiver.url = f"http://{host}:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
    try:
        yield
    finally:
        for server, thread in servers:
            server.shutdown()
            thread.join()
            server.server_close()


def waiting_call(dev: Dev, url: str) -> str:
    """A call that waits for its party."""
    body = {
        "assistant": {"firstMessage": "Hello.", "server": {"url": url, "secret": "sesame"}},
        "transport": {"provider": "vapi.websocket"},
    }
    status, call = dev.ask("POST", "/call", body)
    assert status == 201, call
    return str(call["id"])


def test_the_account_is_told_when_the_assistant_s_server_fails_and_a_killed_call_is_reported(
    tmp_path: Path,
) -> None:
    own, account = Receiver(500), Receiver()
    with receiving(own, account):
        environment = {
            "RUNTIME_ACCOUNT_WEBHOOK_URL": account.url,
            "RUNTIME_ACCOUNT_WEBHOOK_SECRET": "operator-planted",
        }
        dev = Dev(tmp_path / "home", environment=environment)
        with started(dev):
            call_id = waiting_call(dev, own.url)
            until(lambda: account.of(call_id), REPORTED_S, "nothing was told")
            assert own.headers[0]["x-vapi-secret"] == "sesame"
            assert account.headers[0]["x-vapi-secret"] == "operator-planted"
            assert own.messages[0]["id"] == account.messages[0]["id"]
            own.status = 200
            dev.signal(signal.SIGKILL)
            dev.wait()
        later = Dev(tmp_path / "home", environment=environment)
        with started(later):

            def told() -> set[tuple[str, str]]:
                return {*own.of(call_id), *account.of(call_id)}

            until(lambda: ("end-of-call-report", "") in told(), REPORTED_S, "no report")
            report = next(m for m in (*own.messages, *account.messages) if m["type"] == "end-of-call-report")
            assert report["endedReason"] == "call.in-progress.error-vapifault-worker-died"
            assert told() == {
                ("status-update", "queued"),
                ("status-update", "ended"),
                ("end-of-call-report", ""),
            }
            assert "planted" not in json.dumps(report)
            assert "sesame" not in json.dumps(report)
        assert "planted" not in later.log
        assert "sesame" not in later.log
