"""Where the media of phone calls runs: in this process, or in processes of their own. The rest of the runtime sees one plane
and one edge and does not know which.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import structlog

from aywa.adapters.codecs import make_coding
from aywa.adapters.srtp.libsrtp import LibSrtp
from aywa.boot.errors import CannotStart
from aywa.boot.phone_settings import PhoneSettings
from aywa.core.rtp.plan import StreamPlan
from aywa.media.apart.edge import ApartEdge
from aywa.media.apart.plane import JoinedPlane
from aywa.media.apart.process import MediaUnavailable
from aywa.media.apart.settings import ApartSettings
from aywa.media.plane import Plane
from aywa.media.recorder import Recording
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.leg import LegSignals, StreamReport
from aywa.media.rtp.ports import PortPair
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.media import LegPlan, MediaPlane

_log = structlog.get_logger("aywa.boot.layout")


class PhoneLeg(Protocol):
    """Signalling's handle on a leg."""

    def change(self, plan: StreamPlan) -> None:
        """Signalling agreed on something else."""

    def close(self, cause: str = "closed", detail: str = "") -> None:
        """The dialog is over: the leg ends, with LegEnded(cause)."""

    def digit(self, digit: str) -> None:
        """A key that came by signalling."""

    def report(self) -> StreamReport | None:
        """How the stream fares, as far as that is known here."""


class PhoneEdge(Protocol):
    """Where the audio of phone calls comes in. No method waits. detected_host: what somebody outside sees us at."""

    detected_host: str

    def reserve(self, host: str) -> PortPair:
        """A pair of ports for the SDP. Raises NoPorts, OSError."""

    def told_host(self, pair: PortPair, remote: str) -> str:
        """What the SDP is to say."""

    def open(
        self,
        pair: PortPair,
        plan: StreamPlan,
        leg_plan: LegPlan,
        signals: LegSignals,
        signalling_host: str = "",
    ) -> PhoneLeg:
        """The pair becomes a leg. Raises ValueError, LookupError, CodecUnavailable,
        SrtpUnavailable."""


class CallPlane(MediaPlane, Protocol):
    """The media plane as the host of calls needs it."""

    def has_leg(self, leg_id: str) -> bool:
        """Whether the leg is connected."""

    async def recorded(self, leg_id: str) -> Recording | None:
        """Waits until the ended leg's recording is complete on disk. None: there is none."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What there is. ready: raises CannotStart. problem: why no phone call can be taken now, or None. close: ends all legs and
    finishes their recordings."""

    plane: CallPlane
    edge: PhoneEdge
    ready: Callable[[], Awaitable[None]]
    problem: Callable[[], str | None]
    close: Callable[[], Awaitable[None]]


def open_layout(here: Plane, phones: PhoneSettings, silero: Path) -> Layout:
    """As the settings say. here: the plane of this process. Processes are started, and get ready meanwhile."""
    loop = asyncio.get_running_loop()
    settings = RtpSettings(
        first_port=phones.first_media_port,
        last_port=phones.last_media_port,
        public_host=phones.media_public_host,
    )
    if not phones.enabled or not phones.media_processes:
        edge = RtpEdge(loop, here, settings, coding=make_coding, srtp=LibSrtp)

        async def close() -> None:
            await here.close()
            edge.close()

        return Layout(here, edge, _at_once, lambda: None, close)
    plan = {"silero": str(silero), "rtp": asdict(settings), "priority": phones.media_priority}
    command = (sys.executable, "-m", "aywa.boot.media_process", json.dumps(plan))
    apart = ApartEdge(
        loop, command, phones.media_processes, settings, ApartSettings(cpu_most=phones.cpu_most)
    )
    apart.start()
    plane = JoinedPlane(here, apart)

    async def ready() -> None:
        try:
            await apart.ready()
        except MediaUnavailable as error:
            raise CannotStart(str(error)) from error
        for refused in {process.hello.get("refused_priority", "") for process in apart.processes} - {""}:
            _log.warning(
                "media_priority_refused",
                wanted=phones.media_priority,
                why=refused,
                effect="on a busy machine audio leaves unevenly and callers hear it",
                mend="give the runtime CAP_SYS_NICE, or set RUNTIME_MEDIA_PRIORITY=normal",
            )

    def problem() -> str | None:
        return None if any(process.up for process in apart.processes) else "no media process is running"

    return Layout(plane, apart, ready, problem, plane.close)


async def _at_once() -> None:
    """There is nothing to wait for."""
