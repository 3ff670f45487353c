"""Puts a support bundle together: collects, lets through what the allow-list names, removes secrets, looks once more, and writes;
or refuses, and then there is no file.

Every pass is tried on made-up secrets first (core.support.trial). What takes too long is left out and said; what is collected is
bounded.
"""

from __future__ import annotations

import gzip
import io
import json
import secrets
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aywa
from aywa.adapters.artifacts.whole_file import whole_file
from aywa.boot.support.calls import calls
from aywa.boot.support.configured import configured
from aywa.boot.support.findings import findings
from aywa.boot.support.folder import folder
from aywa.boot.support.journal import journal
from aywa.boot.support.live import reach, runtime
from aywa.boot.support.log import log
from aywa.boot.support.machine import machine
from aywa.boot.support.place import Place, iso
from aywa.boot.support.secrets import Unsealed, known_secrets
from aywa.boot.support.settings import settings
from aywa.boot.support.store import store
from aywa.boot.support.webhooks import webhooks
from aywa.core.support import redaction, scan, shape
from aywa.core.support.contents import FORMAT, MANIFEST, SHAPES
from aywa.core.support.trial import Trial

BYTES_MAX = 50 * 1024 * 1024
FILE_BYTES_MAX = 4 * 1024 * 1024
"""Of one file's text; past it lists are cut in half until they fit."""
Section = Callable[[Place], Mapping[str, Any]]
SECTIONS: Mapping[str, Section] = {
    "machine.json": machine,
    "settings.json": settings,
    "folder.json": folder,
    "journal.json": journal,
    "calls.json": calls,
    "webhooks.json": webhooks,
    "configured.json": configured,
    "runtime.json": runtime,
    "reach.json": reach,
    "findings.json": findings,
    "log.json": log,
}
"""File -> what it is filled with; the store's section is told of its secrets besides."""


class Refused(Exception):
    """There is no bundle, for something in it would be secret, or nobody can say. The text says what, never which secret."""


@dataclass(slots=True)
class Bundle:
    """files: name -> text, as it is to be written. missing: sections that could not be had, and why. removed, left_out: how much,
    by kind and by file."""

    files: dict[str, str] = field(repr=False)
    missing: dict[str, str]
    removed: dict[str, int]
    left_out: dict[str, int]

    @property
    def size(self) -> int:
        """In bytes, before it is packed."""
        return sum(len(text.encode()) for text in self.files.values())


def made(place: Place) -> Bundle:
    """The bundle, fit to be seen. Raises Refused."""
    trial = Trial(secrets.randbelow)
    found, missing = _collected(place)
    known, unsealed = (
        found.pop("secrets") if "secrets" in found else (frozenset[str](), Unsealed(unknown=True))
    )
    if "secrets" in missing:
        raise Refused("the secrets of this runtime cannot be told, so that nobody could look for them")
    found["store.json"], problem = _one(lambda: store(place, unsealed))
    if problem:
        missing["store.json"] = problem
    listed: dict[str, Any] = {}
    left_out: dict[str, int] = {}
    for name, content in found.items():
        listed[name], count = shape.kept(content, SHAPES[name])
        if count:
            left_out[name] = count
    passes = redaction.KnownSecrets({*known, trial.secret}), redaction.LooksSecret()
    _try(trial, *passes)
    for one in passes:
        one.found.clear()
    cleaned = {name: redaction.redacted(_fitting(content), passes) for name, content in listed.items()}
    removed = dict(sorted((passes[0].found + passes[1].found).items()))
    bundle = Bundle({}, missing, removed, left_out)
    bundle.files = {name: _text(content) for name, content in sorted(cleaned.items())}
    manifest = _manifest(bundle, place, unsealed)
    bundle.files[MANIFEST] = _text(redaction.redacted(manifest, passes))
    _look(bundle, known)
    return bundle


def written(bundle: Bundle, path: Path) -> int:
    """Writes it, whole or not at all, for this user alone; its size. Raises OSError, Refused."""
    packed = _packed(bundle)
    if len(packed) > BYTES_MAX:
        raise Refused(f"it would be larger than {BYTES_MAX // 2**20} MB")
    with whole_file(path) as file:
        file.write(packed)
    return len(packed)


# --- collecting ------------------------------------------------------------------------------------------------------


def _collected(place: Place) -> tuple[dict[str, Any], dict[str, str]]:
    """Each section in a thread of its own: one that hangs is left behind."""
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    work: dict[str, Callable[[], Any]] = {"secrets": lambda: known_secrets(place)}
    work |= {name: _bound(section, place) for name, section in SECTIONS.items()}
    results: dict[str, tuple[Any, str]] = {}

    def run(name: str) -> None:
        results[name] = _one(work[name])

    threads = {name: threading.Thread(target=run, args=(name,), name=name, daemon=True) for name in work}
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(place.left_s)
        content, problem = results.get(name, (None, "not there in time"))
        if problem:
            missing[name] = problem
        else:
            found[name] = content
    return found, missing


def _bound(section: Section, place: Place) -> Callable[[], Any]:
    return lambda: section(place)


def _one(work: Callable[[], Any]) -> tuple[Any, str]:
    try:
        return work(), ""
    except Exception as error:  # noqa: BLE001 - one section must not take the others along; its text may hold anything
        return None, type(error).__name__


# --- taking out, and looking -----------------------------------------------------------------------------------------


def _try(trial: Trial, known: redaction.Redactor, looks: redaction.Redactor) -> None:
    """Raises Refused: a pass does not do what it is there for."""
    broken = []
    if left := trial.of_known(known):
        broken.append(f"known secrets are left as {', '.join(left)}")
    if left := trial.of_looks(looks):
        broken.append(f"what looks like a secret is left: {', '.join(left)}")
    if not trial.of_allow_list(shape.kept):
        broken.append("the allow-list lets through what it does not name")
    if left := trial.of_scan(scan.leaks):
        broken.append(f"the last look overlooks {', '.join(left)}")
    if broken:
        raise Refused(f"a redaction does not work here: {'; '.join(broken)}")


def _look(bundle: Bundle, known: frozenset[str]) -> None:
    found = scan.leaks(bundle.files, known)
    if found:
        raise Refused("; ".join(sorted({f"{leak.file} still holds {leak.what}" for leak in found})))


def _fitting(content: Any) -> Any:
    """The content, its lists cut until its text has an acceptable size."""
    while len(_text(content)) > FILE_BYTES_MAX:
        shorter = _halved(content)
        if shorter == content:
            return None
        content = shorter
    return content


def _halved(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _halved(item) for name, item in value.items()}
    return value[: len(value) // 2] if isinstance(value, list) else value


def _text(content: Any) -> str:
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _manifest(bundle: Bundle, place: Place, unsealed: Unsealed) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "release": aywa.__version__,
        "made": iso(place.now_s),
        "bytes": {name: len(text.encode()) for name, text in bundle.files.items()},
        "missing": bundle.missing,
        "removed": bundle.removed,
        "not_listed": bundle.left_out,
        "secrets_of_the_store": "not known" if unsealed.unknown else "known",
    }


def _packed(bundle: Bundle) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, text in bundle.files.items():
            data = text.encode()
            about = tarfile.TarInfo(f"aywa-support/{name}")
            about.size, about.mode = len(data), 0o600
            tar.addfile(about, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)
