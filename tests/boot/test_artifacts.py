from __future__ import annotations

import os
from pathlib import Path

import pytest

from aywa.boot.artifacts import Artifacts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two calls' files, and a file that is no call's."""
    for name in ("artifacts/one/recording.wav", "artifacts/two/recording.wav", "aywa.db"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "artifacts"


def test_a_file_of_the_call_is_found(folder: Path) -> None:
    assert Artifacts(folder).find("one", "recording.wav") == folder / "one" / "recording.wav"
    assert Artifacts(folder).find("one", "transcript.json") is None
    assert Artifacts(folder).find("three", "recording.wav") is None


@pytest.mark.parametrize(
    ("call_id", "name"),
    [
        ("one", "../two/recording.wav"),
        ("one", "../../aywa.db"),
        ("..", "aywa.db"),
        ("one/..", "two/recording.wav"),
        ("../artifacts/one", "recording.wav"),
        ("", "one/recording.wav"),
        (".", "one/recording.wav"),
        ("one", "/etc/passwd"),
        ("/etc", "passwd"),
        ("one", ""),
        ("one", "."),
        ("one", "recording.wav\0"),
        ("\0", "recording.wav"),
        ("a" * 5000, "recording.wav"),
    ],
)
def test_no_name_leads_out_of_the_calls_folder(folder: Path, call_id: str, name: str) -> None:
    found = Artifacts(folder).find(call_id, name)
    # `../artifacts/one` is a roundabout way to a call's own folder, and harmless.
    assert found is None or found.resolve() == (folder / "one" / "recording.wav").resolve()


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    os.symlink("/etc", folder / "three")
    os.symlink(folder.parent / "aywa.db", folder / "one" / "link")
    assert Artifacts(folder).find("three", "passwd") is None
    assert Artifacts(folder).find("one", "link") is None
    Artifacts(folder).remove("three")
    assert Path("/etc/passwd").exists()


def test_removing_takes_the_calls_files_and_nothing_else(folder: Path) -> None:
    artifacts = Artifacts(folder)
    for nobody in ("..", ".", "", "one/..", "../..", "/etc", "three", "\0"):
        artifacts.remove(nobody)
    assert (folder / "one" / "recording.wav").exists()
    artifacts.remove("one")
    assert not (folder / "one").exists()
    assert (folder / "two" / "recording.wav").exists()
    assert (folder.parent / "aywa.db").exists()


def test_a_recordings_folder_is_the_users_alone(folder: Path) -> None:
    path = Artifacts(folder).recording("four")
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_the_recorders_to_find_out(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file is in the way")
    assert Artifacts(tmp_path / "artifacts").recording("one").name == "recording.wav"
