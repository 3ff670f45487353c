"""Keys as tones, over codecs, noise and bad lines; and voices, which must not be keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.audio import g711
from aywa.core.audio.frame import shorts, to_float, to_pcm
from aywa.core.rtp.dtmf import KeyEnded, KeyEvent, KeyStarted
from aywa.core.rtp.tones import TONE_KEYS, ToneReceiver, tone
from tests.core.feed import examples

KEYS = "0123456789*#ABCD"


def dialled(keys: str, rate_hz: int = 8000, tone_s: float = 0.1, gap_s: float = 0.08) -> bytes:
    return b"".join(tone(key, rate_hz, tone_s) + bytes(2 * round(gap_s * rate_hz)) for key in keys)


def heard(pcm: bytes, rate_hz: int = 8000, frame: int = 320) -> list[KeyEvent]:
    receiver = ToneReceiver(rate_hz)
    pcm += bytes(rate_hz // 5)
    return [
        event for start in range(0, len(pcm), frame) for event in receiver.hear(pcm[start : start + frame])
    ]


def keys_of(events: list[KeyEvent]) -> str:
    assert all(isinstance(event, KeyStarted) for event in events[::2])
    assert [event.key for event in events[1::2]] == [event.key for event in events[::2]]
    return "".join(event.key for event in events[::2])


@pytest.mark.parametrize("rate_hz", [8000, 16_000])
def test_every_key_is_heard_once(rate_hz: int) -> None:
    assert set(KEYS) == TONE_KEYS
    events = heard(dialled(KEYS, rate_hz), rate_hz)
    assert keys_of(events) == KEYS
    for event in events[1::2]:
        assert isinstance(event, KeyEnded)
        assert event.duration_s == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("tone_s", [0.045, 0.065, 0.5])
def test_short_and_long_ones_after_short_gaps(tone_s: float) -> None:
    assert keys_of(heard(dialled(KEYS, tone_s=tone_s, gap_s=0.045))) == KEYS


def test_the_same_key_again_and_a_change_without_a_gap() -> None:
    assert keys_of(heard(dialled("5555"))) == "5555"
    assert keys_of(heard(dialled("159", gap_s=0.0))) == "159"


def test_too_short_is_no_key() -> None:
    assert heard(dialled("5", tone_s=0.02)) == []


def test_over_a_law_and_noise_and_quietly() -> None:
    chance = np.random.default_rng(4)
    clean = to_float(g711.alaw_to_pcm(g711.pcm_to_alaw(dialled(KEYS))))
    for gain in (1.0, 0.1):
        noisy = gain * clean + gain * 0.02 * chance.standard_normal(len(clean))
        assert keys_of(heard(to_pcm(noisy.astype(np.float32)))) == KEYS
    assert heard(to_pcm((clean * 0.003).astype(np.float32))) == []


def test_tones_that_are_no_key() -> None:
    at = np.arange(8000) / 8000

    def sum_of(*parts: tuple[float, float]) -> bytes:
        wave = np.sum([level * np.sin(2 * np.pi * hz * at) for hz, level in parts], axis=0)
        return to_pcm(wave.astype(np.float32))

    assert len(heard(sum_of((697, 0.2), (1209, 0.2)))) == 2
    # One alone; too unequal; a third; between two; dial tone and ringing.
    for parts in (
        [(697, 0.3)],
        [(697, 0.3), (1209, 0.03)],
        [(697, 0.03), (1209, 0.3)],
        [(697, 0.2), (1209, 0.2), (1000, 0.2)],
        [(697, 0.2), (1209, 0.2), (941, 0.095)],
        [(733, 0.2), (1270, 0.2)],
        [(697, 0.2), (770, 0.2), (1209, 0.1)],
        [(350, 0.2), (440, 0.2)],
        [(440, 0.2), (480, 0.2)],
    ):
        assert heard(sum_of(*parts)) == [], parts


def test_voices_are_no_keys() -> None:
    at = np.arange(80_000) / 8000
    for pitch in (90, 130, 174.25, 232.4, 300):
        glide = pitch * (1 + 0.05 * np.sin(2 * np.pi * 3 * at))
        phase = 2 * np.pi * np.cumsum(glide) / 8000
        wave = np.sum([np.sin(each * phase) / each for each in range(1, 16)], axis=0) * 0.2
        assert heard(to_pcm(wave.astype(np.float32))) == []


def test_what_is_no_key_has_no_tone() -> None:
    assert set(tone("x", 8000, 0.1)) == {0}
    assert tone("1", 8000, -1) == b""
    assert tone("a", 8000, 0.1) == tone("A", 8000, 0.1)
    sound = shorts(tone("7", 8000, 0.1))
    assert abs(int(sound[0])) < 100
    assert abs(int(sound[-1])) < 100
    assert 10_000 < int(np.abs(sound).max()) < 14_000


@examples(40)
@given(st.lists(st.binary(max_size=1500).map(lambda pcm: pcm[: len(pcm) // 2 * 2]), max_size=10))
def test_in_any_sound_keys_go_down_and_up_by_turns(pieces: list[bytes]) -> None:
    receiver = ToneReceiver(8000)
    events = [event for piece in [*pieces, bytes(4000)] for event in receiver.hear(piece)]
    keys_of(events)


@examples(30)
@given(st.text(alphabet=KEYS, min_size=1, max_size=6), st.integers(20, 700))
def test_however_it_is_cut_the_same_is_heard(keys: str, samples: int) -> None:
    assert keys_of(heard(dialled(keys), frame=2 * samples)) == keys
