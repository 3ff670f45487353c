"""The sound of an office in which somebody telephones, made of noise: air, far voices without words, keys now and then.

The same for every call and every process: it is made from a fixed seed, and ends where it begins. Quiet enough that its echo is
not taken for somebody who speaks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SECONDS = 16
ROOM_DB = -42.0
"""Its loudness (RMS, dBFS): speech on the telephone has about -20."""
_SEED = 20_07
_FULL = 32767.0
_KEYS_A_SECOND = 1.5
_KEY_S = 0.012


def office(rate_hz: int) -> bytes:
    """PCM16 of SECONDS, to be played again and again."""
    noise = np.random.default_rng(_SEED)
    samples = SECONDS * rate_hz
    air = _band(noise.standard_normal(samples), rate_hz, 60.0, 1_200.0, tilt=1.0)
    voices = _band(noise.standard_normal(samples), rate_hz, 200.0, 900.0, tilt=0.5)
    # People far away: syllables at about four a second, and talk that comes and goes.
    syllables = _band(noise.standard_normal(samples), rate_hz, 2.0, 5.0, tilt=0.0)
    talk = _band(noise.standard_normal(samples), rate_hz, 0.05, 0.3, tilt=0.0)
    voices = voices * _swell(syllables) * _swell(talk)
    mixed = air + 0.7 * voices / _rms(voices) + 0.5 * _keys(noise, samples, rate_hz)
    loud = 10 ** (ROOM_DB / 20) * _FULL
    return bytes(np.rint((mixed * (loud / _rms(mixed))).clip(-_FULL, _FULL)).astype("<i2").tobytes())


def _band(noise: Floats, rate_hz: int, low_hz: float, high_hz: float, tilt: float) -> Floats:
    """The noise between two frequencies, softer towards the higher ones; without a seam, since a spectrum has no ends."""
    spectrum = np.fft.rfft(noise)
    hz = np.fft.rfftfreq(len(noise), 1 / rate_hz)
    shape = np.where((hz >= low_hz) & (hz <= min(high_hz, 0.45 * rate_hz)), 1.0, 0.0)
    shape[1:] /= hz[1:] ** tilt
    found: Floats = np.fft.irfft(spectrum * shape, len(noise))
    level: Floats = found / _rms(found)
    return level


def _swell(slow: Floats) -> Floats:
    """From nothing to twice as loud."""
    swelling: Floats = np.clip(1.0 + slow, 0.0, 2.0)
    return swelling


def _keys(noise: np.random.Generator, samples: int, rate_hz: int) -> Floats:
    """Strokes on a keyboard at the other side of the room."""
    found: Floats = np.zeros(samples)
    stroke = round(_KEY_S * rate_hz)
    fades = np.exp(-np.arange(stroke) / (0.15 * stroke))
    for at in noise.integers(0, samples - stroke, round(SECONDS * _KEYS_A_SECOND)):
        found[at : at + stroke] += noise.standard_normal(stroke) * fades * noise.uniform(0.3, 1.0)
    return found


def _rms(samples: Floats) -> float:
    return float(np.sqrt(np.mean(samples**2)))
