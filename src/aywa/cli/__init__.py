"""Offers one command per verb in the terminal; refuses to do more than ask and print."""

from __future__ import annotations

import typer

from aywa.cli import models
from aywa.cli.talk import talk

app = typer.Typer(help="Aywa Runtime: a private voice-agent runtime.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(models.app, name="models")
app.command()(talk)


def main() -> None:
    """Runs the command line."""
    app()
