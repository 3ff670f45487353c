from __future__ import annotations

import io
import os
import struct
import wave
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
    Artifacts(folder).forget("three")
    assert Path("/etc/passwd").exists()


async def test_removing_takes_the_calls_files_and_nothing_else(folder: Path) -> None:
    artifacts = Artifacts(folder)
    for nobody in ("..", ".", "", "one/..", "../..", "/etc", "three", "\0"):
        await artifacts.remove("org", nobody)
    assert (folder / "one" / "recording.wav").exists()
    await artifacts.remove("org", "one")
    assert not (folder / "one").exists()
    assert (folder / "two" / "recording.wav").exists()
    assert (folder.parent / "aywa.db").exists()


def test_a_recordings_folder_is_the_users_alone(folder: Path) -> None:
    path = Path(Artifacts(folder).recording("four"))
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_the_recorders_to_find_out(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file is in the way")
    assert Artifacts(tmp_path / "artifacts").recording("one").endswith("one/recording.wav")


# --- on their way into a bucket ------------------------------------------------------------------------------------------

ALL_SIDES = {"recording.wav", "mono.wav", "customer.wav", "assistant.wav"}


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    """A call's folder: a recording of 100 frames, a transcript, and something that is nobody's."""
    folder = tmp_path / "artifacts" / "call"
    folder.mkdir(parents=True)
    samples = b"".join(struct.pack("<hh", left, -left) for left in range(100))
    with wave.open(str(folder / "recording.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(samples)
    (folder / "transcript.json").write_text("{}")
    (folder / "notes.txt").write_text("somebody's")
    return folder


def test_a_recording_makes_an_object_of_each_of_its_sides(stereo: Path) -> None:
    artifacts = Artifacts(stereo.parent)
    assert artifacts.calls() == ["call"]
    assert set(artifacts.names("call")) == ALL_SIDES | {"transcript.json"}
    for name, channels in (("recording.wav", 2), ("mono.wav", 1), ("customer.wav", 1), ("assistant.wav", 1)):
        source = artifacts.source("call", name)
        assert source is not None
        content = b"".join(source.read(0, source.size))
        assert len(content) == source.size == 44 + 100 * 2 * channels
        with wave.open(io.BytesIO(content)) as read:
            assert (read.getnchannels(), read.getnframes()) == (channels, 100)
    text = artifacts.source("call", "transcript.json")
    assert text is not None
    assert b"".join(text.read(0, text.size)) == b"{}"
    assert b"".join(text.read(1, 2)) == b"}"


@pytest.mark.parametrize("name", ["events.jsonl.gz", "../call/recording.wav", "notes.txt", ""])
def test_what_is_not_there_makes_nothing(stereo: Path, name: str) -> None:
    assert Artifacts(stereo.parent).source("call", name) is None
    assert Artifacts(stereo.parent).source("none", "mono.wav") is None


def test_what_a_crash_left_of_a_recording_is_kept_as_it_is(stereo: Path) -> None:
    (stereo / "recording.wav").write_bytes(b"RIFF")
    artifacts = Artifacts(stereo.parent)
    source = artifacts.source("call", "recording.wav")
    assert source is not None
    assert b"".join(source.read(0, source.size)) == b"RIFF"
    assert artifacts.source("call", "mono.wav") is None


def test_only_what_is_stored_and_was_not_written_again_goes(stereo: Path) -> None:
    artifacts = Artifacts(stereo.parent)
    stamp = artifacts.stamp("call")
    artifacts.drop("call", ["recording.wav", "mono.wav"], stamp)
    assert (stereo / "recording.wav").exists()
    (stereo / "transcript.json").write_text('{"later": 1}')
    artifacts.drop("call", [*ALL_SIDES, "transcript.json"], stamp)
    assert {path.name for path in stereo.iterdir()} == {"transcript.json", "notes.txt"}
    (stereo / "notes.txt").unlink()
    artifacts.drop("call", ["transcript.json"], artifacts.stamp("call"))
    assert artifacts.calls() == []
    artifacts.drop("call", ["transcript.json"], {})
    assert Artifacts(stereo / "none").calls() == []
