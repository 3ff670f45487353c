from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.audio.frame import shorts, to_pcm
from aywa.core.rtp.comfort_noise import MOST_ORDER, QUIETEST_DB, USUAL_DB, ComfortNoise, describe
from tests.core.feed import examples


def level_db(pcm: bytes) -> float:
    power = float(np.mean((shorts(pcm) / 32768) ** 2))
    return 10 * float(np.log10(power))


def settled(noise: ComfortNoise, samples: int = 8000) -> bytes:
    for _ in range(40):
        noise.make(160)
    return noise.make(samples)


@pytest.mark.parametrize("level", [20, 40, 60])
def test_a_level_there_and_back(level: int) -> None:
    noise = ComfortNoise()
    noise.receive(bytes([level]))
    made = settled(noise)
    assert level_db(made) == pytest.approx(-level, abs=0.7)
    assert describe(made)[0] == pytest.approx(level, abs=1)


def test_a_spectrum_there_and_back() -> None:
    chance = np.random.default_rng(1)
    rumble = np.convolve(chance.standard_normal(16_000), np.ones(12) / 12, "same") * 0.02
    payload = describe(to_pcm(rumble.astype(np.float32)), order=8)
    assert len(payload) == 9
    noise = ComfortNoise()
    noise.receive(payload)
    made = settled(noise, 16_000)
    assert level_db(made) == pytest.approx(-payload[0], abs=1.5)

    def low_share(samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        power = np.abs(np.fft.rfft(samples)) ** 2
        return float(power[: len(power) // 6].sum() / power.sum())

    assert low_share(shorts(made).astype(float)) == pytest.approx(low_share(rumble), abs=0.1)
    assert describe(made, order=8)[1] == pytest.approx(payload[1], abs=6)


def test_a_step_of_the_level_is_eased() -> None:
    noise = ComfortNoise()
    quiet = level_db(settled(noise))
    assert quiet == pytest.approx(-USUAL_DB, abs=1.5)
    noise.receive(bytes([30]))
    first = level_db(noise.make(160))
    assert quiet < first < -31
    noise.receive(b"")
    assert level_db(settled(noise)) == pytest.approx(-30, abs=1)


def test_silence() -> None:
    assert describe(b"") == bytes([QUIETEST_DB])
    assert describe(bytes(320), order=4) == bytes([QUIETEST_DB])
    assert describe(b"\x10\0" * 3, order=4) == bytes([66])
    noise = ComfortNoise()
    noise.receive(bytes([QUIETEST_DB | 0x80]))
    assert set(settled(noise)) == {0}
    assert noise.make(0) == b""


def test_the_sharpest_spectrum_is_as_loud_as_it_is_told() -> None:
    for quantised in (0, 254, 255):
        noise = ComfortNoise()
        noise.receive(bytes([40] + [quantised] * MOST_ORDER))
        assert level_db(settled(noise, 60_000)) == pytest.approx(-40, abs=6)


def test_the_same_stream_sounds_the_same_and_is_no_loop() -> None:
    one, other = ComfortNoise(), ComfortNoise()
    heard = [one.make(160) for _ in range(200)]
    assert heard == [other.make(160) for _ in range(200)]
    assert len(set(heard)) == 200


@examples(100)
@given(st.lists(st.binary(max_size=40), max_size=10), st.integers(1, 400))
def test_whatever_is_told_the_noise_is_bounded(payloads: list[bytes], samples: int) -> None:
    noise = ComfortNoise()
    for payload in payloads:
        noise.receive(payload)
        assert len(noise.make(samples)) == 2 * samples


@examples(100)
@given(st.binary(max_size=200).map(lambda pcm: pcm[: len(pcm) // 2 * 2]), st.integers(0, 20))
def test_any_audio_can_be_described(pcm: bytes, order: int) -> None:
    payload = describe(pcm, order)
    assert 1 <= len(payload) <= 1 + MOST_ORDER
    assert payload[0] <= QUIETEST_DB
