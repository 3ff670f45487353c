"""`aywa webhooks`: over this machine's store, without a runtime."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.cli import app
from aywa.core.webhooks import Cause, Delivery, Endpoint, Outcome, State
from aywa.ports.outbox import ClaimQuery, Finished, Sent


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path))
    monkeypatch.delenv("AYWA_URL", raising=False)
    return tmp_path


async def _filled(home: Path) -> None:
    from aywa.service.orgs import Orgs

    store = await open_sqlite(home / "aywa.db")
    org = await Orgs(store.organisations).default()
    servers = (Endpoint("https://user:planted@a.example/hook?key=planted"),)
    put = [
        Delivery(f"msg_{n}", org.id, "hang", '{"message":{}}', servers, 1_700_000_000_000 + n, "call-1", n)
        for n in (1, 2)
    ]
    await store.outbox.enqueue(put, 0)
    [claimed] = await store.outbox.claim(ClaimQuery("test", 1, 2, 1, 1))
    sent = Sent(Outcome(Cause.ANSWERED, 500), excerpt="no \x1b[31mred", dns_ms=1.0, total_ms=12.0)
    await store.outbox.finish([Finished(claimed, sent, 5, State.FAILED, claimed.progress)], 5)
    await store.close()


def said(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["webhooks", *words])
    assert done.exit_code == code, done.output
    assert "planted" not in done.output
    return done.output


def test_messages_are_listed_shown_and_sent_again(home: Path) -> None:
    assert said("list") == "No messages.\n"
    asyncio.run(_filled(home))
    first, second, third = said("list").splitlines()
    assert first.split()[0] == "ID"
    assert (second.split()[0], third.split()[0]) == ("msg_2", "msg_1")
    assert "(status_500)" in third
    assert "https://a.example/hook?key=…" in third
    assert [one["id"] for one in json.loads(said("list", "--status", "failed", "--json"))] == ["msg_1"]
    assert json.loads(said("list", "--call", "call-1", "--type", "other", "--json")) == []
    shown = said("show", "msg_1")
    assert "500" in shown
    assert "dns 1 ms  total 12 ms" in shown
    assert "\x1b" not in shown
    assert json.loads(said("show", "msg_1", "--json"))["attempts"][0]["response"]["status"] == 500
    assert said("replay", "--failed-since", "2023-01-01") == "1 will be sent again.\n"
    assert json.loads(said("replay", "msg_1", "--json")) == {"replayed": [], "hasMore": False}
    assert said("replay", "--since", "2023-01-01", "--until", "2023-01-02") == "0 will be sent again.\n"


def test_what_is_wrong_is_said(home: Path) -> None:
    assert "does not exist" in said("show", "msg_9", code=1)
    assert "needs one of" in said("replay", code=1)
    assert "ISO 8601" in said("replay", "--failed-since", "yesterday", code=1)
    assert "nobody" in said("list", "--org", "nobody", code=1)
    assert "No runtime answers" in said("list", "--url", "http://127.0.0.1:9", code=1)
