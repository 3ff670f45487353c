"""Sounds that are no speech, made by formula: coughs, throats, sneezes, breath, clicks, keys, doors, hums. And what a room
does to the voice of somebody who turned away from the telephone.

They are synthetic: bursts of noise and pulse trains, shaped by the resonances of a mouth. Real ones vary more. The two
halves draw from ranges that do not meet where it matters (resonances, lengths). PCM in -1..1 at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.speech.voices import RATE_HZ

Floats = npt.NDArray[np.float32]
Random = np.random.Generator
# (centre Hz, width Hz, gain)
Resonance = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Body:
    """One half's mouths: how far the resonances are moved, and how long things take, as factors."""

    tract: tuple[float, float]
    length: tuple[float, float]


TUNING = Body(tract=(0.9, 1.05), length=(0.75, 1.15))
HELD_OUT = Body(tract=(1.05, 1.25), length=(1.0, 1.4))


def _noise(random: Random, seconds: float) -> Floats:
    return random.normal(size=max(1, round(seconds * RATE_HZ))).astype(np.float32)


def _shaped(sound: Floats, resonances: Sequence[Resonance]) -> Floats:
    spectrum = np.fft.rfft(sound)
    at = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    gains = sum(gain / (1 + ((at - centre) / width) ** 2) for centre, width, gain in resonances)
    shaped = np.fft.irfft(spectrum * gains, len(sound)).astype(np.float32)
    return shaped / max(float(np.sqrt(np.mean(shaped**2))), 1e-9) * np.float32(0.1)


def _pulses(seconds: float, from_hz: float, to_hz: float) -> Floats:
    """A voice's source: a saw whose pitch glides."""
    samples = max(1, round(seconds * RATE_HZ))
    phase = np.cumsum(np.linspace(from_hz, to_hz, samples)) / RATE_HZ
    return (1 - 2 * (phase % 1.0)).astype(np.float32)


def _envelope(samples: int, attack_s: float, decay_s: float) -> Floats:
    at = np.arange(samples) / RATE_HZ
    return (np.minimum(1.0, at / attack_s) * np.exp(-np.maximum(0.0, at - attack_s) / decay_s)).astype(
        np.float32
    )


def _gap(seconds: float) -> Floats:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def _mouth(tract: float) -> list[Resonance]:
    return [(550 * tract, 200, 1.0), (1450 * tract, 300, 0.8), (2500 * tract, 400, 0.6)]


def cough(random: Random, tract: float, length: float) -> Floats:
    """One to three bursts, some with voice in their tail."""
    parts: list[Floats] = []
    for _ in range(int(random.integers(1, 4))):
        burst_s = random.uniform(0.12, 0.28) * length
        burst = _shaped(_noise(random, burst_s), _mouth(tract))
        parts.append(burst * _envelope(len(burst), 0.006, burst_s / 2.5))
        if random.random() < 0.5:
            tail_s = random.uniform(0.06, 0.15) * length
            pitch_hz = random.uniform(110, 220)
            tail = _shaped(
                _pulses(tail_s, pitch_hz, pitch_hz * 0.7) + 0.3 * _noise(random, tail_s), _mouth(tract)
            )
            parts.append(tail * _envelope(len(tail), 0.01, tail_s / 2) * np.float32(0.5))
        parts.append(_gap(random.uniform(0.08, 0.25)))
    return np.concatenate(parts[:-1])


