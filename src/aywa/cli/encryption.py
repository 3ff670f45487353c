"""`aywa encryption rotate`: seals the store's secrets with the key of today. It tells keys by their ids, and rows by theirs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.boot.secrets import Opened
    from aywa.ports.store import Store
    from aywa.service.rotation import Standing

app = typer.Typer(help="Change the key that seals the store's secrets.", no_args_is_help=True)

TOLD_EVERY = 1000
"""Rows of one table between two lines of progress."""
SHOWN_MOST = 20
LATER = 75
"""What is left can be done later: EX_TEMPFAIL of sysexits.h."""


@app.callback()
def _encryption() -> None:
    """Change the key that seals the store's secrets."""


@app.command()
def rotate(
    status: Annotated[
        bool, typer.Option("--status", help="Change nothing; show what lies under which key.")
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="Take an older key into use again, knowing that it is older.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Seal every stored secret with the new key.

    The new key is RUNTIME_STORE_ENCRYPTION_KEY; what it does not open, the keys of RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS do.
    Runtimes may go on meanwhile, if they have both keys. Whoever stops it loses nothing, and goes on by running it again.
    Ends with 0 when nothing needs another key any more, with 75 when calls that run still do, with 1 when a row stays
    that no key opens.

    Example:

      aywa encryption rotate --status
    """
    if status and back:
        raise typer.BadParameter("choose one of --status and --back")
    standing, kept = _rotated(status=status, back=back)
    if as_json:
        typer.echo(json.dumps(_shown(standing), indent=2))
    else:
        _tell(standing, kept=kept)
    if standing.unopened:
        raise typer.Exit(1)
    if standing.left and not status:
        raise typer.Exit(LATER)


def _rotated(*, status: bool, back: bool) -> tuple[Standing, bool]:
    from aywa.boot.errors import CannotStart
    from aywa.boot.secrets import SETTING, open_vault
    from aywa.boot.store import home
    from aywa.service.rotation import CannotRotate, Rotation

    if not os.environ.get(SETTING, "").strip():
        runtime.fail(
            f"{SETTING} is not set: it is to be the new key, which you keep. Make one with: openssl rand -base64 32"
        )
    try:
        vault: Opened = open_vault(home())
    except CannotStart as error:
        runtime.fail(str(error))

    async def work(store: Store) -> Standing:
        rotation = Rotation(store.sealed, vault.vault, vault.key_ids)
        return await (rotation.status() if status else rotation.run(_progress, back=back))

    try:
        found = runtime.in_store(work)
    except CannotRotate as error:
        runtime.fail(f"Nothing was changed: {error}.")
    if found is None:
        _no_store(str(home()))
    return found, vault.kept


def _no_store(home: str) -> NoReturn:
    runtime.fail(
        f"There is no store in {home}: set AYWA_HOME or RUNTIME_STORE_POSTGRES_URL as the runtime has it."
    )


def _progress(table: str, seen: int, resealed: int) -> None:
    if resealed and seen % TOLD_EVERY == 0:
        typer.echo(f"{table}: {seen} rows, {resealed} sealed anew", err=True)


def _shown(standing: Standing) -> dict[str, Any]:
    from aywa.service.clock import iso

    since = {key.id: key for key in standing.known}
    names = dict.fromkeys((standing.current, *standing.rows, *since))
    return {
        "key": standing.current,
        "keys": [
            {
                "id": name,
                "since": iso(since[name].since_ms) if name in since and since[name].since_ms else None,
                "doneAt": None if name not in since or (done := since[name].done_ms) is None else iso(done),
                "rows": dict(standing.rows.get(name, {})),
            }
            for name in names
        ],
        "resealed": standing.resealed,
        "left": standing.left,
        "running": standing.running,
        "unopened": [{"table": row.table, "id": row.id, "reason": row.reason} for row in standing.unopened],
    }


def _tell(standing: Standing, *, kept: bool) -> None:
    typer.echo(f"{'KEY':12}  {'SINCE (UTC)':19}  {'SECRETS':>7}  WHERE")
    for key in _shown(standing)["keys"]:
        where = ", ".join(f"{table} {count}" for table, count in sorted(key["rows"].items()))
        since = (key["since"] or "-")[:19].replace("T", " ")
        seals = " (seals)" if key["id"] == standing.current else ""
        typer.echo(f"{key['id']:12}  {since:19}  {sum(key['rows'].values()):7}  {where or '-'}{seals}")
    if standing.resealed:
        typer.echo(f"{standing.resealed} rows were sealed anew.")
    for row in standing.unopened[:SHOWN_MOST]:
        typer.echo(runtime.printable(f"{row.table} {row.id} stays as it is: {row.reason}."), err=True)
    if len(standing.unopened) > SHOWN_MOST:
        typer.echo(f"... and {len(standing.unopened) - SHOWN_MOST} more (--json has all).", err=True)
    if standing.running:
        typer.echo(
            f"{standing.running} belong to calls that run: leave the old key set, and run this again when they are over."
        )
    elif standing.left:
        typer.echo(f"{standing.left} are under another key: leave that set, and run aywa encryption rotate.")
    elif not standing.unopened:
        file = ", and store-key in the data folder" if kept else ""
        typer.echo(
            f"Nothing needs another key: RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS may go{file}. Backups of before need it."
        )
