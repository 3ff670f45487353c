"""One process of a call that changes processes: `first` answers it and leaves its state behind, `second` goes on with it.

    python -m tests.peers.takes_up first|second PORT STATE TONE_HZ

It plays a tone. `first` ends, without a word to the far side, when a line comes in; `second` when the far side hangs up.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from aywa.adapters.codecs import make_coding
from aywa.adapters.srtp.libsrtp import LibSrtp
from aywa.adapters.transports.sip.port import SipPort
from aywa.adapters.transports.sip.settings import SipSettings
from aywa.core.events import DtmfReceived, MediaEvent
from aywa.core.sip import events as sip
from aywa.core.sip.admission import AgentSettings
from aywa.core.sip.offer import LocalMedia
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.leg import RtpLeg
from aywa.media.rtp.ports import PortPair
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.media import AudioFormat, LegPlan, Play
from tests.media.rig import LoudVad

TONE_S = 30


class Half:
    """A SIP port with one call on it."""

    def __init__(self, port: int, tone_hz: float) -> None:
        loop = asyncio.get_running_loop()
        self.plane = Plane(loop, {8000: LoudVad(8000), 16000: LoudVad(16000)})
        self.edge = RtpEdge(loop, self.plane, RtpSettings(), coding=make_coding, srtp=LibSrtp)
        self.port = SipPort(SipSettings(port=port, transports=("udp",)), AgentSettings(), self.take)
        self.tone_hz = tone_hz
        self.call = ""
        self.keys: list[str] = []
        self.pair: PortPair | None = None
        self.leg: RtpLeg | None = None
        self.ended: asyncio.Future[sip.Ended] = loop.create_future()

    def take(self, event: sip.Event) -> None:
        agent, now = self.port.agent, self.port.now()
        match event:
            case sip.InviteReceived(call=call):
                self.call, self.pair = call, self.edge.reserve("127.0.0.1")
                media = LocalMedia("127.0.0.1", self.pair.port, self.pair.rtcp_port, codecs=("PCMU",))
                self.port.carry_out(agent.answer(call, media, now))
            case sip.MediaChanged(plan=plan) if self.leg is None and self.pair is not None:
                self.leg = self.edge.open(self.pair, plan, self.leg_plan(), self)
                self.play()
            case sip.Ended():
                self.ended.set_result(event)
            case _:
                pass

    def leg_plan(self) -> LegPlan:
        now_s = asyncio.get_running_loop().time()
        return LegPlan("leg", AudioFormat.MULAW, 8000, now_s, self.post)

    def post(self, event: MediaEvent) -> None:
        if isinstance(event, DtmfReceived):
            self.keys.append(event.digit)

    def play(self) -> None:
        wave = 8000 * np.sin(np.arange(8000 * TONE_S) * 2 * np.pi * self.tone_hz / 8000)
        self.plane.send(Play("leg", 1, wave.astype("<i2").tobytes()))

    # --- media.rtp.leg.LegSignals

    def hang_up(self, reason: str) -> None: ...

    def media_lost(self, detail: str) -> None: ...

    def send_keys(self, digits: str) -> bool:
        return False

    # --- the change of processes

    def state(self) -> dict[str, Any]:
        assert self.leg is not None
        dialog = self.port.agent.snapshot(self.call, self.port.now())
        return {"dialog": dialog, "leg": self.leg.snapshot()}

    def go_on(self, state: dict[str, Any]) -> None:
        self.leg = self.edge.take_up(state["leg"], self.leg_plan(), self)
        self.call, actions = self.port.agent.take_up(state["dialog"], self.port.now())
        self.port.carry_out(actions)
        self.play()


async def first(half: Half, state: Path) -> None:
    await asyncio.to_thread(sys.stdin.readline)
    text = json.dumps(half.state())
    state.write_text(text)  # noqa: ASYNC240
    # As a process ends that is killed: nothing is said to anybody, the system closes the sockets.
    os._exit(0)


async def second(half: Half, state: Path) -> None:
    half.go_on(json.loads(state.read_text()))  # noqa: ASYNC240
    print("took it up", flush=True)
    ended = await half.ended
    assert half.leg is not None
    print(json.dumps({"by": ended.by, "keys": half.keys, "received": half.leg.report().received}))
    half.leg.close("closed")
    await half.plane.close()
    half.edge.close()
    await half.port.close()


async def main(which: str, port: str, state: str, tone_hz: str) -> None:
    half = Half(int(port), float(tone_hz))
    await half.port.start()
    print("ready", flush=True)
    await (first if which == "first" else second)(half, Path(state))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
