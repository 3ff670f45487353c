"""A virtual hour of a clock that is 200 ppm off, over a line that jitters; jumps, wraps, and any numbers."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.clock import LEAP_S, SLIP_S, WINDOW_S, SenderClock, Timeline
from tests.core.feed import examples

FRAME_S = 0.02


def wrapped(number: int) -> int:
    return (0xFFFFF000 + number * 160) & 0xFFFFFFFF


@pytest.mark.parametrize("ppm", [200, -200])
def test_an_hour_at_200_ppm_drifts_by_less_than_a_frame(ppm: int) -> None:
    chance = random.Random(ppm)
    timeline = Timeline(8000)
    worst = 0.0
    # Every fifth packet of the hour, which is enough to follow.
    for number in range(0, 180_000, 5):
        sent_s = number * FRAME_S * (1 + ppm / 1e6)
        place = timeline.place(wrapped(number), sent_s + 0.05 + chance.uniform(0, 0.06))
        if number > 500:
            worst = max(worst, abs(place - sent_s - 0.05))
    assert worst < FRAME_S
    # 0.72 s of drift, half a frame at a time.
    assert timeline.slips == pytest.approx(0.72 / SLIP_S, abs=8)
    assert timeline.clock.leaps == 0


@pytest.mark.parametrize("ppm", [200, -50])
def test_two_minutes_tell_the_skew(ppm: int) -> None:
    chance = random.Random(ppm)
    clock = SenderClock(8000)
    for number in range(6000):
        clock.came(wrapped(number), number * FRAME_S * (1 + ppm / 1e6) + chance.uniform(0, 0.03))
    assert clock.skew_ppm == pytest.approx(ppm, abs=15)


def test_what_follows_lies_right_behind_whatever_its_jitter() -> None:
    timeline = Timeline(8000)
    places = [
        timeline.place(number * 160, number * FRAME_S + jitter)
        for number, jitter in enumerate([0, 0.04, 0.009])
    ]
    assert places == pytest.approx([0.0, 0.02, 0.04])


def test_a_first_packet_that_was_late_is_made_good() -> None:
    timeline = Timeline(8000)
    assert timeline.place(0, 0.05) == 0.05
    assert timeline.place(160, 0.02) == pytest.approx(0.02)
    assert timeline.slips == 1


def test_jitter_is_what_a_packet_took_more_than_the_quickest() -> None:
    clock = SenderClock(8000)
    assert clock.came(1000, 5.0) == (1000, 0.0)
    assert clock.came(1160, 5.05)[1] == pytest.approx(0.03)
    assert clock.came(1320, 5.04)[1] == pytest.approx(0.0)
    assert clock.due_s(1480) == pytest.approx(5.06)


def test_a_way_that_became_longer_is_known_after_two_windows_and_a_shorter_one_at_once() -> None:
    clock = SenderClock(8000)
    late = [
        clock.came(number * 160, number * FRAME_S + (0.1 if number > 50 else 0))[1] for number in range(400)
    ]
    assert late[51] == pytest.approx(0.1)
    assert late[int(2 * WINDOW_S / FRAME_S) + 100] == pytest.approx(0.0)
    assert clock.came(400 * 160, 400 * FRAME_S)[1] == pytest.approx(0.0)
    assert clock.leaps == 0


def test_a_leap_of_the_timestamps_begins_anew() -> None:
    timeline = Timeline(8000)
    timeline.place(0, 0.0)
    assert timeline.place(999_999, 0.02) == pytest.approx(0.02)
    assert timeline.place(999_999 + 160, 0.04) == pytest.approx(0.04)
    assert (timeline.clock.leaps, timeline.slips) == (1, 0)
    # A pause that the timestamps count is none.
    assert timeline.place(999_999 + 160 + 80_000, 10.04) == pytest.approx(10.04)
    assert timeline.clock.leaps == 1


def test_a_skew_needs_some_time() -> None:
    clock = SenderClock(8000)
    for number in range(50 * 9):
        clock.came(number * 160, number * FRAME_S)
    assert clock.skew_ppm is None
    for number in range(50 * 9, 50 * 13):
        clock.came(number * 160, number * FRAME_S)
    assert clock.skew_ppm == pytest.approx(0.0, abs=1e-3)


@examples(100)
@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.floats(0, 5)), max_size=80))
def test_whatever_the_timestamps_say_places_are_near_to_now(packets: list[tuple[int, float]]) -> None:
    timeline = Timeline(48_000)
    now = 0.0
    for timestamp, passed in packets:
        now += passed
        place = timeline.place(timestamp, now)
        assert math.isfinite(place)
        assert abs(place - now) <= LEAP_S + 2 * SLIP_S + 1e-3
