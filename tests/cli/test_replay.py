"""`aywa replay` as a person types it, over this machine's store and over HTTP."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import json
import re
import sqlite3
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner, Result

from aywa.boot.engine_version import engine_version
from aywa.boot.store import open_store
from aywa.cli import app
from aywa.core.turns.endpointing import WAITS
from aywa.ports.journal import CallProjection, JournalRecord
from aywa.service.orgs import Orgs
from aywa.service.timeline import _gzip
from tests.journal.replay.calls import called

Run = Callable[..., Result]
IDS = ("call-1", "call-2", "call-3")


@pytest.fixture(scope="module")
def records() -> list[JournalRecord]:
    first, *others = called()
    return [dataclasses.replace(first, data={**first.data, "engine_version": engine_version()}), *others]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "home"))
    for name in ("AYWA_URL", "AYWA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, records: list[JournalRecord]) -> Run:
    """call-1 is whole, call-2 still runs, call-3 lost a row and has one that cannot be read."""

    async def fill() -> None:
        store = await open_store(home)
        org = (await Orgs(store.organisations).default()).id
        for call_id in IDS:
            rows = [dataclasses.replace(r, call_id=call_id, org_id=org) for r in records]
            rows = rows[:60] if call_id == "call-2" else rows
            rows = [r for r in rows if r.seq != 30] if call_id == "call-3" else rows
            document = {"type": "webCall", "status": "in-progress" if call_id == "call-2" else "ended"}
            await store.apply(rows, [CallProjection(call_id, org, rows[-1].seq, document)])
        await store.close()

    asyncio.run(fill())
    with sqlite3.connect(home / "aywa.db") as database:
        database.execute("UPDATE call_events SET data = x'c1ff' WHERE call_id = 'call-3' AND seq = 50")
    database.close()

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["replay", *arguments])

    return run


def test_a_call_is_identical(run: Run) -> None:
    answer = run("call-1")
    assert answer.exit_code == 0
    assert "Identical: every decision came out as it was recorded." in answer.stdout
    found = json.loads(run("call-1", "--json").stdout)
    assert {"identical", "decisions", "first_difference", "changes"} <= set(found)
    assert (found["identical"], found["changes"]) == (True, [])


def decide_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that waits less for every ending."""
    for ending in WAITS:
        monkeypatch.setitem(cast("dict[str, tuple[float, float, float]]", WAITS), ending, (0.45, 0.45, 0.45))


def test_another_setting_shows_what_changes(run: Run) -> None:
    answer = run("call-1", "--set", "startSpeakingPlan.waitSeconds=1.2")
    assert answer.exit_code == 0
    assert "What if: startSpeakingPlan.waitSeconds=1.2" in answer.stdout
    assert re.search(r"reply \d+ ms later", answer.stdout)
    assert "end of turn to reply, mean ms" in answer.stdout
    none = run("call-1", "--set", "firstMessage=Hello, how can I help you?").stdout
    assert "These settings are the call's own" in none
    assert "Nothing would have changed." in none


def test_a_draft_is_read_from_a_file(run: Run, tmp_path: Path) -> None:
    draft = tmp_path / "draft.json"
    draft.write_text(json.dumps({"firstMessage": "Hi.", "stopSpeakingPlan": {"numWords": 9}}))
    answer = run("call-1", "--assistant", str(draft))
    assert answer.exit_code == 0
    assert "What if: the assistant of the file" in answer.stdout
    assert "~ estimated" in answer.stdout
    draft.write_text("{")
    assert run("call-1", "--assistant", str(draft)).exit_code == 2
    assert run("call-1", "--assistant", str(tmp_path / "none")).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("call-1", "--set", "stopSpeakingPlan.numWords=11"),
        ("call-1", "--set", "stopSpeakingPlan.wordNum=1"),
        (),
        ("call-1", "--all"),
        ("--all", "--save-test", "x"),
        ("call-1", "--redact"),
        ("--all", "--since", "yesterday"),
        ("call-1", "--save-test", "../x"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(run: Run, arguments: tuple[str, ...]) -> None:
    answer = run(*arguments)
    assert answer.exit_code == 2
    assert answer.stderr.strip()
    assert "Traceback" not in answer.stderr


def test_a_damaged_record_says_where_and_ends_with_3(run: Run) -> None:
    answer = run("call-3")
    assert answer.exit_code == 3
    assert "Damaged at record 30" in answer.stdout
    assert "Damaged at record 50" in answer.stdout
    assert run("call-2").exit_code == 3
    assert "the call still runs" in run("call-2").stdout


def test_a_call_that_is_not_there_ends_with_1(run: Run) -> None:
    answer = run("call-9")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "There is no record of call call-9" in answer.stderr


def test_all_calls_that_have_ended_are_summed_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("aywa.cli.replay"), "PAGE", 2)
    answer = run("--all", "--since", "7d", "--set", "startSpeakingPlan.waitSeconds=1.2")
    assert answer.exit_code == 3
    assert answer.stdout.startswith("2 calls, ")
    assert "replies earlier" in answer.stdout
    found = json.loads(run("--all", "--json").stdout)
    assert {call["call_id"] for call in found["calls"]} == {"call-1", "call-3"}
    assert found["sum"]["calls"] == 2
    assert "No call has ended" in run("--all", "--since", "2999-01-01").stdout


