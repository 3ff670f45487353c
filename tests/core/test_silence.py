"""Silence and its reasons: what is a gap, when the promise is broken, and when the alarm rings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core.silence import ALARM_S, GAP_S, UNEXPLAINED, GapReason, SilenceWatch
from tests.core.feed import decided, examples, of

FLOOR = GapReason.CALLER_HAS_FLOOR
AWAITING = GapReason.AWAITING_ANSWER


def watch(*moments: tuple[float, bool, GapReason | None]) -> tuple[SilenceWatch, list[do.Command]]:
    made = SilenceWatch()
    cmds: list[do.Command] = []
    for now, sounding, reason in moments:
        cmds += made.observe(now, sounding=sounding, reason=reason)
    return made, cmds


def test_the_reasons_are_a_closed_list() -> None:
    assert {reason.value for reason in GapReason} == {
        "caller_has_floor",
        "awaiting_answer",
        "muted",
        "held",
        "pressing_keys",
        "taken_over",
        "tool_silenced",
    }


def test_a_long_silence_goes_on_record_with_the_seconds_of_every_reason() -> None:
    made, cmds = watch((1.0, False, FLOOR), (3.0, False, None), (4.5, False, AWAITING), (8.0, True, None))
    assert cmds == [
        do.RecordGap(1.0, 8.0, {"caller_has_floor": 2.0, UNEXPLAINED: 1.5, "awaiting_answer": 3.5})
    ]
    assert (made.unexplained, made.longest_s) == (0, 1.5)


def test_a_reason_without_any_time_is_none() -> None:
    _, cmds = watch((1.0, False, FLOOR), (1.0, False, AWAITING), (5.0, True, None))
    assert cmds == [do.RecordGap(1.0, 5.0, {"awaiting_answer": 4.0})]


def test_a_pause_in_talk_is_no_gap() -> None:
    assert watch((1.0, False, FLOOR), (1.0 + GAP_S, True, None))[1] == []


def test_while_the_caller_hears_us_there_is_no_gap() -> None:
    made, cmds = watch((1.0, True, None), (99.0, True, None))
    assert cmds == []
    assert (made.deadline, made.alarm(99.0)) == (None, False)


def test_the_alarm_rings_once_and_early_enough_to_say_something() -> None:
    made, _ = watch((1.0, False, None))
    assert made.deadline == 1.0 + ALARM_S
    assert not made.alarm(1.0 + ALARM_S - 0.01)
    assert made.alarm(1.0 + ALARM_S)
    assert not made.alarm(1.0 + ALARM_S)
    assert made.deadline == 1.0 + GAP_S


def test_a_silence_without_a_reason_breaks_the_promise_once() -> None:
    made, _ = watch((1.0, False, None))
    assert made.observe(1.0 + GAP_S - 0.01, sounding=False, reason=None) == []
    cmds = made.observe(1.0 + GAP_S, sounding=False, reason=None)
    assert decided(cmds) == [("promise_broken", UNEXPLAINED)]
    assert made.observe(9.0, sounding=False, reason=None) == []
    assert (made.unexplained, made.deadline) == (1, None)
    [gap] = of(do.RecordGap, made.observe(10.0, sounding=True, reason=None))
    assert gap == do.RecordGap(1.0, 10.0, {UNEXPLAINED: 9.0})
    assert made.longest_s == 9.0


@pytest.mark.parametrize(("sounding", "reason"), [(True, None), (False, FLOOR)])
def test_whoever_looks_late_does_not_miss_a_broken_promise(sounding: bool, reason: GapReason | None) -> None:
    made, _ = watch((1.0, False, None))
    assert ("promise_broken", UNEXPLAINED) in decided(made.observe(9.0, sounding=sounding, reason=reason))


def test_a_reason_in_between_begins_the_count_anew() -> None:
    made, _ = watch((1.0, False, None), (3.0, False, FLOOR))
    assert made.deadline is None
    made.observe(4.0, sounding=False, reason=None)
    assert made.deadline == 4.0 + ALARM_S
    assert decided(made.observe(6.5, sounding=False, reason=None)) == []


@pytest.mark.parametrize("broken", [True, False])
def test_after_a_sound_everything_begins_anew(*, broken: bool) -> None:
    until_s = 1.0 + (GAP_S if broken else ALARM_S)
    made, _ = watch((1.0, False, None))
    assert made.alarm(1.0 + ALARM_S)
    made.observe(until_s, sounding=True, reason=None)
    made.observe(7.0, sounding=False, reason=None)
    assert made.deadline == 7.0 + ALARM_S
    assert made.alarm(7.0 + ALARM_S)
    assert decided(made.observe(7.0 + GAP_S, sounding=False, reason=None)) == [
        ("promise_broken", UNEXPLAINED)
    ]
    assert made.unexplained == 1 + broken


def test_the_end_of_the_call_ends_the_silence() -> None:
    made, _ = watch((1.0, False, None))
    cmds = made.end(5.0)
    assert decided(cmds) == [("promise_broken", UNEXPLAINED)]
    assert of(do.RecordGap, cmds) == [do.RecordGap(1.0, 5.0, {UNEXPLAINED: 4.0})]
    assert made.longest_s == 4.0
    assert made.end(6.0) == []


def test_time_that_seems_to_go_back_is_counted_once() -> None:
    made, _ = watch((5.0, False, FLOOR), (3.0, False, FLOOR), (9.0, False, FLOOR))
    assert made.observe(9.0, sounding=True, reason=None) == [
        do.RecordGap(5.0, 9.0, {"caller_has_floor": 4.0})
    ]


@examples(200)
@given(st.floats(0, 1e5))
def test_at_its_deadline_it_has_something_to_do_whatever_the_sums_round_to(from_s: float) -> None:
    made, _ = watch((from_s, False, None))
    for _ in range(2):
        due_s = made.deadline
        assert due_s is not None
        made.alarm(due_s)
        made.observe(due_s, sounding=False, reason=None)
        assert made.deadline != due_s
    assert (made.unexplained, made.deadline) == (1, None)


@examples(200)
@given(
    st.lists(st.tuples(st.floats(0, 4), st.booleans(), st.sampled_from([None, FLOOR, AWAITING])), max_size=30)
)
def test_every_moment_of_a_gap_has_one_reason(moments: list[tuple[float, bool, GapReason | None]]) -> None:
    made, cmds, now = SilenceWatch(), list[do.Command](), 0.0
    for after_s, sounding, reason in moments:
        now += after_s
        cmds += made.observe(now, sounding=sounding, reason=reason)
    cmds += made.end(now + 1.0)
    for gap in of(do.RecordGap, cmds):
        assert sum(gap.reasons.values()) == pytest.approx(gap.to_s - gap.from_s, abs=0.01)
    assert len(of(do.RecordDecision, cmds)) == made.unexplained
    assert (made.longest_s > GAP_S + 1e-6) <= (made.unexplained > 0) <= (made.longest_s > GAP_S - 1e-6)
