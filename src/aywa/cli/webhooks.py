"""`aywa webhooks list|show|replay`: messages to the customers' servers, every attempt at them, and sending them again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.ports.store import Store
    from aywa.service.deliveries import Deliveries

app = typer.Typer(help="See and repeat messages to your servers.", no_args_is_help=True)

_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Org = Annotated[str | None, typer.Option("--org", help="Organisation in this machine's store. [the oldest]")]
_Url = Annotated[str | None, typer.Option("--url", help="The runtime. [AYWA_URL, this machine's store]")]
_Key = Annotated[str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")]
_Call = Annotated[str | None, typer.Option("--call", help="Only those about this call.")]
_Type = Annotated[str | None, typer.Option("--type", help="Only messages of this type.")]


@app.command("list")
def list_deliveries(
    status: Annotated[
        str | None, typer.Option("--status", help="waiting, sending, delivered or failed.")
    ] = None,
    call: _Call = None,
    kind: _Type = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    as_json: _AsJson = False,
    org: _Org = None,
    url: _Url = None,
    key: _Key = None,
) -> None:
    """List the newest messages."""
    asked = {"limit": str(limit), "status": status, "callId": call, "type": kind}
    query = {name: value for name, value in asked.items() if value}
    found = _asked(
        f"/webhook-delivery?{urlencode(query)}", url, key, org, lambda it, org_id: it.list(org_id, query)
    )
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    if not found:
        typer.echo("No messages.")
        return
    typer.echo(f"{'ID':36}  {'CREATED (UTC)':19}  {'STATUS':9}  {'TRIES':>5}  {'TYPE':20}  WHERE")
    for each in found:
        typer.echo(_line(each))


@app.command()
def show(
    delivery_id: Annotated[str, typer.Argument(help="The message's id (`aywa webhooks list`).")],
    as_json: _AsJson = False,
    org: _Org = None,
    url: _Url = None,
    key: _Key = None,
) -> None:
    """Show a message with every attempt to deliver it."""
    path = f"/webhook-delivery/{quote(delivery_id, safe='')}"
    found = _asked(path, url, key, org, lambda it, org_id: it.get(org_id, delivery_id))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(_line(found))
    for attempt in found["attempts"]:
        typer.echo(runtime.printable(_attempt(attempt)))


@app.command()
def replay(
    delivery_ids: Annotated[list[str] | None, typer.Argument(help="Messages to send again.")] = None,
    call: _Call = None,
    failed_since: Annotated[
        str | None,
        typer.Option("--failed-since", help="All that failed, of those made since then (ISO 8601)."),
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="Of those made at or after this time.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Of those made before this time.")] = None,
    kind: _Type = None,
    as_json: _AsJson = False,
    org: _Org = None,
    url: _Url = None,
    key: _Key = None,
) -> None:
    """Send messages again that were delivered, or given up. Each keeps its id.

    Example:

      aywa webhooks replay --failed-since 2026-01-01
    """
    given = {
        "ids": delivery_ids or None,
        "callId": call,
        "failedSince": failed_since,
        "createdAtGe": since,
        "createdAtLt": until,
        "type": kind,
    }
    body = {name: value for name, value in given.items() if value is not None}
    path = "/webhook-delivery/replay"
    done = _asked(path, url, key, org, lambda it, org_id: it.replay(org_id, body), body)
    if as_json:
        typer.echo(json.dumps(done, indent=2))
        return
    more = " There are more: repeat the command." if done["hasMore"] else ""
    typer.echo(f"{len(done['replayed'])} will be sent again.{more}")


def _asked(
    path: str,
    url: str | None,
    key: str | None,
    org: str | None,
    work: Callable[[Deliveries, str], Awaitable[str]],
    body: Any = None,
) -> Any:
    """What a running runtime answers, when one is named; else what this machine's store does."""
    if runtime.asks_runtime(url):
        return runtime.fetch(path, url, key, body=body)
    from aywa.service.errors import NotFound, Rejected

    async def in_organisation(store: Store) -> str:
        from aywa.service.deliveries import Deliveries
        from aywa.service.orgs import Orgs

        orgs = Orgs(store.organisations)
        organisation = await (orgs.default() if org is None else orgs.find(org))
        return await work(Deliveries(store.outbox), organisation.id)

    try:
        return json.loads(runtime.with_store(in_organisation))
    except (NotFound, Rejected) as error:
        runtime.fail(str(error))


def _line(each: dict[str, Any]) -> str:
    created = str(each["createdAt"])[:19].replace("T", " ")
    problem = f"  ({each['problem']})" if each.get("problem") else ""
    return runtime.printable(
        f"{each['id']:36}  {created}  {each['status']:9}  {each['attemptCount']:>5}  {each['type']:20}"
        f"  {each['url']}{problem}"
    )


def _attempt(attempt: dict[str, Any]) -> str:
    answer = attempt.get("response")
    came = f"{answer['status']}" if answer else attempt["cause"]
    times = "  ".join(f"{name.removesuffix('Ms')} {ms:.0f} ms" for name, ms in attempt["times"].items())
    following = f"  next {attempt['nextAttemptAt'][11:19]}" if "nextAttemptAt" in attempt else ""
    body = f"  {json.dumps(answer['body'][:80])}" if answer and answer["body"] else ""
    return f"  {attempt['number']:>3}  {attempt['startedAt'][11:23]}  {came:16}  {attempt['url']}  {times}{following}{body}"
