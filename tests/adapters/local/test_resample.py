"""A change of rate keeps what both rates can hold, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from aywa.adapters.local.resample import Samples, from_pcm16, resample, to_pcm16

RATES = [(24000, 16000), (24000, 8000), (8000, 16000), (16000, 8000), (24000, 44100), (24000, 24000)]


def tone(hertz: float, rate_hz: int, seconds: float = 0.5) -> Samples:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate_hz)) / rate_hz).astype(np.float32)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_tone_stays_in_time_and_level(from_hz: int, to_hz: int) -> None:
    made = resample(tone(440, from_hz), from_hz, to_hz)
    wanted = tone(440, to_hz)
    assert len(made) == len(wanted)
    middle = slice(to_hz // 10, -to_hz // 10)
    assert np.abs(made[middle] - wanted[middle]).max() < 0.01


@pytest.mark.parametrize("to_hz", [8000, 16000])
def test_what_the_lower_rate_cannot_hold_is_gone(to_hz: int) -> None:
    made = resample(tone(0.6 * to_hz, 24000), 24000, to_hz)
    assert np.abs(made[to_hz // 20 : -to_hz // 20]).max() < 0.003


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_short_pieces(from_hz: int, to_hz: int, count: int) -> None:
    assert len(resample(np.ones(count, np.float32), from_hz, to_hz)) == -(-count * to_hz // from_hz)


def test_pcm16_there_and_back() -> None:
    assert (
        np.abs(
            from_pcm16(to_pcm16(np.array([-2.0, -0.5, 0.0, 0.5, 2.0], np.float32))) - [-1, -0.5, 0, 0.5, 1]
        ).max()
        < 1e-4
    )
