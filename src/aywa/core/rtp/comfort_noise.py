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
_TABLE = 1 << 14
_STEP = 4093

Coefficients = npt.NDArray[np.float64]


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
        self._filter: Coefficients = np.ones(1)
        self._memory: Coefficients = np.zeros(0)
        self._place = 0

    def receive(self, payload: bytes) -> None:
        """A packet of comfort noise; an empty one says nothing new."""
        if not payload:
            return
        self._wanted = _gain(payload[0] & 0x7F)
        reflections = [258 * (min(each, 254) - 127) / 32768 for each in payload[1 : 1 + MOST_ORDER]]
        self._filter, loss = _direct(reflections)
        # The filter makes the noise louder; the level is told of what comes out of it.
        self._wanted *= float(np.sqrt(loss))
        self._memory = np.zeros(len(self._filter) - 1)

    def make(self, samples: int) -> bytes:
        """Noise, PCM16."""
        if samples <= 0:
            return b""
        self._gain = _EASE * self._gain + (1 - _EASE) * self._wanted
        places = (self._place + np.arange(samples)) % _TABLE
        # Another way through the table each time: a loop of it would be a tone.
        self._place = (self._place + samples + _STEP) % _TABLE
        white = _WHITE[places] * self._gain
        return to_pcm((white if len(self._filter) == 1 else self._coloured(white)).astype(np.float32))

    def _coloured(self, white: Coefficients) -> Coefficients:
        """The all-pole filter, one sample after the other: this is seldom, and short."""
        past = list(self._memory)
        weights = list(self._filter[1:])
        out = []
        for sample in white:
            value = float(sample) - sum(weight * before for weight, before in zip(weights, past, strict=True))
            past = [value, *past[:-1]]
            out.append(value)
        self._memory = np.array(past)
        return np.array(out)


def _gain(level_db: int) -> float:
    return 0.0 if level_db >= QUIETEST_DB else float(10 ** (-level_db / 20))


def _reflections(samples: Coefficients, order: int) -> list[float]:
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


def _direct(reflections: list[float]) -> tuple[Coefficients, float]:
    """The filter's coefficients, and by how much less power its input needs than its output has. Stable: all are < 1."""
    weights: list[float] = []
    loss = 1.0
    for reflection in reflections:
        weights = [
            weight + reflection * mirror for weight, mirror in zip(weights, weights[::-1], strict=True)
        ]
        weights.append(reflection)
        loss *= 1 - reflection**2
    return np.array([1.0, *weights]), loss


def _white() -> Coefficients:
    noise = np.random.default_rng(3389).standard_normal(_TABLE)
    return noise / float(np.sqrt(np.mean(noise**2)))


_WHITE = _white()
