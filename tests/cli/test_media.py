"""What `aywa media check` refuses before it connects."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aywa.cli import app
from aywa.testing.sound import hum, write_wav


@pytest.fixture
def wav(tmp_path: Path) -> str:
    import numpy as np

    file = tmp_path / "hum.wav"
    file.write_bytes(write_wav(np.frombuffer(hum(8000), "<i2"), 8000))
    return str(file)


def media_check(*options: str) -> Result:
    return CliRunner().invoke(app, ["media", "check", *options], catch_exceptions=False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--protocol", "pigeon"), "--protocol can be twilio"),
        (("--protocol", "twilio", "--variant", "json"), "--variant of twilio can be none"),
        (("--protocol", "chan_websocket", "--variant", "xml"), "--variant of chan_websocket can be json"),
        (("--protocol", "twilio", "--assistant", "a", "--number", "b"), "not both"),
        (("--protocol", "twilio", "--parameter", "novalue"), "--parameter is name=value"),
        (("--protocol", "audiosocket"), "--media tcp://host:port"),
        (("--protocol", "twilio", "--assistant", "a", "--rate", "44100"), "twilio has 8000 Hz, not 44100"),
        (("--protocol", "twilio", "--out", "/not-there/call.wav"), "there is no folder"),
    ],
)
def test_wrong_usage_is_told_with_its_mend(wav: str, options: tuple[str, ...], told: str) -> None:
    result = media_check("--wav", wav, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_a_file_that_is_no_wav(tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"no")
    for name, told in (("no.wav", "is not a usable WAV"), ("none.wav", "cannot be read")):
        result = media_check("--protocol", "twilio", "--wav", str(tmp_path / name))
        assert result.exit_code == 2
        assert told in result.stderr


def test_without_a_key_an_assistant_must_be_named(
    wav: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path))
    monkeypatch.delenv("AYWA_API_KEY", raising=False)
    result = media_check("--protocol", "twilio", "--wav", wav)
    assert result.exit_code == 2
    assert "--assistant" in result.stderr


def test_nobody_there_is_a_failed_check(wav: str) -> None:
    where = ("--media", "ws://127.0.0.1:9", "--assistant", "a")
    result = media_check("--protocol", "twilio", "--wav", wav, *where)
    assert result.exit_code == 1
    assert result.stdout.startswith("FAIL  door:")
    assert "the runtime runs" in result.stdout


def test_the_help_has_examples() -> None:
    result = media_check("--help")
    assert result.exit_code == 0
    assert "aywa media check --protocol twilio --wav question.wav" in re.sub(r"\s+", " ", result.stdout)
