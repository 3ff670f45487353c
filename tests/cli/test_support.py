"""`aywa support-bundle` and `aywa doctor --bundle`: what they print, what they write, and how they end."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from aywa.boot.support.bundle import Refused
from aywa.boot.support.place import Place
from aywa.cli import app
from tests.boot.support.home import Home


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AYWA_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.output


def packed(path: Path, files: dict[str, Any]) -> Path:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            about = tarfile.TarInfo(f"aywa-support/{name}")
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    path.write_bytes(gzip.compress(raw.getvalue()))
    return path


def test_a_bundle_is_previewed_written_and_read(here: Path) -> None:
    Home(here / "home").made()
    told = said("support-bundle", "--redact", "--preview")
    assert "store.json" in told
    assert "Nothing was written" in told
    assert [path.name for path in here.iterdir()] == ["home"]
    shown = json.loads(said("support-bundle", "--redact", "--preview", "--show", "store.json"))
    assert shown["readable"] is True
    assert "b.tar.gz: " in said("support-bundle", "--redact", "--out", "b.tar.gz")
    told = said("doctor", "--bundle", "b.tar.gz", code=1)
    assert "FAIL  not_running: " in told
    codes = [fault["code"] for fault in json.loads(said("doctor", "--bundle", "b.tar.gz", "--json", code=1))]
    assert "not_running" in codes
    said("support-bundle", "--redact")
    assert len(list(here.glob("aywa-support-*.tar.gz"))) == 1


def test_wrong_usage(here: Path) -> None:
    assert "add --redact" in said("support-bundle", code=2)
    assert "--preview" in said("support-bundle", "--redact", "--show", "store.json", code=2)
    assert "no folder" in said("support-bundle", "--redact", "--out", "no/where.tar.gz", code=2)
    assert "no other.json" in said("support-bundle", "--redact", "--preview", "--show", "other.json", code=2)
    assert list(here.iterdir()) == []


def test_the_runtime_that_aywa_serve_runs_is_asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def answers(where: Place) -> None:
        asked.extend((where.url, where.key))
        raise Refused("enough")

    monkeypatch.setattr("aywa.boot.support.bundle.made", answers)
    said("support-bundle", "--redact", "--url", "http://a.example", "--key", "own", code=1)
    monkeypatch.delenv("AYWA_URL")
    said("support-bundle", "--redact", code=1)
    monkeypatch.setenv("RUNTIME_PORT", "9000")
    monkeypatch.setenv("RUNTIME_API_KEY", "aywa_of-the-tests")
    said("support-bundle", "--redact", code=1)
    assert asked == [
        "http://a.example", "own", "http://127.0.0.1:8080", None, "http://127.0.0.1:9000", "aywa_of-the-tests",
    ]  # fmt: skip


def test_a_refusal_writes_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_place: object) -> None:
        raise Refused("log.json still holds a secret of this runtime")

    monkeypatch.setattr("aywa.boot.support.bundle.made", refuses)
    told = said("support-bundle", "--redact", "--out", "b.tar.gz", code=1)
    assert told == "No bundle was written: log.json still holds a secret of this runtime.\n"
    assert list(here.iterdir()) == []


def test_a_full_disk_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aywa.boot.support.bundle.written", full)
    assert "No space left" in said("support-bundle", "--redact", "--out", "b.tar.gz", code=1)


def test_a_bundle_without_a_fault(here: Path) -> None:
    packed(here / "b.tar.gz", {"manifest.json": {"format": 1}, "broken.json": b"{"})
    assert said("doctor", "--bundle", "b.tar.gz") == "Nothing in it is known to be a fault.\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"plain", "not gzipped"),
        (gzip.compress(b"x" * 4000)[:-9], "cut"),
        (gzip.compress(b"no archive" * 100), "no archive"),
        (None, "No such file"),
    ],
)
def test_what_is_no_bundle_is_said(content: bytes | None, why: str, here: Path) -> None:
    if content is not None:
        (here / "b.tar.gz").write_bytes(content)
    assert why in said("doctor", "--bundle", "b.tar.gz", code=2)


def test_a_bundle_of_another_release(here: Path) -> None:
    packed(here / "b.tar.gz", {"other.json": {}})
    assert "manifest.json" in said("doctor", "--bundle", "b.tar.gz", code=2)
    packed(here / "b.tar.gz", {"manifest.json": {"format": 99}})
    assert "newer release" in said("doctor", "--bundle", "b.tar.gz", code=2)


def test_one_that_would_fill_the_memory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aywa.boot.support.doctor.BYTES_MAX", 1000)
    packed(here / "b.tar.gz", {"manifest.json": {"format": 1}, "large.json": b"0" * 5000})
    assert "more than" in said("doctor", "--bundle", "b.tar.gz", code=2)
