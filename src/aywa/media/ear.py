"""One leg's voice detection: cuts inbound audio into windows and has them scored.

It counts the samples it was given, so every block of a window keeps the arrival time of the frame it came in.
"""

from __future__ import annotations

from collections import deque

from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.audio.resample import Resampler
from aywa.media.voices import Judge, Voices


class Ear:
    """voice: what is known of it."""

    def __init__(self, voices: Voices, rate_hz: int, judge: Judge) -> None:
        self.window_s = voices.window_s
        self._voices = voices
        self._window_bytes = voices.window_samples * 2
        self._block_samples = voices.block_samples
        self._blocks = voices.blocks
        self._resampler = Resampler(rate_hz, voices.rate_hz) if rate_hz != voices.rate_hz else None
        self._pending = bytearray()
        # (samples given when the frame was complete, when it arrived), oldest first; and samples cut into windows.
        self._arrivals: deque[tuple[int, float]] = deque()
        self._given = 0
        self._cut = 0
        self._row, self.voice = voices.open(judge)

    @property
    def voiced(self) -> bool:
        """The last window held voice, or belongs to one that has not stopped."""
        return self.voice.voiced_windows > 0 and self.voice.quiet_windows == 0

    @property
    def scores(self) -> int:
        """How many windows' scores wait for `take_scores`."""
        return self._voices.scores(self._row)

    def take_scores(self) -> tuple[float, bytes]:
        """When the first of their windows began, and the probabilities as bytes, 255 for certain."""
        return self._voices.take_scores(self._row)

    def watch(self, *, watched: bool) -> None:
        """Whether the judge wants every window."""
        self._voices.watch(self._row, watched=watched)

    def close(self) -> None:
        """Gives the row back."""
        self._voices.close(self._row)

    def hear(self, pcm: bytes, at_s: float) -> None:
        """A frame at the leg's rate, and when it arrived."""
        if self._resampler is not None:
            pcm = to_pcm(self._resampler.push(to_float(pcm)))
        self._given += len(pcm) // 2
        self._arrivals.append((self._given, at_s))
        pending = self._pending
        pending += pcm
        while len(pending) >= self._window_bytes:
            self._voices.add(self._row, bytes(pending[: self._window_bytes]), self._arrived())
            del pending[: self._window_bytes]

    def _arrived(self) -> list[float]:
        """When each block of the next window arrived: with the frame that completed it."""
        arrivals = self._arrivals
        cut, block, blocks = self._cut, self._block_samples, self._blocks
        times: list[float] = []
        while True:
            until, at_s = arrivals[0]
            ended = min((until - cut) // block, blocks - len(times))
            times += [at_s] * ended
            cut += ended * block
            if len(times) == blocks:
                break
            arrivals.popleft()
        self._cut = cut
        return times
