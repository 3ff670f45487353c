"""A quantile out of buckets lies where the value does, as far as buckets can say."""

from __future__ import annotations

from bisect import bisect_left
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.metrics.quantile import quantile
from tests.core.feed import examples

BOUNDS = (0.1, 0.2, 0.5, 1.0, 2.0)


def counted(values: list[float]) -> dict[float, float]:
    return {bound: float(sum(value <= bound for value in values)) for bound in (*BOUNDS, inf)}


def test_of_nothing_there_is_none() -> None:
    assert quantile(0.5, {}) is None
    assert quantile(0.5, counted([])) is None


def test_values_are_spread_evenly_in_their_bucket() -> None:
    assert quantile(0.5, counted([0.3] * 10)) == pytest.approx(0.35)
    assert quantile(0.95, counted([0.05] * 90 + [0.7] * 10)) == pytest.approx(0.75)
    assert quantile(0.0, counted([0.3])) == pytest.approx(0.2)


def test_what_lies_past_the_last_bound_counts_as_that() -> None:
    assert quantile(0.9, counted([9.0])) == 2.0
    assert quantile(1.0, {1.0: 3.0, inf: 3.0}) == 1.0


def test_more_than_all_is_the_last_bound() -> None:
    assert quantile(1.5, {0.5: 1.0, 1.0: 3.0, inf: 3.0}) == 1.0


@examples(200)
@given(st.lists(st.floats(0.001, 1.999), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_the_quantile_lies_in_the_bucket_of_the_value(values: list[float], share: float) -> None:
    found = quantile(share, counted(values))
    value = sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
    at = bisect_left(BOUNDS, value)
    assert found is not None
    assert (BOUNDS[at - 1] if at else 0.0) - 1e-9 <= found <= BOUNDS[at] + 1e-9
