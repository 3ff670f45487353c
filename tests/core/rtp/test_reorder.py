"""Packets in order again, for a wait of a packet or two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.reorder import Reorder
from tests.core.feed import examples


def fed(reorder: Reorder[bytes], numbers: list[int]) -> list[bytes | int]:
    return [piece for number in numbers for piece in reorder.put(number, b"%d" % number)]


def heard(pieces: list[bytes | int]) -> list[int]:
    return [int(piece) for piece in pieces if isinstance(piece, bytes)]


def test_in_order_passes_at_once() -> None:
    reorder: Reorder[bytes] = Reorder(1, 4)
    assert fed(reorder, [10, 11, 12]) == [b"10", b"11", b"12"]
    assert not reorder.waiting


def test_two_that_changed_places_are_put_right() -> None:
    reorder: Reorder[bytes] = Reorder(1, 4)
    assert fed(reorder, [10, 12]) == [b"10"]
    assert reorder.waiting
    assert fed(reorder, [11]) == [b"11", b"12"]
    assert (reorder.lost, reorder.late, reorder.window) == (0, 0, 1)


def test_a_gap_is_lost_when_more_than_the_window_came_after_it() -> None:
    reorder: Reorder[bytes] = Reorder(1, 4)
    assert fed(reorder, [10, 13, 14]) == [b"10", 2, b"13", b"14"]
    assert reorder.lost == 2


def test_what_was_late_makes_the_window_wider_and_calm_makes_it_narrow() -> None:
    reorder: Reorder[bytes] = Reorder(1, 4)
    fed(reorder, [10, 12, 13, 14, 11])
    assert (reorder.late, reorder.window) == (1, 3)
    assert fed(reorder, [16, 17, 18, 15]) == [b"15", b"16", b"17", b"18"]
    for window in (2, 1, 1):
        reorder.calm()
        assert reorder.window == window


def test_a_copy_is_thrown_away_wherever_it_comes_and_is_not_late() -> None:
    reorder: Reorder[bytes] = Reorder(1, 4)
    assert fed(reorder, [10, 10, 12, 12, 11, 11, 12]) == [b"10", b"11", b"12"]
    assert (reorder.duplicates, reorder.late, reorder.window) == (4, 0, 1)


def test_other_numbers_are_no_loss() -> None:
    reorder: Reorder[bytes] = Reorder(1, 4)
    assert fed(reorder, [10, 12, 70_000, 70_001]) == [b"10", 1, b"12", b"70000", b"70001"]
    assert fed(reorder, [140_000]) == [b"140000"]
    assert reorder.lost == 1


def test_who_waits_in_vain_is_given_up() -> None:
    reorder: Reorder[bytes] = Reorder(2, 4)
    fed(reorder, [10, 12, 14])
    assert reorder.give_up() == [1, b"12"]
    assert reorder.give_up() == [1, b"14"]
    assert reorder.give_up() == []


def test_what_was_given_up_is_not_remembered_for_ever() -> None:
    reorder: Reorder[bytes] = Reorder(1, 1)
    for number in range(0, 3000, 3):
        reorder.put(number, b"x")
    assert reorder.put(1, b"x") == []
    assert (reorder.late, reorder.duplicates) == (0, 1)


@examples(100)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60), st.sets(st.integers(1, 59)))
def test_whatever_the_network_does_the_order_is_kept_and_everything_is_accounted_for(
    shifts: list[int], missing: set[int]
) -> None:
    sent = [number for number in range(len(shifts)) if number == 0 or number not in missing]
    arrived = [0, *sorted(sent[1:], key=lambda number: (number + shifts[number], number))]
    reorder: Reorder[bytes] = Reorder(1, 4)
    pieces = fed(reorder, [1000 + number for number in arrived]) + reorder.flush()
    order = heard(pieces)
    assert order == sorted(set(order))
    assert len(order) + reorder.late == len(sent)
    assert sum(piece for piece in pieces if isinstance(piece, int)) == reorder.lost
    assert reorder.lost - reorder.late == max(sent) + 1 - len(sent)
