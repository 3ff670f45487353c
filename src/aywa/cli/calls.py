"""`aywa calls`: the newest calls, one a line."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from aywa.cli import runtime


def calls(
    as_json: Annotated[bool, typer.Option("--json", help="Print the calls as a JSON array.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    url: Annotated[
        str | None, typer.Option("--url", help="The runtime. [AYWA_URL, this machine's store]")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
) -> None:
    """List the newest calls."""
    found = runtime.calls(limit, url, key)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    if not found:
        typer.echo("No calls yet.")
        return
    typer.echo(
        f"{'ID':36}  {'CREATED (UTC)':19}  {'TYPE':18}  {'LENGTH':>7}  {'TURNS':>5}  {'LATENCY':>8}  ENDED"
    )
    for call in found:
        typer.echo(line(call))


def line(call: dict[str, Any]) -> str:
    """A call in one line."""
    metrics = (call.get("artifact") or {}).get("performanceMetrics") or {}
    turns = len(metrics.get("turnLatencies") or ())
    latency = f"{metrics.get('turnLatencyAverage', 0):.0f} ms" if turns else "-"
    created = str(call["createdAt"])[:19].replace("T", " ")
    ended = str(call.get("endedReason") or call.get("status") or "")
    return runtime.printable(
        f"{call['id']:36}  {created}  {call.get('type', ''):18}  {_length(call):>7}  {turns:>5}  {latency:>8}  {ended}"
    )


def _length(call: dict[str, Any]) -> str:
    from datetime import datetime

    if not (call.get("startedAt") and call.get("endedAt")):
        return "-"
    span = datetime.fromisoformat(call["endedAt"]) - datetime.fromisoformat(call["startedAt"])
    seconds = round(span.total_seconds())
    return f"{seconds // 60}:{seconds % 60:02}"
