"""What each file of a support bundle may hold: the allow-list itself. A field that a section finds and that is not named here
stays on the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aywa.core.support.shape import Each, Keyed, Kind, Shape

_N, _W, _ID, _T, _H, _L = Kind.NUMBER, Kind.WORD, Kind.ID, Kind.TIME, Kind.HOST, Kind.LINE
_COUNTS: Final = Keyed(_N, 200)

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_REQUEST: Final = {"answered": _N, "status": _N, "problem": _W, "ms": _N}

SHAPES: Final[Mapping[str, Shape]] = {
    "machine.json": {
        "release": _W,
        "engine": _W,
        "python": _W,
        "system": _W,
        "kernel": _W,
        "machine": _W,
        "cores": _N,
        "load": Each(_N, 3),
        "memory_bytes": _N,
        "memory_free_bytes": _N,
        "memory_limit_bytes": _N,
        "open_files_max": _N,
        "up_s": _N,
        "container": _N,
        "user_id": _N,
        "time": _T,
        "packages": Keyed(_W, 400),
    },
    "settings.json": {
        "settings": Keyed(
            {"set": _N, "secret": _N, "value": _W, "host": _H, "usable": _N, "length": _W}, 300
        ),
        "unknown": Keyed({"nearest": _W}, 100),
    },
    "folder.json": {
        "there": _N,
        "writable": _N,
        "disk_bytes": _N,
        "disk_free_bytes": _N,
        "disk_files_free": _N,
        "files": Each({"name": _W, "bytes": _N, "mode": _W, "ours": _N, "changed": _T}, 200),
        "artifacts": {"calls": _N, "files": _N, "bytes": _N},
        "shipments": {"waiting": _N, "oldest_s": _N, "tries": _N, "unreadable": _N},
        "lock": {"held": _N, "process": _N, "alive": _N, "state": _W, "open_files_max": _N, "open_files": _N},
        "models": Each({"name": _W, "state": _W}, 50),
    },
    "journal.json": {
        "there": _N,
        "segments": Each(
            {"name": _W, "bytes": _N, "records": _N, "damage": _W, "at_byte": _N, "changed": _T}, 200
        ),
        "checkpoint": {"there": _N, "readable": _N, "file_there": _N, "behind_bytes": _N},
    },
    "store.json": {
        "kind": _W,
        "there": _N,
        "bytes": _N,
        "log_bytes": _N,
        "readable": _N,
        "problem": _W,
        "revision": _W,
        "head": _W,
        "pending": _N,
        "too_new": _N,
        "check": _W,
        "rows": _COUNTS,
        "newest": _T,
        "open_calls": _N,
        "sealed": {"rows": _N, "opened": _N, "without_key": _N, "altered": _N},
        "unknown_secrets": _N,
        "untold": {"calls": _N, "oldest_s": _N},
    },
    "calls.json": {
        "newest": Each(
            {
                "id": _ID,
                "type": _W,
                "status": _W,
                "created": _T,
                "started": _T,
                "ended": _T,
                "reason": _W,
                "turns": _N,
                "wire_ms": _N,
                "endpointing_ms": _N,
                "transcriber_ms": _N,
                "model_ms": _N,
                "voice_ms": _N,
                "unexplained_gaps": _N,
                "codec": _W,
                "mos": _N,
                "loss_percent": _N,
                "packets_received": _N,
                "packets_sent": _N,
                "providers": Keyed(_W, 10),
                "warnings": Keyed(_N, 50),
            },
            100,
        ),
        "routes": Each({"what": _W, "kind": _W, "route": _W, "code": _W, "count": _N}, 200),
        "events": _COUNTS,
        "statuses": _COUNTS,
        "timelines": Keyed(
            Each({"at": _N, "kind": _W, "decision": _W, "reason": _W, "code": _W, "route": _W}, 400), 10
        ),
    },
    "webhooks.json": {
        "states": _COUNTS,
        "oldest_waiting_s": _N,
        "waiting": _N,
        "servers": Each({"host": _H, "problem": _W, "state": _W, "count": _N, "newest": _T}, 100),
        "attempts": Each({"cause": _W, "status": _N, "count": _N}, 100),
        "disabled": Each({"host": _H, "since": _T}, 100),
    },
    "configured.json": {
        "organisations": _N,
        "keys": _COUNTS,
        "credentials": _COUNTS,
        "phone_numbers": _COUNTS,
        "assistants": Each({"id": _ID, "model": _W, "voice": _W, "transcriber": _W, "server": _H}, 100),
    },
    "runtime.json": {
        "health": _REQUEST,
        "readiness": {**_REQUEST, "ready": _N, "checks": Keyed({"ok": _N, "problem": _L, "since": _T}, 50)},
        "metrics": {**_REQUEST, "values": Keyed(_N, 3000)},
        "trunks": {
            **_REQUEST,
            "list": Each(
                {
                    "id": _ID,
                    "state": _W,
                    "registered": _N,
                    "answers": _N,
                    "since": _T,
                    "reason": _L,
                    "gateways": Each({"ip": _H, "port": _N, "protocol": _W}, 20),
                },
                100,
            ),
        },
    },
    "reach.json": {
        "targets": Each({"setting": _W, "host": _H, "port": _N, "outcome": _W, "ms": _N}, 50),
    },
    "findings.json": {
        "findings": Each({"code": _W, "setting": _W, "told": _L}, 200),
    },
    "log.json": {
        "lines": Each(
            {
                "timestamp": _T,
                "level": _W,
                "event": _W,
                "error": _W,
                "code": _W,
                "cause": _W,
                "reason": _W,
                "kind": _W,
                "route": _W,
                "provider": _W,
                "status": _N,
                "call_id": _ID,
                "host": _H,
                "port": _N,
                "limit": _N,
                "calls_max": _N,
                "exception": _W,
                "frames": Each(_W, 30),
            },
            5000,
        ),
        "events": _COUNTS,
        "unread_lines": _N,
    },
}
"""By file. Whatever is of use to us and nobody's business else: figures, codes, states, hosts; no words of callers, no bodies."""