def test_a_setting_that_does_not_go_with_a_call_is_told_with_its_id(run: Run) -> None:
    answer = run("--all", "--set", "startSpeakingPlan.smartEndpointingPlan.waitFunction=200 + x")
    assert answer.exit_code == 2
    assert "call-1: startSpeakingPlan.smartEndpointingPlan.provider is required" in answer.stderr
    assert (
        run("call-1", "--set", "startSpeakingPlan.smartEndpointingPlan.waitFunction=200 + x").exit_code == 2
    )


def test_a_call_is_kept_as_a_test_and_replayed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    answer = run("call-1", "--save-test", "barge-in", "--folder", str(folder))
    assert answer.exit_code == 0
    assert "It holds what was said" in answer.stderr
    redacted = run("call-1", "--save-test", "redacted", "--folder", str(folder), "--redact")
    assert "Words of up to 4 letters are kept" in redacted.stderr
    assert run("--test", str(folder)).exit_code == 0
    assert json.loads(run("--test", str(folder / "barge-in.json.gz"), "--json").stdout)["identical"] is True
    assert len(json.loads(run("--test", str(folder), "--json").stdout)) == 2
    assert run("call-3", "--save-test", "x", "--folder", str(folder)).exit_code == 1


def test_a_test_whose_decisions_changed_fails(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("call-1", "--save-test", "x", "--folder", str(tmp_path)).exit_code == 0
    decide_sooner(monkeypatch)
    answer = run("--test", str(tmp_path / "x.json.gz"))
    assert answer.exit_code == 1
    assert "machine   floor" in answer.stdout
    monkeypatch.undo()
    (tmp_path / "x.json.gz").write_bytes(b"no")
    for place in (tmp_path / "x.json.gz", tmp_path / "none", tmp_path / "home"):
        refused = run("--test", str(place))
        assert (refused.exit_code, len(refused.stderr.splitlines())) == (1, 1)


def test_another_versions_difference_names_the_machine_and_is_no_error(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_sooner(monkeypatch)
    assert run("call-1").exit_code == 1
    monkeypatch.setattr("aywa.boot.replay.engine_version", lambda: "9.9.9")
    answer = run("call-1")
    assert answer.exit_code == 0
    assert "this is 9.9.9: floor decides otherwise now" in " ".join(answer.stdout.split())
    assert re.search(r"  call-1 at 3\.\d+ s, floor: ", run("--all").stdout)


def test_a_runtime_that_is_named_is_asked(run: Run, records: list[JournalRecord]) -> None:
    class Runtime(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/call/call-1/call-logs": _gzip(records)}
            if self.path.startswith("/call?limit=500&createdAtGe="):
                known[self.path] = json.dumps(
                    [{"id": "call-1", "status": "ended", "createdAt": "2026-01-01T00:00:00.000Z"}]
                ).encode()
            body = known.get(self.path, b'{"message": "not here"}')
            self.send_response(200 if self.path in known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            return None

    with _served(Runtime) as url:
        assert "Identical" in run("call-1", "--url", url).stdout
        assert run("--all", "--url", url).stdout.startswith("1 calls")
        refused = run("call-9", "--url", url)
        assert (refused.exit_code, "404: not here" in refused.stderr) == (1, True)


class _served:  # noqa: N801 - reads as a verb
    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = HTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
