"""`aywa trunk list|check`: how a running runtime's SIP trunks fare; or tries one from this machine and says what to mend."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.boot.finding import Finding
    from aywa.core.sip.flow import Flow
    from aywa.ports.store import Store
    from aywa.ports.telephony import Trunk

app = typer.Typer(help="List and try SIP trunks.", no_args_is_help=True)

_MARKS = {True: "ok  ", False: "FAIL", None: "note"}


@app.callback()
def trunk() -> None:
    """SIP trunks."""


@app.command()
def check(
    credential: Annotated[
        str | None, typer.Argument(help="Id of a byo-sip-trunk credential in this machine's store.")
    ] = None,
    gateway: Annotated[
        str | None, typer.Option("--gateway", help="A trunk that is not stored: host or host:port.")
    ] = None,
    transport: Annotated[str, typer.Option("--transport", help="udp, tcp or tls.")] = "udp",
    username: Annotated[str, typer.Option("--username", help="Of the trunk's account.")] = "",
    register: Annotated[
        str | None, typer.Option("--register", metavar="DOMAIN", help="Register there with the account.")
    ] = None,
    number: Annotated[str | None, typer.Option("--call", help="Place a test call to this number.")] = None,
    caller: Annotated[str, typer.Option("--from", help="Number that the test call comes from.")] = "",
    host: Annotated[
        str, typer.Option("--host", help="Address of this machine. [the one that leads there]")
    ] = "",
    trace: Annotated[
        bool, typer.Option("--trace", help="Print the SIP messages, without credentials.")
    ] = False,
    org: Annotated[str | None, typer.Option("--org", help="Organisation: id or name. [the oldest]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try a trunk, and with --call a call in which audio must come. Name, OPTIONS, NAT, registration, media ports.

    The account's password is read from AYWA_TRUNK_PASSWORD or asked for. Exit code 1 when something must be mended.

    \b
    aywa trunk check 7c0c…
    aywa trunk check --gateway sip.example.com --username me --register sip.example.com --call +4930123456
    """
    import asyncio

    from aywa.boot.errors import CannotStart
    from aywa.boot.phone_settings import phone_from_environment

    if (credential is None) == (gateway is None):
        typer.echo("Name a credential's id, or a --gateway; not both.", err=True)
        raise typer.Exit(2)
    try:
        settings = phone_from_environment()
    except CannotStart as error:
        runtime.fail(str(error))
    tried = (
        _stored(org, credential)
        if credential is not None
        else _given(str(gateway), transport, username, register)
    )

    async def run() -> list[Finding]:
        from aywa.boot.trunk_check import TrialCall, TrunkCheck

        found = []
        checking = TrunkCheck(tried, settings, host, trace=_trace if trace else None)
        call = TrialCall(number, caller) if number is not None else None
        async for finding in checking.findings(call):
            found.append(finding)
            if not as_json:
                _tell(finding)
        return found

    try:
        found = asyncio.run(run())
    except OSError as error:
        runtime.fail(f"The check cannot begin: {error.strerror or error}")
    if as_json:
        rows: list[dict[str, Any]] = [
            {"what": one.what, "good": one.good, "told": one.told, "mend": one.mend or None} for one in found
        ]
        typer.echo(json.dumps(rows, indent=2))
    if any(finding.good is False for finding in found):
        raise typer.Exit(1)


@app.command("list")
def list_trunks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: Annotated[str | None, typer.Option("--url", help="The runtime. [AYWA_URL, this machine's]")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
) -> None:
    """List the trunks of a running runtime, and whether they answer. Tells whether it is registered there, too.

    What is not asked for is not known: optionsPingEnabled, sipRegisterPlan. Exit code 1 when one is down.

    \b
    aywa trunk list
    aywa trunk list --json
    """
    found: list[dict[str, Any]] = runtime.fetch("/trunks", url, key)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif not found:
        typer.echo("No trunks: make a credential with provider byo-sip-trunk.")
    else:
        typer.echo(f"{'ID':36}  {'STATE':7}  {'REGISTERED':10}  {'ANSWERS':7}  {'SINCE (UTC)':19}  NAME")
    for trunk in () if as_json else found:
        typer.echo(runtime.printable(_line(trunk)))
    if any(trunk["state"] == "down" for trunk in found):
        raise typer.Exit(1)


def _line(trunk: dict[str, Any]) -> str:
    words = {True: "yes", False: "no", None: "-"}
    since = str(trunk["since"] or "-")[:19].replace("T", " ")
    states = f"{trunk['state']:7}  {words[trunk['registered']]:10}  {words[trunk['answers']]:7}"
    reason = f" ({trunk['reason']})" if trunk["reason"] else ""
    return f"{trunk['id']:36}  {states}  {since:19}  {trunk['name']}{reason}"


def _tell(finding: Finding) -> None:
    typer.echo(f"{_MARKS[finding.good]}  {finding.what}: {runtime.printable(finding.told)}")
    if not finding.good and finding.mend:
        typer.echo(f"      {finding.mend}")


def _trace(way: str, data: bytes, flow: Flow) -> None:
    lines = data.decode("utf-8", "replace").split("\r\n")
    shown = [
        line if not line.lower().startswith(("authorization:", "proxy-authorization:")) else line[:24] + "…"
        for line in lines
    ]
    typer.echo(f"--- {way} {flow.transport} {flow.remote[0]}:{flow.remote[1]}", err=True)
    typer.echo("\n".join(runtime.printable(line) for line in shown), err=True)


def _given(gateway: str, transport: str, username: str, register: str | None) -> Trunk:
    from aywa.ports.telephony import Gateway, Registration, Trunk

    name, _, port = gateway.rpartition(":") if gateway.rpartition(":")[2].isdigit() else (gateway, "", "")
    if transport not in ("udp", "tcp", "tls"):
        typer.echo(f"--transport must be udp, tcp or tls, not {runtime.printable(transport)[:20]}", err=True)
        raise typer.Exit(2)
    password = ""
    if username:
        password = os.environ.get("AYWA_TRUNK_PASSWORD") or typer.prompt("Password", hide_input=True)
    place = Gateway(
        name.strip("[]"), int(port) if port else (5061 if transport == "tls" else 5060), transport
    )
    registration = Registration(register, username) if register is not None else None
    return Trunk("checked", "", gateway, (place,), username, password, registration, leading_plus=True)


def _stored(org: str | None, credential: str) -> Trunk:
    from aywa.boot.errors import CannotStart
    from aywa.boot.secrets import open_vault
    from aywa.boot.store import home
    from aywa.service.errors import NotFound

    async def read(store: Store) -> Trunk | None:
        from aywa.service.orgs import Orgs
        from aywa.service.trunks import Trunks

        orgs = Orgs(store.organisations)
        organisation = await (orgs.default() if org is None else orgs.find(org))
        return await Trunks(store.credentials, open_vault(home()).vault).get(organisation.id, credential)

    try:
        found = runtime.with_store(read)
    except (NotFound, CannotStart) as error:
        runtime.fail(str(error))
    if found is None:
        runtime.fail(
            f"There is no byo-sip-trunk credential {runtime.printable(credential)[:80]} in {home()}."
        )
    return found
