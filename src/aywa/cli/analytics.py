"""`aywa analytics status|check|again`: what the database for analytics has been told, and telling it anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aywa.boot.analytics import Analytics

app = typer.Typer(help="See what analytics have been told; tell them anew.", no_args_is_help=True)
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SHOWN = 10


@app.command()
def status(as_json: _AsJson = False) -> None:
    """Say whether it answers, and how many calls wait to be told."""
    from aywa.ports.journal import StoreUnavailable
    from aywa.service.clock import iso, now_ms

    async def work(analytics: Analytics) -> dict[str, Any]:
        problem = None
        try:
            await analytics.check()
        except StoreUnavailable as error:
            problem = str(error)
        backlog = await analytics.backlog()
        since = None if backlog.since_ms is None else iso(backlog.since_ms)
        waited_s = 0 if backlog.since_ms is None else max(0, (now_ms() - backlog.since_ms) // 1000)
        return {
            "where": analytics.where,
            "problem": problem,
            "callsWaiting": backlog.calls,
            "since": since,
            "waitedSeconds": waited_s,
        }

    found = _with_analytics(work)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(found["where"])
        typer.echo(f"  answers    {found['problem'] or 'yes'}")
        waiting = f", the first since {found['since']}" if found["callsWaiting"] else ""
        typer.echo(f"  waiting    {found['callsWaiting']} calls{waiting}")
    if found["problem"]:
        raise typer.Exit(1)


@app.command()
def check(as_json: _AsJson = False) -> None:
    """Hold every call that it has against the store.

    Exit codes: 0 it has them all, or is yet to be told of the rest; 1 one is missing or old.
    """
    found = _with_analytics(lambda analytics: analytics.reconciled())
    lost = len(found.missing) + len(found.behind) > found.waiting
    if as_json:
        shown = {
            "calls": found.calls,
            "missing": list(found.missing),
            "behind": list(found.behind),
            "callsWaiting": found.waiting,
        }
        typer.echo(json.dumps(shown, indent=2))
    else:
        typer.echo(
            f"{found.calls} calls: {len(found.missing)} missing, {len(found.behind)} of an earlier state"
        )
        typer.echo(f"{found.waiting} wait to be told")
        for call_id in (*found.missing, *found.behind)[:SHOWN]:
            typer.echo(f"  {runtime.printable(call_id)}")
        if lost:
            typer.echo("Have them told anew: aywa analytics again")
    if lost:
        raise typer.Exit(1)


@app.command()
def again() -> None:
    """Have it told of all calls anew. For example after it lost its data. What it has already stays."""
    count = _with_analytics(lambda analytics: analytics.again())
    typer.echo(f"{count} calls will be told anew by the running runtime.")


def _with_analytics(work: Callable[[Analytics], Awaitable[Any]]) -> Any:
    from aywa.boot.analytics import CLICKHOUSE_URL, EXAMPLE, open_analytics
    from aywa.boot.errors import CannotStart
    from aywa.ports.journal import StoreUnavailable
    from aywa.ports.store import Store

    async def run(store: Store) -> Any:
        analytics = open_analytics(store)
        if analytics is None:
            runtime.fail(f"No analytics are set: {CLICKHOUSE_URL}={EXAMPLE}")
        try:
            return await work(analytics)
        finally:
            await analytics.close()

    try:
        return runtime.with_store(run)
    except (CannotStart, StoreUnavailable) as error:
        runtime.fail(str(error))
