"""`aywa api-keys create|list|revoke`: the keys in this machine's store. A key's secret is printed once, when it is made."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.ports.store import ApiKey, Organisation, Store

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


class Kind(StrEnum):
    """What a key may do: everything, or only begin web calls."""

    PRIVATE = "private"
    PUBLIC = "public"


_Org = Annotated[str | None, typer.Option("--org", help="Organisation: id or name. [the oldest]")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "",
    kind: Annotated[Kind, typer.Option("--kind", help="public: may only begin web calls.")] = Kind.PRIVATE,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", help="What it may do (calls:read, assistants:write, *:read ...); repeatable. [all]"
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="Until when it works: 12h, 90d, or a date. [for good]")
    ] = None,
    org: _Org = None,
    as_json: _AsJson = False,
) -> None:
    """Make a key and print it, once.

    Examples:

      aywa api-keys create --name reports --scope calls:read --scope analytics:read --expires 90d
    """
    until_ms = _until_ms(expires)

    async def work(store: Store) -> tuple[ApiKey, str]:
        from aywa.boot.secrets import open_vault
        from aywa.boot.store import home
        from aywa.service.keys import Keys

        organisation = await _organisation(store, org)
        keys = Keys(store.keys, vault=open_vault(home()).vault)
        return await keys.create(organisation.id, name, kind, scope or None, until_ms)

    key, secret = _carried_out(work)
    if as_json:
        typer.echo(json.dumps(_shown(key) | {"key": secret}, indent=2))
        return
    typer.echo(f"{secret}\n")
    typer.echo(f"This is key {key.id} ({key.kind}). It is not shown again.", err=True)


@app.command("list")
def list_keys(org: _Org = None, as_json: _AsJson = False) -> None:
    """List the keys: beginnings only."""

    async def work(store: Store) -> list[ApiKey]:
        from aywa.service.keys import Keys

        organisation = None if org is None else (await _organisation(store, org)).id
        return await Keys(store.keys).list(organisation)

    keys = _carried_out(work)
    if as_json:
        typer.echo(json.dumps([_shown(key) for key in keys], indent=2))
        return
    if not keys:
        typer.echo("No keys yet: aywa api-keys create")
    for key in keys:
        shown = _shown(key)
        state = (
            f"revoked {shown['revokedAt']}"
            if key.revoked_ms
            else f"last used {shown['lastUsedAt'] or 'never'}"
        )
        if key.expires_ms is not None:
            state += f"  expires {shown['expiresAt']}"
        if key.scopes is not None:
            state += f"  {' '.join(key.scopes)}"
        typer.echo(runtime.printable(f"{key.id}  {key.hint}...  {key.kind:7}  {state}  {key.name}"))


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id (`aywa api-keys list`).")]) -> None:
    """Make a key open nothing any more."""

    async def work(store: Store) -> ApiKey:
        from aywa.service.keys import Keys

        return await Keys(store.keys).revoke(None, key_id)

    key = _carried_out(work)
    typer.echo(f"Key {key.id} ({key.hint}...) is revoked.")


def _carried_out(work: Any) -> Any:
    from aywa.service.errors import NotFound, Rejected

    try:
        return runtime.with_store(work)
    except (NotFound, Rejected) as error:
        runtime.fail(str(error))


_SPAN = re.compile(r"(?P<count>[1-9][0-9]{0,4})(?P<unit>[hd])")
_UNIT_S = {"h": 3600, "d": 24 * 3600}


def _until_ms(expires: str | None) -> int | None:
    if expires is None:
        return None
    span = _SPAN.fullmatch(expires.strip())
    if span is not None:
        from aywa.service.clock import now_ms

        return now_ms() + int(span["count"]) * _UNIT_S[span["unit"]] * 1000
    from aywa.service.clock import parse_iso

    try:
        return round(parse_iso(expires.strip()))
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--expires must be as 12h, 90d or 2030-01-31, got {expires[:40]!r}"
        ) from None


async def _organisation(store: Store, org: str | None) -> Organisation:
    from aywa.service.orgs import Orgs

    orgs = Orgs(store.organisations)
    return await (orgs.default() if org is None else orgs.find(org))


def _shown(key: ApiKey) -> dict[str, Any]:
    from aywa.service.clock import iso

    return {
        "id": key.id,
        "orgId": key.org_id,
        "name": key.name,
        "kind": key.kind,
        "hint": key.hint,
        "createdAt": iso(key.created_ms),
        "lastUsedAt": None if key.last_used_ms is None else iso(key.last_used_ms),
        "revokedAt": None if key.revoked_ms is None else iso(key.revoked_ms),
        "expiresAt": None if key.expires_ms is None else iso(key.expires_ms),
        "scopes": None if key.scopes is None else list(key.scopes),
    }
