"""`aywa media address`: every protocol's address, and the token that the runtime itself would take."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aywa.boot.equipment import DIALECTS
from aywa.boot.equipment_settings import EquipmentSettings, media_secret
from aywa.cli import app
from aywa.core.equipment.token import address_token

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "home"))
    for name in ("RUNTIME_MEDIA_SECRET", "RUNTIME_PUBLIC_MEDIA_URL"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["media", "address", *arguments])


def test_all_addresses_and_the_token_that_opens_them(run: Run, tmp_path: Path) -> None:
    said = run("desk")
    assert said.exit_code == 0, said.output
    token = address_token(media_secret(EquipmentSettings(), tmp_path / "home"), "desk")
    lines = dict(line.split() for line in said.output.splitlines())
    assert lines.pop("token") == token
    assert lines == {name: f"ws://127.0.0.1:8081/media/{name}/desk" for name in DIALECTS}


def test_one_protocol_as_json_where_the_vendor_reaches_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_MEDIA_SECRET", "a-secret-of-the-operator")
    monkeypatch.setenv("RUNTIME_PUBLIC_MEDIA_URL", "wss://voice.example.com")
    (found,) = json.loads(run("desk", "--protocol", "twilio", "--json").output)
    assert found == {
        "protocol": "twilio",
        "url": "wss://voice.example.com/media/twilio/desk",
        "token": address_token(b"a-secret-of-the-operator", "desk"),
    }
    (found,) = json.loads(run("desk", "--protocol", "vonage", "--url", "ws://other:1/", "--json").output)
    assert found["url"] == "ws://other:1/media/vonage/desk"


def test_what_cannot_be_is_told_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run("desk", "--protocol", "pigeon")
    assert refused.exit_code == 1
    assert "twilio" in refused.output
    monkeypatch.setenv("RUNTIME_MEDIA_SECRET", "short")
    refused = run("desk")
    assert refused.exit_code == 1
    assert "RUNTIME_MEDIA_SECRET" in refused.output
