"""`aywa config list|explain`: every setting, what it means, and where it stands. Never prints a secret's value."""

from __future__ import annotations

import difflib
import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.boot.settings_table import Setting

app = typer.Typer(help="List and explain the settings.", no_args_is_help=True)

_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_settings(
    only_set: Annotated[bool, typer.Option("--set", help="Only those that are set here.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of the documents.")] = False,
    as_json: _AsJson = False,
) -> None:
    """List every setting; those that are set here are marked with *."""
    from aywa.boot import settings_table

    if markdown:
        typer.echo(settings_table.as_markdown(), nl=False)
        return
    found = [one for one in settings_table.settings() if not only_set or one.name in os.environ]
    if as_json:
        typer.echo(json.dumps([_shown(one) for one in found], indent=2))
        return
    for one in found:
        mark = "*" if os.environ.get(one.name, "").strip() else " "
        typer.echo(f"{mark} {one.name:40} {one.meaning}")


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="A setting, such as RUNTIME_PUBLIC_URL.")],
    as_json: _AsJson = False,
) -> None:
    """Say what a setting means, and whether it is set here. With its default and an example."""
    from aywa.boot import settings_table

    one = settings_table.find(name)
    if one is None:
        near = difflib.get_close_matches(name.upper(), [each.name for each in settings_table.settings()], 3)
        meant = f" Did you mean {' or '.join(near)}?" if near else " aywa config list has them all."
        runtime.fail(f"{runtime.printable(name[:80])} is not a setting.{meant}")
    shown = _shown(one)
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    typer.echo(f"{one.name}\n  {one.meaning}")
    rows = (
        ("needed", "in production" if one.required else ""),
        ("secret", "yes: it is never printed" if one.secret else ""),
        ("default", one.default or "none"),
        ("example", f"{one.name}={one.example}" if one.example else ""),
        ("here", shown["here"]),
    )
    for title, value in rows:
        if value:
            typer.echo(f"  {title:8} {value}")


def _shown(one: Setting) -> dict[str, Any]:
    given = os.environ.get(one.name, "").strip()
    here = "not set"
    if given:
        here = f"set, {len(given)} characters" if one.secret else f"set to {runtime.printable(given[:200])}"
    return {
        "name": one.name,
        "meaning": one.meaning,
        "default": one.default,
        "example": one.example,
        "secret": one.secret,
        "required": one.required,
        "here": here,
    }
