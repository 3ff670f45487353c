"""The process's RTP: its ports, its poller, its legs. Refuses to know SIP, SDP, and which library codes or encrypts."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from aywa.core.nat import is_private
from aywa.core.rtp.plan import Codec, StreamPlan
from aywa.core.rtp.srtp_keys import SrtpKeys
from aywa.media.plane import Plane
from aywa.media.rtp.coding import leg_format
from aywa.media.rtp.leg import LegSignals, RtpLeg, Surroundings
from aywa.media.rtp.poller import Poller
from aywa.media.rtp.ports import PortPair, RtpPorts
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.codec import CodecUnavailable, Coding, CodingMaker
from aywa.ports.media import AudioFormat, LegPlan
from aywa.ports.srtp import Srtp, SrtpMaker, SrtpUnavailable


def _no_coding(codec: Codec) -> Coding:
    """Where no library was given."""
    raise CodecUnavailable(f"{codec} needs a library that was not given")


def _no_srtp(send: SrtpKeys, receive: SrtpKeys, before: Mapping[str, Any] | None) -> Srtp:
    """Where no library was given."""
    raise SrtpUnavailable("SRTP needs a library that was not given")


class RtpEdge:
    """One per process and event loop. coding, srtp: the libraries; chance(n): a number in 0..n-1."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plane: Plane,
        settings: RtpSettings | None = None,
        coding: CodingMaker = _no_coding,
        srtp: SrtpMaker = _no_srtp,
        chance: Callable[[int], int] | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or RtpSettings()
        self.detected_host = ""
        """What somebody outside sees us at; empty while nobody said."""
        draw = chance or random.SystemRandom().randrange
        self._poller = Poller(loop, self.settings)
        self.ports = RtpPorts(loop, self._poller, self.settings, draw)
        self._around = Surroundings(loop, plane, self._poller, self.settings, coding, srtp, draw, wall_s)

    def reserve(self, host: str) -> PortPair:
        """A pair of ports on the host's address, for the SDP; `release` it if nothing comes of it. Raises NoPorts, OSError."""
        return self.ports.reserve(host)

    def open(
        self,
        pair: PortPair,
        plan: StreamPlan,
        leg_plan: LegPlan,
        signals: LegSignals,
        signalling_host: str = "",
    ) -> RtpLeg:
        """Joins the pair to the plane as a leg, whose format and rate follow the codec. The pair is the leg's from now on,
        also when this raises: ValueError (the plane will not have it), CodecUnavailable, SrtpUnavailable."""
        audio, rate_hz = leg_format(plan.codec)
        leg_plan = replace(leg_plan, format=audio, rate_hz=rate_hz, lead_s=self.settings.lead_s, paced=True)
        return self._start(RtpLeg(self._around, pair, plan, leg_plan, signals, signalling_host))

    def take_up(
        self, snapshot: Mapping[str, Any], leg_plan: LegPlan, signals: LegSignals, signalling_host: str = ""
    ) -> RtpLeg:
        """Goes on with a leg of another process, which has closed its sockets. Raises as `open`, and OSError (the ports
        are not free)."""
        pair = self.ports.reserve(snapshot["host"], snapshot["port"])
        leg_plan = replace(
            leg_plan,
            format=AudioFormat(snapshot["format"]),
            rate_hz=snapshot["rate_hz"],
            lead_s=self.settings.lead_s,
            paced=True,
        )
        plan = StreamPlan.from_dict(snapshot["plan"])
        leg = RtpLeg(self._around, pair, plan, leg_plan, signals, signalling_host)
        leg.take_up(snapshot)
        return self._start(leg)

    def told_host(self, pair: PortPair, remote: str) -> str:
        """What the SDP is to say."""
        return told_address(self.settings.public_host, self.detected_host, pair.host, remote)

    def close(self) -> None:
        """Closes every socket; close the plane first, so that each leg has ended."""
        self.ports.close()
        self._poller.close()

    def _start(self, leg: RtpLeg) -> RtpLeg:
        try:
            leg.start()
        except BaseException:
            leg.close("lost", "the leg could not be opened")
            raise
        return leg


def told_address(configured: str, detected: str, bound: str, remote: str) -> str:
    """Where the far side is to send: what the operator says, to everybody; what was detected, to whom it is of use; else the
    address from which the far side is reached."""
    if configured:
        return configured
    if detected and not is_private(remote) and (":" in detected) == (":" in bound):
        return detected
    return own_address(bound, remote)


def own_address(bound: str, remote: str) -> str:
    """The address of ours that the far side sees when nothing between us changes it: the bound one, or where all are
    bound, the one that leads there. Nothing is sent."""
    if bound not in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not bound
        return bound
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((remote, 9))
        except OSError:
            return "127.0.0.1" if family == socket.AF_INET else "::1"
        address: str = probe.getsockname()[0]
        return address
