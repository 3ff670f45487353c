"""Numbers in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.voicing import numbers
from tests.core.feed import examples


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"), (13, "thirteen"), (20, "twenty"), (42, "forty two"), (100, "one hundred"), (305, "three hundred five"),
        (1000, "one thousand"), (5042, "five thousand forty two"), (1_000_000, "one million"),
        (2_000_300_001, "two billion three hundred thousand one"), (10**12, "one trillion"),
    ],
)  # fmt: skip
def test_cardinal(value: int, words: str) -> None:
    assert " ".join(numbers.cardinal(value)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "first"), (2, "second"), (3, "third"), (4, "fourth"), (5, "fifth"), (8, "eighth"), (9, "ninth"), (12, "twelfth"),
        (20, "twentieth"), (21, "twenty first"), (100, "one hundredth"), (1000, "one thousandth"),
    ],
)  # fmt: skip
def test_ordinal(value: int, words: str) -> None:
    assert " ".join(numbers.ordinal(value)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1066, "ten sixty six"), (1900, "nineteen hundred"), (1905, "nineteen oh five"), (1999, "nineteen ninety nine"),
        (2000, "two thousand"), (2005, "two thousand five"), (2010, "twenty ten"), (2100, "twenty one hundred"),
    ],
)  # fmt: skip
def test_year(value: int, words: str) -> None:
    assert " ".join(numbers.year(value)) == words


def test_decimal() -> None:
    assert numbers.decimal("1,200", "50") == "one thousand two hundred point five zero".split()
    assert numbers.decimal("", "5") == ["point", "five"]
    assert numbers.decimal("7", "") == ["seven"]


def test_plural() -> None:
    assert numbers.plural("pound", "1") == "pound"
    assert numbers.plural("pound", "2") == "pounds"
    assert numbers.plural("foot", "2") == "feet"
    assert numbers.plural("mile per hour", "2") == "miles per hour"
    assert numbers.plural("square foot", "2") == "square feet"
    assert numbers.plural("hertz", "2") == "hertz"


SMALL = {word: value for value in range(100) for word in [" ".join(numbers.cardinal(value))]}


@examples(200)
@given(st.integers(0, 10**15 - 1))
def test_the_words_say_the_number(value: int) -> None:
    total = 0
    pending = 0
    for word in numbers.cardinal(value):
        if word == "hundred":
            pending *= 100
        elif word in ("thousand", "million", "billion", "trillion"):
            total += (
                pending * {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}[word]
            )
            pending = 0
        else:
            pending += SMALL[word]
    assert total + pending == value
