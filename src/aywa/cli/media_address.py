"""`aywa media address`: where telephony equipment brings its calls to, and the token that it shows there."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from aywa.cli import runtime

MEDIA_URL = "ws://127.0.0.1:8081"


def address(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of an assistant or of a phone number.")],
    protocol: Annotated[str, typer.Option("--protocol", help="Only this one. [all of them]")] = "",
    url: Annotated[
        str,
        typer.Option(
            "--url",
            help=f"The media port, as the equipment reaches it. [RUNTIME_PUBLIC_MEDIA_URL, {MEDIA_URL}]",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the addresses of an assistant for telephony equipment. Of a phone number, too; with the token that opens them.

    The token is made from RUNTIME_MEDIA_SECRET, or from the data folder's own secret. Keep it like a password.

    \\b
    aywa media address 5d1c…
    aywa media address 5d1c… --protocol twilio --url wss://voice.example.com
    """
    from aywa.boot.carriers import public_media_url
    from aywa.boot.equipment import media_addresses
    from aywa.boot.equipment_settings import equipment_from_environment, media_secret
    from aywa.boot.errors import CannotStart
    from aywa.boot.store import home

    try:
        secret = media_secret(equipment_from_environment(os.environ), home())
        base = url.rstrip("/") or public_media_url() or MEDIA_URL
    except CannotStart as error:
        runtime.fail(str(error))
    found = media_addresses(base, secret, name)
    if protocol:
        found = [each for each in found if each.protocol == protocol]
        if not found:
            known = ", ".join(each.protocol for each in media_addresses(base, secret, name))
            runtime.fail(f"--protocol must be one of {known}")
    if as_json:
        typer.echo(json.dumps([{"protocol": a.protocol, "url": a.url, "token": a.token} for a in found]))
        return
    for each in found:
        typer.echo(f"{each.protocol:15} {each.url}")
    typer.echo(f"{'token':15} {found[0].token}")
