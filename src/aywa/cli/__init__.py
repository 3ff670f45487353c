"""Offers one command per verb in the terminal; refuses to do more than ask and print."""

from __future__ import annotations

import typer

from aywa.cli import api_keys, credentials, media, models, orgs, providers, trunk
from aywa.cli.calls import calls
from aywa.cli.demo import demo
from aywa.cli.dev import dev
from aywa.cli.prices import prices
from aywa.cli.replay import replay
from aywa.cli.simulate_providers import simulate_providers
from aywa.cli.softphone import softphone
from aywa.cli.talk import talk
from aywa.cli.timeline import timeline

app = typer.Typer(
    help="Aywa Runtime: a private voice-agent runtime.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(models.app, name="models")
app.command()(dev)
app.command()(demo)
app.command()(talk)
app.command()(softphone)
app.command()(calls)
app.command()(timeline)
app.command()(replay)
app.command()(prices)
app.add_typer(api_keys.app, name="api-keys")
app.add_typer(credentials.app, name="credentials")
app.add_typer(orgs.app, name="orgs")
app.add_typer(providers.app, name="providers")
app.add_typer(trunk.app, name="trunk")
app.add_typer(media.app, name="media")
app.command()(simulate_providers)


def main() -> None:
    """Runs the command line."""
    app()
