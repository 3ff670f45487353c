"""The bucket that an operator names: what stops a start and what does not, and what earlier processes left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aywa.adapters.artifacts.bucket import Bucket
from aywa.adapters.artifacts.folder import FolderArtifacts
from aywa.adapters.artifacts.ledger import FolderLedger
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.boot.artifact_settings import BucketSettings
from aywa.boot.artifacts import Artifacts
from aywa.boot.errors import CannotStart
from aywa.boot.shipping import Shipping, open_shipping
from aywa.core.record import CallRecord
from aywa.ports.artifacts import ArtifactStore
from aywa.ports.journal import JournalRecord
from aywa.ports.store import Document, NewCall, Organisation, Store
from tests.e2e.client import eventually
from tests.peers.seaweedfs import SeaweedFs

ORG = "org"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    await opened.organisations.insert(Organisation(ORG, "one", 1))
    yield opened
    await opened.close()


def settings(seaweed: SeaweedFs, bucket: str = "aywa-none", secret: str = "") -> BucketSettings:
    endpoint, key_id = seaweed.endpoint, seaweed.key_id
    return BucketSettings(Bucket(bucket, endpoint, "us-east-1", key_id, secret or seaweed.secret, endpoint))


async def call(store: Store, data: Path, call_id: str) -> None:
    """A call that has ended, with a transcript on this machine."""
    text = f'{{"id": "{call_id}", "status": "queued"}}'
    await store.calls.insert(NewCall(Document(call_id, ORG, 1, 1, text), "webCall", "queued"), 0)
    await store.apply([JournalRecord(call_id, ORG, 1, 0.0, "event", "CallStarted", {})], [])
    folder = data / "artifacts" / call_id
    await asyncio.to_thread(folder.mkdir, parents=True)
    await asyncio.to_thread((folder / "transcript.json").write_text, "{}")


async def test_without_a_bucket_there_is_nothing_to_carry(tmp_path: Path, store: Store) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    assert await open_shipping(None, tmp_path, artifacts, store) is None
    assert artifacts.shipper is None


@pytest.mark.parametrize(
    ("bucket", "secret", "code"),
    [("aywa-none", "", "s3_no_bucket"), ("aywa-none", "other", "s3_wrong_secret")],
)
async def test_what_must_be_mended_first_stops_the_start(
    seaweed: SeaweedFs, tmp_path: Path, store: Store, bucket: str, secret: str, code: str
) -> None:
    named = settings(seaweed, bucket, secret)
    with pytest.raises(CannotStart, match=code) as refused:
        await open_shipping(named, tmp_path, Artifacts(tmp_path / "artifacts"), store)
    assert "RUNTIME_ARTIFACT_S3_" in str(refused.value)
    assert seaweed.secret not in str(refused.value)


async def test_a_store_that_is_away_does_not_stop_it(tmp_path: Path, store: Store) -> None:
    away = BucketSettings(Bucket("aywa", "http://127.0.0.1:1", key_id="k", secret="s"))
    opened = await open_shipping(away, tmp_path, Artifacts(tmp_path / "artifacts"), store)
    assert opened is not None
    await opened.close()


async def test_a_folder_that_cannot_be_read_stops_it(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_ledger: object) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(FolderLedger, "all", broken)
    away = BucketSettings(Bucket("aywa", "http://127.0.0.1:1", key_id="k", secret="s"))
    with pytest.raises(CannotStart, match="shipments cannot be read: Permission denied"):
        await open_shipping(away, tmp_path, Artifacts(tmp_path / "artifacts"), store)


def opened(bucket: ArtifactStore, data: Path, store: Store) -> Shipping:
    named = BucketSettings(Bucket("aywa", key_id="k", secret="s"))
    return Shipping(bucket, named, data, Artifacts(data / "artifacts"), store)


async def holds(bucket: ArtifactStore, shipping: Shipping, keys: list[str]) -> None:
    """Waits until the bucket holds these, and nothing is on its way."""

    async def is_so() -> bool:
        return list(await bucket.keys("calls/")) == keys and not shipping.backlog().waiting

    await eventually(is_so, why=f"the bucket did not come to hold {keys}")


async def test_what_was_here_before_there_was_a_bucket_is_carried_too(tmp_path: Path, store: Store) -> None:
    bucket = FolderArtifacts(tmp_path / "bucket")
    await call(store, tmp_path, "old")
    (tmp_path / "artifacts" / "nobodys").mkdir()
    shipping = opened(bucket, tmp_path, store)
    await shipping.recover()
    shipping.start()
    await call(store, tmp_path, "new")
    await shipping.closed(CallRecord("new", ORG))
    await shipping.closed(CallRecord("without-files", ORG))
    wanted = [f"calls/{ORG}/{name}/transcript.json" for name in ("new", "old")]
    await holds(bucket, shipping, wanted)
    assert shipping.backlog().stored == 2
    assert Artifacts(tmp_path / "artifacts").calls() == ["nobodys"]
    await shipping.close()


async def test_a_call_that_is_removed_is_removed_there_too(tmp_path: Path, store: Store) -> None:
    bucket = FolderArtifacts(tmp_path / "bucket")
    await call(store, tmp_path, "one")
    artifacts = Artifacts(tmp_path / "artifacts")
    shipping = Shipping(bucket, BucketSettings(Bucket("aywa")), tmp_path, artifacts, store)
    await shipping.recover()
    shipping.start()
    await holds(bucket, shipping, [f"calls/{ORG}/one/transcript.json"])
    await artifacts.remove(ORG, "one")
    await holds(bucket, shipping, [])
    assert shipping.backlog().removed == 1
    await shipping.close()
