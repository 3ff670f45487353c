"""A model's file counts when its hash is right; a change is noticed without reading what has not changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aywa.adapters.models.cache import Cache, models_dir
from aywa.adapters.models.manifest import model, models, select
from aywa.adapters.models.mirrors import load
from aywa.adapters.models.sources import Wheels
from aywa.ports.errors import Fault, ProviderError
from tests.adapters.models.places import CONTENT, small_model

FILE = small_model().files[0]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path)
    made.path(FILE).parent.mkdir()
    made.path(FILE).write_bytes(CONTENT)
    return made


def test_a_file_put_there_by_hand_is_hashed_once(cache: Cache) -> None:
    assert not cache.looks_right(FILE)
    cache.check(FILE)
    assert cache.looks_right(FILE)


def test_a_file_that_looks_the_same_is_not_read(cache: Cache) -> None:
    stat = cache.path(FILE).stat()
    cache.check(FILE)
    cache.path(FILE).write_bytes(b"x" * len(CONTENT))
    os.utime(cache.path(FILE), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    cache.check(FILE)
    with pytest.raises(ProviderError, match="is damaged"):
        cache.verify(FILE)


def test_a_changed_file_is_noticed(cache: Cache) -> None:
    cache.check(FILE)
    cache.path(FILE).write_bytes(b"x" * len(CONTENT))
    with pytest.raises(ProviderError) as failure:
        cache.check(FILE)
    error = failure.value
    assert (error.code, error.fault, error.retryable) == ("model_damaged", Fault.CONFIG, False)
    message = str(error)
    assert "\n" not in message
    assert str(cache.path(FILE)) in message
    assert FILE.sha256 in message
    assert "aywa models pull small" in message


def test_a_touched_file_is_hashed_and_accepted(cache: Cache) -> None:
    cache.check(FILE)
    os.utime(cache.path(FILE), ns=(1, 1))
    assert not cache.looks_right(FILE)
    cache.check(FILE)
    assert cache.looks_right(FILE)


def test_a_missing_file_is_named(cache: Cache) -> None:
    cache.path(FILE).unlink()
    with pytest.raises(ProviderError, match="is missing; expected SHA-256") as failure:
        cache.check(FILE)
    assert failure.value.code == "model_missing"


def test_a_short_file_is_not_hashed(cache: Cache) -> None:
    cache.path(FILE).write_bytes(CONTENT[:-1])
    with pytest.raises(ProviderError, match="bytes instead of"):
        cache.check(FILE)


def test_the_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AYWA_MODELS", str(tmp_path))
    assert models_dir() == tmp_path
    monkeypatch.delenv("AYWA_MODELS")
    assert models_dir().parts[-2:] == ("aywa", "models")


def test_the_manifest_is_whole() -> None:
    for known in models():
        assert known.role in ("vad", "turn", "stt", "tts", "llm")
        assert bool(known.files) != bool(known.package)
        for file in known.files:
            assert len(file.sha256) == 64
            assert file.size > 0
            assert file.home.startswith("https://")


def test_every_file_has_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AYWA_MIRRORS", raising=False)
    mirrors = load()
    for file in (file for known in models() for file in known.files):
        assert len(mirrors.sources(file, Wheels(tmp_path), {})) > 1


def test_the_sets() -> None:
    tiny = {known.name for known in select((), "tiny")}
    assert tiny == {"silero", "smart-turn", "moonshine", "hibari"}
    assert {known.name for known in select(())} == tiny | {"qwen-0.5b"}
    assert {known.name for known in select((), "quality")} == tiny | {"qwen-1.5b"}
    assert [known.name for known in select(["silero", "silero"])] == ["silero"]


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ProviderError, match=r"no model 'gpt'.*known: silero"):
        model("gpt")
