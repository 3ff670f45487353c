"""Objects as files in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aywa.adapters.artifacts.folder import FolderArtifacts
from aywa.ports.artifacts import ArtifactsUnavailable, Content, ObjectRefused
from tests.contracts import artifacts as contract
from tests.contracts.artifacts import prefix

__all__ = ["prefix"]


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifacts:
    return FolderArtifacts(tmp_path / "objects")


class TestFolder(contract.ArtifactsContract):
    pass


async def test_objects_are_the_users_alone_and_have_no_address(tmp_path: Path) -> None:
    artifacts = FolderArtifacts(tmp_path)
    await artifacts.put("calls/o/c/a", Content(b"x"), "text/plain")
    assert (tmp_path / "calls/o/c/a").stat().st_mode & 0o077 == 0
    assert await artifacts.link("calls/o/c/a", "a", 60) is None


@pytest.mark.parametrize("key", ["", "../a", "a/../b", "/etc/passwd", "a//b", "a/.b", "a\0", "x" * 2000])
async def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    artifacts = FolderArtifacts(tmp_path / "objects")
    with pytest.raises(ObjectRefused):
        await artifacts.put(key, Content(b"x"), "text/plain")
    with pytest.raises(ObjectRefused):
        await artifacts.find(key)
    assert not os.listdir(tmp_path)


async def test_a_folder_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file is in the way")
    with pytest.raises(ArtifactsUnavailable, match="artifacts' folder") as refused:
        await FolderArtifacts(tmp_path / "objects").check()
    assert refused.value.code == "artifact_folder"
    assert await FolderArtifacts(tmp_path / "objects").find("calls/o/c/a") is None


async def test_a_disk_that_is_full_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        await FolderArtifacts(tmp_path).put("files/o/f", Content(b"x"), "text/plain")
    assert list((tmp_path / "files/o").iterdir()) == []
