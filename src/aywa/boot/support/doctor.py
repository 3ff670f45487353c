"""Reads a support bundle and names what is wrong, from it alone. Unpacks nothing to the disk, and believes no size it is told."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from pathlib import Path
from typing import Any

from aywa.core.support.call_faults import RULES as OF_CALLS
from aywa.core.support.contents import FORMAT, MANIFEST
from aywa.core.support.faults import Fault, Files, at, named
from aywa.core.support.machine_faults import RULES as OF_MACHINE

FILES_MOST = 100
BYTES_MAX = 100 * 1024 * 1024


class BadBundle(ValueError):
    """The file is no support bundle. The text says why, fit for a person."""


def faults_of(path: Path) -> list[Fault]:
    """What is wrong where the bundle was made, as far as it shows. Raises BadBundle, OSError."""
    return faults_in(read(path))


def faults_in(files: Files) -> list[Fault]:
    """The same of a bundle's files, as they were read."""
    return named(files, (*OF_MACHINE, *OF_CALLS))


def read(path: Path) -> dict[str, Any]:
    """The files by their names, each as the JSON that it holds. Raises BadBundle, OSError."""
    try:
        with gzip.open(path) as packed:
            raw = packed.read(BYTES_MAX + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise BadBundle(f"{path} is no support bundle: it is not gzipped, or it is cut") from None
    if len(raw) > BYTES_MAX:
        raise BadBundle(f"{path} is no support bundle: it holds more than {BYTES_MAX // 2**20} MB")
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
            found = _files(tar)
    except tarfile.TarError:
        raise BadBundle(f"{path} is no support bundle: there is no archive in it") from None
    stated = at(found, MANIFEST, "format")
    if not isinstance(stated, int):
        raise BadBundle(f"{path} is no support bundle: it has no {MANIFEST}")
    if stated > FORMAT:
        raise BadBundle(f"{path} has format {stated}, of a newer release; this one reads up to {FORMAT}")
    return found


def _files(tar: tarfile.TarFile) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for member in tar:
        content = tar.extractfile(member) if member.isfile() and len(found) < FILES_MOST else None
        if content is None:
            continue
        try:
            found[member.name.rpartition("/")[2]] = json.loads(content.read())
        except (ValueError, RecursionError):
            continue
    return found
