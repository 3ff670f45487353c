"""`aywa credentials`: keys come from standard input or a prompt, and are never printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aywa.boot.secrets import PREVIOUS, SETTING
from aywa.cli import app

Run = Callable[..., Result]
KEY = "sk-planted"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "home"))
    for name in (SETTING, PREVIOUS):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, ["credentials", *arguments], input=given)

    return run


def test_a_key_is_kept_listed_and_removed(run: Run) -> None:
    assert "No credentials yet" in run("list").output
    options = ("--name", "Ours", "--base-url", "http://localhost:1/v1")
    added = run("add", "openai", *options, "--json", given=f"{KEY}\n")
    assert added.exit_code == 0, added.output
    document = json.loads(added.output)
    listed = run("list")
    assert document["id"] in listed.output
    assert all(text in listed.output for text in ("openai", "Ours", "http://localhost:1/v1"))
    assert json.loads(run("list", "--json").output) == [document]
    assert "for deepgram is kept" in run("add", "deepgram", given=KEY).output
    removed = run("remove", document["id"], "--json")
    assert json.loads(removed.output)["id"] == document["id"]
    again = run("remove", document["id"])
    assert (again.exit_code, "does not exist" in again.output) == (1, True)
    assert KEY not in added.output + listed.output + removed.output
    assert len(json.loads(run("list", "--json").output)) == 1


def test_it_is_asked_for_where_there_is_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aywa.cli.credentials._has_terminal", lambda: True)
    added = run("add", "openai", given=f"{KEY}\n")
    assert "Key for openai" in added.output
    assert "is kept" in added.output
    assert KEY not in added.output


def test_no_key_a_bad_one_and_a_bad_provider_are_refused(run: Run) -> None:
    nothing = run("add", "openai", given="")
    assert (nothing.exit_code, "no key on standard input" in nothing.output) == (1, True)
    bad = run("add", "openai", given=f"{KEY} x\n")
    assert (bad.exit_code, "apiKey must consist of" in bad.output, KEY in bad.output) == (1, True, False)
    assert "provider must be one of" in run("add", "elevenlabs", given=KEY).output
    assert run("add", "openai", "--org", "none", given=KEY).exit_code == 1


def test_a_malformed_encryption_key_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "short")
    told = run("add", "openai", given=KEY)
    assert (told.exit_code, SETTING in told.output) == (1, True)
