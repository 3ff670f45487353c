"""RTP legs in media processes: binds their ports here, so that one range serves all, and hands the bound sockets to the
process with the fewest legs when a call is answered.

Nothing here waits: the far side may be told a port at once, and what it sends early is in the socket when the leg opens.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aywa.core.rtp.plan import StreamPlan
from aywa.media.apart.leg import ApartLeg
from aywa.media.apart.messages import Message
from aywa.media.apart.process import MediaProcess, MediaUnavailable
from aywa.media.apart.settings import ApartSettings
from aywa.media.recorder import Recording
from aywa.media.rtp.coding import leg_format
from aywa.media.rtp.edge import told_address
from aywa.media.rtp.leg import LegSignals
from aywa.media.rtp.poller import Poller
from aywa.media.rtp.ports import PortPair, RtpPorts
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.media import FORWARDED, HandOver, LegPlan

# Recordings of legs that have ended and that nobody has asked for.
_MOST_RECORDINGS = 4096


@dataclass
class _Load:
    """What a process has: legs, those too whose recording is being finished; ports, those too that are being drained."""

    legs: dict[str, ApartLeg] = field(default_factory=dict)
    ports: set[int] = field(default_factory=set)


class ApartEdge:
    """media.rtp.edge.RtpEdge's side towards signalling, over so many processes. command: as MediaProcess says."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        command: Sequence[str],
        processes: int,
        rtp: RtpSettings | None = None,
        settings: ApartSettings | None = None,
        chance: Callable[[int], int] | None = None,
    ) -> None:
        self.settings = rtp or RtpSettings()
        self.detected_host = ""
        """As RtpEdge has it."""
        self.legs: dict[str, ApartLeg] = {}
        """Those that are connected."""
        self.recordings: dict[str, asyncio.Future[Recording | None]] = {}
        """What comes of those that are recorded, until somebody asks."""
        self._loop = loop
        self._apart = settings or ApartSettings()
        self._poller = Poller(loop, self.settings)
        draw = chance or random.SystemRandom().randrange
        self.ports = RtpPorts(loop, self._poller, self.settings, draw)
        self._loads = {
            MediaProcess(command, self._apart, self._take, self._fell): _Load() for _ in range(processes)
        }

    @property
    def processes(self) -> list[MediaProcess]:
        """All, also those that are down."""
        return list(self._loads)

    def start(self) -> None:
        """Starts the processes."""
        for process in self.processes:
            process.start()

    async def ready(self) -> None:
        """Waits until all take legs. Raises MediaUnavailable."""
        for process in self.processes:
            await process.ready()

    # --- for signalling --------------------------------------------------------------------------------------------

    def reserve(self, host: str) -> PortPair:
        """A pair of ports on the host's address, for the SDP; `release` it if nothing comes of it. Raises NoPorts (of which
        one is MediaUnavailable), OSError."""
        if all(process.busy for process in self._running()):
            raise MediaUnavailable("the media processes have no time left for another call")
        return self.ports.reserve(host)

    def told_host(self, pair: PortPair, remote: str) -> str:
        """What the SDP is to say."""
        return told_address(self.settings.public_host, self.detected_host, pair.host, remote)

    def open(
        self,
        pair: PortPair,
        plan: StreamPlan,
        leg_plan: LegPlan,
        signals: LegSignals,
        signalling_host: str = "",
    ) -> ApartLeg:
        """Has a process open the leg. The pair is the leg's from now on, also when this raises: ValueError (the leg is
        connected), MediaUnavailable."""
        try:
            if leg_plan.leg_id in self.legs:
                raise ValueError(f"leg {leg_plan.leg_id} is connected")
            process = self._process_for(leg_plan)
            process.lend(pair.port, pair.audio, pair.reports)
        except BaseException:
            pair.release()
            raise
        self.ports.lend(pair)
        _, rate_hz = leg_format(plan.codec)
        leg = ApartLeg(self._loop, process, leg_plan, rate_hz, signals, self._apart.recent_s)
        load = self._loads[process]
        load.ports.add(pair.port)
        load.legs[leg.leg_id] = self.legs[leg.leg_id] = leg
        if leg.recorded is not None:
            self.recordings[leg.leg_id] = leg.recorded
            if len(self.recordings) > _MOST_RECORDINGS:
                del self.recordings[next(iter(self.recordings))]
        process.send({
            "do": "open", "leg": leg.leg_id, "host": pair.host, "port": pair.port, "plan": plan.to_dict(),
            "epoch_s": leg_plan.epoch_s, "signalling_host": signalling_host,
            "recording": leg_plan.recording,
        })  # fmt: skip
        return leg

    async def close(self) -> None:
        """Ends the processes, which end their legs, and every socket."""
        await asyncio.gather(*(process.close() for process in self.processes))
        self.ports.close()
        self._poller.close()

    # --- from the processes ----------------------------------------------------------------------------------------

    def _running(self) -> list[MediaProcess]:
        """Raises MediaUnavailable."""
        running = [process for process in self._loads if process.up]
        if not running:
            raise MediaUnavailable("no media process is running: one is being started")
        return running

    def _process_for(self, leg_plan: LegPlan) -> MediaProcess:
        """The one with the fewest legs, or that of the leg which this one will be joined with."""
        running = self._running()
        other = self.legs.get(leg_plan.beside)
        if other is not None and other.process in running:
            return other.process
        return min(running, key=lambda each: (each.busy, len(self._loads[each].legs)))

    def hand_over(self, leg: ApartLeg, as_id: str) -> None:
        """The leg has another name from now on."""
        if as_id not in self.legs:
            leg.carry_out(HandOver(leg.key, as_id))
            del self.legs[leg.key]
            leg.key = as_id
            self.legs[as_id] = leg

    def _take(self, process: MediaProcess, message: Message) -> None:
        load = self._loads[process]
        if message["is"] == "audio":
            for leg_id, pcm in message["legs"].items():
                if (leg := load.legs.get(leg_id)) is not None:
                    leg.heard(pcm)
        elif message["is"] == "returned":
            load.ports.discard(message["port"])
            self.ports.take_back(message["port"])
        elif (leg := load.legs.get(message["leg"])) is not None:
            refused = message["is"] == "refused"
            if refused or (message.get("kind") == "LegEnded" and message["data"]["cause"] != FORWARDED):
                # It is not connected any more when its end is told.
                self.legs.pop(leg.key, None)
            leg.take(message)
            if refused or (leg.ended and (leg.recorded is None or leg.recorded.done())):
                load.legs.pop(leg.leg_id, None)

    def _fell(self, process: MediaProcess, detail: str) -> None:
        load, self._loads[process] = self._loads[process], _Load()
        for leg in load.legs.values():
            self.legs.pop(leg.key, None)
            leg.lost(detail)
        for port in load.ports:
            self.ports.take_back(port)
