"""Whatever stands in labels, a metric has so many series and no more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.metrics.bounded import LABEL_MAX, OTHER, Bounded
from tests.core.feed import examples


def test_what_comes_first_has_its_own_series_and_the_rest_is_other() -> None:
    bounded = Bounded(2)
    assert bounded.of(("a", "x")) == (("a", "x"), True)
    assert bounded.of(("b", "x")) == (("b", "x"), True)
    assert bounded.of(("c", "x")) == ((OTHER, OTHER), False)
    assert bounded.of(("a", "x")) == (("a", "x"), True)


def test_a_long_value_is_shortened_and_takes_one_place() -> None:
    bounded = Bounded(1)
    for tail in ("1", "2", "3"):
        assert bounded.of(("r" * LABEL_MAX + tail,)) == (("r" * LABEL_MAX,), True)
    assert bounded.of(("r" * LABEL_MAX,)) == (("r" * LABEL_MAX,), True)


@examples(200)
@given(st.lists(st.tuples(st.text(max_size=100), st.text(max_size=3)), max_size=60), st.integers(0, 10))
def test_there_are_never_more_series_than_the_limit_and_one(
    labels: list[tuple[str, str]], limit: int
) -> None:
    bounded = Bounded(limit)
    shown = [bounded.of(each) for each in labels]
    own = {found for found, is_own in shown if is_own}
    assert len(own) <= limit
    assert all(found == (OTHER, OTHER) for found, is_own in shown if not is_own)
    assert [bounded.of(each) for each in labels if bounded.of(each)[1]] == [each for each in shown if each[1]]
