"""`aywa calls`: the newest calls, one a line; below it, what can be done with one that runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli import live, runtime

if TYPE_CHECKING:
    from aywa.ports.store import RemovedCall

app = typer.Typer(help="List the newest calls; steer one that runs.", invoke_without_command=True)
app.command()(live.listen)
app.command()(live.say)
app.command()(live.control)
app.command("take-over")(live.take_over)


@app.callback()
def calls(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calls as a JSON array.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    url: Annotated[
        str | None, typer.Option("--url", help="The runtime. [AYWA_URL, this machine's store]")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
) -> None:
    """List the newest calls; steer one that runs."""
    if context.invoked_subcommand is not None:
        return
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


@app.command()
def removed(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
) -> None:
    """List the calls that were deleted.

    By their assistant's retentionDays, or because somebody asked. Reads this machine's store.

    Example:

      aywa calls removed --json --limit 100
    """
    found = runtime.in_store(lambda store: store.calls.removed(None, limit)) or ()
    if as_json:
        typer.echo(json.dumps([_removed(call) for call in found], indent=2))
        return
    if not found:
        typer.echo("No call was deleted.")
        return
    typer.echo(f"{'ID':36}  {'CREATED (UTC)':19}  {'REMOVED (UTC)':19}  {'BY':9}  ASSISTANT")
    for call in map(_removed, found):
        created, gone = (str(call[name])[:19].replace("T", " ") for name in ("createdAt", "removedAt"))
        typer.echo(f"{call['id']:36}  {created}  {gone}  {call['by']:9}  {call['assistantId'] or '-'}")


def _removed(call: RemovedCall) -> dict[str, Any]:
    from aywa.service.clock import iso

    return {
        "id": call.id,
        "orgId": call.org_id,
        "assistantId": call.assistant_id,
        "createdAt": iso(call.created_ms),
        "removedAt": iso(call.removed_ms),
        "by": "retention" if call.expired else "request",
    }


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
