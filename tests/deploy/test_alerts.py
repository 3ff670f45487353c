"""Each alert fires when it is to, is silent when all is well, names metrics that there are, and has a page with its mend."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aywa.core.metrics.catalogue import METRICS
from tests.deploy.rules import PROMETHEUS, RUNBOOKS, alerts, unknown

NODE = {"instance": "a:8080"}
END = "40m"
PROMTOOL_S = 240
LONG = "x60"
"""So many more minutes of the same."""


@dataclass(frozen=True)
class Case:
    """ill, well: series -> values, as promtool writes them ('0+60x60': 60 more each minute). labels: of the alert, besides its
    severity and the instance."""

    ill: Mapping[str, str]
    well: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)


def grows(by: float) -> str:
    return f"0+{by:g}{LONG}"


def stays(value: float) -> str:
    return f"{value:g}{LONG}"


def share(name: str, part: str, whole: str, ill: float, well: float) -> tuple[dict[str, str], dict[str, str]]:
    """Two series of a metric: what is counted against, and what is bad of it."""
    return (
        {name + part: grows(ill), name + whole: grows(100)},
        {name + part: grows(well), name + whole: grows(100)},
    )


def buckets(name: str, low: str, high: str, labels: str = "") -> tuple[dict[str, str], dict[str, str]]:
    """A histogram of which a fifth lies between the two bounds, or none."""
    more = f",{labels}" if labels else ""
    top = {f'{name}_bucket{{le="{high}"{more}}}': grows(100), f'{name}_bucket{{le="+Inf"{more}}}': grows(100)}
    bottom = f'{name}_bucket{{le="{low}"{more}}}'
    return {bottom: grows(80), **top}, {bottom: grows(100), **top}


STAGES = "aywa_turn_stage_seconds_sum"
PROVIDER = {"kind": "llm", "provider": "openai"}
OPENAI = 'kind="llm",provider="openai"'
CASES: dict[str, Case] = {
    "AywaDown": Case({'up{job="aywa"}': stays(0)}, {'up{job="aywa"}': stays(1)}, {"job": "aywa"}),
    "AywaNotReady": Case(
        {'aywa_ready{check="store"}': stays(0)},
        # Whoever drains does so on purpose.
        {'aywa_ready{check="store"}': stays(1), 'aywa_ready{check="drain"}': stays(0)},
        {"check": "store"},
    ),
    "AywaCallsNearLimit": Case(
        {
            'aywa_calls_active{status="in-progress"}': stays(40),
            'aywa_calls_active{status="ringing"}': stays(6),
            "aywa_calls_max": stays(50),
        },
        {'aywa_calls_active{status="in-progress"}': stays(45), "aywa_calls_max": stays(50)},
    ),
    "AywaCallsFailing": Case(
        {
            'aywa_calls_ended_total{reason="pipeline-error-openai-llm-failed"}': grows(3),
            'aywa_calls_ended_total{reason="call.in-progress.error-vapifault-worker-died"}': grows(3),
            'aywa_calls_ended_total{reason="customer-ended-call"}': grows(94),
        },
        {
            'aywa_calls_ended_total{reason="pipeline-error-openai-llm-failed"}': grows(4),
            'aywa_calls_ended_total{reason="customer-ended-call"}': grows(96),
        },
    ),
    "AywaTurnsSlow": Case(*buckets("aywa_turn_wire_seconds", "1.5", "2.0")),
    "AywaTurnsUnattributed": Case(
        {f'{STAGES}{{stage="unattributed"}}': grows(25), "aywa_turn_wire_seconds_sum": grows(100)},
        {
            f'{STAGES}{{stage="unattributed"}}': grows(10),
            f'{STAGES}{{stage="model"}}': grows(90),
            "aywa_turn_wire_seconds_sum": grows(100),
        },
    ),
    "AywaUnexplainedSilence": Case(
        {"aywa_unexplained_gaps_total": "0x35 1x25"}, {"aywa_unexplained_gaps_total": stays(3)}
    ),
    "AywaProviderFailing": Case(
        *share(
            "aywa_provider_requests_total",
            f'{{{OPENAI},outcome="failed"}}',
            f'{{{OPENAI},outcome="answered"}}',
            30,
            20,
        ),
        PROVIDER,
    ),
    "AywaProviderSlow": Case(*buckets("aywa_provider_first_seconds", "2.0", "5.0", OPENAI), PROVIDER),
    "AywaProviderLeftAlone": Case(
        {'aywa_provider_circuit_open{provider="openai"}': stays(1)},
        {'aywa_provider_circuit_open{provider="openai"}': "0x37 1x2 0x20"},
        {"provider": "openai"},
    ),
    "AywaFallingBack": Case(
        {f"aywa_provider_fallbacks_total{{{OPENAI}}}": grows(1)},
        {f"aywa_provider_fallbacks_total{{{OPENAI}}}": grows(0.2)},
        PROVIDER,
    ),
    "AywaPacketsLost": Case(*share("aywa_rtp_packets_total", '{what="lost"}', '{what="received"}', 4, 2)),
    "AywaAudioPoor": Case(
        {
            'aywa_rtp_mos_bucket{direction="in",le="3.6"}': grows(30),
            'aywa_rtp_mos_count{direction="in"}': grows(100),
        },
        {
            'aywa_rtp_mos_bucket{direction="in",le="3.6"}': grows(10),
            'aywa_rtp_mos_count{direction="in"}': grows(100),
        },
        {"direction": "in"},
    ),
    "AywaPlayoutsStarved": Case(
        {"aywa_playouts_starved_total": grows(6), "aywa_turn_wire_seconds_count": grows(100)},
        {"aywa_playouts_starved_total": grows(4), "aywa_turn_wire_seconds_count": grows(100)},
    ),
    "AywaWebhooksLate": Case(
        {"aywa_webhook_oldest_seconds": grows(60)}, {"aywa_webhook_oldest_seconds": stays(290)}
    ),
    "AywaWebhooksFailing": Case(
        *share("aywa_webhook_deliveries_total", '{outcome="failed"}', '{outcome="delivered"}', 20, 5)
    ),
    "AywaJournalLosing": Case(
        {"aywa_journal_lost_records_total": grows(1)}, {"aywa_journal_lost_records_total": stays(7)}
    ),
    "AywaStoreBehind": Case(
        {"aywa_projection_waiting_batches": grows(10)}, {"aywa_projection_waiting_batches": stays(100)}
    ),
    "AywaRecordsLeftOut": Case(
        {"aywa_projection_left_out_records_total": grows(1)},
        {"aywa_projection_left_out_records_total": stays(1)},
    ),
    "AywaLoopLate": Case(*buckets("aywa_loop_lag_seconds", "0.1", "0.25")),
    "AywaCollectorPauses": Case(*buckets("aywa_gc_pause_seconds", "0.05", "0.1")),
    "AywaDiskFilling": Case({"aywa_disk_free_bytes": stays(1e9)}, {"aywa_disk_free_bytes": stays(3e9)}),
    "AywaFilesRunningOut": Case(
        {'process_open_fds{job="aywa"}': stays(900), 'process_max_fds{job="aywa"}': stays(1024)},
        {'process_open_fds{job="aywa"}': stays(500), 'process_max_fds{job="aywa"}': stays(1024)},
        {"job": "aywa"},
    ),
    "AywaLeaseLost": Case(
        {'aywa_lease_standing{standing="held"}': stays(0)},
        {
            'aywa_lease_standing{standing="held"}': stays(1),
            'aywa_lease_standing{standing="lapsed"}': stays(0),
        },
        {"standing": "held"},
    ),
    "AywaDependencyAway": Case(
        {'aywa_dependency_away{dependency="artifacts"}': stays(1)},
        {'aywa_dependency_away{dependency="artifacts"}': "1x35 0x25"},
        {"dependency": "artifacts"},
    ),
    "AywaUploadsLate": Case(
        {"aywa_uploads_oldest_seconds": grows(200)}, {"aywa_uploads_oldest_seconds": stays(3000)}
    ),
    "AywaAnalyticsLate": Case(
        {"aywa_analytics_oldest_seconds": grows(200)}, {"aywa_analytics_oldest_seconds": stays(3000)}
    ),
    "AywaSeriesRefused": Case(
        {'aywa_series_refused_total{metric="aywa_calls_ended_total"}': grows(1)},
        {'aywa_series_refused_total{metric="aywa_calls_ended_total"}': stays(3)},
        {"metric": "aywa_calls_ended_total"},
    ),
    "AywaTelemetryDropped": Case(
        {'aywa_telemetry_dropped_total{what="spans"}': grows(1)},
        {'aywa_telemetry_dropped_total{what="spans"}': stays(9)},
        {"what": "spans"},
    ),
}


AT_ONCE = {"AywaLeaseLost"}


def at_instance(series: str) -> str:
    name, _, labels = series.partition("{")
    inside = f"{labels[:-1]}," if labels else ""
    return f'{name}{{{inside}instance="{NODE["instance"]}"}}'


def asked(name: str, case: Case, *, ill: bool) -> dict[str, Any]:
    """A promtool test: one series of each, looked at after 40 minutes."""
    alert, series = alerts()[name], case.ill if ill else case.well
    labels = {**NODE, **case.labels}
    fires = [{"exp_labels": {**labels, **alert.labels}, "exp_annotations": alert.annotated(labels)}]
    return {
        "name": f"{name} {'ill' if ill else 'well'}",
        "interval": "1m",
        "input_series": [{"series": at_instance(each), "values": values} for each, values in series.items()],
        "alert_rule_test": [
            {"eval_time": END, "alertname": name, "exp_alerts": fires if ill else []},
            # At a first look nobody is woken, but for what cannot wait.
            {"eval_time": "0m", "alertname": name, "exp_alerts": fires if ill and name in AT_ONCE else []},
        ],
    }


def promtool(folder: Path, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    file = folder / "alerts_test.yml"
    # JSON is YAML.
    rules = {"rule_files": [str(PROMETHEUS / "alerts.yml")], "evaluation_interval": "1m", "tests": tests}
    file.write_text(json.dumps(rules))
    return subprocess.run(
        ["promtool", "test", "rules", str(file)],
        capture_output=True,
        text=True,
        timeout=PROMTOOL_S,
        check=False,
    )


def test_each_alert_fires_when_it_is_to_and_only_then(tmp_path: Path) -> None:
    assert set(CASES) == set(alerts())
    done = promtool(
        tmp_path, [asked(name, case, ill=ill) for name, case in CASES.items() for ill in (True, False)]
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_would_say_so_if_one_did_not_fire(tmp_path: Path) -> None:
    case = CASES["AywaWebhooksLate"]
    done = promtool(tmp_path, [asked("AywaWebhooksLate", Case(case.well, case.ill), ill=True)])
    assert done.returncode != 0
    assert "AywaWebhooksLate" in done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_names_what_the_runtime_shows_and_has_a_page(name: str) -> None:
    alert = alerts()[name]
    used = unknown(alert.expr)
    assert (used.names, used.labels) == (set(), set())
    assert alert.labels["severity"] in ("page", "ticket")
    assert alert.annotations["runbook"] == f"deploy/runbooks/{name}.md"
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    for heading in ("## What it means", "## Look at", "## Do"):
        assert f"\n{heading}\n" in page
    assert unknown(page).names <= {metric.name for metric in METRICS}


def test_there_is_no_page_without_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(alerts())


def test_a_name_that_there_is_not_would_be_found() -> None:
    used = unknown(
        'sum by (instance, planet) (rate(aywa_turn_wire_bucket{stage="x"}[5m])) / aywa_ready{colour="red"}'
    )
    assert used.names == {"aywa_turn_wire_bucket"}
    assert used.labels == {("aywa_ready", "colour"), ("by", "planet")}
