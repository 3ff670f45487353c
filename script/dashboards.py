"""Writes the Grafana dashboards of deploy/grafana from the table below: script and files cannot disagree, for a test holds them
together. With --check it only says whether they do.

A panel is a title, a unit and its queries. Grafana's units: s, ops, percentunit, bytes, short.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "deploy" / "grafana"
SCHEMA: Final = 39
HEIGHT, COLUMNS = 8, 24
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """queries: name of the line (Grafana's {{label}}) -> PromQL. stacked: the lines add up to something. stat: one number."""

    title: str
    unit: str
    queries: dict[str, str]
    about: str = ""
    width: int = 12
    stacked: bool = False
    stat: bool = False


@dataclass(frozen=True)
class Dashboard:
    """uid: also the file's name."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


def quantile(share: float, metric: str, by: str = "") -> str:
    """Of a histogram, over the last minutes."""
    return f"histogram_quantile({share}, sum by ({by + ', ' if by else ''}le) (rate({metric}_bucket[$__rate_interval])))"


def rate(metric: str, by: str = "") -> str:
    """So many a second."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """Of the whole."""
    return f"{part} / {whole}"


WIRE, STAGE = "aywa_turn_wire_seconds", "aywa_turn_stage_seconds"
TALK = Dashboard(
    "aywa-talk",
    "Aywa: talk",
    (
        Panel(
            "Wire latency, p95", "s", {"p95": quantile(0.95, WIRE)}, width=6, stat=True,
            about="From the arrival of the caller's last voice to the departure of the first sound of the reply.",
        ),
        Panel("Wire latency, p50", "s", {"p50": quantile(0.5, WIRE)}, width=6, stat=True),
        Panel("Calls", "short", {"calls": "sum(aywa_calls_active)"}, width=6, stat=True),
        Panel(
            "Unattributed", "percentunit", width=6, stat=True,
            queries={
                "share": share(rate(f'{STAGE}_sum{{stage="unattributed"}}'), rate(f"{WIRE}_sum")),
            },
            about="The share of the latency that nobody accounts for.",
        ),
        Panel(
            "Wire latency of turns", "s", {f"p{round(100 * p)}": quantile(p, WIRE) for p in (0.5, 0.9, 0.95, 0.99)}
        ),
        Panel(
            "Where a turn's time goes", "s", stacked=True,
            queries={
                "{{stage}}": f"{rate(f'{STAGE}_sum', 'stage')} / scalar({rate(f'{WIRE}_count')})",
            },
            about="Mean of each stage. They follow one another and add up to the wire latency; `unattributed` closes it.",
        ),
        Panel("Calls by status", "short", {"{{status}}": "sum by (status) (aywa_calls_active)"}, stacked=True),
        Panel("Calls that end, by reason", "ops", {"{{reason}}": rate("aywa_calls_ended_total", "reason")}, stacked=True),
        Panel(
            "Waiting for the end of a turn", "s",
            {"p50 {{reason}}": quantile(0.5, "aywa_endpointing_wait_seconds", "reason")},
        ),
        Panel(
            "Who keeps the floor", "ops",
            {"{{ruling}}": rate("aywa_contests_total", "ruling"), "interruptions": rate("aywa_interruptions_total")},
        ),
        Panel(
            "Speculation", "ops", {"{{outcome}}": rate("aywa_speculations_total", "outcome")},
            about="Replies begun before the turn was known to be over: `used` were quicker for it, `discarded` cost tokens.",
        ),
        Panel(
            "Silence by reason", "s", stacked=True,
            queries={"{{reason}}": rate("aywa_silence_seconds_total", "reason")},
            about="Seconds of silence in a second; `unexplained` is a broken promise.",
        ),
    ),
)  # fmt: skip
FIRST = "aywa_provider_first_seconds"
PROVIDERS = Dashboard(
    "aywa-providers",
    "Aywa: providers and media",
    (
        Panel("First answer, p95", "s", {"{{kind}} {{provider}}": quantile(0.95, FIRST, "kind, provider")}),
        Panel("First answer, p50", "s", {"{{kind}} {{provider}}": quantile(0.5, FIRST, "kind, provider")}),
        Panel(
            "Requests", "ops",
            {"{{provider}} {{outcome}}": rate("aywa_provider_requests_total", "provider, outcome")},
        ),
        Panel("Errors", "ops", {"{{provider}} {{code}}": rate("aywa_provider_errors_total", "provider, code")}),
        Panel(
            "Fallbacks and hedges", "ops",
            {
                "away from {{provider}}": rate("aywa_provider_fallbacks_total", "provider"),
                "hedge {{outcome}}": rate("aywa_provider_hedges_total", "outcome"),
            },
        ),
        Panel("Left alone", "short", {"{{provider}}": "max by (provider) (aywa_provider_circuit_open)"}),
        Panel("Tokens", "ops", {"{{what}}": rate("aywa_llm_tokens_total", "what")}),
        Panel(
            "Tools", "s", {"p95": quantile(0.95, "aywa_tool_duration_seconds")},
        ),
        Panel(
            "Packets lost", "percentunit",
            {
                "lost": share(
                    rate('aywa_rtp_packets_total{what="lost"}'), rate('aywa_rtp_packets_total{what=~"lost|received"}')
                )
            },
        ),
        Panel(
            "Jitter and round trip, p95", "s",
            {
                "jitter": quantile(0.95, "aywa_rtp_jitter_seconds"),
                "round trip": quantile(0.95, "aywa_rtp_round_trip_seconds"),
            },
        ),
        Panel("Opinion score, p10", "short", {"{{direction}}": quantile(0.1, "aywa_rtp_mos", "direction")}),
        Panel(
            "Media", "ops",
            {
                "starved": rate("aywa_playouts_starved_total"),
                "{{code}}": rate("aywa_media_warnings_total", "code"),
                "leg {{cause}}": rate("aywa_legs_ended_total", "cause"),
            },
        ),
    ),
)  # fmt: skip
NODES = Dashboard(
    "aywa-nodes",
    "Aywa: nodes",
    (
        Panel("Ready", "short", {"{{instance}} {{check}}": "aywa_ready"}),
        Panel("Calls and their limit", "short", {"calls": "sum(aywa_calls_active)", "limit": "sum(aywa_calls_max)"}),
        Panel("Event loop late, p99", "s", {"{{instance}}": quantile(0.99, "aywa_loop_lag_seconds", "instance")}),
        Panel(
            "Garbage collector, p99", "s", {"generation {{generation}}": quantile(0.99, "aywa_gc_pause_seconds", "generation")}
        ),
        Panel("Processor", "percentunit", {"{{instance}}": rate('process_cpu_seconds_total{job="aywa"}', "instance")}),
        Panel("Memory", "bytes", {"{{instance}}": 'process_resident_memory_bytes{job="aywa"}'}),
        Panel(
            "Webhooks waiting", "short", {"deliveries": "max(aywa_webhook_backlog)"},
            about="Of the whole store: each node says the same.",
        ),
        Panel("The longest due webhook", "s", {"age": "max(aywa_webhook_oldest_seconds)"}),
        Panel(
            "Webhooks", "ops",
            {
                "attempts": rate("aywa_webhook_attempts_total"),
                "{{outcome}}": rate("aywa_webhook_deliveries_total", "outcome"),
            },
        ),
        Panel(
            "Journal and store", "short",
            {
                "batches waiting": "sum(aywa_projection_waiting_batches)",
                "records lost": "sum(aywa_journal_lost_records_total)",
                "records left out": "sum(aywa_projection_left_out_records_total)",
            },
        ),
        Panel(
            "Leases", "short",
            {"held by {{instance}}": 'aywa_lease_standing{standing="held"}', "other nodes": "max(aywa_nodes_other)"},
            about="1: the node's calls are its own.",
        ),
        Panel("Away", "short", {"{{dependency}}": "max by (dependency) (aywa_dependency_away)"}),
        Panel(
            "Waiting for the bucket and for analytics", "short",
            {"uploads": "sum(aywa_uploads_waiting)", "calls": "max(aywa_analytics_waiting_calls)"},
        ),
        Panel("Disk", "bytes", {"{{instance}}": "aywa_disk_free_bytes"}),
        Panel(
            "Files and tasks", "short",
            {"files {{instance}}": 'process_open_fds{job="aywa"}', "tasks {{instance}}": "aywa_tasks"},
        ),
    ),
)  # fmt: skip
DASHBOARDS: Final = (TALK, PROVIDERS, NODES)


def grafana(dashboard: Dashboard) -> dict[str, Any]:
    """As Grafana imports it."""
    panels, x, y = [], 0, 0
    for number, panel in enumerate(dashboard.panels, 1):
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        panels.append(_panel(panel, number, {"h": HEIGHT, "w": panel.width, "x": x, "y": y}))
        x += panel.width
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["aywa"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": expr, "legendFormat": name}
        for at, (name, expr) in enumerate(panel.queries.items())
    ]
    custom = {
        "stacking": {"mode": "normal" if panel.stacked else "none"},
        "fillOpacity": 25 if panel.stacked else 5,
    }
    return {
        "id": number,
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": {} if panel.stat else custom},
            "overrides": [],
        },
        "targets": targets,
    }


def written(dashboard: Dashboard) -> str:
    """The file."""
    return json.dumps(grafana(dashboard), indent=1) + "\n"


def main() -> None:
    """Writes the files, or compares them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for dashboard in DASHBOARDS:
        file = FOLDER / f"{dashboard.uid}.json"
        if check and (not file.exists() or file.read_text("utf-8") != written(dashboard)):
            sys.exit(f"{file.name} is not what script/dashboards.py writes")
        if not check:
            FOLDER.mkdir(parents=True, exist_ok=True)
            file.write_text(written(dashboard), "utf-8")


if __name__ == "__main__":
    main()
