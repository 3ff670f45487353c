"""`aywa models`: lists, fetches and checks the models on this machine. Prints; decides nothing about them."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress, TaskID

    from aywa.boot.models import ModelState

_WORTH_A_LINE = 40_000_000
_PLAIN_WIDTH = 120

app = typer.Typer(
    help="List, pull and verify the models of this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[list[str] | None, typer.Argument(help="Names of models, as `aywa models list` shows them.")]
Tiny = Annotated[bool, typer.Option("--tiny", help="The set without language model weights (about 55 MB).")]
Quality = Annotated[
    bool, typer.Option("--quality", help="The set with the larger language model (about 1.2 GB).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command("list")
def list_models(
    names: Names = None,
    as_json: Json = False,
) -> None:
    """Show every model, and whether it is here.

    With what it does, its size, licence and sets.

    \b
    aywa models list
    aywa models list --json
    """
    from aywa.boot import models
    from aywa.ports.errors import ProviderError

    try:
        found = models.states(names or ())
    except ProviderError as error:
        _fail(error, as_json)
    _show(found, as_json)


@app.command()
def pull(
    names: Names = None,
    tiny: Tiny = False,
    quality: Quality = False,
    as_json: Json = False,
) -> None:
    """Fetch what is missing: the official home first, then the mirrors. Resumes what was begun.

    Without names: the default set (about 550 MB). AYWA_MODELS names another folder, AYWA_MIRRORS another
    file of mirrors. Exit codes: 0 all is here, 1 something could not be had, 2 wrong usage.

    \b
    aywa models pull
    aywa models pull --tiny
    aywa models pull qwen-1.5b
    AYWA_MIRRORS=/media/usb/mirrors.toml aywa models pull
    """
    from aywa.boot import models
    from aywa.ports.errors import ProviderError

    set_name = _set(tiny, quality, names) or "default"
    try:
        with _Screen() as screen:
            found = models.pull_models(names or (), set_name, screen)
    except ProviderError as error:
        _fail(error, as_json)
    _end(found, as_json)


@app.command()
def verify(
    names: Names = None,
    tiny: Tiny = False,
    quality: Quality = False,
    as_json: Json = False,
) -> None:
    """Read and hash every file again. Without names: the models that are here.

    Exit codes: 0 all are right, 1 one is missing or damaged, 2 wrong usage.

    \b
    aywa models verify
    aywa models verify --tiny --json
    """
    from aywa.boot import models
    from aywa.ports.errors import ProviderError

    set_name = _set(tiny, quality, names)
    try:
        with _Screen() as screen:
            found = models.verify_models(names or (), set_name, screen)
    except ProviderError as error:
        _fail(error, as_json)
    _end(found, as_json)


def _set(tiny: bool, quality: bool, names: list[str] | None) -> str | None:
    if tiny + quality + bool(names) > 1:
        raise typer.BadParameter("give names, or --tiny, or --quality")
    return "tiny" if tiny else "quality" if quality else None


def _end(found: Sequence[ModelState], as_json: bool) -> None:
    if as_json:
        _show(found, as_json)
    for model in found:
        if model.problem:
            typer.echo(model.problem, err=True)
        elif not as_json:
            typer.echo(f"{model.name}: ready")
    if any(model.problem for model in found):
        raise typer.Exit(1)


def _fail(error: Exception, as_json: bool) -> NoReturn:
    code = getattr(error, "code", "error")
    if as_json:
        typer.echo(json.dumps({"error": {"code": code, "message": str(error)}}))
    else:
        typer.echo(f"aywa models: {error}", err=True)
    raise typer.Exit(2 if code == "unknown_model" else 1)


def _show(found: Sequence[ModelState], as_json: bool) -> None:
    from aywa.boot.models import models_dir

    if as_json:
        rows = [_row(model) for model in found]
        typer.echo(json.dumps({"folder": str(models_dir()), "models": rows}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("name", "role", "what", "MB", "licence", "sets", "state"):
        table.add_column(
            title, justify="right" if title == "MB" else "left", no_wrap=title in ("name", "state")
        )
    for model in found:
        size = f"{model.size / 1e6:.1f}" if model.size else "-"
        sets = " ".join(model.sets)
        table.add_row(model.name, model.role, model.about, size, model.licence, sets, model.state)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    console.print(table)
    console.print(f"folder: {models_dir()}", soft_wrap=True)


def _row(model: ModelState) -> dict[str, object]:
    row = dataclasses.asdict(model)
    row["bytes"] = row.pop("size")
    row["files"] = [{"path": path, "sha256": sha256} for path, sha256 in model.files]
    return row


class _Screen:
    """Shows a pull or a check on standard error: a bar on a terminal, else a line at every quarter."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._name = ""
        self._quarter = 0

    def __enter__(self) -> _Screen:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def progress(self, name: str, done: int, total: int | None) -> None:
        """As aywa.adapters.models.pull.Listener has it."""
        if self._bar:
            if self._task is None or name != self._name:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(name, total=total)
            self._bar.update(self._task, completed=done, total=total)
        elif total and total > _WORTH_A_LINE and (name != self._name or 4 * done // total > self._quarter):
            typer.echo(f"{name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB", err=True)
            self._quarter = 4 * done // total
        self._name = name

    def said(self, text: str) -> None:
        """As aywa.adapters.models.pull.Listener has it."""
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text, err=True)
