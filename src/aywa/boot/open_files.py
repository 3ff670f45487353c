"""How many files and sockets this process may have open: a call has several, and many systems give a process 1,024 unless it
asks for more, which it may.
"""

from __future__ import annotations

from contextlib import suppress

import structlog

try:
    import resource
except ImportError:  # pragma: no cover - not every system has it
    resource = None  # type: ignore[assignment]

_log = structlog.get_logger("aywa.boot.open_files")

# More than any runtime has calls for; a table of descriptors costs memory on some systems.
WANTED = 262_144
# RTP and RTCP, its signalling's or its WebSocket's stream, its recording, and its share of connections to providers.
PER_CALL = 8
SPARE = 256


def raise_limit(calls_max: int, wanted: int = WANTED) -> int:
    """Raises the limit as far as it goes without special rights; the limit that holds now. One that is too small for so many
    calls is told of."""
    if resource is None:
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = resource.RLIM_INFINITY
    most = wanted if hard == infinite else min(wanted, hard)
    if soft != infinite and soft < most:
        # Some systems refuse what they call unlimited (macOS): then it stays as it was.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if soft != infinite and soft < SPARE + PER_CALL * calls_max:
        _log.warning(
            "few_open_files",
            limit=soft,
            calls_max=calls_max,
            effect="beyond some calls new ones are refused for lack of sockets",
            mend=f"raise the limit of open files to {SPARE + PER_CALL * calls_max} (ulimit -n, LimitNOFILE), or set fewer calls",
        )
    return soft
