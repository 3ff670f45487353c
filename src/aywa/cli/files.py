"""What the verbs that write a file ask before they begin."""

from __future__ import annotations

import os
from pathlib import Path


def unwritable(path: Path) -> str | None:
    """Why a file cannot be written there; None when it can."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if path.is_dir():
        return "it is a folder"
    return None if os.access(path if path.exists() else folder, os.W_OK) else "permission denied"
