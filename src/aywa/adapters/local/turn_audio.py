"""Keeps the audio of one caller's turn: what came before the first voice is dropped, long silence is shortened.

Counts samples; knows no clock, no model and no text.
"""

from __future__ import annotations

import numpy as np

_BYTES = 2


class TurnAudio:
    """PCM16 mono at rate_hz. Positions are bytes into the audio kept so far."""

    def __init__(self, rate_hz: int, *, lead_s: float = 0.5, pause_s: float = 0.6) -> None:
        """lead_s: kept before a voice mark, which comes late. pause_s: kept after voice; longer silence is cut out."""
        self._second = _BYTES * rate_hz
        self._lead = _BYTES * int(lead_s * rate_hz)
        self._pause = _BYTES * int(pause_s * rate_hz)
        self._kept = bytearray()
        self._recent = bytearray()
        self._silence = 0
        self._voice_end = 0
        self.active = False
        self.voiced = False
        """Whether voice was marked since the turn began."""
        self.epoch = 0
        """Grows with every mark of voice: what was decoded before it is not all."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def seconds(self) -> float:
        """Length of what is kept."""
        return len(self._kept) / self._second

    def feed(self, pcm: bytes) -> None:
        """Takes the next audio."""
        if self.active:
            self._kept += pcm
            return
        if self.voiced and self._silence < self._pause:
            self._silence += len(pcm)
            self._kept += pcm
            return
        self._recent += pcm
        if (extra := len(self._recent) - self._lead) > 0:
            del self._recent[:extra]

    def voice(self, active: bool) -> None:
        """Voice was found, or its end."""
        if active and not self.active:
            self._kept += self._recent
            self._recent.clear()
            self.voiced = True
            self.epoch += 1
        elif self.active and not active:
            self._voice_end = len(self._kept)
            self._silence = 0
        self.active = active

    def since(self, start: int = 0, end: int | None = None) -> bytes:
        """The audio kept from start to end."""
        return bytes(self._kept[start:end])

    def drop(self, until: int) -> None:
        """What lies before `until` is settled. Without voice after it the turn begins afresh."""
        del self._kept[:until]
        self._voice_end = max(0, self._voice_end - until)
        if not self.active and not self._voice_end:
            self._recent[:0] = self._kept
            self._recent = self._recent[-self._lead :]
            self._kept.clear()
            self.voiced = False

    def quietest(self, first_s: float, last_s: float) -> int:
        """The position of the quietest 100 ms between two times: where to cut a turn that does not pause."""
        window = self._second // 10
        part = np.frombuffer(self.since(int(first_s * 10) * window, int(last_s * 10) * window), dtype="<i2")
        energy = (part.astype(np.float32).reshape(-1, window // _BYTES) ** 2).sum(axis=1)
        return (int(first_s * 10) + int(energy.argmin())) * window + window // 2 // _BYTES * _BYTES
