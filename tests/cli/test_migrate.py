"""`aywa migrate` over the embedded store, and what it says when it cannot."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aywa.cli import app
from tests.adapters.stores.revisions import CHAINS, at_revision

HEAD = CHAINS["sqlite"].head

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path))
    monkeypatch.delenv("RUNTIME_STORE_POSTGRES_URL", raising=False)
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ("migrate", *arguments))

    return run


def test_an_empty_store_gets_everything_once(run: Run) -> None:
    assert run().stdout == f"Migrated to {HEAD}.\n"
    assert run().stdout == f"Nothing to do: the schema is {HEAD}.\n"
    again = json.loads(run("--post", "--json").stdout)
    assert (again["changed"], again["schema"]) == (False, HEAD)
    assert not any(revision["pending"] for revision in again["revisions"])


def test_the_status_shows_what_is_pending_and_changes_nothing(run: Run, home: Path) -> None:
    at_revision(home / "aywa.db", "0005")
    for _ in range(2):
        lines = run("--status").stdout.splitlines()
        assert [line.split()[2] for line in lines[5:8]] == ["yes", "pending", "pending"]
    assert run("--pre").stdout == f"Migrated to {HEAD}.\n"
    found = json.loads(run("--status", "--json").stdout)["revisions"]
    assert {revision["stage"] for revision in found} == {"pre"}
    assert all(revision["appliedAt"].startswith("20") for revision in found)


def test_what_is_left_for_afterwards_comes_last(run: Run, home: Path) -> None:
    at_revision(home / "aywa.db", "0005")
    early = run("--post")
    assert (early.exit_code, "aywa migrate --pre" in early.stderr) == (1, True)
    assert run("--pre", "--post").exit_code == 2


def test_a_newer_release_s_store_is_left_alone(run: Run, home: Path) -> None:
    assert run().exit_code == 0
    connection = sqlite3.connect(home / "aywa.db")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    refused = run()
    assert refused.exit_code == 1
    assert "start the newer release" in refused.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://aywa:sesame@127.0.0.1:1/calls",
            "(127.0.0.1:1/calls): PostgreSQL: ConnectionRefusedError",
        ),
        ("mysql://aywa:sesame@127.0.0.1/calls", "must begin with postgresql://"),
        ("postgresql://aywa:sesame@[::1/calls", "cannot be read"),
    ],
)
def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("RUNTIME_STORE_POSTGRES_URL", url)
    for arguments in ((), ("--status",)):
        refused = run(*arguments)
        assert refused.exit_code == 1
        assert "RUNTIME_STORE_POSTGRES_URL" in refused.stderr
        assert said in refused.stderr
        assert "sesame" not in refused.output
    listed = CliRunner().invoke(app, ("calls",))
    assert (listed.exit_code, "sesame" in listed.output) == (1, False)