def throat(random: Random, tract: float, length: float) -> Floats:
    """A rough growl."""
    seconds = random.uniform(0.25, 0.7) * length
    rough = 0.6 + 0.4 * np.sign(
        np.sin(2 * np.pi * random.uniform(22, 38) * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    )
    source = _pulses(seconds, random.uniform(70, 100), random.uniform(60, 80)) + 0.8 * _noise(random, seconds)
    growl = _shaped(source, [(420 * tract, 180, 1.0), (1150 * tract, 250, 0.6)])
    return growl * rough.astype(np.float32) * _envelope(len(growl), 0.05, seconds)


def sneeze(random: Random, tract: float, length: float) -> Floats:
    """Breath in, a short vowel, a hiss."""
    breath = _shaped(_noise(random, 0.25 * length), [(1200 * tract, 600, 1.0)])
    breath = breath * np.linspace(0.05, 0.25, len(breath), dtype=np.float32)
    vowel = _shaped(_pulses(0.12 * length, 240, 190), _mouth(tract))
    hiss = _shaped(
        _noise(random, random.uniform(0.2, 0.35) * length), [(2600 * tract, 700, 1.0), (1700, 400, 0.4)]
    )
    return np.concatenate([breath, vowel, hiss * _envelope(len(hiss), 0.01, 0.12)])


def breath(random: Random, tract: float, length: float) -> Floats:
    """Into the microphone, quietly."""
    seconds = random.uniform(0.4, 0.9) * length
    air = _shaped(_noise(random, seconds), [(900 * tract, 700, 1.0), (2200 * tract, 900, 0.5)])
    return air * np.sin(np.linspace(0, np.pi, len(air))).astype(np.float32) * np.float32(0.25)


def click(random: Random, tract: float, length: float) -> Floats:
    """A tongue, a pen: some milliseconds."""
    snap = _shaped(_noise(random, random.uniform(0.01, 0.03) * length), [(1800 * tract, 900, 1.0)])
    return snap * _envelope(len(snap), 0.001, 0.006) * np.float32(2.0)


def tsk(random: Random, tract: float, length: float) -> Floats:
    """A click and the air after it, once or twice."""
    air = _shaped(_noise(random, 0.05 * length), [(3000 * tract, 900, 1.0)])
    once = np.concatenate(
        [click(random, tract, length), air * _envelope(len(air), 0.005, 0.03) * np.float32(0.5)]
    )
    return np.concatenate([once, _gap(0.18), once]) if random.random() < 0.5 else once


def keyboard(random: Random, tract: float, length: float) -> Floats:
    """Six to twenty keys."""
    parts: list[Floats] = []
    for _ in range(int(random.integers(6, 20))):
        parts += [
            click(random, tract * random.uniform(0.9, 1.4), length) * np.float32(0.5),
            _gap(random.uniform(0.06, 0.2)),
        ]
    return np.concatenate(parts)


def door(random: Random, tract: float, length: float) -> Floats:
    """A thump and a rattle."""
    thump = _shaped(_noise(random, 0.3 * length), [(130 * tract, 60, 1.0), (420 * tract, 200, 0.3)])
    rattle = _shaped(_noise(random, 0.2 * length), [(900 * tract, 500, 1.0), (2000, 800, 0.5)])
    thump = thump * _envelope(len(thump), 0.004, 0.08) * np.float32(2.0)
    return np.concatenate([thump, rattle * _envelope(len(rattle), 0.002, 0.04) * np.float32(0.4)])


NOT_SPEECH: dict[str, Callable[[Random, float, float], Floats]] = {
    "cough": cough, "throat": throat, "sneeze": sneeze, "breath": breath, "click": click, "tsk": tsk,
    "keyboard": keyboard, "door": door,
}  # fmt: skip


def not_speech(kind: str, body: Body, seed: int) -> Floats:
    """A sound of the kind; its level is its own (a cough about as loud as speech, breath and clicks less)."""
    random = np.random.default_rng([seed, 11])
    return NOT_SPEECH[kind](random, random.uniform(*body.tract), random.uniform(*body.length))


def hum(body: Body, seed: int) -> Floats:
    """ "Mhm": a closed mouth, one or two syllables, falling, level or rising, 0.2 to 0.7 s."""
    random = np.random.default_rng([seed, 12])
    tract, length = random.uniform(*body.tract), random.uniform(*body.length)
    pitch_hz = random.choice([random.uniform(95, 140), random.uniform(170, 230)])
    glide = random.choice([0.85, 1.0, 1.3])
    nasal = [(260 * tract, 90, 1.0), (1100 * tract, 250, 0.12), (2200 * tract, 400, 0.06)]
    parts: list[Floats] = []
    two = random.random() < 0.7
    for syllable in range(2 if two else 1):
        seconds = random.uniform(0.11, 0.2 if two else 0.35) * length
        rise = 1.0 if two and not syllable else glide
        part = _shaped(_pulses(seconds, pitch_hz, pitch_hz * rise), nasal)
        parts += [part * np.hanning(len(part)).astype(np.float32) ** np.float32(0.4), _gap(0.0)]
        if two and not syllable:
            air = _shaped(_noise(random, random.uniform(0.03, 0.06)), [(700 * tract, 500, 1.0)])
            parts.append(air * np.float32(0.12))
    return np.concatenate(parts)


def turned_away(samples: Floats, seed: int) -> Floats:
    """The voice as the telephone hears it from the side: the highs gone (from 1.2 to 2.5 kHz on, 12 dB an octave), the room
    added (0.25 to 0.6 s of it, as loud as the voice itself or half). As loud as before."""
    random = np.random.default_rng([seed, 13])
    before = float(np.sqrt(np.mean(samples**2)))
    room_s = random.uniform(0.25, 0.6)
    tail = _noise(random, room_s) * np.exp(-6.9 * np.linspace(0, 1, round(room_s * RATE_HZ))).astype(
        np.float32
    )
    tail *= np.float32(random.uniform(0.5, 1.0) / np.sqrt(np.sum(tail**2)))
    tail[0] += 1.0
    size = len(samples) + len(tail)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(tail, size)
    corner_hz = random.uniform(1200, 2500)
    spectrum /= 1 + (np.fft.rfftfreq(size, 1 / RATE_HZ) / corner_hz) ** 2
    heard = np.fft.irfft(spectrum, size).astype(np.float32)
    return heard * np.float32(before / max(float(np.sqrt(np.mean(heard[: len(samples)] ** 2))), 1e-9))
