"""WAV files: good ones, odd ones and hostile ones."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.audio.frame import shorts
from aywa.core.audio.wav import BadWav, read_wav, softened


def wav(samples: list[int], rate_hz: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(width)
        opened.setframerate(rate_hz)
        opened.writeframes(np.array(samples, "<i2").tobytes())
    return file.getvalue()


def test_one_channel_is_taken_as_it_is_and_two_are_mixed() -> None:
    pcm, rate_hz = read_wav(io.BytesIO(wav([1, 2, 3], 16000)), 1.0)
    assert (list(shorts(pcm)), rate_hz) == ([1, 2, 3], 16000)
    pcm, _ = read_wav(io.BytesIO(wav([10, 20, -10, -30], channels=2)), 1.0)
    assert list(shorts(pcm)) == [15, -20]


def test_of_a_long_sound_the_beginning_is_taken() -> None:
    pcm, _ = read_wav(io.BytesIO(wav([7] * 9000)), 1.0)
    assert len(pcm) == 16000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut off"),
        (b"ID3 this is no WAV file at all", "RIFF"),
        (wav([1], 4000), "at 4000 Hz"),
        (wav([1], width=1), "8 bits"),
        (wav([1] * 18, channels=9), "9 channels"),
        (wav([]), "empty"),
    ],
)
def test_what_cannot_be_used_says_why(data: bytes, why: str) -> None:
    with pytest.raises(BadWav, match=why):
        _ = read_wav(io.BytesIO(data), 1.0)


@given(st.binary(max_size=80), st.integers(0, 44))
def test_damage_is_read_or_refused(noise: bytes, at: int) -> None:
    good = wav([1, 2, 3])
    try:
        pcm, rate_hz = read_wav(io.BytesIO(good[:at] + noise + good[at + len(noise) :]), 1.0)
    except BadWav as bad:
        pcm, rate_hz = str(bad).encode(), 8000
    assert pcm
    assert rate_hz


def test_a_loud_sound_is_softened_and_a_soft_one_is_left() -> None:
    loud = np.full(1000, 20000, "<i2").tobytes()
    level = 20 * np.log10(float(np.abs(shorts(softened(loud, -30.0))).max()) / 32767)
    assert level == pytest.approx(-30.0, abs=0.1)
    soft = np.full(1000, 100, "<i2").tobytes()
    assert softened(soft, -30.0) == soft
    assert softened(b"", -30.0) == b""
