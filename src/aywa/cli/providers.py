"""`aywa providers list|check`: who can be asked, how they fare, and one real request to each. Never prints a key."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.ports.store import Store

app = typer.Typer(help="List and check the providers.", no_args_is_help=True)

NOTHING = "Nothing to check: no provider has a key (`aywa providers list` names the variables; or `aywa credentials add`)."
# Not all routes are asked at once; and what the answer may take beside.
ROUNDS_MAX = 4
SPARE_S = 15.0

_Url = Annotated[
    str | None, typer.Option("--url", help="The runtime. [AYWA_URL, this machine's store and environment]")
]
_Key = Annotated[str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")]
_Org = Annotated[str | None, typer.Option("--org", help="Organisation: id or name. [the oldest]")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_providers(url: _Url = None, key: _Key = None, org: _Org = None, as_json: _AsJson = False) -> None:
    """List the providers of this release, and how their routes fare. Tells which of them have a key.

    \b
    aywa providers list
    aywa providers list --url http://127.0.0.1:8080
    """
    from aywa.boot.known_providers import KNOWN_PROVIDERS

    asked = runtime.asks_runtime(url)
    stored = _stored(url, key, org)
    providers = [
        {
            "provider": one.provider,
            "part": one.part,
            "adapter": one.adapter.__name__,
            "keyVariable": one.key_variable,
            "urlVariable": one.url_variable,
            "key": _key_from(one.key_variable, one.provider, stored),
        }
        for one in KNOWN_PROVIDERS
    ]
    routes = runtime.fetch("/providers", url, key) if asked else []
    if as_json:
        typer.echo(json.dumps({"providers": providers, "routes": routes}, indent=2))
        return
    for row in providers:
        has = f"key: {row['key']}" if row["key"] else row["keyVariable"] or "by its address"
        mark = "*" if row["key"] else " "
        typer.echo(
            runtime.printable(f"{mark} {row['provider']:19} {row['part']:12} {row['adapter']:22} {has}")
        )
    if asked:
        typer.echo("")
        _show_routes(routes)


@app.command()
def check(
    assistant: Annotated[
        str | None, typer.Option("--assistant", help="An assistant's id, or a file with one: all its routes.")
    ] = None,
    provider: Annotated[str, typer.Option("--provider", help="Only this one.")] = "",
    model: Annotated[str, typer.Option("--model", help="The model to ask, without --assistant.")] = "",
    voice: Annotated[str, typer.Option("--voice", help="The voice to ask, without --assistant.")] = "",
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, max=60.0, help="Seconds for each route.")
    ] = 10.0,
    url: _Url = None,
    key: _Key = None,
    org: _Org = None,
    as_json: _AsJson = False,
) -> None:
    """Make one small real request to each route. Tells its latency, or the failure and what mends it.

    A model answers with a word, a voice says "Hello.", a recogniser hears a moment of silence; the vendors bill that.
    Without --assistant: every provider that has a key here, in the environment or as a credential.
    Exit codes: 0 all answered, 1 one did not, 2 wrong usage.

    \b
    aywa providers check
    aywa providers check --provider openai --model gpt-4.1-mini
    aywa providers check --assistant assistant.json --timeout 5
    aywa providers check --url http://127.0.0.1:8080 --assistant ASSISTANT_ID
    """
    body: dict[str, Any] = {"timeoutSeconds": timeout_s}
    body |= {
        name: value for name, value in (("provider", provider), ("model", model), ("voice", voice)) if value
    }
    if assistant is not None:
        body |= _assistant(assistant)
    if runtime.asks_runtime(url):
        rows = runtime.fetch(
            "/providers/check", url, key, body=body, timeout_s=timeout_s * ROUNDS_MAX + SPARE_S
        )
    else:
        rows = _check_here(body, org)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        _show_checks(rows)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


def _assistant(given: str) -> dict[str, Any]:
    """The file's document, or the id."""
    path = Path(given)
    if not path.is_file():
        if path.suffix == ".json" or os.sep in given:
            runtime.fail(f"There is no file {runtime.printable(given)}.")
        return {"assistantId": given}
    try:
        return {"assistant": json.loads(path.read_text("utf-8"))}
    except (OSError, ValueError) as error:
        runtime.fail(f"{runtime.printable(given)} cannot be read: {type(error).__name__}: {error}")


