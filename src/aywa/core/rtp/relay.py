"""One direction of a bridge: audio as it comes from one party, a frame of 20 ms for every beat of the other.

What comes is cut into frames and numbered, so that a jitter buffer can hold it; what is missing on its beat is concealed;
rates are changed. A party that says nothing for a while is silent, and not late. Refuses to know packets and codecs.
"""

from __future__ import annotations

from aywa.core.audio.frame import FRAME_S, frame_bytes, frame_samples, silence, to_float, to_pcm
from aywa.core.audio.level import dbfs
from aywa.core.audio.resample import Resampler
from aywa.core.rtp.concealment import Concealment
from aywa.core.rtp.jitter import Fate, JitterBuffer, JitterSettings

# Whoever was not heard for so much longer than the audio says was silent; less is the network's jitter.
SILENT_S = 0.3
# Quieter than this is not missed when the delay has to shrink.
QUIET_DB = -45.0
# More audio at once than this is no telephone's; its end is what counts.
MOST_AT_ONCE_S = 2.0


class Relay:
    """hear(pcm, now) takes audio of any length; frame(now) gives 20 ms, once for each beat. PCM16 at the two rates."""

    def __init__(self, from_hz: int, to_hz: int, settings: JitterSettings | None = None) -> None:
        self._from_hz = from_hz
        self._samples = frame_samples(from_hz)
        self._frame_bytes = frame_bytes(from_hz)
        self._made_bytes = frame_bytes(to_hz)
        self._most_bytes = round(MOST_AT_ONCE_S / FRAME_S) * self._frame_bytes
        self._buffer = JitterBuffer(from_hz, self._samples, settings)
        self._concealment = Concealment(from_hz)
        self._resampler = None if from_hz == to_hz else Resampler(from_hz, to_hz)
        self._rest = b""
        self._number = 0
        self._ticks = 0
        self._expected_s: float | None = None
        self._quiet = True

    @property
    def delay_s(self) -> float:
        """How much later audio leaves than it came, as far as the network's jitter asks for it."""
        return self._buffer.target_s

    def hear(self, pcm: bytes, now: float) -> None:
        """Audio came."""
        came_s = len(pcm) / self._frame_bytes * FRAME_S
        late_s = 0.0 if self._expected_s is None else now - self._expected_s
        if late_s > SILENT_S:
            # The party's clock went on while nothing came; the piece of a frame from before belongs to then.
            self._rest = b""
            self._ticks += round(late_s * self._from_hz)
        # How far ahead of its time a party may seem, whose clock is quicker than ours.
        self._expected_s = min(now + max(0.0, -late_s), now + SILENT_S) + came_s
        pcm = self._rest + pcm[-self._most_bytes :]
        whole = len(pcm) - len(pcm) % self._frame_bytes
        for at in range(0, whole, self._frame_bytes):
            piece = pcm[at : at + self._frame_bytes]
            self._buffer.push(self._number, self._ticks & 0xFFFFFFFF, piece, now)
            self._number += 1
            self._ticks += self._samples
        self._rest = pcm[whole:]

    def frame(self, now: float) -> bytes:
        """What the beat that begins now carries."""
        fate, payload = self._buffer.pull(now, self._quiet)
        if fate is Fate.PLAY:
            pcm = self._concealment.heard(payload)
            self._quiet = dbfs(to_float(pcm)) < QUIET_DB
        elif fate is Fate.EMPTY:
            pcm = silence(self._samples)
            self._quiet = True
        else:
            pcm = self._concealment.lost(self._samples)
        if self._resampler is None:
            return pcm
        return to_pcm(self._resampler.push(to_float(pcm)))[: self._made_bytes].ljust(self._made_bytes, b"\0")
