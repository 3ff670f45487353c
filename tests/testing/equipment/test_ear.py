"""The equipment's ear: what was heard, to the sample; marks at their place; and that nothing is lost uncounted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.testing.equipment.ear import Ear, EarSettings

RATE_HZ = 8000
FRAME = bytes(320)


def test_sound_is_heard_frame_by_frame_from_the_moment_it_comes() -> None:
    ear = Ear(RATE_HZ)
    ear.put(FRAME * 3, 10.0)
    assert ear.wake(10.0) == []
    assert [frame.at_s for frame in ear.heard] == [10.0]
    ear.wake(10.05)
    assert [round(frame.at_s, 4) for frame in ear.heard] == [10.0, 10.02, 10.04]
    assert ear.deadline is None


def test_a_position_counts_every_sample() -> None:
    ear = Ear(RATE_HZ)
    ear.put(FRAME * 2, 0.0)
    ear.wake(0.0)
    assert [ear.played_samples(at_s) for at_s in (0.0, 0.001, 0.0125, 0.02)] == [0, 8, 100, 160]
    assert round(ear.queued_s(0.005), 4) == 0.035
    assert ear.queued_frames(0.005) == 2


def test_a_mark_is_reached_when_what_came_before_was_played() -> None:
    ear = Ear(RATE_HZ)
    ear.put(FRAME, 0.0)
    ear.mark("one")
    ear.put(FRAME, 0.0)
    ear.mark("two")
    assert ear.wake(0.0199) == []
    assert ear.deadline == pytest.approx(0.02)
    assert ear.wake(0.0201) == ["one"]
    assert ear.marks == ["two"]
    assert ear.wake(0.04) == ["two"]


def test_a_mark_is_reached_at_once_when_nothing_waits() -> None:
    ear = Ear(RATE_HZ)
    ear.mark("first")
    assert ear.wake(0.0) == ["first"]
    ear.put(FRAME, 1.0)
    ear.wake(2.0)
    ear.mark("later")
    assert ear.wake(2.0) == ["later"]


def test_a_clear_cuts_to_the_sample_and_gives_the_marks_back() -> None:
    ear = Ear(RATE_HZ)
    ear.put(FRAME * 2, 0.0)
    ear.mark("never heard")
    ear.put(FRAME, 0.0)
    ear.wake(0.0)
    assert ear.clear(0.0125) == ["never heard"]
    assert ear.played_samples(0.0125) == ear.played_samples(9.0) == 100
    assert ear.cleared_samples == 380
    assert len(ear.heard[-1].pcm) == 200
    ear.put(FRAME, 0.0125)
    ear.wake(0.0125)
    assert ear.heard[-1].at_s == 0.0125


def test_a_jitter_buffer_delays_each_stretch_of_sound_and_its_marks() -> None:
    ear = Ear(RATE_HZ, EarSettings(delay_s=0.06))
    ear.put(FRAME, 0.0)
    ear.mark("end")
    ear.put(FRAME, 0.02)
    assert ear.wake(0.059) == []
    assert ear.played_samples(0.059) == 0
    assert ear.wake(0.0801) == ["end"]
    assert [round(frame.at_s, 3) for frame in ear.heard] == [0.06, 0.08]


def test_a_clear_before_the_delay_is_over_leaves_nothing_heard() -> None:
    ear = Ear(RATE_HZ, EarSettings(delay_s=0.06))
    ear.put(FRAME, 0.0)
    ear.clear(0.03)
    ear.wake(1.0)
    assert (ear.played_samples(1.0), ear.cleared_samples) == (0, 160)


def test_a_fast_clock_plays_in_less_time() -> None:
    ear = Ear(RATE_HZ, EarSettings(skew_ppm=1000))
    ear.put(FRAME * 500, 0.0)
    ear.mark("end")
    assert ear.wake(9.98) == []
    assert ear.wake(9.995) == ["end"]


def test_what_is_too_much_is_lost_and_counted() -> None:
    ear = Ear(RATE_HZ, EarSettings(most_s=0.04))
    ear.put(FRAME * 3, 0.0)
    ear.put(FRAME, 0.0)
    assert (ear.dropped_samples, ear.queued_frames(0.0)) == (320, 2)


def test_a_pause_loses_nothing() -> None:
    ear = Ear(RATE_HZ)
    ear.put(FRAME * 2, 0.0)
    ear.wake(0.0)
    ear.pause()
    assert ear.deadline is None
    ear.wake(5.0)
    assert ear.played_samples(5.0) == 160
    ear.resume(5.0)
    ear.wake(5.02)
    assert ear.played_samples(5.03) == 320
    assert ear.heard[-1].at_s == 5.0


def test_half_a_sample_is_no_sound() -> None:
    ear = Ear(RATE_HZ)
    ear.put(b"\1", 0.0)
    ear.put(FRAME + b"\1", 0.0)
    ear.wake(1.0)
    assert ear.played_samples(1.0) == 160


def test_silences_are_found_where_they_were_played() -> None:
    ear = Ear(RATE_HZ)
    loud = b"\x00\x10" * 100
    ear.put(loud + bytes(2 * 100) + loud + bytes(2 * 20) + loud, 1.0)
    assert ear.silences() == []
    ear.wake(9.0)
    ((at_s, samples),) = ear.silences()
    assert at_s == pytest.approx(1.0 + 100 / RATE_HZ)
    assert samples == 100
    assert len(ear.silences(0.001)) == 2


def test_marks_can_be_forgotten() -> None:
    ear = Ear(RATE_HZ)
    ear.put(FRAME, 0.0)
    ear.mark("gone")
    ear.forget_marks()
    assert ear.wake(1.0) == []


ACTIONS = st.lists(
    st.tuples(
        st.floats(0, 0.1),
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 900)),
            st.tuples(st.just("mark"), st.integers(0, 99)),
            st.tuples(st.sampled_from(["clear", "wake", "pause", "resume"]), st.just(0)),
        ),
    ),
    max_size=40,
)
SETTINGS = st.builds(
    EarSettings,
    delay_s=st.sampled_from([0.0, 0.06]),
    skew_ppm=st.sampled_from([0.0, 200.0, -200.0]),
    most_s=st.sampled_from([float("inf"), 0.1]),
)


@given(ACTIONS, SETTINGS)
def test_nothing_is_lost_uncounted_and_marks_keep_their_order(
    actions: list[tuple[float, tuple[str, int]]], settings: EarSettings
) -> None:
    ear = Ear(RATE_HZ, settings)
    now_s, given_samples, played, number = 0.0, 0, 0, 0
    asked: list[str] = []
    reached: list[str] = []
    thrown: list[str] = []
    for after_s, (what, size) in actions:
        now_s += after_s
        reached += ear.wake(now_s)
        match what:
            case "put":
                ear.put(bytes(2 * size), now_s)
                given_samples += size
            case "mark":
                number += 1
                ear.mark(str(number))
                asked.append(str(number))
            case "clear":
                thrown += ear.clear(now_s)
            case "pause":
                ear.pause()
            case "resume":
                ear.resume(now_s)
            case _:
                pass
        assert ear.played_samples(now_s) >= played, "what was heard was heard"
        played = ear.played_samples(now_s)
        waiting = round(ear.queued_s(now_s) / ear._sample_s)
        assert played + waiting + ear.cleared_samples + ear.dropped_samples == given_samples
        assert sum(len(frame.pcm) // 2 for frame in ear.heard) >= played
    assert reached == sorted(reached, key=int)
    assert sorted(reached + thrown + ear.marks, key=int) == asked
    ear.resume(now_s)
    reached += ear.wake(now_s + 60)
    assert ear.marks == []
    assert ear.queued_s(now_s + 60) == 0
