"""One leg's voice detection: cuts inbound audio into windows, has them scored, says when voice began and ended.

It counts the samples it was given, so every block of a window keeps the arrival time of the frame it came in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.audio.resample import Resampler
from aywa.core.turns.voice import VoiceDetector, VoiceMoment, VoiceSettings
from aywa.media.vad_batch import BLOCKS_PER_SECOND, VadBatch


class Ear:
    """judge(probability, moment) is called once a window; failed() once when the detector fails."""

    def __init__(
        self,
        batch: VadBatch,
        rate_hz: int,
        settings: VoiceSettings,
        judge: Callable[[float, VoiceMoment | None], None],
        failed: Callable[[], None],
    ) -> None:
        self.detector = VoiceDetector(batch.window_s, settings)
        self.window_s = batch.window_s
        self._batch = batch
        self._window_bytes = batch.window_samples * 2
        self._block_samples = batch.rate_hz // BLOCKS_PER_SECOND
        self._resampler = Resampler(rate_hz, batch.rate_hz) if rate_hz != batch.rate_hz else None
        self._judge = judge
        self._failed = failed
        self._pending = bytearray()
        # (samples given when the frame was complete, when it arrived), oldest first; and samples scored.
        self._arrivals: deque[tuple[int, float]] = deque()
        self._given = 0
        self._scored = 0
        self._row = batch.open(self)

    @property
    def voiced(self) -> bool:
        """The last window held voice, or belongs to one that has not stopped."""
        return self.detector.voiced_windows > 0 and self.detector.quiet_windows == 0

    def close(self) -> None:
        """Gives the row back."""
        self._batch.close(self._row)

    def hear(self, pcm: bytes, at_s: float) -> None:
        """A frame at the leg's rate, and when it arrived."""
        if self._resampler is not None:
            pcm = to_pcm(self._resampler.push(to_float(pcm)))
        self._given += len(pcm) // 2
        self._arrivals.append((self._given, at_s))
        pending = self._pending
        pending += pcm
        while len(pending) >= self._window_bytes:
            self._batch.add(self._row, bytes(pending[: self._window_bytes]))
            del pending[: self._window_bytes]

    def scored(self, probability: float, levels_db: Sequence[float]) -> None:
        """The batch's answer for the oldest window."""
        arrived = self._arrived(len(levels_db))
        self._judge(probability, self.detector.heard(probability, levels_db, arrived))

    def score_failed(self) -> None:
        """Told once."""
        failed, self._failed = self._failed, _nothing
        failed()

    def _arrived(self, blocks: int) -> list[float]:
        """When each block of the next window arrived: with the frame that completed it."""
        arrivals = self._arrivals
        scored, block = self._scored, self._block_samples
        times: list[float] = []
        while True:
            until, at_s = arrivals[0]
            ended = min((until - scored) // block, blocks - len(times))
            times += [at_s] * ended
            scored += ended * block
            if len(times) == blocks:
                break
            arrivals.popleft()
        self._scored = scored
        return times


def _nothing() -> None:
    """For what needs no second telling."""
