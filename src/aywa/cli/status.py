"""`aywa status`: one screen about a running runtime. Asks it what its API tells anyway, and puts that together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from math import inf
from typing import Annotated, Any

import typer

from aywa.cli import address, runtime
from aywa.core.metrics.quantile import quantile

TIMEOUT_S = 5.0
"""Each question; what is asked in need must not make anybody wait."""
LINES_MAX = 8
"""Trunks, and providers, of which each has a line."""
LIST_MAX = 1000
_STAGES = ("endpointing", "transcriber", "model", "voice", "silence", "unattributed")
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
_WELL, _ILL, _AWAY = "ok", "NOT WELL", "away"

_Url = Annotated[
    str | None, typer.Option("--url", help="The runtime. [AYWA_URL, `aywa dev` on this machine]")
]
_Key = Annotated[str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(url: _Url = None, key: _Key = None, as_json: _AsJson = False) -> None:
    """Show how a running runtime is, on one screen.

    Readiness, calls, latency, numbers, trunks, providers, webhooks, disk, licence. Exit codes: 0 ready, 1 not ready or not
    there.

    \b
    aywa status
    aywa status --url https://voice.example.com --json
    """
    seen = look(url, key)
    typer.echo(json.dumps(seen, indent=2) if as_json else "\n".join(map(runtime.printable, lines(seen))))
    if not seen["ready"]:
        raise typer.Exit(1)


def look(url: str | None, key: str | None) -> dict[str, Any]:
    """All that is shown. None stands for what this key may not see."""

    def asked(path: str, *answers: int) -> Any:
        return runtime.fetch(path, url, key, timeout_s=TIMEOUT_S, answers=answers)

    def listed(path: str) -> list[Any] | None:
        found = asked(path, *_REFUSED)
        return found if isinstance(found, list) else None

    alive, ready = asked("/health"), asked("/readyz", HTTPStatus.SERVICE_UNAVAILABLE)
    figures = asked("/metrics.json", *_REFUSED)
    shown = Figures(figures["metrics"]) if "metrics" in figures else None
    numbers = listed(f"/phone-number?limit={LIST_MAX}")
    return {
        "url": address.url_of(url),
        "version": alive["version"],
        "ready": ready["status"] == "ready",
        "checks": ready["checks"],
        "calls": None if shown is None else _calls(shown),
        "latency": None if shown is None else _latency(shown),
        "numbers": None if numbers is None else _numbers(numbers),
        "trunks": listed("/trunks"),
        "providers": listed("/providers"),
        "webhooks": None if shown is None else _webhooks(shown),
        "behind": None if shown is None else _behind(shown),
        "disk": None if shown is None else {"freeBytes": shown.value("aywa_disk_free_bytes")},
        "process": None if shown is None else _process(shown),
        # This release asks for none.
        "licence": {"state": "none needed"},
    }


class Figures:
    """/metrics.json, by name."""

    def __init__(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for metric in metrics:
            for sample in metric["samples"]:
                row = sample["labels"], float(sample["value"])
                self._samples.setdefault(sample["name"], []).append(row)

    def value(self, name: str) -> float:
        """The sum of all its series."""
        return sum(value for _, value in self._samples.get(name, ()))

    def by(self, name: str, label: str) -> dict[str, float]:
        """Label's value -> value."""
        return {labels[label]: value for labels, value in self._samples.get(name, ())}

    def quantile(self, name: str, share: float) -> float | None:
        """Of a histogram without labels, since the process began."""
        rows = self._samples.get(f"{name}_bucket", ())
        return quantile(share, {float(labels["le"].replace("+Inf", "inf")): value for labels, value in rows})


def _calls(shown: Figures) -> dict[str, Any]:
    ended = shown.by("aywa_calls_ended_total", "reason")
    return {
        "active": {name: int(count) for name, count in shown.by("aywa_calls_active", "status").items()},
        "most": int(shown.value("aywa_calls_max")),
        "ended": int(sum(ended.values())),
        "endedByError": int(sum(count for reason, count in ended.items() if "error" in reason)),
    }


def _latency(shown: Figures) -> dict[str, Any]:
    turns = shown.value("aywa_turn_wire_seconds_count")
    spent = shown.by("aywa_turn_stage_seconds_sum", "stage")
    return {
        "turns": int(turns),
        "wireP50Seconds": shown.quantile("aywa_turn_wire_seconds", 0.5),
        "wireP95Seconds": shown.quantile("aywa_turn_wire_seconds", 0.95),
        # Their sum is the mean of the whole.
        "stagesMeanSeconds": {
            stage: round(spent[stage] / turns, 4) for stage in _STAGES if turns and stage in spent
        },
        "unexplainedGaps": int(shown.value("aywa_unexplained_gaps_total")),
    }


def _webhooks(shown: Figures) -> dict[str, Any]:
    done = shown.by("aywa_webhook_deliveries_total", "outcome")
    return {
        "waiting": int(shown.value("aywa_webhook_backlog")),
        "oldestSeconds": round(shown.value("aywa_webhook_oldest_seconds"), 1),
        "delivered": int(done.get("delivered", 0)),
        "failed": int(done.get("failed", 0)),
    }


def _behind(shown: Figures) -> dict[str, Any]:
    """What calls do not need, where it is configured: what cannot be reached, and what waits for it."""
    away = shown.by("aywa_dependency_away", "dependency")
    return {
        "away": sorted(name for name, is_away in away.items() if is_away),
        "uploads": int(shown.value("aywa_uploads_waiting")),
        "analyticsCalls": int(shown.value("aywa_analytics_waiting_calls")),
        "otherNodes": int(shown.value("aywa_nodes_other")),
    }


