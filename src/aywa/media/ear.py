"""One leg's voice detection: cuts inbound audio into windows and has them scored.

It counts the samples it was given, so every block of a window keeps the arrival time of the frame it came in. Frames of 20 ms
at the detector's rate need not be cut one by one: `Voices` does that for many legs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from aywa.core.audio.frame import Floats, to_float, to_pcm
from aywa.core.audio.resample import Resampler
from aywa.media.voices import Judge, Voices


class Ear:
    """voice: what is known of it. decode: makes numbers of frames as they come."""

    def __init__(self, voices: Voices, rate_hz: int, judge: Judge, decode: Callable[[bytes], Floats]) -> None:
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
        self._frames = voices.frames(decode)
        self._together = False

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
        if self._together:
            self._part()
        if self._resampler is not None:
            pcm = to_pcm(self._resampler.push(to_float(pcm)))
        self._given += len(pcm) // 2
        self._arrivals.append((self._given, at_s))
        pending = self._pending
        pending += pcm
        while len(pending) >= self._window_bytes:
            window = to_float(bytes(pending[: self._window_bytes]))
            del pending[: self._window_bytes]
            self._voices.add(self._row, window, self._arrived(self._blocks))

    def hear_among(self, frame: bytes, at_s: float) -> bool:
        """A frame of 20 ms as it came, among those of many legs. False: please decode it, and `hear` it."""
        if not self._together and not self._join():
            return False
        frames = self._frames
        frames.append((self._row, frame, at_s))
        if len(frames) == 1:
            self._voices.cut_soon()
        return True

    def _join(self) -> bool:
        """What waits for the rest of its window goes where the next frames do, if it is whole blocks."""
        pending = bytes(self._pending)
        blocks, rest = divmod(len(pending) // 2, self._block_samples)
        if self._resampler is not None or rest:
            return False
        self._voices.join(self._row, to_float(pending), self._arrived(blocks))
        self._pending.clear()
        self._arrivals.clear()
        self._given = self._cut = 0
        self._together = True
        return True

    def _part(self) -> None:
        self._together = False
        samples, arrived_s = self._voices.part(self._row)
        self._pending += to_pcm(samples)
        size = self._block_samples
        self._arrivals.extend(((place + 1) * size, at_s) for place, at_s in enumerate(arrived_s))
        self._given = len(arrived_s) * size

    def _arrived(self, blocks: int) -> list[float]:
        """When each of the next blocks arrived: with the frame that completed it."""
        arrivals = self._arrivals
        cut, block = self._cut, self._block_samples
        times: list[float] = []
        while len(times) < blocks:
            until, at_s = arrivals[0]
            ended = min((until - cut) // block, blocks - len(times))
            times += [at_s] * ended
            cut += ended * block
            if len(times) < blocks:
                arrivals.popleft()
        self._cut = cut
        return times
