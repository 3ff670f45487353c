"""Keys as tones in the audio (ITU-T Q.23, Q.24), both ways, for streams without telephone events.

A key is heard when its two tones stand alone in the sound for long enough, so that speech is none. Refuses other tones.
"""

from __future__ import annotations

import numpy as np

from aywa.core.audio.frame import Floats, to_float, to_pcm
from aywa.core.rtp.dtmf import KeyEnded, KeyEvent, KeyStarted

# Q.23.
_LOW_HZ = (697, 770, 852, 941)
_HIGH_HZ = (1209, 1336, 1477, 1633)
_ROWS = ("123A", "456B", "789C", "*0#D")
_TONES = {
    key: (_LOW_HZ[row], _HIGH_HZ[place]) for row, keys in enumerate(_ROWS) for place, key in enumerate(keys)
}
TONE_KEYS = frozenset(_TONES)

# A window tells 697 from 770 Hz; half of it is a step.
_WINDOW_S = 0.0256
# Q.24: 40 ms must be heard, which holds two windows wherever they begin; 20 ms must not.
_WINDOWS_TO_START = 2
_WINDOWS_TO_END = 2
# The share of the sound's power that the two tones are. Speech seldom has more than half of it in two such places.
_SHARE = 0.8
# Q.24: the high tone may be weaker by 8 dB and stronger by 4, and lines add some.
_TWIST_DB, _REVERSE_TWIST_DB = 10.0, 6.0
# Each tone stands out of its group by so much.
_ABOVE_OTHERS_DB = 8.0
# Quieter than this, in dB below overload, is nobody's key.
_LEAST_DB = -45.0
_LEVEL = 0.2
_EDGE_S = 0.005
# No more audio is looked at in one piece.
_MOST_SAMPLES = 48_000


def tone(key: str, rate_hz: int, seconds: float) -> bytes:
    """The tones of a key, PCM16, with soft edges; silence for what is no key."""
    count = max(0, round(seconds * rate_hz))
    at = np.arange(count) / rate_hz
    wave = np.zeros(count)
    for hz in _TONES.get(key.upper(), ()):
        wave += _LEVEL * np.sin(2 * np.pi * hz * at)
    edges = np.minimum(np.minimum(at, (count - 1) / rate_hz - at) / _EDGE_S, 1.0)
    return to_pcm((wave * np.clip(edges, 0, 1)).astype(np.float32))


class ToneReceiver:
    """The keys in one stream's audio, as KeyReceiver tells them."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._window = round(_WINDOW_S * rate_hz)
        self._step = self._window // 2
        self._filters = _filters(rate_hz, self._window)
        self._rest: Floats = np.zeros(0, np.float32)
        self._down: str | None = None
        self._candidate: str | None = None
        self._agreeing = 0
        self._steps_down = 0

    def hear(self, pcm: bytes) -> list[KeyEvent]:
        """The stream's next audio."""
        samples = np.concatenate((self._rest, to_float(pcm)[-_MOST_SAMPLES:]))
        told: list[KeyEvent] = []
        start = 0
        while start + self._window <= len(samples):
            self._judge(self._key(samples[start : start + self._window]), told)
            start += self._step
        self._rest = samples[start:]
        return told

    def _key(self, window: Floats) -> str | None:
        energy = float(window @ window) * len(window) / 2
        if energy < 10 ** (_LEAST_DB / 10) * len(window) ** 2 / 2:
            return None
        parts = self._filters @ window
        powers = parts[:8] ** 2 + parts[8:] ** 2
        low, high = int(np.argmax(powers[:4])), 4 + int(np.argmax(powers[4:]))
        if float(powers[low] + powers[high]) < _SHARE * energy:
            return None
        twist_db = 10 * np.log10(float(powers[high]) / float(powers[low]))
        if not -_TWIST_DB <= twist_db <= _REVERSE_TWIST_DB:
            return None
        for first, peak in ((0, low), (4, high)):
            others = [float(powers[first + each]) for each in range(4) if first + each != peak]
            if max(others) > float(powers[peak]) * 10 ** (-_ABOVE_OTHERS_DB / 10):
                return None
        return _ROWS[low][high - 4]

    def _judge(self, key: str | None, told: list[KeyEvent]) -> None:
        """Two windows alike begin a key, and two that are not it end it."""
        if key == self._candidate:
            self._agreeing += 1
        else:
            self._candidate, self._agreeing = key, 1
        if self._down is not None:
            self._steps_down += 1
            if key != self._down and self._agreeing >= _WINDOWS_TO_END:
                seconds = (self._steps_down - _WINDOWS_TO_END + 1) * self._step / self._rate_hz
                told.append(KeyEnded(self._down, seconds, seen=True))
                self._down = None
        if self._down is None and key is not None and self._agreeing >= _WINDOWS_TO_START:
            self._down = key
            self._steps_down = _WINDOWS_TO_START
            told.append(KeyStarted(key, 0))


def _filters(rate_hz: int, window: int) -> Floats:
    """Cosines and sines of the eight tones, as rows: one product gives all of them (Goertzel's sums, at once)."""
    phases = 2 * np.pi * np.array(_LOW_HZ + _HIGH_HZ)[:, None] * np.arange(window) / rate_hz
    rows: Floats = np.concatenate((np.cos(phases), np.sin(phases))).astype(np.float32)
    return rows
