"""What sounds under the agent's voice and between its replies: a short piece of sound, again and again. How loud it is, is its
maker's business."""

from __future__ import annotations

import numpy as np

from aywa.core.audio.frame import Shorts, shorts
from aywa.core.audio.resample import resample_pcm
from aywa.media.wire import Wire

SECONDS_MOST = 60.0
SAMPLES_LEAST = 160
_TOP, _BOTTOM = 32767, -32768


class Underlay:
    """One leg's. pcm: PCM16 at rate_hz; wire, leg_hz: of the leg."""

    def __init__(self, pcm: bytes, rate_hz: int, wire: Wire, leg_hz: int) -> None:
        whole = pcm[: 2 * int(SECONDS_MOST * rate_hz)]
        sound = whole if rate_hz == leg_hz else resample_pcm(whole, rate_hz, leg_hz)
        self._sound: Shorts = shorts(sound[: len(sound) & ~1])
        self._wire = wire
        self._at = 0

    @property
    def any(self) -> bool:
        """There is something to hear."""
        return len(self._sound) >= SAMPLES_LEAST

    def under(self, frame: bytes) -> bytes:
        """The frame, in the wire's format, with the next of the sound under it."""
        said = shorts(self._wire.to_pcm(frame))
        mixed = said.astype(np.int32) + self._next(len(said))
        return self._wire.from_pcm(mixed.clip(_BOTTOM, _TOP).astype("<i2").tobytes())

    def _next(self, samples: int) -> Shorts:
        places = (self._at + np.arange(samples)) % len(self._sound)
        self._at = (self._at + samples) % len(self._sound)
        return self._sound[places]
