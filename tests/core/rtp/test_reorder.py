from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.reorder import WINDOW, Reorder
from aywa.core.rtp.source import MOST_DROPOUT


def run(numbers: list[int]) -> tuple[Reorder[int], list[tuple[int, int]]]:
    reorder: Reorder[int] = Reorder()
    return reorder, [each for number in numbers for each in reorder.push(number, number)]


def test_in_order_everything_goes_on_at_once() -> None:
    reorder, released = run([7, 8, 9])
    assert released == [(0, 7), (0, 8), (0, 9)]
    assert reorder.waiting == 0


def test_two_that_changed_places() -> None:
    reorder, released = run([1, 3])
    assert released == [(0, 1)]
    assert reorder.waiting == 1
    assert reorder.push(2, 2) == ((0, 2), (0, 3))


def test_one_that_is_lost_is_waited_for_until_two_have_come_after_it_and_then_a_third() -> None:
    reorder, released = run([1, 4, 5])
    assert released == [(0, 1)]
    assert reorder.push(6, 6) == ((2, 4), (0, 5), (0, 6))
    assert reorder.lost == 2
    assert reorder.push(2, 2) == ()
    assert reorder.late == 1


def test_one_that_comes_while_others_wait_and_still_one_is_missing() -> None:
    _, released = run([1, 4, 3, 5])
    assert released == [(0, 1), (1, 3), (0, 4), (0, 5)]


def test_the_same_twice() -> None:
    reorder, released = run([1, 3, 3, 1, 2])
    assert released == [(0, 1), (0, 2), (0, 3)]
    assert (reorder.duplicates, reorder.late) == (1, 1)


def test_new_numbers_let_everything_go() -> None:
    reorder, released = run([1, 3, 3 + MOST_DROPOUT])
    assert released == [(0, 1), (1, 3), (0, 3 + MOST_DROPOUT)]
    assert reorder.push(4 + MOST_DROPOUT, 0) == ((0, 0),)


def test_what_waits_can_be_asked_for() -> None:
    reorder, _ = run([1, 3])
    assert reorder.flush() == ((1, 3),)
    assert reorder.flush() == ()


@given(st.lists(st.integers(0, 30), max_size=60))
def test_what_goes_on_is_in_order_each_once_and_never_more_wait_than_the_window(numbers: list[int]) -> None:
    reorder: Reorder[int] = Reorder()
    out: list[int] = []
    lost = 0
    for number in numbers:
        for missing, item in reorder.push(number, number):
            lost += missing
            assert item == (out[-1] + 1 + missing if out else item)
            out.append(item)
        assert reorder.waiting <= WINDOW
    out += [item for _, item in reorder.flush()]
    assert out == sorted(set(out))
    assert len(out) + reorder.duplicates + reorder.late == len(numbers)
    assert lost <= reorder.lost


@given(st.permutations(range(4)), st.integers(0, 5))
def test_a_swap_of_neighbours_loses_nothing(order: list[int], start: int) -> None:
    # Every number is at most two places from its own: the window covers it.
    numbers = [start, *(start + 1 + each for each in order)]
    if any(abs(place - number) > WINDOW for place, number in enumerate(order)):
        return
    _, released = run(numbers)
    assert [item for _, item in released] == sorted(numbers)
