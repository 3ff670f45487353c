"""What a person hears at the equipment's far end: plays what arrives, one sample after the other, by a clock of its own.

This is the truth that a runtime's playout position is held against: what was played, to the sample, at every moment. It
is told the time and never asks for it. It refuses to decide what a vendor does with a mark or a clear.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

FRAME_S = 0.02
PCM_BYTES = 2
SILENT = 8
"""What A-law's quietest code says: no sound at all."""


@dataclass(frozen=True, slots=True)
class EarSettings:
    """delay_s: what is held back before a stretch of sound begins, as a jitter buffer does. skew_ppm: how much faster than
    ours its clock runs. most_s: what it holds; more is thrown away."""

    delay_s: float = 0.0
    skew_ppm: float = 0.0
    most_s: float = math.inf


@dataclass(frozen=True, slots=True)
class HeardFrame:
    """At most 20 ms, and when it began to play."""

    at_s: float
    pcm: bytes


@dataclass(slots=True)
class _Sound:
    pcm: bytes
    at: int = 0


class Ear:
    """Sounds and marks go in, in order; `wake` says which marks were reached. PCM16 LE mono."""

    def __init__(self, rate_hz: int, settings: EarSettings | None = None) -> None:
        self.rate_hz = rate_hz
        self.settings = settings or EarSettings()
        self.heard: list[HeardFrame] = []
        self.most_queued_s = 0.0
        self.dropped_samples = 0
        """Thrown away because it was too much, not because it was cleared."""
        self.cleared_samples = 0
        self._sample_s = 1 / (rate_hz * (1 + self.settings.skew_ppm / 1e6))
        self._frame_bytes = round(rate_hz * FRAME_S) * PCM_BYTES
        self._queue: deque[_Sound | str] = deque()
        self._queued_samples = 0
        self._begun_samples = 0
        # When the next sample plays; before it, the last frame is being heard.
        self._next_s = -math.inf
        self.paused = False

    # --- what arrives ----------------------------------------------------------------------------------------------

    def put(self, pcm: bytes, now_s: float) -> None:
        """Sound that follows what is there."""
        samples = len(pcm) // PCM_BYTES
        room = self._room()
        self.dropped_samples += max(0, samples - room)
        samples = min(samples, room)
        if not samples:
            return
        if not self._queued_samples and self._next_s <= now_s:
            self._next_s = now_s + self.settings.delay_s
        self._queue.append(_Sound(pcm[: samples * PCM_BYTES]))
        self._queued_samples += samples
        self.most_queued_s = max(self.most_queued_s, self.queued_s(now_s))

    def mark(self, name: str) -> None:
        """A name for the place that the sound has reached so far."""
        self._queue.append(name)

    def clear(self, now_s: float) -> list[str]:
        """Throws away what was not heard; the marks that were in it."""
        cut = min(self._unheard_of_last(now_s), self._begun_samples)
        self._begun_samples -= cut
        if cut and self.heard:
            last = self.heard.pop()
            self.heard.append(HeardFrame(last.at_s, last.pcm[: len(last.pcm) - cut * PCM_BYTES]))
        names = [item for item in self._queue if isinstance(item, str)]
        self.cleared_samples += self._queued_samples + cut
        self._queue.clear()
        self._queued_samples = 0
        self._next_s = min(self._next_s, now_s)
        self.paused = False
        return names

    def forget_marks(self) -> None:
        """The marks that were not reached never will be."""
        self._queue = deque(item for item in self._queue if not isinstance(item, str))

    def pause(self) -> None:
        """Silence, and nothing is lost."""
        self.paused = True

    def resume(self, now_s: float) -> None:
        """Goes on."""
        self.paused = False
        self._next_s = max(self._next_s, now_s)

    # --- what is heard ---------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When the next frame begins or the next mark is reached; None while there is nothing to play."""
        return self._next_s if self._queue and not self.paused else None

    def wake(self, now_s: float) -> list[str]:
        """Plays until now; the marks that were reached, in order."""
        reached: list[str] = []
        while self._queue and not self.paused and self._next_s <= now_s:
            item = self._queue[0]
            if isinstance(item, str):
                self._queue.popleft()
                reached.append(item)
            else:
                self._play(item)
        return reached

    def played_samples(self, now_s: float) -> int:
        """The truth: how many have been heard since the beginning."""
        return self._begun_samples - self._unheard_of_last(now_s)

    def silences(self, least_s: float = 0.005) -> list[tuple[float, int]]:
        """The digital silences that were played, as far as they last so long: when each began, and its samples."""
        if not self.heard:
            return []
        pcm = np.frombuffer(b"".join(frame.pcm for frame in self.heard), "<i2").astype(np.int32)
        quiet = np.concatenate(([0], np.abs(pcm) <= SILENT, [0])).astype(np.int8)
        edges = np.flatnonzero(np.diff(quiet))
        sizes = [len(frame.pcm) // PCM_BYTES for frame in self.heard]
        starts = np.cumsum([0, *sizes[:-1]])
        found: list[tuple[float, int]] = []
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            if end - begin >= least_s * self.rate_hz:
                number = int(np.searchsorted(starts, begin, "right")) - 1
                at_s = self.heard[number].at_s + float(begin - starts[number]) * self._sample_s
                found.append((at_s, int(end - begin)))
        return found

    def queued_s(self, now_s: float) -> float:
        """How long what has arrived and was not heard will take, without a delay that is still to come."""
        return (self._queued_samples + self._unheard_of_last(now_s)) * self._sample_s

    def queued_frames(self, now_s: float) -> int:
        """The same in frames of 20 ms, as equipment counts it."""
        return math.ceil(self.queued_s(now_s) / FRAME_S - 1e-6)

    def waiting(self) -> bytes:
        """What has arrived and has not begun to play."""
        return b"".join(item.pcm[item.at :] for item in self._queue if isinstance(item, _Sound))

    @property
    def marks(self) -> list[str]:
        """Those that were not reached."""
        return [item for item in self._queue if isinstance(item, str)]

    def _play(self, sound: _Sound) -> None:
        pcm = sound.pcm[sound.at : sound.at + self._frame_bytes]
        sound.at += len(pcm)
        if sound.at == len(sound.pcm):
            self._queue.popleft()
        samples = len(pcm) // PCM_BYTES
        self.heard.append(HeardFrame(self._next_s, pcm))
        self._begun_samples += samples
        self._queued_samples -= samples
        self._next_s += samples * self._sample_s

    def _unheard_of_last(self, now_s: float) -> int:
        """Of the frame that is being heard. While the next one is only to come, because of the delay, none is."""
        if not self.heard:
            return 0
        last = self.heard[-1]
        samples = len(last.pcm) // PCM_BYTES
        left = math.floor((last.at_s - now_s) / self._sample_s + samples + 1e-6)
        return max(0, min(left, samples))

    def _room(self) -> int:
        if math.isinf(self.settings.most_s):
            return 1 << 62
        return max(0, round(self.settings.most_s * self.rate_hz) - self._queued_samples)
