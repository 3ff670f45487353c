"""How long written words are in the ear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.spoken import is_abbreviation, spoken, spoken_s
from tests.core.feed import examples


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("hello,", "hello"),
        ('"Café"', "café"),
        ("O'Connor's", "oh connor s"),
        ("—", ""),
        ("2025", "twenty twenty five"),
        ("1900", "nineteen hundred"),
        ("2005.", "two thousand five"),
        ("4711", "four thousand seven hundred eleven"),
        ("12,500", "twelve thousand five hundred"),
        ("0142", "zero one four two"),
        ("555-0142", "five five five zero one four two"),
        ("1234567", "one two three four five six seven"),
        ("1,000,000,000,000", "one trillion"),
        ("9,999,999,999,999,999", " ".join(["nine"] * 16)),
        ("3.9%", "three point nine percent"),
        ("2.", "two"),
        ("$4.50", "four fifty dollars"),
        ("$215.00", "two hundred fifteen dollars"),
        ("€20", "twenty euros"),
        ("10:30", "ten thirty"),
        ("5:00", "five oh clock"),
        ("24/7", "twenty four slash seven"),
        ("14th,", "fourteen th"),
        ("23rd", "twenty three"),
        ("20kg", "twenty kilograms"),
        ("Dr.", "doctor"),
        ("p.m.", "pee em"),
        ("pm", "pee em"),
        ("i.e.", "eye ee"),
        ("am", "am"),
        ("ID", "eye dee"),
        ("W-9", "double you nine"),
        ("I", "i"),
        ("NASA", "nasa"),
        ("vpn", "vee pee en"),
        ("ДА", "да"),
        ("info@aywa.example", "info at aywa dot example"),
        ("example.com/help", "example dot com slash help"),
        ("R&D", "ar and dee"),
        ("²_٣", "three"),
    ],
)
def test_a_word_is_read_as(written: str, read: str) -> None:
    assert " ".join(spoken(written)) == read


def test_abbreviations_keep_their_stop() -> None:
    assert [is_abbreviation(word) for word in ("Dr.", "(p.m.)", "p.m.", "end.", "Dr")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_length_goes_by_the_ear_and_not_by_the_letters() -> None:
    assert spoken_s("2025") > 3 * spoken_s("then")
    assert spoken_s("$1,249.99") > spoken_s("international")
    assert spoken_s("through") < spoken_s("banana")
    assert spoken_s("the") < spoken_s("day")
    assert spoken_s("make") == pytest.approx(spoken_s("mak"))
    assert 0 < spoken_s("—") < 0.02


def test_letters_of_other_writings_count_one_by_one() -> None:
    assert spoken_s("дадада") == pytest.approx(
        2 * spoken_s("дад") - spoken_s("да") / 2 + spoken_s("д") / 2, abs=0.1
    )
    assert spoken_s("日本") > spoken_s("да")


def test_a_word_that_nobody_says_is_measured_by_its_beginning() -> None:
    assert spoken_s("ab" * 10_000) == pytest.approx(10_000 / 30 * spoken_s("ab" * 30))


@examples(300)
@given(st.text(max_size=40))
def test_every_word_has_a_length(text: str) -> None:
    for word in text.split():
        assert 0 < spoken_s(word) < 60
