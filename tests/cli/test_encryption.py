"""`aywa encryption rotate` over the embedded store: what an operator sees, and what a start says before and after it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.boot.secrets import DEVELOPMENT_KEY, PREVIOUS, SETTING
from aywa.cli import app
from aywa.ports.secrets import Sealed
from tests.contracts.sealed import AFTER, LOST, NEW, NEW_ID, OLD, OLD_ID, fill, opens
from tests.contracts.store import ORG

Run = Callable[..., Result]
OLD_KEY, NEW_KEY, LOST_KEY = (base64.b64encode(key).decode() for key in (OLD, NEW, LOST))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path))
    for name in (SETTING, PREVIOUS, "RUNTIME_STORE_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    def run(*arguments: str, key: str = NEW_KEY, previous: str = OLD_KEY) -> Result:
        environment = {SETTING: key, PREVIOUS: previous}
        found = CliRunner().invoke(app, ["encryption", "rotate", *arguments], env=environment)
        for secret in (OLD_KEY, NEW_KEY, LOST_KEY, "sk-planted", "whsec"):
            assert secret not in found.output
        return found

    return run


def in_store(home: Path, *, status: str = "ended", break_one: bool = False) -> None:
    async def work() -> None:
        store = await open_sqlite(home / "aywa.db")
        await store.organisations.insert(ORG)
        await fill(store, status=status)
        if break_one:
            bad = Sealed(OLD_ID, b"\x01" + bytes(60))
            await store.tools.change_sealed(ORG.id, "tools-a", 20, lambda body, _: (body, bad))
        await store.close()

    asyncio.run(work())


def opened(home: Path) -> int:
    async def work() -> int:
        store = await open_sqlite(home / "aywa.db")
        try:
            return await opens(store, AFTER)
        finally:
            await store.close()

    return asyncio.run(work())


def test_it_shows_turns_and_shows_again(run: Run, home: Path) -> None:
    in_store(home)
    before = run("--status")
    assert before.exit_code == 0, before.output
    assert f"{OLD_ID}  -                         14  api_keys 1, assistants 1, call_events 3" in before.output
    assert "14 are under another key: leave that set, and run aywa encryption rotate." in before.output
    done = run()
    assert done.exit_code == 0, done.output
    assert "12 rows were sealed anew." in done.output
    assert "RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS may go." in done.output
    assert opened(home) == 14
    shown = json.loads(run("--json", previous="").stdout)
    assert (shown["key"], shown["left"], shown["resealed"], shown["unopened"]) == (NEW_ID, 0, 0, [])
    [mine, old] = shown["keys"]
    assert (mine["id"], sum(mine["rows"].values()), old["id"], old["rows"]) == (NEW_ID, 14, OLD_ID, {})
    assert mine["since"] <= mine["doneAt"]
    assert old["since"] is None


def test_a_row_that_no_key_opens_is_named_and_the_end_is_1(run: Run, home: Path) -> None:
    in_store(home, break_one=True)
    done = run()
    assert done.exit_code == 1
    assert "tools tools-a stays as it is: its ciphertext was altered" in done.stderr
    assert "11 rows were sealed anew." in done.stdout
    assert [row["id"] for row in json.loads(run("--json").stdout)["unopened"]] == ["tools-a"]


def test_calls_that_run_are_waited_for(run: Run, home: Path) -> None:
    in_store(home, status="in-progress")
    done = run()
    assert (done.exit_code, "3 belong to calls that run" in done.output) == (75, True)
    assert run("--status").exit_code == 0


def test_what_is_not_clear_is_refused_and_nothing_is_changed(run: Run, home: Path) -> None:
    in_store(home)
    for key, previous, told in (
        ("", OLD_KEY, f"{SETTING} is not set.*openssl rand"),
        (OLD_KEY, OLD_KEY, "Nothing was changed: the new key and the one before it are the same"),
        (OLD_KEY, NEW_KEY, "Nothing was changed: the two keys seem to be swapped"),
        (NEW_KEY, "", f"Nothing was changed: there are secrets under {OLD_ID}"),
        ("short", OLD_KEY, f"{SETTING} is neither hex nor base64"),
    ):
        refused = run(key=key, previous=previous)
        assert refused.exit_code == 1
        assert re.search(told, refused.stderr), refused.stderr
    assert json.loads(run("--status", "--json").stdout)["left"] == 14
    assert run("--status", "--back").exit_code == 2


def test_without_a_store_there_is_nothing_to_turn_and_none_is_made(run: Run, home: Path) -> None:
    refused = run()
    assert (refused.exit_code, "There is no store" in refused.stderr) == (1, True)
    assert list(home.iterdir()) == []


def test_from_a_development_key_to_the_operator_s_own(run: Run, home: Path) -> None:
    (home / DEVELOPMENT_KEY).write_text(OLD_KEY)
    in_store(home)
    done = run(previous="")
    assert done.exit_code == 0, done.output
    assert "may go, and store-key in the data folder." in done.output
    assert opened(home) == 14
