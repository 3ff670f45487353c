"""One direction of a bridge: whatever comes, a frame for each beat, and the sound that came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.audio.frame import FRAME_S, frame_bytes, shorts
from aywa.core.rtp.relay import MOST_AT_ONCE_S, Relay


def wave(seconds: float, rate_hz: int, from_s: float = 0.0, hz: float = 400.0) -> bytes:
    at = from_s + np.arange(round(seconds * rate_hz)) / rate_hz
    return bytes(np.rint(8000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes())


def power(pcm: bytes) -> float:
    return float(np.abs(shorts(pcm).astype(float)).mean())


def through(relay: Relay, rate_hz: int, seconds: float, jitter: list[float], chunk: int = 1) -> list[bytes]:
    """Frames that are heard while chunks of so many come, each so much too late."""
    frames: list[bytes] = []
    arrivals = [
        ((index + 1) * chunk * FRAME_S + jitter[index % len(jitter)], index)
        for index in range(round(seconds / FRAME_S / chunk))
    ]
    beats = [(beat * FRAME_S, -1) for beat in range(round(seconds / FRAME_S) + 25)]
    for now, index in sorted(arrivals + beats):
        if index < 0:
            frames.append(relay.frame(now))
        else:
            relay.hear(wave(chunk * FRAME_S, rate_hz, index * chunk * FRAME_S), now)
    return frames


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 8000), (8000, 16000), (16000, 8000)])
def test_what_comes_steadily_leaves_whole(from_hz: int, to_hz: int) -> None:
    relay = Relay(from_hz, to_hz)
    frames = through(relay, from_hz, 1.0, [0.0])
    assert {len(frame) for frame in frames} == {frame_bytes(to_hz)}
    loud = [index for index, frame in enumerate(frames) if power(frame) > 3000]
    # One piece, without a hole, as long as what came, and no later than the delay says.
    assert loud == list(range(loud[0], loud[-1] + 1))
    assert len(loud) in range(49, 54)
    assert loud[0] * FRAME_S <= FRAME_S + 0.06
    assert relay.delay_s <= 0.06


def test_the_same_rate_is_the_same_samples() -> None:
    frames = through(Relay(8000, 8000), 8000, 1.0, [0.0])
    assert wave(1.0, 8000) in b"".join(frames)


def test_long_pieces_and_odd_ones() -> None:
    frames = through(Relay(8000, 8000), 8000, 2.0, [0.0], chunk=5)
    assert sum(power(frame) > 3000 for frame in frames) >= 90
    relay = Relay(8000, 8000)
    whole = wave(0.5, 8000)
    for at in range(0, len(whole), 222):
        relay.hear(whole[at : at + 222], (at + 222) / 16000)
    heard = b"".join(relay.frame(0.06 + beat * FRAME_S) for beat in range(40))
    assert whole[: frame_bytes(8000) * 20] in heard


def test_jitter_costs_delay_and_no_sound() -> None:
    relay = Relay(8000, 8000)
    frames = through(relay, 8000, 6.0, [0.0, 0.05, 0.02, 0.07, 0.0, 0.03])
    # After what it takes to learn, every beat has sound.
    assert all(power(frame) > 2000 for frame in frames[100:290])
    assert 0.03 <= relay.delay_s <= 0.15


def test_a_party_that_was_silent_is_not_late() -> None:
    relay = Relay(8000, 8000)
    for index in range(20):
        relay.hear(wave(FRAME_S, 8000), index * FRAME_S)
        relay.frame(index * FRAME_S)
    rest = [relay.frame(beat * FRAME_S) for beat in range(20, 120)]
    assert not any(rest[-1])
    relay.hear(b"\1\0" * 50, 2.39)
    relay.hear(wave(0.5, 8000), 2.4)
    heard = [relay.frame(2.4 + beat * FRAME_S) for beat in range(10)]
    assert any(power(frame) > 3000 for frame in heard[:6])
    assert relay.delay_s <= 0.1


def test_what_is_missing_is_made_up() -> None:
    relay = Relay(8000, 8000)
    heard: list[bytes] = []
    for index in range(30):
        relay.hear(wave(FRAME_S, 8000, index * FRAME_S), index * FRAME_S)
        heard.append(relay.frame(index * FRAME_S))
    assert power(heard[-1]) > 3000
    # What still waits, then what the voice would have gone on as, then nothing.
    rest = [power(relay.frame((30 + beat) * FRAME_S)) for beat in range(20)]
    assert rest[0] > 3000
    assert rest[-1] == 0
    assert sum(each > 0 for each in rest) >= 4


@given(
    sizes=st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 3)), max_size=40),
    rates=st.sampled_from([(8000, 8000), (8000, 16000), (16000, 8000), (24000, 8000)]),
)
def test_whatever_comes_a_beat_is_a_frame(sizes: list[tuple[int, float]], rates: tuple[int, int]) -> None:
    relay, now = Relay(*rates), 0.0
    for samples, wait_s in sizes:
        relay.hear(b"\1\2" * samples, now)
        assert relay._buffer.waiting <= MOST_AT_ONCE_S / FRAME_S
        assert len(relay.frame(now)) == frame_bytes(rates[1])
        now += wait_s
