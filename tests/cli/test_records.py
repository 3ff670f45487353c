"""`aywa calls`, `timeline`, `api-keys` and `orgs`: over this machine's store without a runtime, and over HTTP with one."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aywa.boot.store import open_store
from aywa.cli import app
from aywa.ports.journal import CallProjection, JournalRecord
from aywa.service.keys import Keys
from aywa.service.orgs import Orgs

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "home"))
    for name in ("AYWA_URL", "AYWA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path) -> Run:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return run


def _fill(home: Path) -> None:
    async def fill() -> None:
        store = await open_store(home)
        org = await Orgs(store.organisations).default()
        turn = {
            "turn_id": 1,
            "reply_id": 1,
            "latency_ms": 800.0,
            "parts_ms": {"endpointing": 400.0, "model": 320.0},
        }
        records = [
            JournalRecord("call-1", org.id, 1, 0.0, "event", "CallStarted", {"epoch_ms": 1_767_225_600_000}),
            JournalRecord("call-1", org.id, 2, 1.0, "event", "RecordTurn", turn),
            JournalRecord(
                "call-1",
                org.id,
                3,
                2.0,
                "event",
                "RecordMessage",
                {"message": {"role": "user", "message": "a\x1b[2Jb"}},
            ),
            JournalRecord("call-1", org.id, 4, 3.0, "event", "EndCall", {"reason": "customer-ended-call"}),
        ]
        document = {
            "type": "webCall",
            "status": "ended",
            "startedAt": "2026-01-01T00:00:00.000Z",
            "endedAt": "2026-01-01T00:01:05.000Z",
            "endedReason": "customer-ended-call",
            "artifact": {"performanceMetrics": {"turnLatencies": [{}], "turnLatencyAverage": 800}},
        }
        await store.apply(records, [CallProjection("call-1", org.id, 4, document)])
        await store.close()

    asyncio.run(fill())


def test_without_any_data_there_are_no_calls_and_nothing_is_made(run: Run, home: Path) -> None:
    assert run("calls").stdout == "No calls yet.\n"
    assert json.loads(run("calls", "--json").stdout) == []
    assert run("timeline", "call-1").exit_code == 1
    assert not home.exists()


def test_calls_are_one_a_line(run: Run, home: Path) -> None:
    _fill(home)
    lines = run("calls").stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].split()[0] == "call-1"
    assert lines[1].split()[-5:] == ["1:05", "1", "800", "ms", "customer-ended-call"]
    (call,) = json.loads(run("calls", "--json").stdout)
    assert call["id"] == "call-1"


def test_a_timeline_is_a_ladder_that_cannot_steer_the_terminal(run: Run, home: Path) -> None:
    _fill(home)
    answer = run("timeline", "call-1")
    assert answer.exit_code == 0
    lines = answer.stdout.splitlines()
    assert "customer-ended-call" in lines[0]
    assert "800 ms |eeeeeeeeeemmmmmmmm..| endpointing 400, model 320" in lines[2]
    assert '"a [2Jb"' in lines[3]
    assert "end-call: customer-ended-call" in lines[4]
    assert len(json.loads(run("timeline", "call-1", "--json").stdout)) == 4
    missing = run("timeline", "call-2")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "There is no call call-2" in missing.stderr


def test_keys_are_made_listed_and_revoked(run: Run, home: Path) -> None:
    made = json.loads(run("api-keys", "create", "--name", "ours", "--kind", "public", "--json").stdout)
    assert made["key"].startswith("aywa_")
    listed = run("api-keys", "list").stdout
    assert made["id"] in listed
    assert made["key"] not in listed
    assert run("api-keys", "revoke", made["id"]).exit_code == 0
    (row,) = json.loads(run("api-keys", "list", "--json").stdout)
    assert row["revokedAt"]
    assert run("api-keys", "revoke", "nothing").exit_code == 1
    limited = run(
        "api-keys", "create", "--scope", "calls:read", "--scope", "files:write", "--expires", "2099-01-31"
    )
    assert limited.exit_code == 0, limited.stdout
    row = json.loads(run("api-keys", "list", "--json").stdout)[-1]
    assert (row["scopes"], row["expiresAt"]) == (["calls:read", "files:write"], "2099-01-31T00:00:00.000Z")
    assert "expires 2099-01-31T00:00:00.000Z  calls:read files:write" in run("api-keys", "list").stdout
    assert run("api-keys", "create", "--expires", "90d").exit_code == 0
    for wrong in (("--scope", "all"), ("--expires", "soon"), ("--expires", "2020-01-01")):
        assert run("api-keys", "create", *wrong).exit_code != 0
    plain = run("api-keys", "create").stdout.strip()
    assert asyncio.run(_opens(home, plain))


async def _opens(home: Path, secret: str) -> bool:
    store = await open_store(home)
    try:
        return (await Keys(store.keys).authenticate(secret)).kind == "private"
    finally:
        await store.close()


def test_organisations_are_made_and_listed(run: Run) -> None:
    assert json.loads(run("orgs", "list", "--json").stdout) == []
    made = run("orgs", "create", "acme").stdout.strip()
    assert [org["id"] for org in json.loads(run("orgs", "list", "--json").stdout)] == [made]
    again = run("orgs", "create", "acme")
    assert (again.exit_code, "taken" in again.stderr) == (1, True)
    assert run("api-keys", "create", "--org", "acme").exit_code == 0
    assert run("api-keys", "create", "--org", "other").exit_code == 1


class _Runtime(BaseHTTPRequestHandler):
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers["Authorization"]))
        known: dict[str, Any] = {
            "/call?limit=20": [],
            "/call/x": {"id": "x", "createdAt": "2026-01-01T00:00:00.000Z"},
            "/call/x/timeline": [],
        }
        status = 200 if self.path in known else 401
        body = json.dumps(known.get(self.path, {"message": "no\x1b key"})).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        return None


@pytest.fixture
def url() -> Iterator[str]:
    _Runtime.asked = []
    server = HTTPServer(("127.0.0.1", 0), _Runtime)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_runtime_that_is_named_is_asked(run: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert run("calls", "--url", url, "--key", "aywa_k").stdout == "No calls yet.\n"
    assert _Runtime.asked == [("/call?limit=20", "Bearer aywa_k")]
    monkeypatch.setenv("AYWA_URL", url)
    assert run("timeline", "x").stdout.startswith("Call x")
    refused = run("timeline", "../y")
    assert (refused.exit_code, _Runtime.asked[-1][0]) == (1, "/call/..%2Fy")
    assert "401: no  key" in refused.stderr


def test_a_runtime_that_is_not_there_is_one_line(run: Run) -> None:
    for address in ("http://127.0.0.1:1", "ftp://x", "nonsense"):
        answer = run("calls", "--url", address)
        assert answer.exit_code == 1
        assert len(answer.stderr.splitlines()) == 1
