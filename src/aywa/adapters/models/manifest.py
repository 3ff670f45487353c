"""Reads the manifest: the models, their files, sizes, licences and hashes. Fetches and checks nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from aywa.ports.errors import Fault, ProviderError

SETS = ("tiny", "default", "quality")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model. size: bytes. sha256: lower-case hex. home: the official address, empty for none."""

    model: str
    name: str
    size: int
    sha256: str
    home: str


@dataclass(frozen=True, slots=True)
class Model:
    """role: vad, turn, stt, tts or llm. package: the Python package that brings the model along, empty for none."""

    name: str
    role: str
    about: str
    licence: str
    sets: tuple[str, ...]
    files: tuple[ModelFile, ...]
    package: str

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


def parse(text: str) -> tuple[Model, ...]:
    """Reads a manifest in TOML. Raises KeyError, TypeError or TOMLDecodeError for one that is malformed."""
    return tuple(_model(name, entry) for name, entry in tomllib.loads(text).items())


def _model(name: str, entry: dict[str, Any]) -> Model:
    files = tuple(
        ModelFile(name, file["name"], int(file["bytes"]), file["sha256"].lower(), file.get("home", ""))
        for file in entry.get("files", ())
    )
    return Model(
        name=name,
        role=entry["role"],
        about=entry["about"],
        licence=entry["licence"],
        sets=tuple(entry["sets"]),
        files=files,
        package=entry.get("package", ""),
    )


@cache
def models() -> tuple[Model, ...]:
    """The models of this version."""
    return parse(resources.files(__package__).joinpath("manifest.toml").read_text(encoding="utf-8"))


def model(name: str) -> Model:
    """Raises ProviderError (`unknown_model`) for a name that is not in the manifest."""
    for known in models():
        if known.name == name:
            return known
    names = ", ".join(known.name for known in models())
    raise ProviderError(
        "models",
        "unknown_model",
        f"there is no model {name!r}",
        fault=Fault.CONFIG,
        retryable=False,
        mend=f"known: {names}",
    )


def select(names: Sequence[str], set_name: str = "default") -> tuple[Model, ...]:
    """The named models, or those of the set if none is named."""
    if names:
        return tuple(model(name) for name in dict.fromkeys(names))
    return tuple(known for known in models() if set_name in known.sets)
