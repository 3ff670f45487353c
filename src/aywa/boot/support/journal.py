"""The journal's files: whether each can be read to its end, and how far the store is behind. Keeps nothing of what they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aywa.boot.support.place import Place, iso
from aywa.journal.segment import JournalDamaged, read_segment

READ_MOST = 256 * 1024 * 1024
"""So much is read, the newest files first."""
_CUT, _DAMAGED = "cut", "damaged"


def journal(place: Place) -> dict[str, Any]:
    """journal.json."""
    where = place.folder / "journal"
    if not where.is_dir():
        return {"there": False}
    paths = sorted(where.glob("*.journal"))
    segments: list[dict[str, Any]] = []
    budget = READ_MOST
    for path in reversed(paths):
        about = path.stat()
        segment = {"name": path.name, "bytes": about.st_size, "changed": iso(about.st_mtime)}
        if about.st_size <= budget and place.left_s > 0:
            budget -= about.st_size
            segment |= _read(path, place)
        segments.append(segment)
    return {"there": True, "segments": segments, "checkpoint": _checkpoint(where, paths)}


def _read(path: Path, place: Place) -> dict[str, Any]:
    records = 0
    try:
        for _ in read_segment(path):
            records += 1
            if records % 1000 == 0 and place.left_s == 0:
                return {"records": records}
    except JournalDamaged as damage:
        # A last record that is cut is what a process leaves that was killed; anything else is not.
        return {
            "records": records,
            "damage": _CUT if "cut" in str(damage) else _DAMAGED,
            "at_byte": damage.offset,
        }
    except OSError:
        return {"records": records, "damage": "unreadable"}
    return {"records": records}


def _checkpoint(where: Path, paths: list[Path]) -> dict[str, Any]:
    file = where / "projected.json"
    if not file.exists():
        return {"there": False, "behind_bytes": sum(path.stat().st_size for path in paths)}
    try:
        stored = json.loads(file.read_text())
        name, offset = str(stored["file"]), max(0, int(stored["offset"]))
    except (OSError, ValueError, KeyError, TypeError):
        return {"there": True, "readable": False}
    later = sum(path.stat().st_size for path in paths if path.name > name)
    own = next((path.stat().st_size for path in paths if path.name == name), None)
    behind = later + max(0, (own or 0) - offset)
    return {"there": True, "readable": True, "file_there": own is not None, "behind_bytes": behind}
