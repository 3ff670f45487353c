"""`aywa backup` and `aywa restore`: everything that a runtime has, in one file, and taking it back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli.runtime import fail

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aywa.boot.backup import Manifest

_File = Annotated[Path, typer.Argument(help="The backup's file.", dir_okay=False)]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup(
    file: _File,
    with_keys: Annotated[
        bool,
        typer.Option(
            "--with-keys",
            help="Also the data folder's keys: who has the file then has every secret in it.",
        ),
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Write everything that this runtime has into a file.

    Rows, recordings, uploaded files; it may run meanwhile. What lies in a bucket is not in it. Secrets stay sealed with the
    operator's key, which is not in it either.
    """
    from aywa.boot.backup import back_up

    manifest = _done(back_up(file, keys=with_keys), f"{file} was not written")
    _tell(manifest, as_json, f"{file}: {file.stat().st_size} bytes")
    if not as_json and manifest.sealed_with and not with_keys:
        typer.echo(f"Keep the key that opens its secrets elsewhere: {', '.join(manifest.sealed_with)}")


def restore(
    file: _File,
    check: Annotated[
        bool, typer.Option("--check", help="Only read it and hold it against its own checksums.")
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Take a backup back into an empty store and folder.

    They are this machine's, or those that the environment names. Calls that ran when it was made are ended in the record
    when the runtime starts.
    """
    from aywa.boot.backup import examined, take_back

    work = examined(file) if check else take_back(file)
    manifest = _done(work, f"{file} was not {'read' if check else 'taken back'}")
    _tell(manifest, as_json, f"{file} is whole" if check else f"{file} was taken back")


def _done(work: Coroutine[Any, Any, Manifest], otherwise: str) -> Manifest:
    from aywa.boot.backup import BadBackup
    from aywa.boot.errors import CannotStart
    from aywa.ports.journal import StoreUnavailable
    from aywa.ports.store import StoreTooNew

    try:
        return asyncio.run(work)
    except (BadBackup, CannotStart, StoreUnavailable, StoreTooNew) as error:
        fail(f"{otherwise}: {error}")
    except OSError as error:
        fail(f"{otherwise}: {error.strerror or type(error).__name__}")


def _tell(manifest: Manifest, as_json: bool, line: str) -> None:
    from aywa.service.clock import iso

    shown = {
        "madeAt": iso(manifest.made_ms),
        "version": manifest.version,
        "schema": manifest.schema,
        "rows": dict(manifest.rows),
        "files": manifest.files,
        "keys": manifest.keys,
        "sealedWith": list(manifest.sealed_with),
    }
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    typer.echo(line)
    typer.echo(f"  made       {shown['madeAt']} by release {manifest.version}, schema {manifest.schema}")
    typer.echo(f"  rows       {sum(manifest.rows.values())}, of them calls: {manifest.rows.get('calls', 0)}")
    typer.echo(f"  files      {manifest.files}")
