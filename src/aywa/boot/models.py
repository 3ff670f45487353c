"""What the command line needs of the models: list, pull and verify, with the adapters behind them. Prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aywa.adapters.models import manifest, mirrors
from aywa.adapters.models.cache import Cache, models_dir
from aywa.adapters.models.manifest import SETS, Model
from aywa.adapters.models.pull import Listener, installed, pull
from aywa.ports.errors import ProviderError

__all__ = ["SETS", "Listener", "ModelState", "models_dir", "needed", "pull_models", "states", "verify_models"]


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model and how it is here. state: ready, missing, damaged or package_missing. problem: one line, empty if ready."""

    name: str
    role: str
    about: str
    licence: str
    sets: tuple[str, ...]
    size: int
    state: str
    problem: str
    files: tuple[tuple[str, str], ...]
    """Path and SHA-256 of each file; empty for a model that comes with a package."""


def states(names: Sequence[str] = ()) -> list[ModelState]:
    """How each model is, by size and time of its files; hashes only those that changed. Raises ProviderError."""
    cache = Cache()
    wanted = manifest.select(names) if names else manifest.models()
    return [_state(model, cache, cache.paths) for model in wanted]


def verify_models(names: Sequence[str], set_name: str | None, listener: Listener) -> list[ModelState]:
    """Hashes every file of the named models, of the set, or of those that are here. Raises ProviderError."""
    cache = Cache()
    if names or set_name:
        wanted: Sequence[Model] = manifest.select(names, set_name or "default")
    else:
        wanted = [model for model in manifest.models() if model.package or _any_here(model, cache)]
    return [_state(model, cache, partial(_hash, cache, listener)) for model in wanted]


def pull_models(names: Sequence[str], set_name: str, listener: Listener) -> list[ModelState]:
    """Brings the named models, or the set, here. Raises ProviderError."""
    wanted = manifest.select(names, set_name)
    pull(wanted, Cache(), mirrors.load(), listener)
    return states([model.name for model in wanted])


def needed(llm: str | None) -> list[str]:
    """What no runtime starts without. llm: the language model on this machine; None: it needs no file."""
    return ["silero", "smart-turn", "moonshine"] + ([] if llm is None else [llm])


def require(names: Sequence[str]) -> Path:
    """The folder of models, in which all of the named ones are right. Raises ProviderError: one line that mends it."""
    cache = Cache()
    for model in manifest.select(names):
        cache.paths(model)
    return cache.folder


def _any_here(model: Model, cache: Cache) -> bool:
    return any(cache.path(file).exists() for file in model.files)


def _hash(cache: Cache, listener: Listener, model: Model) -> None:
    for file in model.files:
        done = 0

        def read(count: int, name: str = file.name, total: int = file.size) -> None:
            nonlocal done
            done += count
            listener.progress(name, done, total)

        cache.verify(file, read)


def _state(model: Model, cache: Cache, look: Callable[[Model], object]) -> ModelState:
    state, problem = "ready", ""
    if model.package and not installed(model):
        state, problem = "package_missing", f"{model.package} is not installed (pip install 'aywa[local]')"
    try:
        look(model)
    except ProviderError as error:
        state, problem = error.code.removeprefix("model_"), str(error)
    files = tuple((str(cache.path(file)), file.sha256) for file in model.files)
    return ModelState(
        model.name, model.role, model.about, model.licence, model.sets, model.size, state, problem, files
    )
