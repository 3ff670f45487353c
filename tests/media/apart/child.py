"""A media process as the tests want it: the real legs, a detector for which loud is voice, no codec but G.711."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

from aywa.media.apart.pipe import open_pipe
from aywa.media.apart.serving import Serving
from aywa.media.apart.settings import ApartSettings
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.settings import RtpSettings
from tests.media.rig import LoudVad


async def serve() -> None:
    loop = asyncio.get_running_loop()
    plan = json.loads(sys.argv[1])
    handles = socket.socket(fileno=int(sys.argv[3]))
    plane = Plane(loop, {8000: LoudVad(8000), 16000: LoudVad(16000)})
    edge = RtpEdge(loop, plane, RtpSettings(**plan["rtp"]))
    busy = plan.get("busy", 0.0)
    serving = Serving(loop, plane, edge, handles, ApartSettings(**plan["apart"]), lambda: busy * loop.time())
    pipe = await open_pipe(loop, socket.socket(fileno=int(sys.argv[2])), serving.take)
    serving.open(pipe)
    pipe.send({"is": "ready", "now_s": loop.time() + plan.get("clock_off_s", 0.0), "refused_priority": ""})
    await serving.over.wait()


def main() -> None:
    asyncio.run(serve())
