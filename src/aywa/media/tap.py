"""Both sides of a leg for those who listen to it: PCM16 stereo at 16 kHz, 20 ms on every beat, a moment late.

What the party says is laid where it arrived, what it was sent where the party begins to hear it; where nothing is, there is
silence. What comes later than its beat is lost to the listener, and to nobody else. Refuses to wait, and to keep more than a
few seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from aywa.core.audio.frame import FRAME_S, Shorts, frame_samples, shorts, to_float, to_pcm
from aywa.core.audio.mix import interleave
from aywa.core.audio.resample import Resampler
from aywa.media.wheel import Timer, Wheel
from aywa.ports.media import TAP_HZ, AudioSink

log = logging.getLogger(__name__)

# How late the listener hears: longer than the network's jitter, and than audio that is sent in lumps.
DELAY_S = 0.12
# Audio that is sent ahead of being heard waits for so long at most; what is farther ahead is left out.
AHEAD_S = 4.0
# Audio that comes so much later than it would without a gap begins anew; less is jitter.
JITTER_S = 0.06
# The loop was held up for longer: the beats meanwhile are not made up for.
LATE_S = 1.0


class Tap:
    """heard, sent and unheard tell what happens on the leg; sink gets the rest. Times are the loop's."""

    def __init__(
        self, leg_id: str, rate_hz: int, wheel: Wheel, now: Callable[[], float], sink: AudioSink
    ) -> None:
        self._leg_id = leg_id
        self._rate_hz = rate_hz
        self._wheel = wheel
        self._now = now
        self._sink: AudioSink | None = sink
        self._samples = frame_samples(rate_hz)
        self._party = _Lane(rate_hz)
        self._agent = _Lane(rate_hz)
        self._began_s = now()
        self._given = 0
        self._next_s = self._began_s + DELAY_S + FRAME_S
        self._timer: Timer | None = wheel.at(self._next_s, self._beat)

    def heard(self, pcm: bytes, at_s: float) -> None:
        """The party said this until at_s."""
        samples, lane = len(pcm) // 2, self._party
        # Not before the frame's own beginning, of a longer one than usual: of its last 20 ms.
        arrived = self._place(at_s) - min(samples, self._samples)
        start = arrived if arrived > lane.end + JITTER_S * self._rate_hz else lane.end
        lane.put(start, shorts(pcm[: samples * 2]), self._given)

    def sent(self, pcm: bytes, heard_from_s: float) -> None:
        """The party hears this from then on."""
        start, lane = self._place(heard_from_s), self._agent
        # The same clock cut into samples twice may differ by one.
        start = lane.end if abs(start - lane.end) <= 1 else start
        lane.put(start, shorts(pcm), self._given)

    def unheard(self, from_s: float) -> None:
        """What the party was to hear from then on was thrown away."""
        self._agent.forget(max(self._place(from_s), self._given))

    def close(self) -> None:
        """Nothing more is given."""
        self._sink = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _place(self, at_s: float) -> int:
        return round((at_s - self._began_s) * self._rate_hz)

    def _beat(self) -> None:
        now = self._now()
        if now - self._next_s > LATE_S:
            # What was not given meanwhile is left out.
            self._given = self._place(now - DELAY_S - FRAME_S)
            self._next_s = now
        self._next_s += FRAME_S
        self._timer = self._wheel.at(self._next_s, self._beat)
        sides = [lane.take(self._given, self._samples) for lane in (self._party, self._agent)]
        self._given += self._samples
        sink = self._sink
        if sink is None:
            return
        try:
            sink(interleave(*sides))
        except Exception:
            log.exception("who listens to leg %s failed", self._leg_id)
            self.close()


class _Lane:
    """One side: a ring of samples by their place since the tap began."""

    def __init__(self, rate_hz: int) -> None:
        self.end = 0
        self._size = round((AHEAD_S + DELAY_S) * rate_hz)
        self._ring: Shorts = np.zeros(self._size, np.int16)
        self._resampler = None if rate_hz == TAP_HZ else Resampler(rate_hz, TAP_HZ)

    def put(self, start: int, samples: Shorts, given: int) -> None:
        """Lays audio down. What was given before, and what is too far ahead, is left out."""
        late = max(0, given - start)
        kept = samples[late : max(late, given + self._size - start)]
        if kept.size:
            self._write(start + late, kept)
            self.end = start + late + kept.size

    def forget(self, start: int) -> None:
        """From there on it is silent."""
        if start < self.end:
            self._write(start, np.zeros(self.end - start, np.int16))
            self.end = start

    def take(self, start: int, count: int) -> bytes:
        """The samples from there on, at TAP_HZ; their place in the ring is free then."""
        at = (start + np.arange(count)) % self._size
        taken = self._ring[at].astype("<i2").tobytes()
        self._ring[at] = 0
        if self._resampler is None:
            return taken
        return to_pcm(self._resampler.push(to_float(taken)))

    def _write(self, start: int, samples: Shorts) -> None:
        at = start % self._size
        first = min(samples.size, self._size - at)
        self._ring[at : at + first] = samples[:first]
        self._ring[: samples.size - first] = samples[first:]
