"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Barrier, Thread

import pytest

from aywa.adapters.artifacts.whole_file import DRAFT, whole_file


def test_it_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"before")
    path.chmod(0o644)
    with whole_file(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
        assert sorted(each.name.endswith(DRAFT) for each in tmp_path.iterdir()) == [False, True]
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stopped", [ValueError("no"), KeyboardInterrupt()])
def test_what_is_stopped_leaves_what_was_there(tmp_path: Path, stopped: BaseException) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"before")

    def write() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise stopped

    with pytest.raises(type(stopped)):
        write()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, name, fails)
    with pytest.raises(OSError, match="No space"), whole_file(tmp_path / "new") as file:
        file.write(b"half")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "none" / "new"):
        pytest.fail("there is nothing to write to")
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_are_on_the_disk_before_the_name_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "bytes")
        fsync(descriptor)

    def replaced(draft: str, path: Path) -> None:
        done.append("name")
        replace(draft, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    with whole_file(tmp_path / "new") as file:
        file.write(b"x")
    assert done == ["bytes", "name", "folder"]


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    path, both = tmp_path / "kept", Barrier(2)

    def write(content: bytes) -> None:
        with whole_file(path) as file:
            file.write(content)
            both.wait(30)

    threads = [Thread(target=write, args=(letter * 100_000,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert content in (b"a" * 100_000, b"b" * 100_000)
    assert list(tmp_path.iterdir()) == [path]
