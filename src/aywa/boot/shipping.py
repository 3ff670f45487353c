"""Artifacts in a bucket: opens it when the operator names one, and joins what carries them there with what they come from."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog

from aywa.adapters.artifacts.folder import FolderArtifacts
from aywa.adapters.artifacts.ledger import FolderLedger
from aywa.boot.artifact_settings import BucketSettings
from aywa.boot.artifacts import Artifacts
from aywa.boot.errors import CannotStart
from aywa.core.record import CallRecord
from aywa.ports.artifacts import ArtifactStore, ArtifactsUnavailable
from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Store
from aywa.service.contents import StoredContents
from aywa.service.recordings import RECORDING
from aywa.service.shipped import Shipped
from aywa.service.shipper import Backlog, Shipper

_log = structlog.get_logger("aywa.boot.shipping")

SHIPMENTS = "shipments"
ADOPT_EVERY_S = 0.2
"""Calls from before there was a bucket are taken up one after the other: nobody waits for them."""
RETRY_S = 10.0


def folder_contents(data: Path) -> StoredContents:
    """Uploaded files on this machine."""
    return StoredContents(FolderArtifacts(data))


class Shipping:
    """`start` when the store's calls are all on record; `close` when nothing more comes of them."""

    def __init__(
        self, bucket: ArtifactStore, settings: BucketSettings, data: Path, artifacts: Artifacts, store: Store
    ) -> None:
        self._bucket = bucket
        self._artifacts = artifacts
        self._store = store
        self._tasks: list[asyncio.Task[None]] = []
        self._earlier: list[str] = []
        self.shipper = Shipper(bucket, FolderLedger(data / SHIPMENTS), artifacts, self._is_alive)
        self.contents = StoredContents(bucket, self.shipper.remove, before=FolderArtifacts(data))
        self.shipped = Shipped(bucket, settings.link_s, self._is_here)
        artifacts.shipper = self.shipper

    async def recover(self) -> None:
        """Finds what earlier processes left, before new calls begin. Raises OSError."""
        await self.shipper.recover()
        calls = await asyncio.to_thread(self._artifacts.calls)
        self._earlier = [call_id for call_id in calls if not self.shipper.is_waiting(call_id)]

    def start(self) -> None:
        """Begins to carry."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.shipper.run(), name="shipper"),
            loop.create_task(self._adopt(), name="shipper: earlier calls"),
        ]

    async def closed(self, record: CallRecord) -> None:
        """A call's files are all written: they may go."""
        names = await asyncio.to_thread(self._artifacts.names, record.call_id)
        if names:
            await self.shipper.add(record.org_id, record.call_id, names)

    def backlog(self) -> Backlog:
        """How it stands."""
        return self.shipper.backlog()

    async def close(self) -> None:
        """What is under way may end; the rest is on record."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.shipper.close()
        await self._bucket.close()

    async def _is_alive(self, org_id: str, call_id: str) -> bool:
        return await self._store.calls.get(org_id, call_id) is not None

    def _is_here(self, call_id: str) -> bool:
        return self._artifacts.find(call_id, RECORDING) is not None

    async def _adopt(self) -> None:
        """Files of calls from before there was a bucket, or whose process ended before they were on record."""
        for call_id in self._earlier:
            org_id = await self._org_of(call_id)
            # One that no store knows is nobody's: it stays where it is.
            if org_id and not self.shipper.is_waiting(call_id):
                names = await asyncio.to_thread(self._artifacts.names, call_id)
                await self.shipper.add(org_id, call_id, names)
            await asyncio.sleep(ADOPT_EVERY_S)

    async def _org_of(self, call_id: str) -> str:
        while True:
            with suppress(StoreUnavailable):
                events = await self._store.events(None, call_id)
                return events[0].org_id if events else ""
            await asyncio.sleep(RETRY_S)


async def open_shipping(
    settings: BucketSettings | None, data: Path, artifacts: Artifacts, store: Store
) -> Shipping | None:
    """None: no bucket is named. One that does not answer now may answer later; one that will not without a mend is a reason not
    to start. Raises CannotStart."""
    if settings is None:
        return None
    # aiobotocore takes half a second to import, for those who have a bucket.
    from aywa.adapters.artifacts.s3 import open_bucket

    try:
        bucket = await open_bucket(settings.bucket)
    except ArtifactsUnavailable as error:
        raise CannotStart(f"{error} ({error.code}): {error.mend}") from None
    try:
        await bucket.check()
    except ArtifactsUnavailable as error:
        if error.lasting:
            await bucket.close()
            raise CannotStart(f"{error} ({error.code}): {error.mend}") from None
        _log.warning("artifact_store_unavailable", code=error.code, problem=str(error), mend=error.mend)
    except BaseException:
        await bucket.close()
        raise
    shipping = Shipping(bucket, settings, data, artifacts, store)
    try:
        await shipping.recover()
    except OSError as error:
        await bucket.close()
        raise CannotStart(f"{data / SHIPMENTS} cannot be read: {error.strerror}; mend it") from None
    return shipping
