"""A media process: RTP legs, voice detection and recordings of the calls that the main process gives it. Started by that one,
and ends when it does.

    python -m aywa.boot.media_process '{"silero": FILE, "rtp": {...}, "priority": "high"}' STREAM HANDLES
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from aywa.adapters.codecs import make_coding
from aywa.adapters.local.silero import SileroVad
from aywa.adapters.srtp.libsrtp import LibSrtp
from aywa.boot.logs import configure_logs
from aywa.boot.memory import use_one_heap
from aywa.boot.phone_settings import NORMAL, REALTIME
from aywa.media.apart.pipe import open_pipe
from aywa.media.apart.serving import Serving
from aywa.media.apart.settings import ApartSettings
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.settings import RtpSettings
from aywa.media.settings import MediaSettings

NICE = -15
FIFO = 1
RATES_HZ = (8000, 16000)
GC_THRESHOLDS = (10_000, 10, 50)
# The main process keeps what the turn model asks for.
_RECENT_S = 0.1

# Not every system has it.
_schedule: Callable[[int, int, Any], None] | None = getattr(os, "sched_setscheduler", None)


def take_priority(
    wanted: str,
    nice: Callable[[int, int, int], None] = os.setpriority,
    schedule: Callable[[int, int, Any], None] | None = _schedule,
) -> str:
    """Asks for it. What was refused, for a person; empty when it was granted, or nothing was asked for."""
    if wanted == NORMAL:
        return ""
    try:
        if wanted == REALTIME and schedule is not None:
            # Not for the thread that writes recordings.
            schedule(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(FIFO))
            return ""
    except OSError:
        # Some systems grant the one and not the other.
        pass
    try:
        nice(os.PRIO_PROCESS, 0, NICE)
        if schedule is not None:
            schedule(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return ""


async def serve(plan: dict[str, Any], stream: socket.socket, handles: socket.socket) -> None:
    """Until the main process says so, or is gone."""
    loop = asyncio.get_running_loop()
    refused = take_priority(plan["priority"])
    vads = {rate_hz: SileroVad(Path(plan["silero"]), rate_hz) for rate_hz in RATES_HZ}
    plane = Plane(loop, vads, MediaSettings(recent_s=_RECENT_S))
    edge = RtpEdge(loop, plane, RtpSettings(**plan["rtp"]), coding=make_coding, srtp=LibSrtp)
    serving = Serving(loop, plane, edge, handles, ApartSettings())
    # What is alive now stays: let the collector leave it alone, and look for old garbage seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    pipe = await open_pipe(loop, stream, serving.take)
    serving.open(pipe)
    pipe.send({"is": "ready", "now_s": loop.time(), "refused_priority": refused})
    await serving.over.wait()


def main() -> None:
    """As the module says."""
    configure_logs()
    use_one_heap()
    plan, stream, handles = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(plan, socket.socket(fileno=stream), socket.socket(fileno=handles)))


if __name__ == "__main__":
    main()
