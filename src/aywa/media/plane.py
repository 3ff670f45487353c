"""The media plane: opens legs, hands them the brain's messages, and owns what they share.

One timer wheel, one voice batch per rate, one thread for recordings. Refuses to wait in any call but `close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor

from aywa.media.intake import Intake
from aywa.media.leg import MediaLeg, Surroundings
from aywa.media.pacer import Pacer
from aywa.media.recorder import Recording
from aywa.media.scribe import Scribe
from aywa.media.settings import MediaSettings
from aywa.media.voices import Voices
from aywa.media.wheel import Wheel
from aywa.ports.media import (
    AudioSink,
    Connection,
    HandOver,
    Hold,
    Join,
    LegPlan,
    MediaMessage,
    Part,
    Retrieve,
)
from aywa.ports.vad import Vad

SERVICE_RESTART = 1012
# Recordings of legs that have ended and that nobody has asked for.
_MOST_RECORDINGS = 4096


class Plane:
    """ports.media.MediaPlane. vads: a detector by rate; a leg without one of its own rate is resampled to the highest."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        vads: Mapping[int, Vad],
        settings: MediaSettings | None = None,
    ) -> None:
        self.settings = settings or MediaSettings()
        self._loop = loop
        self.wheel = Wheel(loop, self.settings.slot_s)
        self.pacer = Pacer(loop, self.wheel, self.settings.slot_s)
        self._intake = Intake(loop, self.wheel, self.settings.batch_slots_s)
        self._voices = {
            rate: Voices(loop, self.wheel, vad, self._intake, self.settings.batch_rows, self.settings.voice)
            for rate, vad in vads.items()
        }
        self._legs: dict[str, MediaLeg] = {}
        self._recordings: dict[str, asyncio.Future[Recording]] = {}
        self._writer: ThreadPoolExecutor | None = None
        scribe = Scribe(loop, self.wheel, self.settings.recording_slot_s, self._executor)
        self._around = Surroundings(loop, self.wheel, self._intake, self.settings, scribe)
        self._closed = False

    def add_leg(self, plan: LegPlan, connection: Connection) -> MediaLeg:
        """Opens the leg. A second one with the same id, or any after close, is a ValueError."""
        if self._closed:
            raise ValueError("the media plane is closed")
        if plan.leg_id in self._legs:
            raise ValueError(f"leg {plan.leg_id} is connected")
        voices = self._voices.get(plan.rate_hz) or self._voices[max(self._voices)]
        leg = MediaLeg(plan, connection, self._around, voices, self._leg_gone)
        self._legs[plan.leg_id] = leg
        leg.open()
        return leg

    def has_leg(self, leg_id: str) -> bool:
        """Whether the leg is connected."""
        return leg_id in self._legs

    @property
    def leg_count(self) -> int:
        """Connected legs."""
        return len(self._legs)

    def send(self, message: MediaMessage) -> None:
        """Carries the message out. For a leg that is gone it does nothing."""
        leg = self._legs.get(message.leg_id)
        if leg is None:
            return
        match message:
            case Join(other_id=other_id):
                other = self._legs.get(other_id)
                if other is not None and other is not leg:
                    leg.side().join(other.side())
            case Hold(pcm=pcm, rate_hz=rate_hz):
                leg.side().hold(pcm, rate_hz)
            case Retrieve():
                leg.side().retrieve()
            case Part():
                leg.part()
            case HandOver(as_id=as_id):
                self._hand_over(leg, as_id)
            case _:
                leg.carry_out(message)

    def listen(self, leg_id: str, sink: AudioSink | None, rate_hz: int) -> None:
        """Gives the leg's inbound audio to the sink (None: stops)."""
        leg = self._legs.get(leg_id)
        if leg is not None:
            leg.listen(sink, rate_hz)

    def tap(self, leg_id: str, sink: AudioSink | None) -> None:
        """Gives both sides of the leg to the sink (None: stops)."""
        leg = self._legs.get(leg_id)
        if leg is not None:
            leg.tap(sink)

    def recent_audio(self, leg_id: str, seconds: float) -> bytes:
        """The leg's last inbound audio at 16 kHz; nothing for a leg that is gone."""
        leg = self._legs.get(leg_id)
        return b"" if leg is None else leg.recent_audio(seconds)

    def last_audio_s(self, leg_id: str) -> float | None:
        """at_s of the leg's last inbound frame; None before the first and for a leg that is gone."""
        leg = self._legs.get(leg_id)
        return None if leg is None else leg.last_audio_s

    async def recorded(self, leg_id: str) -> Recording | None:
        """Waits until the ended leg's recording is complete on disk, and forgets it. None: there is none, or it was
        asked for before."""
        recording = self._recordings.pop(leg_id, None)
        return None if recording is None else await recording

    async def close(self) -> None:
        """Ends all legs, finishes all recordings. The plane takes no more legs."""
        self._closed = True
        for leg in list(self._legs.values()):
            leg.shut(SERVICE_RESTART, "shutdown")
        if self._recordings:
            await asyncio.wait(self._recordings.values())
        self.wheel.close()
        if self._writer is not None:
            self._writer.shutdown(wait=False)
            self._writer = None

    def _hand_over(self, leg: MediaLeg, as_id: str) -> None:
        if as_id not in self._legs:
            del self._legs[leg.key]
            leg.key = as_id
            self._legs[as_id] = leg
            leg.hand_over()

    def _leg_gone(self, leg: MediaLeg) -> None:
        del self._legs[leg.key]
        if leg.recorded is None:
            return
        self._recordings[leg.leg_id] = leg.recorded
        if len(self._recordings) > _MOST_RECORDINGS:
            del self._recordings[next(iter(self._recordings))]

    def _executor(self) -> Executor:
        if self._writer is None:
            self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aywa-recordings")
        return self._writer
