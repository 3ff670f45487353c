"""Which store is opened, and what is said when it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aywa.boot.store import open_store, postgres_url, shown_place, store_exists
from aywa.ports.journal import StoreUnavailable

URL = "RUNTIME_STORE_POSTGRES_URL"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, None),
        ({URL: " "}, None),
        ({URL: "postgresql://u:p@db/aywa\n"}, "postgresql://u:p@db/aywa"),
        ({URL: "Postgres://db"}, "Postgres://db"),
    ],
)
def test_the_environment_says_where_the_store_is(said: dict[str, str], found: str | None) -> None:
    assert postgres_url(said) == found


@pytest.mark.parametrize("said", ["db:5432", "mysql://u:sesame@db/x", "postgresql+asyncpg://u:sesame@db/x"])
def test_what_is_no_such_address_is_not_taken_for_one(said: str) -> None:
    with pytest.raises(StoreUnavailable, match=URL) as refused:
        postgres_url({URL: said})
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:se@same@db.example:5432/aywa?password=sesame", "db.example:5432/aywa"),
        ("postgresql://u:sesame@one:1,two:2/aywa", "one:1,two:2/aywa"),
        ("postgresql:///aywa?host=/run/postgresql", "/aywa"),
        ("postgresql://", "this machine"),
        ("postgresql://u:sesame@[::1/x", "an address that cannot be read"),
    ],
)
def test_it_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown_place(url) == shown


async def test_without_the_setting_a_file_is_made_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(URL, raising=False)
    assert not store_exists(tmp_path)
    store = await open_store(tmp_path)
    await store.check()
    await store.close()
    assert store_exists(tmp_path)


async def test_a_database_that_does_not_answer_is_named_by_its_setting_and_no_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, "postgresql://aywa:sesame@127.0.0.1:1/calls")
    assert store_exists(tmp_path)
    with pytest.raises(StoreUnavailable) as refused:
        await open_store(tmp_path)
    assert str(refused.value) == f"{URL} (127.0.0.1:1/calls): PostgreSQL: ConnectionRefusedError"
    assert os.listdir(tmp_path) == []
