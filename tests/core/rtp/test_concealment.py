from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.audio.frame import frame_bytes, shorts
from aywa.core.rtp.concealment import Concealment
from tests.core.feed import examples

RATE = 8000
FRAME = frame_bytes(RATE)


def voice(pitch_hz: float, rate_hz: int = RATE, frames: int = 20) -> list[bytes]:
    at = np.arange(frames * rate_hz // 50) / rate_hz
    wave = np.sum([np.sin(2 * np.pi * pitch_hz * each * at) / each for each in range(1, 6)], axis=0)
    pcm: bytes = (wave * 6000).astype("<i2").tobytes()
    size = frame_bytes(rate_hz)
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]


def level(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(shorts(pcm).astype(float) ** 2)))


def jumps(pcm: bytes) -> int:
    return int(np.abs(np.diff(shorts(pcm).astype(int))).max())


@pytest.mark.parametrize("rate_hz", [8000, 16_000])
@pytest.mark.parametrize("pitch_hz", [80, 113.7, 150, 220, 350])
def test_a_voice_goes_on_at_its_pitch_without_a_click(pitch_hz: float, rate_hz: int) -> None:
    frames = voice(pitch_hz, rate_hz)
    concealment = Concealment(rate_hz)
    for frame in frames[:10]:
        assert concealment.heard(frame) is frame
    made = concealment.lost(rate_hz // 50)
    assert concealment.concealing
    after = concealment.heard(frames[11])
    assert not concealment.concealing
    # Much like what was lost, and no step larger than the voice's own.
    half = len(made) // 2
    assert float(np.corrcoef(shorts(made[:half]), shorts(frames[10][:half]))[0, 1]) > 0.8
    assert jumps(frames[9] + made + after) < 1.6 * jumps(b"".join(frames))
    assert after[64 * rate_hz // 8000 :] == frames[11][64 * rate_hz // 8000 :]


def test_it_fades_and_then_is_silent() -> None:
    concealment = Concealment(RATE)
    for frame in voice(150):
        concealment.heard(frame)
    levels = [level(concealment.lost(160)) for _ in range(5)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 0.7 * level(voice(150)[0])
    assert levels[2] > 0
    assert levels[3:] == [0, 0]
    assert len(concealment.lost(10**9)) <= 2 * 10 * RATE


def test_each_gap_is_measured_anew() -> None:
    concealment = Concealment(RATE)
    for frame in voice(150):
        concealment.heard(frame)
    first = concealment.lost(160)
    for frame in voice(150):
        concealment.heard(frame)
    assert level(concealment.lost(160)) == pytest.approx(level(first), rel=0.1)


@pytest.mark.parametrize(
    "frames", [[], [bytes(FRAME)], [bytes(FRAME)] * 5], ids=["nothing", "too little", "silence"]
)
def test_of_nothing_and_of_silence_comes_silence(frames: list[bytes]) -> None:
    concealment = Concealment(RATE)
    for frame in frames:
        concealment.heard(frame)
    assert concealment.lost(160) == bytes(FRAME)
    assert concealment.heard(b"") == b""
    assert concealment.concealing
    short = voice(150)[0][:20]
    assert len(concealment.heard(short)) == 20


@examples(100)
@given(
    st.lists(
        st.one_of(st.binary(max_size=400).map(lambda pcm: pcm[: len(pcm) // 2 * 2]), st.integers(1, 400))
    )
)
def test_whatever_comes_as_much_is_played_as_came_or_was_asked_for(steps: list[bytes | int]) -> None:
    concealment = Concealment(RATE)
    for step in steps:
        if isinstance(step, int):
            assert len(concealment.lost(step)) == 2 * step
        else:
            assert len(concealment.heard(step)) == len(step)
