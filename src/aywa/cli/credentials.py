"""`aywa credentials list|add|remove`: the providers' keys in this machine's store. A key is read from a prompt or from standard
input, never from the command line, where other users of the machine and the shell's history would see it."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.ports.store import Store
    from aywa.service.credentials import Credentials

app = typer.Typer(help="Keep, list and remove the keys of providers.", no_args_is_help=True)

_Org = Annotated[str | None, typer.Option("--org", help="Organisation: id or name. [the oldest]")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    provider: Annotated[str, typer.Argument(help="openai, anthropic, deepgram, 11labs, cartesia ...")],
    name: Annotated[str | None, typer.Option("--name", help="What to call it.")] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="Where its requests go, if not to the vendor.")
    ] = None,
    org: _Org = None,
    as_json: _AsJson = False,
) -> None:
    """Keep a provider's key. It is asked for, or read from standard input.

    Example:

      aywa credentials add deepgram < key.txt
    """
    body: dict[str, Any] = {"provider": provider, "apiKey": _read_key(provider)}
    body |= {"name": name} if name else {}
    body |= {"baseUrl": base_url} if base_url else {}
    document = json.loads(_in_store(org, lambda credentials, org_id: credentials.create(org_id, body)))
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(f"Credential {document['id']} for {document['provider']} is kept.")


@app.command("list")
def list_credentials(org: _Org = None, as_json: _AsJson = False) -> None:
    """List the credentials, without their secrets."""
    limit = {"limit": "1000"}
    found = json.loads(_in_store(org, lambda credentials, org_id: credentials.list(org_id, limit)))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    if not found:
        typer.echo("No credentials yet: aywa credentials add PROVIDER")
    for each in found:
        line = f"{each['id']}  {each['provider']:18}  {each['createdAt']}  {each.get('name', '')}"
        typer.echo(runtime.printable(f"{line}  {each.get('baseUrl', '')}").rstrip())


@app.command()
def remove(
    credential_id: Annotated[str, typer.Argument(help="The credential's id (`aywa credentials list`).")],
    org: _Org = None,
    as_json: _AsJson = False,
) -> None:
    """Forget a credential."""
    text = _in_store(org, lambda credentials, org_id: credentials.delete(org_id, credential_id))
    typer.echo(
        json.dumps(json.loads(text), indent=2) if as_json else f"Credential {credential_id} is forgotten."
    )


def _read_key(provider: str) -> str:
    if _has_terminal():
        return str(typer.prompt(f"Key for {provider}", hide_input=True)).strip()
    key = sys.stdin.readline().strip()
    if not key:
        runtime.fail("There is no key on standard input: aywa credentials add PROVIDER < FILE")
    return key


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _in_store(org: str | None, work: Callable[[Credentials, str], Awaitable[str]]) -> str:
    from aywa.boot.errors import CannotStart
    from aywa.boot.secrets import open_vault
    from aywa.boot.store import home
    from aywa.service.errors import NotFound, Rejected

    async def in_organisation(store: Store) -> str:
        from aywa.service.credentials import Credentials
        from aywa.service.orgs import Orgs

        orgs = Orgs(store.organisations)
        organisation = await (orgs.default() if org is None else orgs.find(org))
        return await work(Credentials(store.credentials, open_vault(home()).vault), organisation.id)

    try:
        return runtime.with_store(in_organisation)
    except (NotFound, Rejected, CannotStart) as error:
        runtime.fail(str(error))
