from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.audio.frame import Floats, to_float, to_pcm
from aywa.core.audio.level import dbfs
from aywa.core.audio.resample import Resampler, resample, resample_pcm

RATES = [8000, 16000, 24000, 48000]
PAIRS = [(a, b) for a in RATES for b in RATES if a != b] + [(44100, 16000), (16000, 44100), (22050, 8000)]


def tone(hz: float, rate_hz: int, seconds: float = 0.5) -> Floats:
    return np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz).astype(np.float32)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("hz", [200, 1000, 3000])
def test_a_tone_in_the_pass_band_stays_the_same_tone_in_its_place(from_hz: int, to_hz: int, hz: int) -> None:
    got, want = resample(tone(hz, from_hz), from_hz, to_hz), tone(hz, to_hz)
    assert len(got) == len(want)
    inside = slice(to_hz // 50, -to_hz // 50)
    assert dbfs(got[inside] - want[inside]) < -60


@pytest.mark.parametrize(("from_hz", "to_hz"), [(a, b) for a, b in PAIRS if b < a])
@pytest.mark.parametrize("part", [0.54, 0.6, 0.68])
def test_a_tone_that_the_lower_rate_cannot_hold_is_gone(from_hz: int, to_hz: int, part: float) -> None:
    got = resample(tone(part * to_hz, from_hz), from_hz, to_hz)
    assert dbfs(got[to_hz // 50 : -to_hz // 50]) < -58


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_frames_of_20_ms_come_out_whole(from_hz: int, to_hz: int) -> None:
    stream = Resampler(from_hz, to_hz)
    assert [len(stream.push(np.zeros(from_hz // 50, np.float32))) for _ in range(3)] == [to_hz // 50] * 3


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_stream_is_late_by_its_delay_and_no_more(from_hz: int, to_hz: int) -> None:
    stream = Resampler(from_hz, to_hz)
    click = np.zeros(from_hz // 10, np.float32)
    click[from_hz // 100] = 1
    out = np.concatenate((stream.push(click), stream.flush()))
    assert stream.delay_s <= 0.0022
    assert abs(np.argmax(out) / to_hz - (0.01 + stream.delay_s)) <= 1 / to_hz


@given(st.lists(st.integers(0, 700), max_size=12), st.sampled_from(PAIRS))
def test_portions_do_not_matter(portions: list[int], pair: tuple[int, int]) -> None:
    samples = np.random.default_rng(1).standard_normal(sum(portions)).astype(np.float32)
    whole, cut = Resampler(*pair), Resampler(*pair)
    want = np.concatenate((whole.push(samples), whole.flush()))
    ends = np.cumsum(portions)
    got = [cut.push(samples[end - size : end]) for size, end in zip(portions, ends, strict=True)]
    np.testing.assert_allclose(np.concatenate([*got, cut.flush()]), want, atol=1e-5)


def test_flush_starts_afresh() -> None:
    stream = Resampler(8000, 16000)
    first = np.concatenate((stream.push(tone(500, 8000)), stream.flush()))
    second = np.concatenate((stream.push(tone(500, 8000)), stream.flush()))
    np.testing.assert_array_equal(first, second)
    assert len(first) >= 2 * 4000


def test_the_same_rate_is_left_alone() -> None:
    samples = tone(500, 8000)
    assert Resampler(8000, 8000).push(samples) is samples
    assert resample(samples, 8000, 8000) is samples
    assert resample_pcm(b"\1\0", 8000, 8000) == b"\1\0"


def test_pcm_is_resampled_as_numbers_are() -> None:
    samples = tone(500, 8000) * 0.5
    got = to_float(resample_pcm(to_pcm(samples), 8000, 16000))
    assert np.abs(got - resample(samples, 8000, 16000)).max() < 1e-4


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 8000), (8000, 0), (-1, 8000)])
def test_a_rate_is_positive(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match="rates are positive"):
        Resampler(from_hz, to_hz)
