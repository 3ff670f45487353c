"""Uploaded files' bytes as objects."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from aywa.adapters.artifacts.folder import FolderArtifacts
from aywa.core.shipment import Kind
from aywa.ports.artifacts import ArtifactsUnavailable, Stored
from aywa.service.contents import StoredContents

ORG, FILE, OTHER = (str(uuid.uuid4()) for _ in range(3))


class Gone(FolderArtifacts):
    """A store that is away."""

    async def find(self, key: str) -> Stored | None:
        raise ArtifactsUnavailable("s3_unreachable", "bucket b does not answer")


async def test_what_is_written_is_read_until_it_is_removed(tmp_path: Path) -> None:
    contents, fresh = (StoredContents(FolderArtifacts(tmp_path)) for _ in range(2))
    assert await contents.read(ORG, FILE) is None
    await contents.write(ORG, FILE, b"\0one")
    assert await contents.read(ORG, FILE) == await fresh.read(ORG, FILE) == b"\0one"
    assert await contents.read(OTHER, FILE) is None
    # As releases before this one kept it.
    assert (tmp_path / "files" / ORG / FILE).read_bytes() == b"\0one"
    await contents.remove(ORG, FILE)
    await contents.remove(ORG, FILE)
    assert await contents.read(ORG, FILE) is None
    assert not (tmp_path / "files" / ORG / FILE).exists()


@pytest.mark.parametrize("name", ["../escape", "", "a/b", f"{FILE}/..", "x" * 300])
async def test_a_name_that_is_no_id_is_nobodys_file(tmp_path: Path, name: str) -> None:
    contents = StoredContents(FolderArtifacts(tmp_path))
    with pytest.raises(OSError, match="not the name"):
        await contents.write(ORG, name, b"x")
    assert await contents.read(ORG, name) is None
    await contents.remove(ORG, name)
    assert not os.listdir(tmp_path)


async def test_what_was_read_lately_is_there_also_without_the_store(tmp_path: Path) -> None:
    await StoredContents(FolderArtifacts(tmp_path)).write(ORG, FILE, b"one")
    contents = StoredContents(FolderArtifacts(tmp_path))
    assert await contents.read(ORG, FILE) == b"one"
    contents._stores = [Gone(tmp_path)]
    assert await contents.read(ORG, FILE) == b"one"
    with pytest.raises(ArtifactsUnavailable):
        await contents.read(ORG, OTHER)


async def test_only_so_much_is_remembered(tmp_path: Path) -> None:
    contents = StoredContents(FolderArtifacts(tmp_path), cache_bytes=10)
    for name, size in ((FILE, 6), (OTHER, 6)):
        await contents.write(ORG, name, bytes(size))
    contents._stores = [Gone(tmp_path)]
    assert await contents.read(ORG, OTHER) == bytes(6)
    with pytest.raises(ArtifactsUnavailable):
        await contents.read(ORG, FILE)


async def test_files_from_before_there_was_a_bucket_are_found_and_removed(tmp_path: Path) -> None:
    before = FolderArtifacts(tmp_path / "data")
    await StoredContents(before).write(ORG, FILE, b"old")
    removed: list[tuple[str, str, Kind]] = []

    async def remove(org_id: str, file_id: str, kind: Kind) -> None:
        removed.append((org_id, file_id, kind))

    contents = StoredContents(FolderArtifacts(tmp_path / "bucket"), remove, before=before)
    assert await contents.read(ORG, FILE) == b"old"
    await contents.remove(ORG, FILE)
    assert await contents.read(ORG, FILE) is None
    assert removed == [(ORG, FILE, Kind.FILES)]
