"""The folder of models: says whether a file is the right one, and remembers that it was. Fetches nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from aywa.adapters.models.manifest import Model, ModelFile
from aywa.ports.errors import Fault, ProviderError

_BLOCK = 1 << 20


def models_dir() -> Path:
    """AYWA_MODELS, else `aywa/models` in the user's cache folder."""
    chosen = os.environ.get("AYWA_MODELS")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("aywa")) / "models"


def sha256_of(path: Path, on_bytes: Callable[[int], None] = lambda _count: None) -> str:
    """The file's hash. on_bytes is told the size of each block as it is read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()


class Cache:
    """The models in one folder: MODEL/FILE, and beside it FILE.seen, which tells what the file looked like
    when its hash was last found right."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = models_dir() if folder is None else folder

    def path(self, file: ModelFile) -> Path:
        """Where the file belongs, whether or not it is there."""
        return self.folder / file.model / file.name

    def partial(self, file: ModelFile) -> Path:
        """Where an unfinished download of the file is kept."""
        return self.folder / file.model / f"{file.name}.partial"

    def looks_right(self, file: ModelFile) -> bool:
        """Whether the file is unchanged (size and time) since its hash was found right. Reads no content."""
        try:
            stat = self.path(file).stat()
            seen = json.loads(self._seen(file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(seen == _look(stat, file.sha256))

    def check(self, file: ModelFile) -> Path:
        """The path of a file that is the right one; hashes it only if it has changed. Raises ProviderError."""
        return self.path(file) if self.looks_right(file) else self.verify(file)

    def verify(self, file: ModelFile, on_bytes: Callable[[int], None] = lambda _count: None) -> Path:
        """The path of a file whose content was read and hashed now. Raises ProviderError."""
        path = self.path(file)
        try:
            stat = path.stat()
            found = sha256_of(path, on_bytes) if stat.st_size == file.size else ""
        except OSError as error:
            raise _problem(file, path, "model_missing", "is missing") from error
        if found != file.sha256:
            self._seen(file).unlink(missing_ok=True)
            what = f"has {found}" if found else f"has {stat.st_size} bytes instead of {file.size}"
            raise _problem(file, path, "model_damaged", f"is damaged: {what}")
        self.remember(file, stat)
        return path

    def remember(self, file: ModelFile, stat: os.stat_result) -> None:
        """Notes that the file that looks like this has the right hash."""
        seen = self._seen(file)
        fresh = seen.with_name(f"{seen.name}.{os.getpid()}")
        try:
            fresh.write_text(json.dumps(_look(stat, file.sha256)), encoding="utf-8")
            fresh.replace(seen)
        except OSError:
            return  # a folder that cannot be written is hashed at every start, and works

    def paths(self, model: Model) -> dict[str, Path]:
        """The checked paths of a model's files by name. Raises ProviderError."""
        return {file.name: self.check(file) for file in model.files}

    def _seen(self, file: ModelFile) -> Path:
        path = self.path(file)
        return path.with_name(f"{path.name}.seen")


def _look(stat: os.stat_result, sha256: str) -> dict[str, int | str]:
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256}


def _problem(file: ModelFile, path: Path, code: str, what: str) -> ProviderError:
    return ProviderError(
        f"models/{file.model}",
        code,
        f"{path} {what}; expected SHA-256 {file.sha256}",
        fault=Fault.CONFIG,
        retryable=False,
        mend=f"mend it with: aywa models pull {file.model}",
    )
