"""Debian's Prometheus looks at a real runtime with the configuration of deploy/: every panel and every rule is understood and
answered."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from script.dashboards import DASHBOARDS
from tests.deploy.rules import alerts
from tests.e2e.client import api, client
from tests.e2e.dev import Dev, until
from tests.peers.prometheus import Prometheus, prometheus

SHOWN = {
    "Calls",
    "Calls that end, by reason",
    "Calls and their limit",
    "Event loop late, p99",
    "Ready",
    "Memory",
    "Disk",
    "Requests",
    "First answer, p95",
}
"""What a call of one greeting is enough for."""
INTERVAL = "10s"


async def one_call(runtime: Dev) -> None:
    async with api(runtime.url, runtime.key) as asked:
        call_id, url = await asked.place({"name": "Desk", "firstMessage": "Lakeside, good evening."})
        async with client(url) as party:
            _ = await party.told("transcript", role="assistant", transcriptType="final")
        _ = await asked.ended(call_id)


def test_every_panel_and_every_rule_is_answered(runtime: Dev, tmp_path: Path) -> None:
    with prometheus(runtime.url, tmp_path / "prometheus") as seen:
        # A rate is of two looks.
        until(
            lambda: seen.now('count_over_time(up{job="aywa"}[1m]) >= 2'), why="the runtime was not looked at"
        )
        asyncio.run(one_call(runtime))
        ended = "sum(increase(aywa_calls_ended_total[1m])) > 0 or sum(aywa_calls_ended_total) > 0"
        until(lambda: seen.now(ended), why="no call was seen")
        empty = {title for title in SHOWN if not answered(seen, title)}
        assert empty == set()
        for dashboard in DASHBOARDS:
            for panel in dashboard.panels:
                for expr in panel.queries.values():
                    seen.now(expr.replace("$__rate_interval", INTERVAL))
        rules = seen.ask("rules")["groups"][0]["rules"]
        assert {rule["name"] for rule in rules} == set(alerts())
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


def answered(seen: Prometheus, title: str) -> bool:
    """Whether a panel shows anything, within a few looks."""
    [panel] = [panel for dashboard in DASHBOARDS for panel in dashboard.panels if panel.title == title]
    exprs = [expr.replace("$__rate_interval", INTERVAL) for expr in panel.queries.values()]
    end_s = time.monotonic() + 10
    while not any(seen.now(expr) for expr in exprs):
        if time.monotonic() > end_s:
            return False
    return True
