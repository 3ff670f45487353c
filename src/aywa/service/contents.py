"""Uploaded files' bytes as objects. What was read lately stays in memory: calls begin with them also while the store is away.
Refuses names that are not ids, and knows nothing of what a file is."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from aywa.core.shipment import Kind, Shipment, Task
from aywa.ports.artifacts import ArtifactStore, Content, ObjectRefused

CACHE_BYTES = 32 * 1024 * 1024
OCTETS = "application/octet-stream"

Remove = Callable[[str, str, Kind], Awaitable[None]]
"""Sees to it that a file's object goes, however long that takes."""


class StoredContents:
    """ports.store.FileContents. remove: None: an object is removed at once, or not at all. before: where files lie that came
    before this store."""

    def __init__(
        self,
        store: ArtifactStore,
        remove: Remove | None = None,
        *,
        before: ArtifactStore | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._stores = [store] if before is None else [store, before]
        self._store = store
        self._before = before
        self._remove = remove
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._cached = 0
        self._cache_bytes = cache_bytes

    async def write(self, org_id: str, file_id: str, content: bytes) -> None:
        """As the port says."""
        key = _key(org_id, file_id)
        if key is None:
            raise OSError("not the name of a file")
        try:
            await self._store.put(key, Content(content), OCTETS)
        except ObjectRefused as error:
            raise OSError(str(error)) from None
        self._keep(key, content)

    async def read(self, org_id: str, file_id: str) -> bytes | None:
        """As the port says."""
        key = _key(org_id, file_id)
        if key is None:
            return None
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        for store in self._stores:
            content = await _whole(store, key)
            if content is not None:
                self._keep(key, content)
                return content
        return None

    async def remove(self, org_id: str, file_id: str) -> None:
        """As the port says."""
        key = _key(org_id, file_id)
        if key is None:
            return
        self._cached -= len(self._cache.pop(key, b""))
        if self._before is not None:
            await self._before.remove(key)
        if self._remove is None:
            await self._store.remove(key)
        else:
            await self._remove(org_id, file_id, Kind.FILES)

    def _keep(self, key: str, content: bytes) -> None:
        self._cached += len(content) - len(self._cache.pop(key, b""))
        self._cache[key] = content
        while self._cached > self._cache_bytes:
            _, oldest = self._cache.popitem(last=False)
            self._cached -= len(oldest)


async def _whole(store: ArtifactStore, key: str) -> bytes | None:
    found = await store.find(key)
    if found is None:
        return None
    try:
        return b"".join([block async for block in store.read(key, 0, found.size)])
    except ObjectRefused:
        return None  # it was removed meanwhile


def _key(org_id: str, file_id: str) -> str | None:
    try:
        org, name = str(uuid.UUID(org_id)), str(uuid.UUID(file_id))
    except ValueError:
        return None
    return Shipment(name, org, Kind.FILES, Task.STORE).prefix
