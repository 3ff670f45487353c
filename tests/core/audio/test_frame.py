from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.audio import frame


def test_a_frame_is_20_ms() -> None:
    assert frame.frame_samples(8000) == 160
    assert frame.frame_bytes(16000) == 640
    assert frame.seconds(bytes(640), 16000) == frame.FRAME_S


def test_silence_is_zeros() -> None:
    assert frame.silence(3) == bytes(6)


def test_shorts_refuse_half_a_sample() -> None:
    with pytest.raises(ValueError):
        frame.shorts(b"\0\0\0")


def test_full_scale_is_one() -> None:
    assert frame.to_float(b"\x00\x80").tolist() == [-1.0]
    assert frame.shorts(b"\xff\x7f").tolist() == [32767]


def test_beyond_full_scale_is_clipped() -> None:
    loud = np.array([2.0, -2.0, 1.0], np.float32)
    assert frame.shorts(frame.to_pcm(loud)).tolist() == [32767, -32768, 32767]


@given(st.lists(st.integers(-32768, 32767)))
def test_there_and_back(samples: list[int]) -> None:
    pcm = np.array(samples, "<i2").tobytes()
    assert frame.to_pcm(frame.to_float(pcm)) == pcm
