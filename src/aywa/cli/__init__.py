"""Offers one command per verb in the terminal; refuses to do more than ask and print."""

from __future__ import annotations

import typer

from aywa.cli import (
    analytics,
    api_keys,
    calls,
    config,
    credentials,
    encryption,
    media,
    models,
    orgs,
    providers,
    trunk,
    webhooks,
)
from aywa.cli.backup import backup, restore
from aywa.cli.bench import bench
from aywa.cli.demo import demo
from aywa.cli.dev import dev
from aywa.cli.doctor import doctor
from aywa.cli.egress import egress
from aywa.cli.migrate import migrate
from aywa.cli.prices import prices
from aywa.cli.replay import replay
from aywa.cli.serve import serve
from aywa.cli.simulate_providers import simulate_providers
from aywa.cli.softphone import softphone
from aywa.cli.status import status
from aywa.cli.support import support_bundle
from aywa.cli.talk import talk
from aywa.cli.timeline import timeline

app = typer.Typer(
    help="Aywa Runtime: a private voice-agent runtime.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(models.app, name="models")
app.command()(dev)
app.command()(serve)
app.command()(doctor)
app.command()(egress)
app.command()(demo)
app.command()(bench)
app.command()(talk)
app.command()(softphone)
app.command()(status)
app.command()(timeline)
app.command()(replay)
app.command()(prices)
app.command()(backup)
app.command()(restore)
app.command()(migrate)
app.add_typer(analytics.app, name="analytics")
app.add_typer(api_keys.app, name="api-keys")
app.add_typer(calls.app, name="calls")
app.add_typer(config.app, name="config")
app.add_typer(credentials.app, name="credentials")
app.add_typer(encryption.app, name="encryption")
app.add_typer(orgs.app, name="orgs")
app.add_typer(providers.app, name="providers")
app.add_typer(trunk.app, name="trunk")
app.add_typer(media.app, name="media")
app.add_typer(webhooks.app, name="webhooks")
app.command("support-bundle")(support_bundle)
app.command()(simulate_providers)


def main() -> None:
    """Runs the command line."""
    app()
