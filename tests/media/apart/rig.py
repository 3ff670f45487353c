"""Media processes, phones that call their legs, and calls that take notes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from aywa.core.events import MediaEvent
from aywa.core.rtp.packet import build
from aywa.core.rtp.plan import Codec, StreamPlan
from aywa.media.apart.edge import ApartEdge
from aywa.media.apart.leg import ApartLeg
from aywa.media.apart.plane import JoinedPlane
from aywa.media.apart.settings import ApartSettings
from aywa.media.plane import Plane
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.media import AudioFormat, LegPlan
from tests.media.rig import LoudVad
from tests.media.rtp.test_edge import HOST, PCMU, Phone
from tests.media.rtp.test_ports import free_range

E = TypeVar("E")
WITHIN_S = 10.0
ROOT = str(Path(__file__).parents[3])
CHILD = f"import sys; sys.path.insert(0, {ROOT!r}); from tests.media.apart.child import main; main()"


async def until(what: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Processes are waited for in real time."""
    async with asyncio.timeout(within_s):
        while not what():  # noqa: ASYNC110 - it is another process that makes it true
            await asyncio.sleep(0.005)


@dataclass
class Signals:
    """Signalling that takes notes, and ends the leg when it is asked to hang up."""

    hung_up: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    keys: str = ""
    has_keys: bool = True
    leg: ApartLeg | None = None

    def hang_up(self, reason: str) -> None:
        self.hung_up.append(reason)
        if self.leg is not None:
            self.leg.close("local")

    def media_lost(self, detail: str) -> None:
        self.lost.append(detail)

    def send_keys(self, digits: str) -> bool:
        self.keys += digits
        return self.has_keys


@dataclass
class Call:
    """A leg in a media process, its phone, what the brain learns of it."""

    leg: ApartLeg
    phone: Phone
    signals: Signals
    events: list[MediaEvent]
    epoch_s: float
    port: int
    audio: bytearray = field(default_factory=bytearray)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def names(self) -> list[str]:
        spare = ("VoiceScored", "PlayoutAdvanced")
        return [name for name in (type(event).__name__ for event in self.events) if name not in spare]

    def say(self, loud: bool = True) -> None:
        """A packet of 20 ms."""
        number, self.phone.number = self.phone.number, self.phone.number + 1
        payload = (b"\x90" if loud else b"\xff") * 160
        packet = build(0, False, number & 0xFFFF, number * 160, 77, payload)
        self.phone.audio.sendto(packet, (HOST, self.port))

    async def speak(self, seconds: float, loud: bool = True) -> None:
        for _ in range(round(seconds / 0.02)):
            self.say(loud)
            await asyncio.sleep(0.02)


class Rig:
    """Opens calls on processes."""

    def __init__(self, processes: int, apart: ApartSettings, rtp: RtpSettings, **plan: Any) -> None:
        self.loop = asyncio.get_running_loop()
        told = {"apart": asdict(apart), "rtp": asdict(rtp), **plan}
        command = (sys.executable, "-c", CHILD, json.dumps(told))
        self.edge = ApartEdge(self.loop, command, processes, rtp, apart)
        self.here = Plane(self.loop, {8000: LoudVad(8000)})
        self.plane = JoinedPlane(self.here, self.edge)
        self.phones: list[Phone] = []

    def call(
        self,
        leg_id: str = "leg",
        recording: Path | None = None,
        codec: Codec = Codec.PCMU,
        signals: Signals | None = None,
    ) -> Call:
        phone = Phone()
        self.phones.append(phone)
        events: list[MediaEvent] = []
        signals = signals or Signals()
        pair = self.edge.reserve(HOST)
        port = pair.port
        types = PCMU if codec is Codec.PCMU else {100: codec}
        stream = StreamPlan(codec, next(iter(types)), types, remote=phone.address)
        epoch_s = self.loop.time()
        path = None if recording is None else str(recording)
        plan = LegPlan(leg_id, AudioFormat.PCM16, 16000, epoch_s, events.append, path)
        leg = self.edge.open(pair, stream, plan, signals, HOST)
        signals.leg = leg
        call = Call(leg, phone, signals, events, epoch_s, port)
        self.plane.listen(leg_id, call.audio.extend, 8000)
        return call


@asynccontextmanager
async def rig(processes: int = 1, **settings: Any) -> AsyncIterator[Rig]:
    """settings: of ApartSettings, and of the child."""
    plan = {name: settings.pop(name) for name in ("clock_off_s", "busy") if name in settings}
    first = free_range(8)
    rtp = RtpSettings(first_port=first, last_port=first + 15, drain_s=0.05, rest_s=0.05)
    apart = replace(ApartSettings(beat_s=0.1, back_off_s=(0.0, 0.1)), **settings)
    opened = Rig(processes, apart, rtp, **plan)
    opened.edge.start()
    try:
        yield opened
    finally:
        await opened.plane.close()
        for phone in opened.phones:
            phone.close()
