"""Which engine decides: the release, and a fingerprint of the deciding code, so that a call's record knows its own."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import aywa
import aywa.core

_DIGITS = 10


@lru_cache(maxsize=1)
def engine_version() -> str:
    """Like 0.1.0+1f0c2a9b3d: two engines of one version decide alike."""
    folder = Path(aywa.core.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{aywa.__version__}+{digest.hexdigest()[:_DIGITS]}"