def _process(shown: Figures) -> dict[str, Any]:
    return {
        "residentBytes": int(shown.value("process_resident_memory_bytes")),
        "loopLagP99Seconds": shown.quantile("aywa_loop_lag_seconds", 0.99),
    }


def _numbers(documents: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    brains = ("assistantId", "squadId", "workflowId", "server")
    return {
        "all": len(documents),
        "answered": sum(any(document.get(name) for name in brains) for document in documents),
    }


# --- as a screen -----------------------------------------------------------------------------------------------------


def lines(seen: Mapping[str, Any]) -> Iterator[str]:
    """For a person."""
    yield f"aywa {seen['version']} at {seen['url']}: {'ready' if seen['ready'] else 'NOT READY'}"
    for name, check in seen["checks"].items():
        yield _line(name, _WELL if check["ok"] else _problem(check))
    if seen["calls"] is None:
        yield _line(
            "figures", "not with this key: use one of the first organisation, or RUNTIME_METRICS_TOKEN"
        )
    else:
        yield from _of_figures(seen)
    yield from _of_lists(seen)
    yield _line("licence", seen["licence"]["state"])


def _problem(check: Mapping[str, Any]) -> str:
    # What calls do not need is away, and they go on.
    word = _ILL if check.get("needed", True) else _AWAY
    since = f" since {check['since']}" if check.get("since") else ""
    return f"{word}{since}: {check.get('problem')}"


def _of_figures(seen: Mapping[str, Any]) -> Iterator[str]:
    calls, latency, webhooks = seen["calls"], seen["latency"], seen["webhooks"]
    active = ", ".join(f"{count} {name}" for name, count in calls["active"].items() if count) or "none now"
    yield _line(
        "calls",
        f"{active}; at most {calls['most']}; {calls['ended']} ended, {calls['endedByError']} of them by an error",
    )
    if latency["turns"]:
        p50, p95 = (_seconds(latency[name]) for name in ("wireP50Seconds", "wireP95Seconds"))
        yield _line("latency", f"p50 {p50}, p95 {p95} at the wire, of {latency['turns']} turns")
        stages = ", ".join(f"{stage} {_seconds(s)}" for stage, s in latency["stagesMeanSeconds"].items())
        yield _line("", f"mean: {stages}")
    else:
        yield _line("latency", "no turn yet")
    if latency["unexplainedGaps"]:
        yield _line("", f"{latency['unexplainedGaps']} silences that nobody can explain")
    oldest = f", the longest due for {webhooks['oldestSeconds']:g} s" if webhooks["oldestSeconds"] else ""
    done = f"{webhooks['delivered']} delivered, {webhooks['failed']} given up"
    yield _line("webhooks", f"{webhooks['waiting']} waiting{oldest}; {done}")
    yield from _of_dependencies(seen["behind"])
    process = seen["process"]
    yield _line("disk", f"{seen['disk']['freeBytes'] / 1e9:.1f} GB free")
    lag = _seconds(process["loopLagP99Seconds"])
    yield _line("process", f"{process['residentBytes'] / 1e6:.0f} MB, event loop late by {lag} (p99)")


def _of_dependencies(behind: Mapping[str, Any]) -> Iterator[str]:
    """Only what is worth a line."""
    if behind["otherNodes"]:
        yield _line("nodes", f"this one and {behind['otherNodes']} more")
    waits = [
        f"{count} {what}"
        for what, count in (("uploads", behind["uploads"]), ("calls for analytics", behind["analyticsCalls"]))
        if count
    ]
    if waits:
        yield _line("waiting", ", ".join(waits))
    if behind["away"]:
        yield _line("away", f"{', '.join(behind['away'])}: calls go on, and what waits goes there later")


def _of_lists(seen: Mapping[str, Any]) -> Iterator[str]:
    numbers = seen["numbers"]
    if numbers is not None:
        yield _line("numbers", f"{numbers['all']}, {numbers['answered']} of them answered by somebody")
    trunks = [_trunk(each) for each in seen["trunks"] or ()]
    yield from _several("trunks", trunks)
    yield from _several("providers", [_provider(each) for each in seen["providers"] or ()])


def _several(name: str, rows: Sequence[str]) -> Iterator[str]:
    if not rows:
        yield _line(name, "none asked yet" if name == "providers" else "none")
    for at, row in enumerate(rows[:LINES_MAX]):
        yield _line("" if at else name, row)
    if len(rows) > LINES_MAX:
        yield _line("", f"and {len(rows) - LINES_MAX} more")


def _trunk(trunk: Mapping[str, Any]) -> str:
    reason = f": {trunk['reason']}" if trunk.get("reason") else ""
    return f"{trunk.get('name') or trunk['id']} {trunk['state']}{reason}"


def _provider(route: Mapping[str, Any]) -> str:
    first = "" if route["firstP95Ms"] is None else f", first answer p95 {route['firstP95Ms']:.0f} ms"
    failed = f", {route['failures']} failed (last: {route['lastCode']})" if route["failures"] else ""
    return f"{route['route']} {route['circuit']}, {route['requests']} asked{failed}{first}"


def _line(name: str, text: str) -> str:
    return f"  {name:11}{text}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None or seconds == inf else f"{seconds:.3f} s"
