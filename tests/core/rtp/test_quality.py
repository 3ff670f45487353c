from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.plan import Codec
from aywa.core.rtp.quality import BEST_RATING, estimate, opinion, rating
from tests.core.feed import examples


def test_a_good_line() -> None:
    assert rating(Codec.PCMU, 0.0, 0.0) == BEST_RATING
    assert opinion(BEST_RATING) == pytest.approx(4.41, abs=0.01)
    assert estimate(Codec.PCMA, 0.0, 0.002, 0.04) > 4.3
    assert estimate(Codec.OPUS, 0.0, 0.0, None) > 4.3


# G.107 Annex B, table B.1: what users say of a rating.
@pytest.mark.parametrize(
    ("rated", "score"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0)]
)
def test_the_published_scores(rated: float, score: float) -> None:
    assert opinion(rated) == pytest.approx(score, abs=0.01)


def test_bounds_of_the_score() -> None:
    assert opinion(-5) == 1.0
    assert opinion(3) == 1.0
    assert opinion(100) == 4.5


def test_loss_costs_most_where_it_comes_in_a_row_and_delay_from_the_knee_on() -> None:
    by_chance, in_a_row = (rating(Codec.PCMU, 0.05, 0.0, burst) for burst in (1.0, 3.0))
    assert in_a_row < by_chance == pytest.approx(BEST_RATING - 95 * 5 / 30.1)
    assert rating(Codec.PCMU, 0.0, 0.15) == pytest.approx(BEST_RATING - 3.6)
    assert rating(Codec.PCMU, 0.0, 0.4) == pytest.approx(BEST_RATING - 9.6 - 0.11 * 222.7)


@examples(100)
@given(
    st.sampled_from(list(Codec)), st.floats(-1, 2), st.floats(-1, 5), st.one_of(st.none(), st.floats(0, 60)),
    st.floats(0, 0.5),
)  # fmt: skip
def test_more_loss_is_never_better_and_scores_have_bounds(
    codec: Codec, lost: float, jitter_s: float, round_trip_s: float | None, more: float
) -> None:
    score = estimate(codec, lost, jitter_s, round_trip_s)
    assert 1.0 <= score <= 4.5
    assert estimate(codec, lost + more, jitter_s, round_trip_s) <= score + 0.02
