"""A person who speaks to a leg's party in the agent's place: what comes of them leaves on a steady beat, through a jitter buffer,
at the leg's rate; what the agent still says is heard over it. Refuses to know who it is, and how long they may.
"""

from __future__ import annotations

from collections.abc import Callable

from aywa.core.audio.frame import FRAME_S, frame_bytes
from aywa.core.audio.mix import mix
from aywa.core.rtp.relay import Relay
from aywa.media.wheel import Timer, Wheel
from aywa.ports.media import TAP_HZ

# The loop was held up for longer: the beats meanwhile are not made up for.
LATE_S = 0.1
# Of what the agent says meanwhile: its playout keeps its own pace.
WHISPER_S = 5.0


class Takeover:
    """send(pcm, heard_from_s): 20 ms for the party at its rate, and when it begins to hear them (loop time)."""

    def __init__(
        self, rate_hz: int, wheel: Wheel, now: Callable[[], float], send: Callable[[bytes, float], None]
    ) -> None:
        self._relay = Relay(TAP_HZ, rate_hz)
        self._wheel = wheel
        self._now = now
        self._send = send
        self._frame_bytes = frame_bytes(rate_hz)
        self._whisper_most = round(WHISPER_S / FRAME_S) * self._frame_bytes
        self._whisper = bytearray()
        self._next_s = now()
        self._timer: Timer | None = wheel.at(self._next_s, self._beat)

    def speak(self, pcm: bytes) -> None:
        """Some of what the person says, PCM16 at TAP_HZ."""
        self._relay.hear(pcm[: len(pcm) & ~1], self._now())

    def whisper(self, pcm: bytes) -> None:
        """Something of the agent's all the same: the call's last words."""
        room = self._whisper_most - len(self._whisper)
        self._whisper += pcm[: max(0, room)]

    def close(self) -> None:
        """The person is heard no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        now = self._now()
        if now - self._next_s > LATE_S:
            self._next_s = now
        beat_s = self._next_s
        self._next_s += FRAME_S
        # Before anything that could raise: one bad frame is not the end of it.
        self._timer = self._wheel.at(self._next_s, self._beat)
        frame = self._relay.frame(now)
        if self._whisper:
            frame = mix(frame, bytes(self._whisper[: self._frame_bytes]))
            del self._whisper[: self._frame_bytes]
        self._send(frame, beat_s)
