from __future__ import annotations

from pathlib import Path

import pytest

from aywa.boot.settings import (
    OPENAI_MODEL,
    PROVIDER_VARIABLES,
    OpenAiRoute,
    RuntimeSettings,
    keys_from_environment,
    openai_from_environment,
)
from aywa.boot.store import home
from aywa.ports.calls import ProviderKey

NAMES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}, None),
        ({"OPENAI_MODEL": "some-model"}, None),
        ({"OPENAI_API_KEY": " \n"}, None),
        ({"OPENAI_API_KEY": "k"}, ("https://api.openai.com/v1", "k", OPENAI_MODEL)),
        ({"OPENAI_API_KEY": "k\n", "OPENAI_MODEL": " m "}, ("https://api.openai.com/v1", "k", "m")),
        ({"OPENAI_BASE_URL": "http://localhost:1/v1"}, ("http://localhost:1/v1", "", OPENAI_MODEL)),
        (
            {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://x/v1", "OPENAI_MODEL": "m"},
            ("http://x/v1", "k", "m"),
        ),
    ],
)
def test_the_route_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: tuple[str, str, str] | None
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert openai_from_environment() == (expected and OpenAiRoute(*expected))


def test_the_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in PROVIDER_VARIABLES.values():
        for name in ("API_KEY", "BASE_URL"):
            monkeypatch.delenv(f"{prefix}_{name}", raising=False)
    assert keys_from_environment() == {}
    monkeypatch.setenv("ELEVENLABS_API_KEY", "el-secret\n")
    monkeypatch.setenv("ELEVENLABS_BASE_URL", "http://localhost:1")
    monkeypatch.setenv("DEEPGRAM_API_KEY", " ")
    monkeypatch.setenv("CARTESIA_BASE_URL", "http://localhost:2")
    keys = keys_from_environment()
    assert keys == {
        "11labs": ProviderKey("el-secret", "http://localhost:1", source="ELEVENLABS_API_KEY"),
        "cartesia": ProviderKey("", "http://localhost:2", source="CARTESIA_BASE_URL"),
    }
    assert "el-secret" not in repr(RuntimeSettings(keys=keys)) + repr(keys)


def test_a_key_is_never_shown() -> None:
    route = OpenAiRoute("https://user:secret@models.example:8443/v1?token=secret#secret", "secret")
    assert route.shown_url == "https://models.example:8443/v1"
    assert "secret'" not in repr(OpenAiRoute("https://models.example", "secret"))
    assert "secret" not in repr(OpenAiRoute("https://models.example", "secret"))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.7", False),
        ("talk.example", False),
        # Loopback, too, but not as it is named: better one certificate too many.
        ("127.0.0.2", False),
    ],
)
def test_what_is_reached_from_here_alone(host: str, loopback: bool) -> None:
    assert RuntimeSettings(host=host).loopback is loopback


def test_data_lie_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "here"))
    assert home() == tmp_path / "here"
    settings = RuntimeSettings()
    assert settings.data == tmp_path / "here"
    assert settings.artifacts.parent == settings.journal.parent == settings.data
    monkeypatch.setenv("AYWA_HOME", "~/here")
    assert home() == Path.home() / "here"
    monkeypatch.delenv("AYWA_HOME")
    assert home().name == "aywa"
