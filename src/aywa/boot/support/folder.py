"""The data folder: what lies in it, who may read it, who holds it, how much room there is. Reads no content but the lock's."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from aywa.boot.lock import LOCK
from aywa.boot.support.place import Place, iso

FILES_MOST = 200
ARTIFACTS_MOST = 20_000
_NAMES = frozenset(
    "aywa.db aywa.db-wal aywa.db-shm dev-key talk-key store-key sip-password media-secret lock runtime.log runtime.log.1"
    " journal artifacts files tls models node shipments capacity.json".split()
)
"""What we put there; whatever else lies there is counted by its size, without its name."""


def folder(place: Place) -> dict[str, Any]:
    """folder.json."""
    where = place.folder
    if not where.is_dir():
        return {"there": False, "models": _models()}
    room = os.statvfs(where)
    return {
        "there": True,
        "writable": os.access(where, os.W_OK) and not room.f_flag & os.ST_RDONLY,
        "disk_bytes": room.f_blocks * room.f_frsize,
        "disk_free_bytes": room.f_bavail * room.f_frsize,
        "disk_files_free": room.f_favail,
        "files": _files(where),
        "artifacts": _artifacts(where / "artifacts"),
        "shipments": _shipments(where / "shipments", place.now_s),
        "lock": _lock(where / LOCK),
        "models": _models(),
    }


def _files(where: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(where.iterdir())[:FILES_MOST]:
        with suppress(OSError):
            about = path.lstat()
            found.append(
                {
                    "name": path.name if path.name in _NAMES else "other",
                    "bytes": about.st_size,
                    "mode": stat.filemode(about.st_mode),
                    "ours": about.st_uid == os.getuid(),
                    "changed": iso(about.st_mtime),
                }
            )
    return found


def _artifacts(where: Path) -> dict[str, int]:
    """How many and how much; past a number of files no more is counted."""
    calls = files = size = 0
    with suppress(OSError), os.scandir(where) as entries:
        for call in entries:
            calls += 1
            with suppress(OSError), os.scandir(call.path) as inside:
                for each in inside:
                    files += 1
                    size += each.stat().st_size
            if files >= ARTIFACTS_MOST:
                break
    return {"calls": calls, "files": files, "bytes": size}


def _shipments(where: Path, now_s: float) -> dict[str, Any]:
    """What waits to be carried into the bucket, or out of it (core.shipment)."""
    created_s: list[float] = []
    tries = unreadable = 0
    for path in sorted(where.glob("*.json"))[:ARTIFACTS_MOST]:
        try:
            stored = json.loads(path.read_bytes())
            created_s.append(int(stored["createdMs"]) / 1000)
            tries = max(tries, int(stored["tries"]))
        except (OSError, ValueError, KeyError, TypeError):
            unreadable += 1
    oldest_s = round(now_s - min(created_s)) if created_s else None
    return {"waiting": len(created_s), "oldest_s": oldest_s, "tries": tries, "unreadable": unreadable}


def _lock(path: Path) -> dict[str, Any]:
    """Whether a runtime holds the folder, and how that process is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {"held": False}
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            held = True
        else:
            held = False
        text = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    found: dict[str, Any] = {"held": held}
    if held and text.isdecimal():
        found |= _process(int(text))
    return found


def _process(pid: int) -> dict[str, Any]:
    about = Path(f"/proc/{pid}")
    found: dict[str, Any] = {"process": pid, "alive": about.exists()}
    with suppress(OSError, IndexError):
        # After the name, which may hold anything, in parentheses.
        found["state"] = (about / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    with suppress(OSError, IndexError, ValueError):
        lines = (about / "limits").read_text("ascii", "replace").splitlines()
        limit = next((line for line in lines if line.startswith("Max open files")), "")
        found["open_files_max"] = int(limit.split()[3])
    with suppress(OSError):
        found["open_files"] = len(os.listdir(about / "fd"))
    return found


def _models() -> list[dict[str, str]]:
    from aywa.boot.models import states
    from aywa.ports.errors import ProviderError

    try:
        return [{"name": model.name, "state": model.state} for model in states()]
    except (ProviderError, OSError):
        return []
