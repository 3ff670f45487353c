"""API keys and organisations."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.store import Store
from aywa.service.errors import NotFound, Rejected, Unauthenticated
from aywa.service.keys import USE_NOTED_EVERY_MS, Keys
from aywa.service.orgs import Orgs


class Clock:
    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    yield opened
    await opened.close()


def _is_in(secret: bytes, folder: Path) -> bool:
    return any(secret in path.read_bytes() for path in folder.iterdir())


async def test_a_key_s_secret_is_nowhere_on_the_disk(store: Store, tmp_path: Path) -> None:
    org = await Orgs(store.organisations).default()
    key, secret = await Keys(store.keys).create(org.id, "ours")
    assert re.fullmatch(r"aywa_[A-Za-z0-9_-]{32}", secret)
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert not await asyncio.to_thread(_is_in, secret.encode(), tmp_path)


async def test_a_key_opens_until_it_is_revoked(store: Store) -> None:
    clock = Clock()
    keys = Keys(store.keys, clock)
    org = await Orgs(store.organisations).default()
    key, secret = await keys.create(org.id, "ours", "public")
    assert (await keys.authenticate(secret)).id == key.id
    for wrong in ("", "aywa_", secret[:-1], secret.upper(), secret + " "):
        with pytest.raises(Unauthenticated):
            await keys.authenticate(wrong)
    await keys.revoke(org.id, key.id)
    with pytest.raises(Unauthenticated):
        await keys.authenticate(secret)
    with pytest.raises(NotFound):
        await keys.revoke("another", key.id)


async def test_use_is_noted_now_and_then(store: Store) -> None:
    clock = Clock()
    keys = Keys(store.keys, clock)
    org = await Orgs(store.organisations).default()
    _, secret = await keys.create(org.id, "ours")
    noted: list[int | None] = []
    for _ in range(3):
        await keys.authenticate(secret)
        noted.append((await keys.list(org.id))[0].last_used_ms)
        clock.ms += USE_NOTED_EVERY_MS // 2
    assert noted == [1_000_000, 1_000_000, 1_000_000 + USE_NOTED_EVERY_MS]


async def test_bad_keys_and_organisations_are_refused(store: Store) -> None:
    orgs = Orgs(store.organisations)
    org = await orgs.create(" acme ")
    assert (org.name, await orgs.find("acme"), await orgs.find(org.id)) == ("acme", org, org)
    for name in ("", "acme", "x" * 81):
        with pytest.raises(Rejected, match="name"):
            await orgs.create(name)
    with pytest.raises(NotFound):
        await orgs.find("other")
    assert await orgs.default() == org
    with pytest.raises(Rejected, match="kind"):
        await Keys(store.keys).create(org.id, "x", "secret")
