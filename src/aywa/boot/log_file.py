"""The runtime's own log, once more, as JSON lines in the data folder: for a support bundle, when nobody kept what it printed.
Two files of a bounded size, of warnings and worse. Refuses to hold anything up: what cannot be written is not.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

NAME = "runtime.log"
BYTES_MAX = 1024 * 1024
LINE_MAX = 16 * 1024
_LEVELS = frozenset(("warning", "error", "critical", "exception"))


class LogFile:
    """A processor of structlog's, to stand after whatever hides secrets."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Writes the event down; changes nothing of it."""
        if event.get("level") in _LEVELS:
            try:
                self._write(_line(event))
            except (OSError, ValueError, TypeError, RecursionError):
                return event
        return event

    def _write(self, line: bytes) -> None:
        if len(line) > LINE_MAX:
            return
        # Opened for each: there are few, and the folder may have been put in place anew.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > BYTES_MAX:
            self._path.replace(self._path.with_name(f"{NAME}.1"))


def _line(event: Mapping[str, Any]) -> bytes:
    shown = {name: value for name, value in event.items() if name not in ("exc_info", "stack")}
    shown |= _exception(event.get("exc_info"))
    return json.dumps(shown, default=lambda value: type(value).__name__).encode() + b"\n"


def _exception(info: Any) -> dict[str, Any]:
    """Its class and where it came from; its text may quote what somebody said."""
    error = info if isinstance(info, BaseException) else sys.exc_info()[1] if info else None
    if error is None:
        return {}
    frames = traceback.extract_tb(error.__traceback__)[-20:]
    return {
        "exception": type(error).__name__,
        "frames": [
            f"{Path(frame.filename).name}:{frame.lineno}:{frame.name.strip('<>')}" for frame in frames
        ],
    }
