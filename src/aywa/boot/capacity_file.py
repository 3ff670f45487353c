"""How many calls this machine was measured to carry, in a file beside the data; boot/capacity.py measures."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import aywa
from aywa.adapters.artifacts.whole_file import whole_file
from aywa.service.clock import iso, now_ms

FILE: Final = "capacity.json"


@dataclass(frozen=True, slots=True)
class Capacity:
    """calls: at once. cores: of the machine it was measured on."""

    calls: int
    cores: int
    measured_at: str
    version: str


def capacity_in(folder: Path) -> Capacity | None:
    """What was measured on this machine; None: nothing, or on another one."""
    try:
        kept = json.loads((folder / FILE).read_text("utf-8"))
        found = Capacity(
            int(kept["calls"]), int(kept["cores"]), str(kept["measured_at"]), str(kept["version"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.calls > 0 and found.cores == os.cpu_count() else None


def keep(folder: Path, calls: int) -> Capacity:
    """Writes the file. Raises OSError."""
    found = Capacity(calls, os.cpu_count() or 1, iso(now_ms()), aywa.__version__)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with whole_file(folder / FILE) as file:
        file.write((json.dumps(asdict(found)) + "\n").encode())
    return found


def measured_calls(folder: Path) -> int | None:
    """So many calls are taken at most; None: nobody has measured."""
    found = capacity_in(folder)
    return None if found is None else found.calls
