"""Many needles in many texts: as if each were looked for by itself."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.core.support import needles
from aywa.core.support.needles import Needles

WORDS = st.text("ab1- ", min_size=1, max_size=14).map(str.encode)


def plainly(wanted: list[bytes], text: bytes) -> set[int]:
    """The bytes that belong to something wanted."""
    found: set[int] = set()
    for needle in wanted:
        start = text.find(needle) if len(needle) >= 4 else -1
        while start >= 0:
            end = start + len(needle)
            alone = not text[max(0, start - 1) : start].isalnum() and not text[end : end + 1].isalnum()
            if len(needle) >= 8 or alone:
                found.update(range(start, end))
            start = text.find(needle, start + 1)
    return found


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(WORDS, max_size=6),
    st.lists(st.lists(WORDS).map(b"".join), max_size=4),
    st.sampled_from([3, 7, 1 << 20]),
)
def test_as_if_each_were_looked_for_by_itself(wanted: list[bytes], texts: list[bytes], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(needles, "CHUNK_BYTES", chunk)
        spans = Needles(wanted).spans(texts)
    for number, text in enumerate(texts):
        found = spans.get(number, [])
        assert {place for start, end in found for place in range(start, end)} == plainly(wanted, text)
        assert found == sorted(found)
        assert all(a[1] <= b[0] for a, b in pairwise(found))


def test_a_short_one_stands_alone() -> None:
    found = Needles([b"1234", b"abc"]).spans([b"x 1234.", b"91234 12345 abc", b"1234"])
    assert found == {0: [(2, 6)], 2: [(0, 4)]}


def test_of_two_that_begin_alike_the_longer_counts() -> None:
    assert Needles([b"12345678", b"123456789"]).spans([b"-123456789-"]) == {0: [(1, 10)]}


def test_what_overlaps_is_one() -> None:
    assert Needles([b"abcdefgh", b"efghijkl"]).spans([b"abcdefghijkl"]) == {0: [(0, 12)]}


def test_nothing_goes_from_one_text_to_the_next() -> None:
    assert Needles([b"ab\n\0\ncdef"]).spans([b"ab", b"cdef"]) == {}


def test_nothing_in_nothing() -> None:
    assert Needles([]).spans([b"text"]) == {}
    assert Needles([b"wanted-text"]).spans([]) == {}
    assert Needles([b"wanted-text"]).spans([b"short"]) == {}
