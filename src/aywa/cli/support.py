"""`aywa support-bundle`: diagnostics of this machine in one file, without secrets; and what a bundle tells, for `aywa doctor`."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from aywa.cli import address, runtime
from aywa.cli.files import unwritable

if TYPE_CHECKING:
    from aywa.boot.support.bundle import Bundle

USAGE, REFUSED = 2, 1


def support_bundle(
    redact: Annotated[
        bool, typer.Option("--redact", help="Without secrets, words and numbers of callers. Always needed.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Print what would be in it; write nothing.")
    ] = False,
    show: Annotated[
        str | None, typer.Option("--show", metavar="NAME", help="With --preview: one of its files, whole.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write it. [aywa-support-TIME.tar.gz here]")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="The runtime. [AYWA_URL, this machine's]")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
) -> None:
    """Collect what helps to find a fault, without secrets.

    Versions, settings, states, figures and codes; nothing that was said. The database may be down, the disk full, the
    runtime gone. At most a minute, at most 50 MB. Exit codes: 0 written, 1 refused (something in it would have been secret)
    or not writable, 2 wrong usage.

    Examples:

      aywa support-bundle --redact --preview

      aywa support-bundle --redact

      aywa doctor --bundle aywa-support-20261123-031500.tar.gz
    """
    if not redact:
        typer.echo("A bundle is only made without secrets: add --redact.", err=True)
        raise typer.Exit(USAGE)
    if show is not None and not preview:
        typer.echo("--show goes with --preview.", err=True)
        raise typer.Exit(USAGE)
    path = out or Path(f"aywa-support-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar.gz")
    if not preview and (problem := unwritable(path)):
        typer.echo(f"{path} cannot be written: {problem}; name another file with --out", err=True)
        raise typer.Exit(USAGE)
    _make(path, *_runtime(url, key), preview=preview, show=show)


def _runtime(url: str | None, key: str | None) -> tuple[str, str | None]:
    """Where the runtime is and what opens it: as for every verb; of this machine's `aywa serve` its own settings say both."""
    if address.is_given(url):
        return address.url_of(url), address.key_of(key)
    port = os.environ.get("RUNTIME_PORT", "").strip()
    here = f"http://127.0.0.1:{port}" if port.isdecimal() else address.DEFAULT_URL
    return here, key or os.environ.get("RUNTIME_API_KEY", "").strip() or address.key_of(None)


def _make(path: Path, url: str, key: str | None, *, preview: bool, show: str | None) -> None:
    from aywa.boot.store import home
    from aywa.boot.support.bundle import Refused, made, written
    from aywa.boot.support.place import Place

    try:
        bundle = made(Place(home(), os.environ, url, key))
        size = None if preview else written(bundle, path)
    except Refused as error:
        typer.echo(f"No bundle was written: {error}.", err=True)
        raise typer.Exit(REFUSED) from None
    except OSError as error:
        runtime.fail(f"{path} cannot be written: {error.strerror or type(error).__name__}")
    if show is not None:
        if show not in bundle.files:
            typer.echo(f"There is no {runtime.printable(show)[:80]} in it.", err=True)
            raise typer.Exit(USAGE)
        typer.echo(bundle.files[show], nl=False)
        return
    _tell(bundle)
    if size is None:
        typer.echo("Nothing was written. --show NAME prints a file of it.")
    else:
        typer.echo(f"{path}: {size:,} bytes")


def _tell(bundle: Bundle) -> None:
    for name, text in bundle.files.items():
        left_out = bundle.left_out.get(name)
        more = f"  {left_out} fields left out: they are not on the list" if left_out else ""
        typer.echo(f"{len(text.encode()):>10,}  {name}{more}")
    for name, why in bundle.missing.items():
        typer.echo(f"   missing  {name}: {why}")
    for kind, count in bundle.removed.items():
        typer.echo(f"   removed  {kind}: {count}")


def tell_bundle(path: Path, as_json: bool) -> NoReturn:
    """What is wrong, from a bundle alone. Ends with 0: nothing was found, 1: something was, 2: it is no bundle."""
    from aywa.boot.support.doctor import BadBundle, faults_of

    try:
        found = faults_of(path)
    except (BadBundle, OSError) as error:
        text = str(error) if isinstance(error, BadBundle) else f"{path}: {error.strerror}"
        typer.echo(runtime.printable(text), err=True)
        raise typer.Exit(USAGE) from None
    if as_json:
        typer.echo(json.dumps([{"code": f.code, "told": f.told, "mend": f.mend} for f in found], indent=2))
    elif not found:
        typer.echo("Nothing in it is known to be a fault.")
    for fault in () if as_json else found:
        typer.echo(runtime.printable(f"FAIL  {fault.code}: {fault.told}"))
        typer.echo(runtime.printable(f"      {fault.mend}"))
    raise typer.Exit(1 if found else 0)
