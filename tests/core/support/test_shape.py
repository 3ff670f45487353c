"""The allow-list: what is named and looks as it should stays, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.core.support.contents import SHAPES
from aywa.core.support.shape import LINE_MAX, WORD_MAX, Each, Keyed, Kind, Shape, kept

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.NUMBER, [0, 1.5, True, -3], ["1", float("nan"), float("inf"), [1]]),
        (Kind.WORD, ["a-b_c.d/e", "x" * WORD_MAX], ["two words", "", "x" * (WORD_MAX + 1), "ü", "a\n", 7]),
        (Kind.ID, ["msg_1", "4f6d6f0e-9c1b"], ["a b", "x" * 65, "a.b"]),
        (Kind.TIME, ["2026-11-23T14:00:00Z", "2026-11-23T14:00:00.123Z"], ["yesterday", "2026-11-23"]),
        (Kind.HOST, ["db.example:5432", "[::1]:80"], ["user@host", "a/b"]),
        (Kind.LINE, ["a sentence: of ours", ""], ["two\nlines", "x" * (LINE_MAX + 1)]),
    ],
)
def test_a_leaf_stays_if_it_looks_as_it_should(kind: Kind, good: list[Any], bad: list[Any]) -> None:
    assert [kept(value, kind) for value in good] == [(value, 0) for value in good]
    assert [kept(value, kind) for value in bad] == [(None, 1)] * len(bad)


def test_only_what_is_named_stays() -> None:
    shape: Shape = {"a": Kind.NUMBER, "b": Each(Kind.WORD, 2), "c": {"d": Kind.WORD}, "e": Kind.WORD}
    value = {"a": 1, "b": ["x", "y", "z"], "c": {"d": "v", "secret": "s"}, "other": "o", "e": None}
    assert kept(value, shape) == ({"a": 1, "b": ["x", "y"], "c": {"d": "v"}, "e": None}, 3)


def test_what_has_another_form_is_left_out() -> None:
    assert kept("text", Each(Kind.WORD)) == (None, 1)
    assert kept("text", {"a": Kind.WORD}) == (None, 1)
    assert kept([1], Keyed(Kind.NUMBER)) == (None, 1)
    assert kept({"a": "two words"}, {"a": Kind.WORD}) == ({}, 1)
    assert kept([1, "x"], Each(Kind.NUMBER)) == ([1], 1)


def test_names_that_are_not_known_must_be_words_and_few() -> None:
    value = {"one": 1, "two words": 2, "three": "3", "four": 4, "five": 5}
    assert kept(value, Keyed(Kind.NUMBER, 2)) == ({"one": 1, "four": 4}, 3)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_nothing_that_is_not_named_comes_through(value: Any) -> None:
    for shape in SHAPES.values():
        found, _ = kept(value, shape)
        assert kept(found, shape) == (found, 0)
