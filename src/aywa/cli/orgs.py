"""`aywa orgs create|list`: the organisations in this machine's store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.ports.store import Organisation, Store

app = typer.Typer(help="Make and list organisations.", no_args_is_help=True)
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(name: Annotated[str, typer.Argument(help="Its name.")], as_json: _AsJson = False) -> None:
    """Make an organisation."""
    from aywa.service.errors import Rejected

    async def work(store: Store) -> Organisation:
        from aywa.service.orgs import Orgs

        return await Orgs(store.organisations).create(name)

    try:
        organisation = runtime.with_store(work)
    except Rejected as error:
        runtime.fail(str(error))
    typer.echo(json.dumps(_shown(organisation), indent=2) if as_json else organisation.id)


@app.command("list")
def list_orgs(as_json: _AsJson = False) -> None:
    """List the organisations."""
    found = runtime.in_store(lambda store: store.organisations.list()) or []
    if as_json:
        typer.echo(json.dumps([_shown(organisation) for organisation in found], indent=2))
        return
    if not found:
        typer.echo("No organisations yet: aywa orgs create NAME")
    for organisation in found:
        shown = _shown(organisation)
        typer.echo(runtime.printable(f"{organisation.id}  {shown['createdAt']}  {organisation.name}"))


def _shown(organisation: Organisation) -> dict[str, Any]:
    from aywa.service.clock import iso

    return {"id": organisation.id, "name": organisation.name, "createdAt": iso(organisation.created_ms)}
