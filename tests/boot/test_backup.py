"""Backups: everything comes back, from each dialect into each; a damaged, foreign or newer one changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.stores.sql.migrations import Chain
from aywa.adapters.stores.sqlite import migrations
from aywa.boot.backup import MANIFEST, BadBackup, back_up, examined, take_back
from aywa.boot.errors import CannotStart
from aywa.boot.lock import FolderLock
from aywa.boot.store import POSTGRES_URL, database, open_store
from aywa.core.webhooks import State
from aywa.ports.journal import StoreUnavailable
from aywa.ports.outbox import ClaimQuery, DeliveryQuery
from aywa.ports.secrets import Sealed
from aywa.ports.store import ApiKey, Document, Store, StoreTooNew
from tests.adapters.stores.conftest import cluster, fresh
from tests.contracts.outbox import delivery
from tests.contracts.store import ORG, OTHER, call, projection, record

__all__ = ["cluster", "fresh"]

FILES = {
    "artifacts/c1/recording.wav": b"\x00RIFF" * 1000,
    "files/org-1/f": b"text",
    "shipments/c1.json": b"{}",
}
KEY = "store-key"


async def filled(folder: Path) -> None:
    """A store with something of each kind."""
    store = await open_store(folder)
    for org in (ORG, OTHER):
        await store.organisations.insert(org)
    sealed = Sealed("key-id", b"\x00\xff sealed")
    await store.keys.insert(ApiKey("k", ORG.id, "ours", "private", "digest", "aywa_", 5, sealed=sealed))
    text = json.dumps({"id": "a", "name": "K\u00f6ln \U0001f600 \\u0000"})
    await store.assistants.insert(Document("a", ORG.id, 5, 6, text, sealed))
    await store.calls.insert(call("c0", idempotency="once"), 0, [delivery("d0", "c0", 1, private=True)])
    records = [record("c1", seq, said="\u00e9", data=b"\x00\x01") for seq in range(1, 1200)]
    await store.apply(
        records, [projection("c1", 1199, status="ended", cost=0.1 + 0.2)], [delivery("d1", "c1", 1)]
    )
    await store.calls.insert(call("c2"), 0)
    await store.calls.delete(ORG.id, "c2", 50)
    _ = await store.outbox.claim(ClaimQuery("me", 10**15, 10**15 + 1, 1, 1, {}))
    await store.close()
    for name, content in {**FILES, KEY: b"the key"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


async def told(folder: Path) -> dict[str, Any]:
    """What a store answers."""
    store: Store = await open_store(folder)
    try:
        assistant = await store.assistants.get(ORG.id, "a")
        return {
            "orgs": await store.organisations.list(),
            "key": await store.keys.find("digest"),
            "assistant": assistant,
            "calls": [await store.calls.get(ORG.id, name) for name in ("c0", "c1", "c2")],
            "events": await store.events(None, "c1"),
            "earlier": await store.calls.earlier(ORG.id, "once", 0),
            "unended": await store.unended(),
            "deliveries": await store.outbox.list(ORG.id, DeliveryQuery()),
            "attempts": await store.outbox.attempts(ORG.id, ["d0", "d1"]),
        }
    finally:
        await store.close()


def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    return tmp_path / "lost", tmp_path / "new", tmp_path / "backup.zip"


async def test_all_of_it_comes_back_on_another_machine(tmp_path: Path) -> None:
    lost, new, file = folders(tmp_path)
    await filled(lost)
    before = await told(lost)
    made = await back_up(file, lost)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (made.rows["calls"], made.rows["call_events"], made.files, made.sealed_with) == (
        3,
        1199,
        3,
        ("key-id",),
    )
    assert not any(name.startswith(".") for name in os.listdir(tmp_path))
    assert await examined(file) == made
    assert await take_back(file, new) == made
    assert await told(new) == before
    assert {str(path.relative_to(new)) for path in new.rglob("*") if path.is_file()} >= set(FILES)
    assert all((new / name).read_bytes() == content for name, content in FILES.items())
    assert not (new / KEY).exists()


async def test_keys_come_along_only_when_they_are_asked_for(tmp_path: Path) -> None:
    lost, new, file = folders(tmp_path)
    await filled(lost)
    await back_up(file, lost, keys=True)
    await take_back(file, new)
    assert (new / KEY).read_bytes() == b"the key"
    assert stat.S_IMODE((new / KEY).stat().st_mode) == 0o600


@pytest.mark.parametrize("back", [False, True])
async def test_from_one_dialect_into_the_other(
    tmp_path: Path, fresh: str, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    lost, new, file = folders(tmp_path)
    with monkeypatch.context() as first:
        if back:
            first.setenv(POSTGRES_URL, fresh)
        await filled(lost)
        before = await told(lost)
        await back_up(file, lost)
    if not back:
        monkeypatch.setenv(POSTGRES_URL, fresh)
    await take_back(file, new)
    assert await told(new) == before
    store = await open_store(new)
    # Its servers are found by their keys, a list in one dialect and JSON in the other.
    waiting = {row.delivery.id for row in before["deliveries"] if row.state == State.WAITING}
    claimed = await store.outbox.claim(ClaimQuery("we", 10**16, 10**16 + 1, 10, 10, {}))
    assert {one.delivery.id for one in claimed} == waiting != set()
    await store.close()


async def test_what_analytics_was_told_before_does_not_hide_what_comes_back(tmp_path: Path) -> None:
    lost, new, file = folders(tmp_path)
    await filled(lost)
    await back_up(file, lost)
    await take_back(file, new)
    store = await open_store(new)
    notched = await store.notches.claim(0, 1, 10)
    assert len(notched) == 3
    assert all(each.version > 10**9 for each in notched)
    await store.close()


async def test_it_is_made_while_the_store_is_written(tmp_path: Path) -> None:
    lost, new, file = folders(tmp_path)
    await filled(lost)
    store = await open_store(lost)
    going = True

    async def write() -> int:
        seq = 0
        while going:
            seq += 1
            await store.apply([record(f"w{seq}", 1)], [projection(f"w{seq}", 1, status="ended")])
        return seq

    writing = asyncio.create_task(write())
    made = await back_up(file, lost)
    going = False
    await writing
    await store.close()
    # Of one moment: no event without its call.
    assert made.rows["call_events"] - 1199 == made.rows["calls"] - 3
    await take_back(file, new)


async def test_one_of_an_older_release_is_brought_to_this_one_s_schema(tmp_path: Path) -> None:
    lost, new, file = folders(tmp_path)
    lost.mkdir()
    chain = migrations.CHAIN
    older = Chain(tuple(each for each in chain.revisions if each.id <= "0007"), chain.folders)
    migrations.migrate(database(lost), None, older)
    made = await back_up(file, lost)
    assert made.schema == "0007"
    await take_back(file, new)
    assert migrations.stored(database(new)).head == chain.head


# --- what is refused -----------------------------------------------------------------------------------------------


async def refused(file: Path, new: Path, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        await take_back(file, new)
    if database(new).exists():
        store = await open_store(new)
        assert await store.organisations.list() == []
        await store.close()
    assert not any((new / name).exists() for name in FILES)


async def test_damage_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    lost, new, file = folders(tmp_path)
    await filled(lost)
    await back_up(file, lost)
    whole = file.read_bytes()
    chance = random.Random(7)
    for _ in range(20):
        place = chance.randrange(len(whole))
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            told_of = await examined(file)
        except BadBackup:
            continue
        # What no checksum covers changes nothing that is in it.
        file.write_bytes(whole)
        assert told_of.members == (await examined(file)).members
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        await refused(file, new, BadBackup, "no whole backup|damaged")


def rewritten(
    file: Path, change: Callable[[dict[str, Any]], Any], more: dict[str, bytes] | None = None
) -> None:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop(MANIFEST))
    _ = change(manifest)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {**members, **(more or {}), MANIFEST: json.dumps(manifest).encode()}.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "more", "error", "match"),
    [
        (lambda told: told.update(schema="9999"), {}, StoreTooNew, "schema 9999.* newer one"),
        (lambda told: told.update(format=2), {}, BadBackup, "format 2"),
        (lambda told: told.pop("rows"), {}, BadBackup, "no whole backup"),
        (lambda told: told["rows"].update(orgs=7), {}, BadBackup, "do not fit into the store"),
        (lambda told: None, {"data/artifacts/more": b""}, BadBackup, "does not hold what its manifest says"),
        (
            lambda told: told["members"].update({"data/../../evil": ""}),
            {"data/../../evil": b""},
            BadBackup,
            "does not hold what its manifest says",
        ),
        (
            lambda told: told["members"].update({"data/artifacts/../../evil": ""}),
            {"data/artifacts/../../evil": b""},
            BadBackup,
            "does not hold what its manifest says",
        ),
    ],
)
async def test_one_that_was_tampered_with_or_is_newer_changes_nothing(
    tmp_path: Path, change: Any, more: dict[str, bytes], error: type[Exception], match: str
) -> None:
    lost, new, file = folders(tmp_path)
    await filled(lost)
    await back_up(file, lost)
    rewritten(file, change, more)
    await refused(file, new, error, match)
    assert not (tmp_path / "evil").exists()


async def test_a_store_that_has_something_is_left_alone(tmp_path: Path) -> None:
    lost, _, file = folders(tmp_path)
    await filled(lost)
    before = await told(lost)
    await back_up(file, lost)
    with pytest.raises(BadBackup, match="not empty: there are calls in it already"):
        await take_back(file, lost)
    assert await told(lost) == before


async def test_a_folder_that_a_runtime_uses_is_left_alone(tmp_path: Path) -> None:
    lost, new, file = folders(tmp_path)
    await filled(lost)
    await back_up(file, lost)
    lock = FolderLock(new)
    try:
        with pytest.raises(CannotStart, match="in use by another runtime"):
            await take_back(file, new)
    finally:
        lock.close()


async def test_where_there_is_nothing_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no store in"):
        await back_up(tmp_path / "backup.zip", tmp_path / "none")
    assert os.listdir(tmp_path) == []
