from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.capacity import CPU_MAX, FINE, GAP_MAX_MS, Search, Trial


def test_what_is_carried() -> None:
    assert Trial(8, GAP_MAX_MS, CPU_MAX).carried
    assert not Trial(8, GAP_MAX_MS + 1, 0.1).carried
    assert not Trial(8, 20, CPU_MAX + 0.01).carried
    assert not Trial(8, 20, 0.1, failed=1).carried


def searched(carries: int, most: int = 500) -> Search:
    search = Search(8, most)
    while (calls := search.next) is not None:
        search.take(Trial(calls, 20.0 if calls <= carries else 200.0, 0.1))
    return search


def test_the_numbers_that_are_tried() -> None:
    search = searched(100)
    assert [trial.calls for trial in search.trials] == [8, 16, 32, 64, 128, 96, 112, 104]
    assert search.found == 96


def test_a_machine_that_carries_none_and_one_that_carries_all() -> None:
    assert searched(0).found == 0
    assert searched(10_000).found == 500
    assert Search(8, 3).next == 3


def test_what_was_too_much_once_is_not_made_less_by_more_that_is_too_much() -> None:
    search = Search(8, 500)
    search.take(Trial(64, 200.0, 0.1))
    search.take(Trial(96, 200.0, 0.1))
    search.take(Trial(32, 20.0, 0.1))
    assert search.next == 48


@given(st.integers(0, 600))
def test_it_is_found_out_to_an_eighth(carries: int) -> None:
    search = searched(carries)
    assert search.found <= carries
    assert carries - search.found <= max(1, search.found // FINE) or search.found == 500
    assert len(search.trials) <= 20
