"""Sounds for the tests of the page, and how alike two of them are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def babble(seconds: float, rate_hz: int, seed: int = 7) -> Floats:
    """Speech-like: syllables of a gliding voice in moving formants, hisses between them, pauses now and then."""
    chance = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * rate_hz))
    at = 0
    while at < sound.size:
        length = round(chance.uniform(0.12, 0.26) * rate_hz)
        syllable = _hiss(length, chance) if chance.random() < 0.25 else _vowel(length, rate_hz, chance)
        piece = syllable[: sound.size - at]
        sound[at : at + piece.size] += piece
        at += length + round(chance.choice([0.0, 0.02, 0.3], p=[0.6, 0.3, 0.1]) * rate_hz)
    return np.asarray(sound * (0.5 / np.max(np.abs(sound))))


def _vowel(length: int, rate_hz: int, chance: np.random.Generator) -> Floats:
    pitch = np.linspace(chance.uniform(110, 190), chance.uniform(110, 190), length)
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    formants = [chance.uniform(300, 800), chance.uniform(900, 2200), chance.uniform(2300, 3200)]
    wave = np.zeros(length)
    for harmonic in range(1, 30):
        hz = harmonic * float(np.mean(pitch))
        strength = sum(1 / (1 + ((hz - formant) / 120) ** 2) for formant in formants)
        wave += strength * np.sin(harmonic * phase)
    return np.asarray(wave * np.hanning(length) / np.max(np.abs(wave)))


def _hiss(length: int, chance: np.random.Generator) -> Floats:
    return chance.normal(0, 0.1, length) * np.hanning(length)


def likeness(whole: npt.ArrayLike, part: npt.ArrayLike) -> float:
    """The normalised correlation of a part with the stretch of the whole that it fits best, to a quarter of a sample."""
    long, short = _finer(np.asarray(whole, float)), _finer(np.asarray(part, float))
    size = long.size + short.size
    product = np.fft.irfft(np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size)), size)
    at = int(np.argmax(product[: long.size - short.size + 1]))
    stretch = long[at : at + short.size]
    return float(stretch @ short / np.sqrt((stretch @ stretch) * (short @ short)))


def _finer(sound: Floats, times: int = 4) -> Floats:
    return np.fft.irfft(np.fft.rfft(sound), sound.size * times) * times
