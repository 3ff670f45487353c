"""What JavaScript's replace puts in place of a match."""

from __future__ import annotations

import pytest

from aywa.core.voicing.js_value import expand, longest


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("hi", "hi"),
        ("$1-$2", "ab-"),
        ("[$&]", "[abc]"),
        ("$`|$'", "x |  y"),
        ("$$1", "$1"),
        # Of three groups there is no tenth: the first, and a 0.
        ("$10 $12", "ab0 ab2"),
        ("$03 $3", "c c"),
        ("$4 $0 $", "$4 $0 $"),
        ("$<n> $<m>$<o>.", "c ."),
    ],
)
def test_a_value_is_expanded(value: str, made: str) -> None:
    found = ("ab", None, "c")
    assert expand(value, "x abc  y", (2, 5), found, {"n": 3, "o": 2}) == made
    assert len(made) <= longest(value, "x abc  y")


def test_without_named_groups_a_name_is_nothing_special() -> None:
    assert expand("$<n>", "a", (0, 1), (), {}) == "$<n>"


def test_as_many_groups_as_there_are() -> None:
    assert expand("$12", "a", (0, 1), [str(n) for n in range(1, 13)], {}) == "12"
