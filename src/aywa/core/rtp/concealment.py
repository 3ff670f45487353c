"""Fills in for lost packets: the voice's last period goes on and fades, and joins what comes next without a click.

The way of G.711 Appendix I in outline: repeat the pitch, fade from the second frame on, silence after 60 ms. It costs
nothing while nothing is lost. Refuses to know packets; a codec with a memory of its own (Opus) conceals better by itself.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from aywa.core.audio.frame import Floats, silence, to_float, to_pcm

# What is looked back at, and the periods that voices have: 400 to 66 Hz.
_HISTORY_S = 0.05
_SHORTEST_S, _LONGEST_S = 0.0025, 0.015
_PATTERN_S = 0.02
# Full for a frame of 10 ms, then down to nothing.
_FULL_S, _SILENT_S = 0.01, 0.06
_JOIN_S = 0.004
# Quieter than this is no voice: any period will do.
_QUIET = 1e-4
_MOST_LOST_S = 10.0


class Concealment:
    """One stream's audio, PCM16. heard() takes what came and answers what to play; lost() makes what did not come."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        # Enough packets of 10 ms for the history.
        self._recent: deque[bytes] = deque(maxlen=5)
        self._period: Floats | None = None
        # Samples made up since the last that came.
        self._made = 0

    @property
    def concealing(self) -> bool:
        """The last audio was made up."""
        return self._period is not None

    def heard(self, pcm: bytes) -> bytes:
        """Audio that came. After a gap its beginning is blended with what the voice would have gone on as."""
        if self._period is not None and pcm:
            join = min(self._samples(_JOIN_S), len(pcm) // 2)
            rise = np.linspace(0, 1, join, endpoint=False, dtype=np.float32)
            blended = to_float(pcm[: 2 * join]) * rise + self._made_up(join) * (1 - rise)
            pcm = to_pcm(blended) + pcm[2 * join :]
            self._period = None
            self._made = 0
        self._recent.append(pcm)
        return pcm

    def lost(self, samples: int) -> bytes:
        """Audio in place of what is missing."""
        if self._period is None:
            self._period = self._find_period()
            self._made = 0
        if self._made >= self._samples(_SILENT_S):
            return silence(min(samples, self._samples(_MOST_LOST_S)))
        return to_pcm(self._made_up(min(samples, self._samples(_MOST_LOST_S))))

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._rate_hz)

    def _made_up(self, samples: int) -> Floats:
        """The next samples of the repeated period."""
        period = self._period if self._period is not None else np.zeros(1, np.float32)
        places = np.arange(self._made, self._made + samples)
        self._made += samples
        full, silent = self._samples(_FULL_S), self._samples(_SILENT_S)
        loudness = np.clip((silent - places) / (silent - full), 0, 1).astype(np.float32)
        made: Floats = period[places % len(period)] * loudness
        return made

    def _find_period(self) -> Floats:
        """The last period of what was heard, its ends made to meet."""
        history = to_float(b"".join(self._recent))[-self._samples(_HISTORY_S) :]
        shortest, longest, pattern = (self._samples(each) for each in (_SHORTEST_S, _LONGEST_S, _PATTERN_S))
        if len(history) < longest + pattern or float(np.abs(history[-pattern:]).max()) < _QUIET:
            return np.zeros(1, np.float32)
        newest = history[-pattern:]
        # Row k: what was k samples before the newest.
        lags = np.arange(shortest, longest + 1)
        starts = len(history) - pattern - lags
        earlier = history[starts[:, None] + np.arange(pattern)]
        energy = np.sqrt((earlier**2).sum(axis=1) * float((newest**2).sum())) + 1e-9
        likeness = earlier @ newest / energy
        # Of periods that fit nearly as well the shortest: a multiple of a period fits too.
        lag = int(lags[int(np.argmax(likeness > 0.95 * float(likeness.max())))])
        lag = self._sharpen(lag, lags, likeness)
        period: Floats = history[-lag:].copy()
        # The end runs over into what came before the period, so that its repetition begins where it ends.
        join = min(self._samples(_JOIN_S), lag // 4)
        rise = np.linspace(0, 1, join, endpoint=False, dtype=np.float32)
        period[-join:] = (
            period[-join:] * (1 - rise) + history[len(history) - lag - join : len(history) - lag] * rise
        )
        return period

    def _sharpen(self, lag: int, lags: np.ndarray[tuple[int], np.dtype[np.int64]], likeness: Floats) -> int:
        """From where the likeness is high to where, near to that, it is highest."""
        first = lag - int(lags[0])
        near = likeness[first : first + self._samples(_SHORTEST_S)]
        return lag + int(np.argmax(near))
