"""Comfort noise (RFC 3389) both ways: what a quiet line's noise is like, in a few bytes, and noise like it.

The noise is the same for the same stream: it comes from a fixed table, so that a call sounds alike when it is replayed.
Refuses to decide when a line is quiet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aywa.core.audio.frame import to_float, to_pcm

# RFC 3389 3.1: in dB below overload; 127 is as good as none.
QUIETEST_DB = 127
# What is said of noise that was not measured: a quiet room.
USUAL_DB = 65
# RFC 3389 3.2 leaves the order open; more says nothing that is heard.
MOST_ORDER = 12
# Of the old level in a frame, when a new one comes: no step is heard.
_EASE = 0.7
# Eight seconds at 8 kHz: a repetition of noise after so long is not noticed.
_TABLE = 1 << 16
_TAPS = 128
_SHARPEST = 1e-4

Numbers = npt.NDArray[np.float64]


def describe(pcm: bytes, order: int = 0) -> bytes:
    """The payload for noise like this. order: how many coefficients of its spectrum, 0 for its level alone."""
    samples = to_float(pcm).astype(np.float64)
    power = float(np.mean(samples**2)) if samples.size else 0.0
    level = QUIETEST_DB if power <= 0 else min(max(round(-10 * np.log10(power)), 0), QUIETEST_DB)
    # RFC 3389 3.2: 8 bits of what lies between -1 and 1.
    quantised = [
        min(max(round(each * 32768 / 258) + 127, 0), 254)
        for each in _reflections(samples, min(order, MOST_ORDER))
    ]
    return bytes([level, *quantised])


class ComfortNoise:
    """The noise of one stream."""

    def __init__(self) -> None:
        self._gain = self._wanted = _gain(USUAL_DB)
        # The spectrum as a filter's response to one sample, of power 1; None: all frequencies alike.
        self._response: Numbers | None = None
        self._place = 0

    def receive(self, payload: bytes) -> None:
        """A packet of comfort noise; an empty one says nothing new."""
        if not payload:
            return
        self._wanted = _gain(payload[0] & 0x7F)
        reflections = [258 * (min(each, 254) - 127) / 32768 for each in payload[1 : 1 + MOST_ORDER]]
        self._response = _response(reflections) if reflections else None

    def make(self, samples: int) -> bytes:
        """Noise, PCM16."""
        if samples <= 0:
            return b""
        self._gain = _EASE * self._gain + (1 - _EASE) * self._wanted
        response = self._response
        before = 0 if response is None else len(response) - 1
        noise = _WHITE.take(np.arange(self._place - before, self._place + samples), mode="wrap")
        self._place = (self._place + samples) % _TABLE
        if response is not None:
            noise = np.convolve(noise, response, "valid")
        return to_pcm((noise * self._gain).astype(np.float32))


def _gain(level_db: int) -> float:
    return 0.0 if level_db >= QUIETEST_DB else float(10 ** (-level_db / 20))


def _reflections(samples: Numbers, order: int) -> list[float]:
    """Levinson and Durbin: the reflection coefficients of the samples' spectrum."""
    if order <= 0 or samples.size <= order or not samples.any():
        return []
    correlation = [float(samples[: samples.size - lag] @ samples[lag:]) for lag in range(order + 1)]
    error = correlation[0] * (1 + 1e-6)
    weights: list[float] = []
    found = []
    for step in range(order):
        match = correlation[step + 1] + sum(weights[each] * correlation[step - each] for each in range(step))
        reflection = -match / error
        weights = [
            weight + reflection * mirror for weight, mirror in zip(weights, weights[::-1], strict=True)
        ]
        weights.append(reflection)
        error *= 1 - reflection**2
        found.append(reflection)
    return found


def _response(reflections: list[float]) -> Numbers:
    """What the all-pole filter makes of one sample: stable, as all coefficients are less than 1, and cut off where it is long.
    Hostile ones make the filter's spectrum nearly 0 somewhere, which is as sharp as anybody needs."""
    weights: list[float] = []
    for reflection in reflections:
        weights = [
            weight + reflection * mirror for weight, mirror in zip(weights, weights[::-1], strict=True)
        ]
        weights.append(reflection)
    spectrum = np.fft.rfft([1.0, *weights], 2 * _TAPS)
    spectrum[np.abs(spectrum) < _SHARPEST] = _SHARPEST
    response = np.fft.irfft(1 / spectrum)[:_TAPS]
    shape: Numbers = response / float(np.sqrt(np.sum(response**2)))
    return shape


def _white() -> Numbers:
    noise = np.random.default_rng(3389).standard_normal(_TABLE)
    return noise / float(np.sqrt(np.mean(noise**2)))


_WHITE = _white()
