"""`aywa doctor`: what keeps the runtime from starting in production, without starting it. Prints no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aywa.cli.support import tell_bundle

EX_CONFIG = 78
"""sysexits.h: something was found in an unconfigured or misconfigured state."""


def doctor(
    prod: Annotated[
        bool, typer.Option("--prod", help="Judge as production does, whatever RUNTIME_ENV says.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", help="Name the faults that a support bundle shows, instead of this machine's."
        ),
    ] = None,
) -> None:
    """List all that is wrong with the settings.

    Asks what they name, too; with each finding stands the line that mends it. Exit code 78 when something keeps production
    from starting. In development (RUNTIME_ENV=development) what production needs is told, and the exit code is 0. With
    --bundle: 0 nothing was found, 1 something was, 2 it is no bundle.

    Examples:

      aywa doctor --prod

      aywa doctor --prod --json

      aywa doctor --bundle aywa-support-20261123-031500.tar.gz
    """
    if bundle is not None:
        tell_bundle(bundle, as_json)
    import asyncio
    import os

    from aywa.boot.production import report
    from aywa.boot.production.examine import examine, faults
    from aywa.boot.serve_settings import DEVELOPMENT
    from aywa.boot.store import home

    findings = asyncio.run(examine(os.environ, home()))
    if as_json:
        typer.echo(json.dumps(report.as_json(findings), indent=2))
    else:
        typer.echo(report.as_text(findings, "aywa doctor"))
    judged = prod or os.environ.get("RUNTIME_ENV", "").strip().lower() != DEVELOPMENT
    if judged and faults(findings):
        raise typer.Exit(EX_CONFIG)
