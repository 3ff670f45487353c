"""`aywa egress`: every host that the runtime may contact, and why. Contacts none of them but the store."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.boot.egress import Destination
    from aywa.ports.store import Store


def egress(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List every host that the runtime may contact, and why.

    With the port, and what says so: from the settings, and from the assistants, tools, squads, numbers, credentials and
    organisations of the store. What an assistant that comes with a request names is known when it comes. Nothing else is
    contacted: no update, no statistics.

    Example:

      aywa egress
    """
    import os

    from aywa.boot.egress import of_settings, of_store, told

    async def stored(store: Store) -> list[Destination]:
        return await of_store(store, os.environ)

    found = told([*of_settings(os.environ), *(runtime.in_store(stored) or [])])
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    if not found:
        typer.echo("No host: everything runs on this machine.")
    for one in found:
        place = one.host if not one.port else f"{one.host}:{one.port}"
        typer.echo(runtime.printable(f"{place:45}  {one.why}  ({one.source})"))
