"""`aywa prices`: what the costs of calls are worked out with, and which of it is the operator's own."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from aywa.cli import runtime


def prices(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the price table that costs are worked out with.

    Prices of your own (RUNTIME_PRICES) are marked with *. Example of a file:

      [[price]]
      provider = "11labs"
      model = "*"
      usd = { "1K characters" = 0.03 }
    """
    from aywa.boot.errors import CannotStart
    from aywa.boot.prices import load_prices

    try:
        rows = load_prices().rows
    except CannotStart as error:
        runtime.fail(str(error))
    if as_json:
        shown = [
            {
                "provider": row.provider,
                "model": row.model,
                "unit": row.unit,
                "usd": row.usd,
                "source": row.source,
                "date": row.date,
                "note": row.note,
                "overridden": row.own,
            }
            for row in rows
        ]
        typer.echo(json.dumps(shown, indent=2))
        return
    for row in rows:
        mark = "*" if row.own else " "
        line = f"{mark} {row.provider:19} {row.model:24} {row.usd:>9g}  {row.unit:21} {row.date:10}  {row.source}"
        typer.echo(runtime.printable(line).rstrip())
