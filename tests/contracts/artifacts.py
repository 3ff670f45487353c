"""What every artifact store must do, whatever it is made of. A test file gives `artifacts` (a fixture) and inherits the class."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator

import pytest

from aywa.ports.artifacts import ArtifactStore, Content, ObjectRefused

BIG = bytes(range(251)) * 50_000
"""12.5 MB: past what goes in one piece."""


class Broken:
    """A source whose file goes away in the middle."""

    size = 100

    def read(self, start: int, end: int) -> Iterator[bytes]:
        yield b"x" * 10
        raise OSError(5, "Input/output error")


@pytest.fixture
def prefix() -> str:
    """Of this test alone."""
    return f"calls/org/{uuid.uuid4()}/"


async def whole(store: ArtifactStore, key: str) -> bytes:
    found = await store.find(key)
    assert found is not None
    return b"".join([block async for block in store.read(key, 0, found.size)])


class ArtifactsContract:
    async def test_what_is_put_is_found_and_read(self, artifacts: ArtifactStore, prefix: str) -> None:
        key = prefix + "recording.wav"
        assert await artifacts.find(key) is None
        stored = await artifacts.put(key, Content(b"RIFF\0one"), "audio/wav")
        assert (stored.size, stored.sha256) == (8, hashlib.sha256(b"RIFF\0one").hexdigest())
        assert await whole(artifacts, key) == b"RIFF\0one"

    async def test_nothing_at_all_is_an_object_too(self, artifacts: ArtifactStore, prefix: str) -> None:
        await artifacts.put(prefix + "empty", Content(b""), "text/plain")
        found = await artifacts.find(prefix + "empty")
        assert found is not None
        assert found.size == 0
        assert await whole(artifacts, prefix + "empty") == b""

    async def test_a_later_one_takes_the_place(self, artifacts: ArtifactStore, prefix: str) -> None:
        await artifacts.put(prefix + "a", Content(b"one is longer"), "text/plain")
        await artifacts.put(prefix + "a", Content(b"two"), "text/plain")
        assert await whole(artifacts, prefix + "a") == b"two"

    async def test_parts_of_it_are_read(self, artifacts: ArtifactStore, prefix: str) -> None:
        await artifacts.put(prefix + "a", Content(bytes(range(100))), "text/plain")
        for start, end in ((0, 1), (10, 20), (99, 100), (50, 50), (90, 200)):
            got = b"".join([block async for block in artifacts.read(prefix + "a", start, end)])
            assert got == bytes(range(100))[start:end]

    async def test_what_is_large_arrives_whole(self, artifacts: ArtifactStore, prefix: str) -> None:
        stored = await artifacts.put(prefix + "big.wav", Content(BIG), "audio/wav")
        assert (stored.size, stored.sha256) == (len(BIG), hashlib.sha256(BIG).hexdigest())
        assert await whole(artifacts, prefix + "big.wav") == BIG

    async def test_what_cannot_be_read_to_its_end_is_not_there(
        self, artifacts: ArtifactStore, prefix: str
    ) -> None:
        with pytest.raises(OSError, match="Input/output"):
            await artifacts.put(prefix + "a", Broken(), "text/plain")
        assert await artifacts.keys(prefix) == []

    async def test_what_is_not_there_cannot_be_read(self, artifacts: ArtifactStore, prefix: str) -> None:
        with pytest.raises(ObjectRefused):
            _ = [block async for block in artifacts.read(prefix + "none", 0, 5)]

    async def test_all_under_a_prefix_go_and_nothing_else(
        self, artifacts: ArtifactStore, prefix: str
    ) -> None:
        other = f"calls/org/{uuid.uuid4()}/a"
        for key in (prefix + "a", prefix + "b.json", prefix + "c.gz", other):
            await artifacts.put(key, Content(b"x"), "text/plain")
        assert await artifacts.keys(prefix) == [prefix + "a", prefix + "b.json", prefix + "c.gz"]
        await artifacts.remove(prefix)
        assert await artifacts.keys(prefix) == []
        assert await artifacts.keys(other) == [other]
        await artifacts.remove(prefix)
        await artifacts.remove(other)
        assert await artifacts.find(other) is None

    async def test_it_can_be_checked(self, artifacts: ArtifactStore) -> None:
        await artifacts.check()
        assert await artifacts.keys("aywa-check/") == []
