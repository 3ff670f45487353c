"""The media plane of a runtime whose phone legs are in other processes: each message finds its leg, here or there."""

from __future__ import annotations

import asyncio

from aywa.media.apart.edge import ApartEdge
from aywa.media.leg import MediaLeg
from aywa.media.plane import Plane
from aywa.media.recorder import Recording
from aywa.ports.media import AudioSink, Connection, HandOver, LegPlan, MediaMessage


class JoinedPlane:
    """ports.media.MediaPlane. here: legs of transports of this process. there: the others."""

    def __init__(self, here: Plane, there: ApartEdge) -> None:
        self._here = here
        self._there = there

    def add_leg(self, plan: LegPlan, connection: Connection) -> MediaLeg:
        """Opens a leg of this process."""
        return self._here.add_leg(plan, connection)

    def has_leg(self, leg_id: str) -> bool:
        """Whether the leg is connected."""
        return leg_id in self._there.legs or self._here.has_leg(leg_id)

    def send(self, message: MediaMessage) -> None:
        """Carries the message out. For a leg that is gone it does nothing."""
        leg = self._there.legs.get(message.leg_id)
        if leg is None:
            self._here.send(message)
        elif isinstance(message, HandOver):
            self._there.hand_over(leg, message.as_id)
        else:
            leg.carry_out(message)

    def listen(self, leg_id: str, sink: AudioSink | None, rate_hz: int) -> None:
        """Gives the leg's inbound audio to the sink (None: stops)."""
        leg = self._there.legs.get(leg_id)
        if leg is None:
            self._here.listen(leg_id, sink, rate_hz)
        else:
            leg.listen(sink, rate_hz)

    def tap(self, leg_id: str, sink: AudioSink | None) -> None:
        """Gives both sides of the leg to the sink (None: stops)."""
        leg = self._there.legs.get(leg_id)
        if leg is None:
            self._here.tap(leg_id, sink)
        else:
            leg.tap(sink)

    def recent_audio(self, leg_id: str, seconds: float) -> bytes:
        """The leg's last inbound audio at 16 kHz; nothing for a leg that is gone."""
        leg = self._there.legs.get(leg_id)
        return self._here.recent_audio(leg_id, seconds) if leg is None else leg.recent_audio(seconds)

    async def recorded(self, leg_id: str) -> Recording | None:
        """As Plane says."""
        recording = self._there.recordings.pop(leg_id, None)
        return await self._here.recorded(leg_id) if recording is None else await recording

    async def close(self) -> None:
        """Ends all legs, finishes all recordings."""
        await asyncio.gather(self._here.close(), self._there.close())