def _check_here(body: Mapping[str, Any], org: str | None) -> list[dict[str, Any]]:
    from aywa.boot.errors import CannotStart
    from aywa.boot.provider_check import ProviderCheck
    from aywa.boot.secrets import open_vault
    from aywa.boot.settings import keys_from_environment
    from aywa.boot.store import home
    from aywa.service.errors import NotFound, Rejected

    async def in_store(store: Store) -> str:
        from aywa.service.assistants import Assistants
        from aywa.service.credentials import Credentials
        from aywa.service.orgs import Orgs
        from aywa.service.providers import ProviderUse

        orgs = Orgs(store.organisations)
        organisation = await (orgs.default() if org is None else orgs.find(org))
        vault = open_vault(home()).vault
        credentials = Credentials(store.credentials, vault, keys_from_environment())
        use = ProviderUse(ProviderCheck(), Assistants(store.assistants, vault), credentials)
        return await use.check(organisation.id, body)

    try:
        rows: list[dict[str, Any]] = json.loads(runtime.with_store(in_store))
        return rows
    except (NotFound, Rejected, CannotStart) as error:
        runtime.fail(f"aywa providers: {runtime.printable(str(error))}")


def _show_checks(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        typer.echo(NOTHING)
    width = max((len(row["route"]) for row in rows), default=0)
    for row in rows:
        first = "" if row["firstMs"] is None else f"{row['firstMs']:.0f} ms"
        if row["ok"]:
            outcome = f"ok      {row['message'] or row['source']}"
        else:
            outcome = f"FAILED  {row['code']}: {row['message']}"
        line = f"{row['route']:{width}}  {row['part']:11}  {first:>8}  {outcome}"
        typer.echo(runtime.printable(line).rstrip())
        if row["mend"]:
            typer.echo(runtime.printable(f"{'':{width + 33}}mend: {row['mend']}"))


def _show_routes(routes: Sequence[Mapping[str, Any]]) -> None:
    if not routes:
        typer.echo("No route was asked yet.")
        return
    typer.echo(
        f"{'route':36} {'circuit':10} {'p50':>8} {'p95':>8} {'active':>7} {'asked':>7} {'failed':>7}  last failure"
    )
    for row in routes:
        p50, p95 = (
            "-" if row[name] is None else f"{row[name]:.0f} ms" for name in ("firstP50Ms", "firstP95Ms")
        )
        counts = f"{row['active']:>7} {row['requests']:>7} {row['failures']:>7}"
        line = f"{row['route']:36} {row['circuit']:10} {p50:>8} {p95:>8} {counts}  {row['lastCode']}"
        typer.echo(runtime.printable(line).rstrip())


def _stored(url: str | None, key: str | None, org: str | None) -> set[str]:
    """The providers that a stored credential is for."""
    if runtime.asks_runtime(url):
        return {each["provider"] for each in runtime.fetch("/credential?limit=1000", url, key)}

    async def providers(store: Store) -> set[str]:
        from aywa.ports.store import ListQuery
        from aywa.service.orgs import Orgs

        orgs = Orgs(store.organisations)
        organisation = await (orgs.default() if org is None else orgs.find(org))
        return {
            json.loads(text)["provider"]
            for text in await store.credentials.list(organisation.id, ListQuery(1000))
        }

    from aywa.service.errors import NotFound

    try:
        return runtime.in_store(providers) or set()
    except NotFound as error:
        runtime.fail(str(error))


def _key_from(variable: str, provider: str, stored: set[str]) -> str:
    """Where its key is, as calls would find it; empty when there is none."""
    if provider in stored:
        return "credential"
    return variable if variable and os.environ.get(variable, "").strip() else ""
