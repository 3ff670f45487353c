"""A real runtime under a key that is changed, and one that keeps nothing of a call: as the guides say."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.boot.secrets import PREVIOUS, SETTING
from tests.contracts.sealed import opens
from tests.docs.test_commands import commands
from tests.e2e.client import api, client, eventually
from tests.e2e.dev import Dev, started, until
from tests.e2e.test_guides import GUIDES, run
from tests.e2e.test_webhooks import Receiver, receiving

OLD, NEW = bytes([7]) * 32, bytes([8]) * 32
OLD_KEY, NEW_KEY = (base64.b64encode(key).decode() for key in (OLD, NEW))
EXPIRED_S = 60.0


def test_the_guide_changes_the_key_under_a_runtime_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = commands((GUIDES / "keys-and-costs.md").read_text())
    status, rotate = (each for each in found if "encryption rotate" in each)
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "key.txt").write_text("sk-planted\n")
    before = Dev(home)
    (home / "dev-key").write_text("none\n")
    monkeypatch.setenv(SETTING, OLD_KEY)
    run(".venv/bin/aywa credentials add openai --name Ours < key.txt", before, tmp_path)
    (home / "dev-key").unlink()
    both = {SETTING: NEW_KEY, PREVIOUS: OLD_KEY}
    for name, value in both.items():
        monkeypatch.setenv(name, value)
    with started(Dev(home, environment=both)) as runtime:
        assert (
            runtime.ask("POST", "/credential", {"provider": "deepgram", "apiKey": "sk-planted-2"})[0] == 201
        )
        assert "are under another key" in run(status, runtime, tmp_path)
        assert "Nothing needs another key" in run(rotate, runtime, tmp_path)
        # With what it has open it goes on, and what it writes now stays under the new key.
        assert (
            runtime.ask("POST", "/credential", {"provider": "cartesia", "apiKey": "sk-planted-3"})[0] == 201
        )
        assert json.loads(run(f"{status} --json", runtime, tmp_path))["left"] == 0
        assert runtime.ask("GET", "/assistant")[0] == 200
    assert asyncio.run(opened(home)) >= 4
    with started(Dev(home, environment={SETTING: NEW_KEY, PREVIOUS: ""})) as runtime:
        assert "warning" not in runtime.log.rpartition("Aywa")[2]


async def opened(home: Path) -> int:
    """With the new key alone."""
    store = await open_sqlite(home / "aywa.db")
    try:
        return await opens(store, AesGcmVault(NEW))
    finally:
        await store.close()


@pytest.mark.all
async def test_of_a_call_that_is_kept_for_no_day_nothing_is_left_once_it_is_reported(tmp_path: Path) -> None:
    receiver = Receiver()
    with receiving(receiver):
        runtime = Dev(tmp_path / "home")
        with started(runtime):
            call_id = await reported_and_gone(runtime, receiver)
            [gone] = json.loads(run(".venv/bin/aywa calls removed --json", runtime, tmp_path))
            assert (gone["id"], gone["by"]) == (call_id, "retention")


async def reported_and_gone(runtime: Dev, receiver: Receiver) -> str:
    async with api(runtime.url, runtime.key) as asked:
        plan = {
            "firstMessage": "The word is pomegranate.",
            "artifactPlan": {"retentionDays": 0},
            "server": {"url": receiver.url, "secret": "whsec-planted"},
        }
        call_id, url = await asked.place(plan)
        async with client(url) as party:
            _ = await party.told("transcript", role="assistant", transcriptType="final")
        ended: Any = await asked.ended(call_id)
        assert ended["status"] == "ended"

        async def gone() -> bool:
            return (await asked.ask("GET", f"/call/{call_id}"))[0] == 404

        await eventually(gone, EXPIRED_S, "the call stayed")
        [report] = [each for each in receiver.messages if each["type"] == "end-of-call-report"]
        assert "pomegranate" in json.dumps(report)
        assert not (runtime.home / "artifacts" / call_id).exists()
        for path in (f"/call/{call_id}/timeline", f"/call/{call_id}/stereo-recording"):
            assert (await asked.ask("GET", path))[0] == 404
        journal = runtime.home / "journal"

        def forgotten() -> bool:
            return not any(b"pomegranate" in file.read_bytes() for file in journal.glob("*.journal"))

        await asyncio.to_thread(until, forgotten, 20.0, "the journal has it still")
        return call_id
