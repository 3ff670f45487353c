"""`aywa bench`: how many calls this machine carries."""

from __future__ import annotations

from typing import Annotated

import typer


def bench(
    most: Annotated[int, typer.Option(min=1, max=2000, help="Try no more calls than this.")] = 2000,
    trial_s: Annotated[
        float, typer.Option("--seconds", min=1, max=60, help="How long each trial lasts.")
    ] = 5.0,
    keep: Annotated[bool, typer.Option(help="Write what was found beside the data.")] = True,
) -> None:
    """Measure how many calls this machine carries.

    It calls a runtime of its own, and writes the number beside the data. A runtime that finds the file refuses calls beyond
    that with 503. The audio of every call is sent and heard; models that run on this machine, and providers, have limits of
    their own. Let nothing else run meanwhile.

    Examples:

      aywa bench

      aywa bench --most 100 --no-keep
    """
    import asyncio

    from aywa.boot.capacity import measure
    from aywa.boot.capacity_file import FILE
    from aywa.boot.capacity_file import keep as write
    from aywa.boot.store import home
    from aywa.cli.runtime import fail
    from aywa.core.capacity import Trial
    from aywa.testing.runtime import RuntimeFailed

    def tell(trial: Trial) -> None:
        verdict = "carried" if trial.carried else "too many"
        failed = f", {trial.failed} failed" if trial.failed else ""
        typer.echo(
            f"{trial.calls:5} calls   gap p99 {trial.gap_ms:6.1f} ms   processor {trial.cpu:4.0%}   {verdict}{failed}"
        )

    try:
        search = asyncio.run(measure(tell, most, trial_s))
        if not search.found:
            fail("This machine carries no calls: see above.")
        if keep:
            write(home(), search.found)
    except (RuntimeFailed, OSError) as error:
        fail(str(error))
    kept = f", written to {home() / FILE}" if keep else ""
    typer.echo(f"This machine carries {search.found} calls at once{kept}.")
