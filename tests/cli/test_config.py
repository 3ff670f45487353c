from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from aywa.boot import settings_table
from aywa.cli import app

CLI = CliRunner()


def run(*words: str, code: int = 0) -> str:
    done = CLI.invoke(app, ["config", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_a_setting_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_PUBLIC_URL", "https://voice.lakeside-dental.com")
    told = run("explain", "runtime_public_url")
    assert "needed   in production" in told
    assert "example  RUNTIME_PUBLIC_URL=https://voice.example.com" in told
    assert "here     set to https://voice.lakeside-dental.com" in told
    monkeypatch.delenv("RUNTIME_PUBLIC_URL")
    assert json.loads(run("explain", "RUNTIME_PUBLIC_URL", "--json"))["here"] == "not set"


def test_a_secret_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in settings_table.settings():
        if setting.secret:
            monkeypatch.setenv(setting.name, f"planted-{setting.name.lower()}")
    told = run("list") + run("list", "--json") + run("list", "--set") + run("explain", "REDIS_URL")
    assert "planted" not in told
    assert "set, 17 characters" in run("explain", "REDIS_URL")


def test_all_are_listed_and_those_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in settings_table.settings():
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("RUNTIME_SIP_PORT", "5080")
    assert [one["name"] for one in json.loads(run("list", "--set", "--json"))] == ["RUNTIME_SIP_PORT"]
    marked = [line.split()[1] for line in run("list").splitlines() if line.startswith("* ")]
    assert marked == ["RUNTIME_SIP_PORT"]
    assert run("list", "--markdown") == settings_table.as_markdown()


def test_what_is_no_setting_is_said_with_what_is_near() -> None:
    assert "Did you mean RUNTIME_PUBLIC_URL" in run("explain", "RUNTIME_PUBLIC_ULR", code=1)
    assert "aywa config list" in run("explain", "QQQQQ", code=1)
