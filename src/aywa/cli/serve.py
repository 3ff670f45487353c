"""`aywa serve`: the runtime in production. It does not start while anything that production needs is missing or weak."""

from __future__ import annotations

import typer

from aywa.cli.doctor import EX_CONFIG


def serve() -> None:
    """Start the runtime that the environment describes.

    Its settings are the environment's (`aywa config list`, docs/settings.md). With RUNTIME_ENV=production, which is the
    default, it first looks at everything that production needs, tells all that is wrong at once, and ends with 78. `aywa
    doctor --prod` tells the same without starting. It speaks plain HTTP: a proxy such as Caddy stands before it.

    Examples:

      aywa serve

      RUNTIME_ENV=development aywa serve
    """
    from aywa.boot.errors import CannotStart
    from aywa.boot.production import report
    from aywa.boot.serve import CannotServe, run_serve
    from aywa.ports.errors import ProviderError
    from aywa.ports.journal import StoreUnavailable
    from aywa.ports.store import StoreTooNew

    try:
        run_serve(typer.echo)
    except KeyboardInterrupt:
        pass
    except CannotServe as refusal:
        typer.echo(report.as_text(refusal.findings, "aywa serve"), err=True)
        raise typer.Exit(EX_CONFIG) from None
    except (CannotStart, ProviderError, StoreUnavailable, StoreTooNew, OSError) as error:
        typer.echo(f"aywa serve: {error}", err=True)
        raise typer.Exit(EX_CONFIG if isinstance(error, CannotStart | StoreTooNew) else 1) from None
