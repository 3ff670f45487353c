"""`aywa models` in the terminal: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aywa.adapters.models import manifest
from aywa.cli.models import app
from tests.adapters.models.places import CONTENT, small_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An air-gapped machine that knows one small model, and a folder to bring it from."""
    mirrors = tmp_path / "mirrors.toml"
    mirrors.write_text(
        f'home = false\n[[mirror]]\nkind = "folder"\npath = "{tmp_path / "usb"}"', encoding="utf-8"
    )
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "weights.bin").write_bytes(CONTENT)
    monkeypatch.setenv("AYWA_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("AYWA_MIRRORS", str(mirrors))
    monkeypatch.setattr(manifest, "models", lambda: (small_model(),))
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.stdout, result.stderr


def test_pull_then_list_then_verify(folder: Path) -> None:
    code, out, err = run("pull", "--tiny")
    assert (code, out) == (0, "small: ready\n")
    assert "weights.bin from folder" in err
    code, out, _ = run("list")
    assert code == 0
    assert "small" in out
    assert "ready" in out
    code, out, _ = run("verify", "--json")
    assert code == 0
    listed = json.loads(out)
    assert listed["folder"] == str(folder / "models")
    assert listed["models"][0]["state"] == "ready"
    assert listed["models"][0]["files"][0]["sha256"] == small_model().files[0].sha256


def test_a_damaged_file_fails_the_check_in_one_line(folder: Path) -> None:
    run("pull", "small")
    path = folder / "models" / "small" / "weights.bin"
    path.write_bytes(b"x" * len(CONTENT))
    code, out, err = run("verify")
    assert (code, out) == (1, "")
    assert str(path) in err
    assert "aywa models pull small" in err
    assert err.strip().count("\n") == 0


def test_a_model_that_cannot_be_had(folder: Path) -> None:
    (folder / "usb" / "weights.bin").unlink()
    code, _, err = run("pull", "small")
    assert code == 1
    assert "no place gives weights.bin" in err
    code, out, _ = run("pull", "small", "--json")
    assert code == 1
    assert json.loads(out)["error"]["code"] == "model_unavailable"


@pytest.mark.parametrize(
    "words", [("pull", "nothing"), ("pull", "--tiny", "--quality"), ("verify", "small", "--tiny")]
)
def test_wrong_usage_ends_with_two(folder: Path, words: tuple[str, ...]) -> None:
    assert run(*words)[0] == 2
