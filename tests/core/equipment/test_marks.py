"""Marks: what an echo tells, in whatever order, number and lateness echoes come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.equipment.marks import EVERY_S, IDLE_S, MARKS_MOST, PATIENCE_S, PROBE_EVERY_S, TRIES, Marks


def test_a_mark_is_due_behind_every_100_ms_of_audio() -> None:
    marks = Marks()
    due = [marks.sent(0.02, 1.0) for _ in range(5)]
    assert due == [False, False, False, False, True]
    marks.put(1.0)
    assert not marks.sent(0.08, 1.0)
    assert marks.sent(0.02, 1.0)


def test_an_echo_tells_how_much_is_still_to_be_played() -> None:
    marks = Marks()
    marks.sent(0.1, 1.0)
    name = marks.put(1.0)
    marks.sent(0.06, 1.0)
    assert (marks.came(name, 1.1) or ()) == pytest.approx((0.06, 1.1))
    assert (marks.returned, marks.out, marks.unknown) == (1, 0, 0)


def test_a_mark_sent_to_a_far_side_that_holds_nothing_measures_the_way() -> None:
    marks = Marks()
    assert marks.transit_s == 0
    assert marks.wants_probe(1.0)
    probe = marks.put(1.0)
    assert marks.idle(1.1)
    assert not marks.wants_probe(1.1)
    assert marks.wants_probe(1.0 + PROBE_EVERY_S)
    assert (marks.came(probe, 1.08) or ()) == pytest.approx((0.0, 1.04))
    assert marks.transit_s == pytest.approx(0.04)
    # Of the last ones the quickest.
    probe = marks.put(3.0)
    marks.came(probe, 3.2)
    assert marks.transit_s == pytest.approx(0.04)


def test_one_that_is_sent_while_audio_plays_measures_nothing() -> None:
    marks = Marks()
    marks.sent(0.2, 1.0)
    assert not marks.idle(1.2 + IDLE_S)
    name = marks.put(1.0)
    marks.came(name, 1.5)
    assert marks.transit_s == 0
    assert marks.idle(1.21 + IDLE_S)


def test_a_later_echo_gives_up_those_before_it() -> None:
    marks = Marks()
    names = []
    for _ in range(3):
        marks.sent(EVERY_S, 1.0)
        names.append(marks.put(1.0))
    assert marks.came(names[2], 1.3) == (0.0, 1.3)
    assert marks.missing == 2
    assert marks.came(names[0], 1.4) is None
    assert marks.unknown == 1


def test_a_mark_that_never_comes_is_given_up() -> None:
    marks = Marks()
    marks.sent(0.2, 1.0)
    marks.put(1.0)
    assert marks.overdue(1.2 + PATIENCE_S) == 0
    assert marks.overdue(1.3 + PATIENCE_S) == 1
    assert marks.overdue(9.0) == 0
    assert marks.missing == 1


def test_a_far_side_that_knows_no_marks_is_asked_for_three_and_no_more() -> None:
    marks = Marks()
    for _ in range(TRIES - 1):
        assert marks.sent(EVERY_S, 1.0)
        marks.put(1.0)
    assert marks.sent(EVERY_S, 1.0)
    name = marks.put(1.0)
    assert marks.tried
    assert not marks.sent(1.0, 1.0)
    assert not marks.wants_probe(99.0)
    # Unless one comes back after all.
    marks.cleared(1.1)
    assert marks.came(name, 1.2) is None
    assert marks.sent(EVERY_S, 1.2)
    assert marks.wants_probe(99.0)


def test_after_a_clear_the_echoes_of_what_was_out_say_nothing() -> None:
    marks = Marks()
    marks.sent(0.5, 1.0)
    name = marks.put(1.0)
    marks.cleared(1.1)
    assert marks.came(name, 1.2) is None
    assert marks.unknown == 0
    # The next mark is due behind the next 100 ms, and the far side is idle again soon.
    assert not marks.sent(0.08, 1.2)
    assert marks.sent(0.02, 1.2)
    again = marks.put(1.2)
    assert marks.came(again, 1.3) == (0.0, 1.3)


@pytest.mark.parametrize(
    "name", ["", "aywa", "aywa-", "aywa-0", "aywa-x", "other-1", "aywa-9", "aywa-" + "1" * 13]
)
def test_a_name_that_nobody_gave_is_counted(name: str) -> None:
    marks = Marks()
    marks.put(1.0)
    marks.cleared(1.0)
    assert marks.came(name, 2.0) is None
    assert marks.unknown == 1


def test_no_more_marks_are_remembered_than_the_limit() -> None:
    marks = Marks()
    names = [marks.put(1.0) for _ in range(MARKS_MOST + 3)]
    assert marks.out == MARKS_MOST
    assert marks.missing == 3
    assert marks.came(names[0], 2.0) is None


STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "mark", "echo", "late", "clear", "stranger"]), st.integers(0, 40)),
    max_size=60,
)


@given(STEPS)
def test_whatever_comes_back_what_is_left_is_never_more_than_was_sent(steps: list[tuple[str, int]]) -> None:
    marks, now, sent_s = Marks(), 1.0, 0.0
    out: list[tuple[str, float]] = []
    for step, number in steps:
        now += 0.01
        if step == "send":
            sent_s += 0.02
            marks.sent(0.02, now)
        elif step == "mark":
            out.append((marks.put(now), sent_s))
        elif step == "clear":
            marks.cleared(now)
        elif step == "stranger":
            assert marks.came(f"aywa{number}", now) is None
        elif step == "late":
            now += PATIENCE_S
            marks.overdue(now)
        elif out:
            name, place_s = out.pop(number % len(out))
            told = marks.came(name, now)
            if told is not None:
                assert told[0] == pytest.approx(sent_s - place_s)
                assert told[1] <= now
        assert marks.out <= MARKS_MOST
