"""So many messages a second, and so many beyond that in all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.equipment.allowance import Allowance


def test_a_second_has_so_many() -> None:
    allowance = Allowance(2, 3)
    assert [allowance.takes(now) for now in (1.0, 1.1, 1.2, 1.9, 2.0, 2.1, 2.2)] == [
        True, True, False, False, True, True, False,
    ]  # fmt: skip
    assert allowance.excess == 3
    assert allowance.spent


def test_who_keeps_to_it_never_spends_it() -> None:
    allowance = Allowance(2, 1)
    assert all(allowance.takes(second + part) for second in range(50) for part in (0.0, 0.5))
    assert not allowance.spent


@given(st.lists(st.floats(0, 3), max_size=200))
def test_no_more_pass_than_allowed_in_as_many_seconds(gaps: list[float]) -> None:
    allowance, now, passed, starts = Allowance(3, 10), 0.0, 0, 1
    since = 0.0
    for gap in gaps:
        now += gap
        if now - since >= 1.0:
            since, starts = now, starts + 1
        passed += allowance.takes(now)
    assert passed <= 3 * starts
    assert passed + allowance.excess == len(gaps)
