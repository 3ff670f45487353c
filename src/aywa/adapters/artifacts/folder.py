"""Objects as files in a folder, their keys as paths in it. Refuses keys that lead out of it, and makes no addresses."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

from aywa.adapters.artifacts.whole_file import DRAFT, whole_file
from aywa.ports.artifacts import ArtifactsUnavailable, Begun, Content, ObjectRefused, Source, Stored

READ_BYTES = 1 << 18
KEY_CHARACTERS = 1024
_STEP = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}\Z")


class FolderArtifacts:
    """ports.artifacts.ArtifactStore. What kind of bytes an object is, it does not keep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(
        self, key: str, source: Source, media_type: str, upload: str = "", begun: Begun | None = None
    ) -> Stored:
        """As the port says: it is put beside its place and moved there when it is whole."""
        return await asyncio.to_thread(self._put, self._path(key), source, media_type)

    async def find(self, key: str) -> Stored | None:
        """As the port says."""
        path = self._path(key)
        try:
            status = await asyncio.to_thread(path.stat)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unavailable(error) from None
        return Stored(status.st_size)

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """As the port says."""
        path = self._path(key)
        while start < end:
            block = await asyncio.to_thread(_block, path, start, min(READ_BYTES, end - start))
            if not block:
                return
            yield block
            start += len(block)

    async def keys(self, prefix: str) -> Sequence[str]:
        """As the port says."""
        return await asyncio.to_thread(self._keys, prefix)

    async def remove(self, prefix: str) -> None:
        """As the port says."""
        try:
            await asyncio.to_thread(self._remove, prefix)
        except OSError as error:
            raise _unavailable(error) from None

    async def link(self, key: str, file_name: str, within_s: int) -> str | None:
        """As the port says: never one."""
        return None

    async def check(self) -> None:
        """As the port says."""
        key = f"aywa-check/{uuid.uuid4()}"
        try:
            await self.put(key, Content(b"check"), "text/plain")
            await self.remove(key)
        except OSError as error:
            raise _unavailable(error) from None

    async def close(self) -> None:
        """As the port says."""

    # --- in a thread -----------------------------------------------------------------------------------------------

    def _put(self, path: Path, source: Source, media_type: str) -> Stored:
        digest = hashlib.sha256()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(path) as file:
            for block in source.read(0, source.size):
                digest.update(block)
                file.write(block)
        return Stored(source.size, media_type, digest.hexdigest())

    def _keys(self, prefix: str) -> list[str]:
        # Only what can lie under it is looked through; what goes meanwhile is not there.
        found: list[str] = []
        for folder, _, files in os.walk(self._folder / prefix.rpartition("/")[0]):
            under = Path(folder).relative_to(self._folder)
            found += [(under / name).as_posix() for name in files if not name.endswith(DRAFT)]
        return sorted(key for key in found if key.startswith(prefix))

    def _remove(self, prefix: str) -> None:
        for key in self._keys(prefix):
            (self._folder / key).unlink(missing_ok=True)
        if prefix.endswith("/"):
            with suppress(OSError):
                self._path(prefix[:-1]).rmdir()

    def _path(self, key: str) -> Path:
        steps = key.split("/")
        if len(key) > KEY_CHARACTERS or not all(_STEP.match(step) for step in steps):
            raise ObjectRefused("not the key of an object")
        return self._folder.joinpath(*steps)


def _block(path: Path, start: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length)
    except FileNotFoundError:
        raise ObjectRefused("it is not there") from None
    except OSError as error:
        raise _unavailable(error) from None


def _unavailable(error: OSError) -> ArtifactsUnavailable:
    return ArtifactsUnavailable(
        "artifact_folder", f"the artifacts' folder: {error.strerror or type(error).__name__}", "mend the disk"
    )
