"""The end of the runtime's log (boot.log_file), line by line. A line that is no JSON object is counted, and not shown."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from aywa.boot.log_file import BYTES_MAX, NAME
from aywa.boot.support.place import Place

LINES_MOST = 5000


def log(place: Place) -> dict[str, Any]:
    """log.json."""
    lines: list[dict[str, Any]] = []
    events: Counter[str] = Counter()
    unread = 0
    for name in (f"{NAME}.1", NAME):
        for text in _lines(place.folder / name):
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            if isinstance(line, dict):
                lines.append(line)
                events[str(line.get("event"))] += 1
            else:
                unread += 1
    return {"lines": lines[-LINES_MOST:], "events": dict(events.most_common(200)), "unread_lines": unread}


def _lines(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            return file.read(2 * BYTES_MAX).splitlines()
    except OSError:
        return []
