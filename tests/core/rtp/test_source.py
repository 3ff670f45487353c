"""Numbers over their wraps, jumps and changes of sender; RFC 3550 A.1, A.3, A.8 by hand and by model."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.source import MOST_DROPOUT, MOST_MISORDER, QUIET_S, REFUSED, Inbound, Source
from tests.core.feed import examples

TICKS = 160
FRAME_S = 0.02


def feed(source: Source, sequences: list[int]) -> list[int]:
    """Packets whose timestamps follow their numbers, arriving when they would without a network."""
    return [source.take(each & 0xFFFF, each * TICKS & 0xFFFFFFFF, each * FRAME_S) for each in sequences]


def test_numbers_grow_over_the_wrap_and_nothing_is_lost() -> None:
    source = Source(1, 0xFFF0, 8000)
    assert feed(source, list(range(0xFFF0, 0x10010))) == list(range(0x1FFF0, 0x20010))
    assert (source.expected, source.lost, source.received) == (32, 0, 32)
    assert source.reported == 0x1000F
    assert source.jitter_s == pytest.approx(0.0, abs=1e-9)


def test_loss_reordering_and_duplicates_are_counted() -> None:
    source = Source(1, 100, 8000)
    assert feed(source, [100, 101, 104, 103, 104]) == [65636, 65637, 65640, 65639, 65640]
    assert (source.expected, source.received, source.lost) == (5, 5, 0)
    assert (source.late, source.duplicates) == (1, 1)
    assert source.since_last() == (5, 0)
    feed(source, [105, 109])
    assert source.lost == 3
    assert source.since_last() == (5, 3)
    assert source.since_last() == (0, 0)


def test_what_came_before_the_first_is_taken() -> None:
    source = Source(1, 3, 8000)
    assert feed(source, [3, 2, 65535 - 65536]) == [65539, 65538, 65535]
    assert (source.expected, source.lost) == (5, 2)


def test_a_jump_must_be_said_twice() -> None:
    source = Source(1, 10, 8000)
    feed(source, [10, 11])
    assert feed(source, [30_000]) == [REFUSED]
    assert feed(source, [12]) == [65548]
    assert feed(source, [30_000]) == [REFUSED]
    assert feed(source, [30_001]) == [(2 << 16) + 30_001]
    assert feed(source, [30_002]) == [(2 << 16) + 30_002]
    assert (source.restarts, source.lost, source.expected) == (1, 0, 5)
    assert source.jitter_ticks == pytest.approx(0.0, abs=1e-6)


def test_the_jitter_of_packets_that_come_late_by_turns() -> None:
    # RFC 3550 A.8: J += (|D| - J) / 16; every D here is 10 ms, which is 80 ticks.
    source = Source(1, 0, 8000)
    expected = 0.0
    for number in range(100):
        source.take(number, number * TICKS, number * FRAME_S + 0.01 * (number % 2))
        if number:
            expected += (80 - expected) / 16
    assert source.jitter_ticks == pytest.approx(expected)
    assert source.jitter_s == pytest.approx(0.01, rel=0.01)


def test_timestamps_that_go_back_and_events_that_have_none() -> None:
    source = Source(1, 0, 8000)
    source.take(0, 160, 0.0)
    source.take(1, 99_999, 0.02, timed=False)
    assert source.jitter_ticks == 0.0
    source.take(2, 0, 0.04)
    # 320 ticks passed while the timestamp went back by 160.
    assert source.jitter_ticks == pytest.approx(480 / 16)


@examples(100)
@given(st.integers(0, 0xFFFF), st.lists(st.integers(0, 0xFFFF), max_size=60))
def test_no_order_of_numbers_loses_their_meaning(first: int, sequences: list[int]) -> None:
    source = Source(1, first, 8000)
    highest = source.highest
    for sequence in (first, *sequences):
        taken = source.take(sequence, 0, 0.0)
        assert source.highest >= highest
        highest = source.highest
        if taken != REFUSED:
            assert taken & 0xFFFF == sequence
            assert taken <= highest
    assert source.expected >= 1


@examples(100)
@given(st.integers(0, 0xFFFF), st.lists(st.integers(-MOST_MISORDER + 1, MOST_DROPOUT - 1), max_size=60))
def test_steps_within_the_limits_are_followed_exactly(first: int, steps: list[int]) -> None:
    source = Source(1, first, 8000)
    real = highest = source.take(first, 0, 0.0)
    for step in steps:
        real = max(highest + step, 0)
        assert source.take(real & 0xFFFF, 0, 0.0) == real
        highest = max(highest, real)


def test_another_sender_must_be_quiet_for_or_say_it_twice() -> None:
    inbound = Inbound(8000)
    assert inbound.take(1, 5, 0, 0.0) == 65541
    assert inbound.take(2, 900, 0, 0.01) == REFUSED
    assert inbound.take(1, 6, 160, 0.02) == 65542
    # Not the next number of the second one, and then another third one in between.
    assert inbound.take(2, 902, 0, 0.03) == REFUSED
    assert inbound.take(3, 1, 0, 0.03) == REFUSED
    assert inbound.take(2, 903, 0, 0.03) == REFUSED
    taken = inbound.take(2, 904, 0, 0.04)
    assert taken & 0xFFFF == 904
    assert taken - 65542 >= MOST_DROPOUT
    assert inbound.changes == 1
    assert inbound.take(3, 7, 0, 0.04 + QUIET_S) & 0xFFFF == 7
    assert inbound.changes == 2
    assert inbound.source is not None
    assert inbound.source.ssrc == 3


def test_it_goes_on_in_another_process() -> None:
    inbound = Inbound(8000)
    assert Inbound.from_dict(json.loads(json.dumps(inbound.to_dict()))).source is None
    inbound.take(1, 65535, 0, 0.0)
    again = Inbound.from_dict(json.loads(json.dumps(inbound.to_dict())))
    for each in (inbound, again):
        assert each.take(1, 0, 160, 0.025) == 0x20000
    assert again.to_dict() == inbound.to_dict()
    assert again.source is not None
    assert again.source.jitter_ticks == pytest.approx(40 / 16)


@given(
    first=st.integers(0, 0xFFFF),
    start=st.integers(0, 0xFFFFFFFF),
    waits_ms=st.lists(st.integers(0, 60), min_size=1, max_size=40),
    after=st.integers(0, 3),
)
def test_packets_in_order_are_counted_together_as_one_by_one(
    first: int, start: int, waits_ms: list[int], after: int
) -> None:
    together, one_by_one = Inbound(8000), Inbound(8000)
    now, came_s = 5.0, []
    for number in range(2):
        for inbound in (together, one_by_one):
            inbound.take(9, (first + number) & 0xFFFF, (start + 160 * number) & 0xFFFFFFFF, now)
        now += 0.02
    for wait_ms in waits_ms:
        now += wait_ms / 1000
        came_s.append(now)
    for number, at_s in enumerate(came_s, 2):
        one_by_one.take(9, (first + number) & 0xFFFF, (start + 160 * number) & 0xFFFFFFFF, at_s)
    last = 1 + len(came_s)
    together.take_row((start + 160 * last) & 0xFFFFFFFF, 160, came_s)
    assert together.to_dict() == one_by_one.to_dict()
    # And on they go.
    for number in range(last + 1, last + 1 + after):
        for inbound in (together, one_by_one):
            inbound.take(9, (first + number) & 0xFFFF, (start + 160 * number) & 0xFFFFFFFF, now)
    assert together.to_dict() == one_by_one.to_dict()


def test_no_row_changes_nothing() -> None:
    inbound = Inbound(8000)
    inbound.take_row(0, 160, [1.0])
    assert inbound.source is None
    inbound.take(9, 1, 0, 2.0)
    before = inbound.to_dict()
    inbound.take_row(160, 160, [])
    assert inbound.to_dict() == before


def test_a_row_behind_numbers_that_began_anew_has_no_time_before_it() -> None:
    source = Source(9, 1, 8000)
    source.take_row(160, 160, [1.0, 1.5])
    assert source.received == 2
    assert source.jitter_ticks == pytest.approx((0.5 * 8000 - 160) / 16)
