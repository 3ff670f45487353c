"""`aywa dev` with ClickHouse beside it: a whole call, an outage in the middle, and the guide."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from aywa.adapters.analytics.clickhouse import ClickHouseStore
from aywa.boot.analytics import clickhouse_from_environment
from aywa.testing.runtime import free_port
from tests.docs.test_commands import ROOT, commands
from tests.e2e.dev import Dev, until
from tests.e2e.test_guides import question_in, run
from tests.peers.clickhouse import clickhouse

GUIDE = ROOT / "docs" / "guides" / "analytics.md"
SETTING = "RUNTIME_ANALYTICS_CLICKHOUSE_URL"


def ask(url: str, text: str) -> list[tuple[Any, ...]]:
    address = clickhouse_from_environment({SETTING: url})
    assert address is not None
    store = ClickHouseStore(address)
    try:
        return [tuple(row) for row in store._ask(text, {})]
    finally:
        if store._client is not None:
            store._client.close()


def test_a_call_made_while_clickhouse_was_away_is_there_as_its_journal_says(
    tmp_path: Path,
) -> None:
    port = free_port()
    url = f"http://aywa:clickhouse-password-of-the-tests@127.0.0.1:{port}/calls"
    runtime = Dev(tmp_path / "home", environment={SETTING: url})
    status, check, again = commands(GUIDE.read_text())
    [resources] = [c for c in commands((GUIDE.parent / "resources.md").read_text()) if "/analytics" in c]
    runtime.start()
    try:
        runtime.ready()
        assert f"analytics  ClickHouse at 127.0.0.1 port {port}, database calls" in runtime.log
        question_in(tmp_path)
        run(".venv/bin/aywa talk --wav question.wav --out call.wav", runtime, tmp_path)
        shown = run(f"{SETTING}={url} {status} || true", runtime, tmp_path)
        assert "does not answer: is it running" in shown
        assert "waiting    1 calls" in shown
        # The store answers meanwhile.
        sums = json.loads(run(resources, runtime, tmp_path))
        assert [row["countid"] for row in sums[0]["result"]] == [1]
        with clickhouse(port):

            def told() -> bool:
                return "waiting    0 calls" in run(f"{SETTING}={url} {status} || true", runtime, tmp_path)

            there = "SELECT count() FROM turns FINAL WHERE call_id IN (SELECT call_id FROM calls FINAL)"
            until(lambda: ask(url, there) > [(0,)], within_s=60, why="the call was not there")
            until(told, within_s=60, why="the call was not told")
            assert json.loads(run(resources, runtime, tmp_path))[0]["result"] == sums[0]["result"]
            assert "1 calls: 0 missing, 0 of an earlier state" in run(
                f"{SETTING}={url} {check}", runtime, tmp_path
            )
            assert "1 calls will be told anew" in run(f"{SETTING}={url} {again}", runtime, tmp_path)
            until(told, within_s=60, why="the call was not told anew")
            [call] = json.loads(run(".venv/bin/aywa calls --json --limit 1", runtime, tmp_path))
            timeline = runtime.ask("GET", f"/call/{call['id']}/timeline?full=true")[1]
            journalled = {entry["seq"] for entry in timeline if entry["kind"] == "turn-latency"}  # type: ignore[index]
            assert journalled
            rows = ask(url, "SELECT call_id, seq FROM turns FINAL")
            assert set(rows) == {(call["id"], seq) for seq in journalled}
            kinds = {row[0] for row in ask(url, "SELECT kind FROM provider_timings FINAL")}
            assert {"llm", "tts"} <= kinds
            assert ask(url, "SELECT call_id, ended_reason, cost FROM calls FINAL") == [
                (call["id"], call["endedReason"], call["cost"])
            ]
            assert len(ask(url, "SELECT type FROM costs FINAL")) == len(call["costs"])
            [sql] = re.findall(r"^```sql\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
            [(provider, requests, failed, first_ms)] = ask(url, sql)
            assert (provider, failed) == ("local", 0)
            assert requests >= 1
            assert first_ms > 0
            assert runtime.ask("DELETE", f"/call/{call['id']}")[0] == 200
            until(lambda: ask(url, "SELECT count() FROM calls FINAL") == [(0,)], why="it was not removed")
            for table in ("turns", "provider_timings", "costs"):
                assert ask(url, f"SELECT count() FROM {table} FINAL") == [(0,)]
        assert "clickhouse-password" not in runtime.log
    finally:
        runtime.stop()
