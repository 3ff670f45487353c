"""The machine and this release on it. Where a system does not say something, it is left out."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import aywa
from aywa.boot.engine_version import engine_version
from aywa.boot.support.place import Place, iso

try:
    import resource
except ImportError:  # pragma: no cover - not every system has it
    resource = None  # type: ignore[assignment]

_CGROUP = Path("/sys/fs/cgroup")
_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


def machine(place: Place) -> dict[str, Any]:
    """machine.json."""
    memory = _memory()
    return {
        "release": aywa.__version__,
        "engine": engine_version(),
        "python": platform.python_version(),
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "memory_bytes": memory.get("MemTotal"),
        "memory_free_bytes": memory.get("MemAvailable"),
        "memory_limit_bytes": _limit(),
        "open_files_max": _open_files(),
        "up_s": round(time.clock_gettime(time.CLOCK_BOOTTIME)) if hasattr(time, "CLOCK_BOOTTIME") else None,
        "container": any(mark.exists() for mark in _CONTAINER_MARKS),
        "user_id": os.getuid(),
        "time": iso(place.now_s),
        "packages": _packages(),
    }


def _memory() -> dict[str, int]:
    found: dict[str, int] = {}
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            name, _, rest = line.partition(":")
            found[name] = int(rest.split()[0]) * 1024
    return found


def _open_files() -> int | None:
    """How many a process may have open, once it asks for it."""
    if resource is None:
        return None
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _limit() -> int | None:
    """What the container may use."""
    with suppress(OSError, ValueError):
        return int((_CGROUP / "memory.max").read_text("ascii"))
    return None


@lru_cache(maxsize=1)
def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for each in distributions():
        with suppress(Exception):  # one that is broken must not hide the others
            found[str(each.metadata["Name"])] = each.version
    return dict(sorted(found.items()))
