"""Edits of a text, and which written words are which spoken ones."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aywa.core.events import HeardWord
from aywa.core.voicing.text import (
    Edit,
    Span,
    Voiced,
    apply,
    merge,
    rewrite,
    spoken_places,
    unchanged,
    voiced,
    written_places,
)
from tests.core.feed import WORD, examples


def test_what_is_unchanged_is_spoken_word_by_word() -> None:
    assert unchanged(" a\n b ") == Voiced("a b", "a b", (Span(0, 1, 0, 1), Span(1, 2, 1, 2)))
    assert voiced("a b", []) == unchanged("a b")
    assert unchanged("") == Voiced("", "", ())


@pytest.mark.parametrize(
    ("text", "edits", "spoken", "spans"),
    [
        # One written word for several spoken ones.
        ("pay $5 now", [Edit(4, 6, "five dollars")], "pay five dollars now", [(0, 1, 0, 1), (1, 2, 1, 3), (2, 3, 3, 4)]),
        # Several written ones together.
        ("at 5 p.m. now", [Edit(3, 9, "5 PM")], "at 5 PM now", [(0, 1, 0, 1), (1, 3, 1, 3), (3, 4, 3, 4)]),
        # One that is not spoken.
        ("a *b* c", [Edit(2, 5, "")], "a c", [(0, 1, 0, 1), (1, 2, 1, 1), (2, 3, 1, 2)]),
        ("* b", [Edit(0, 1, "")], "b", [(0, 1, 0, 0), (1, 2, 0, 1)]),
        # A mark between two words goes with the one before.
        ("a - b", [Edit(1, 4, ", ")], "a, b", [(0, 2, 0, 1), (2, 3, 1, 2)]),
        ("a\nb", [Edit(1, 2, ". ")], "a. b", [(0, 1, 0, 1), (1, 2, 1, 2)]),
        # Two that become one, and one that becomes two.
        ("a b", [Edit(1, 2, "")], "ab", [(0, 2, 0, 1)]),
        ("ab", [Edit(1, 2, " c")], "a c", [(0, 1, 0, 2)]),
        # Words that are spoken and not written.
        ("a b", [Edit(1, 2, " x ")], "a x b", [(0, 1, 0, 2), (1, 2, 2, 3)]),
        ("  a", [Edit(0, 1, "x ")], "x a", [(0, 1, 0, 2)]),
        # One edit over the end of one word and the beginning of the next.
        ("ab cd", [Edit(1, 4, "- -")], "a- -d", [(0, 2, 0, 2)]),
        ("abcd", [Edit(0, 1, "x"), Edit(1, 4, "y z")], "xy z", [(0, 1, 0, 2)]),
    ],
)  # fmt: skip
def test_which_words_belong_together(
    text: str, edits: list[Edit], spoken: str, spans: list[tuple[int, int, int, int]]
) -> None:
    assert voiced(text, edits) == Voiced(" ".join(text.split()), spoken, tuple(Span(*each) for each in spans))


def test_of_two_edits_of_one_place_the_earlier_one_stays() -> None:
    edits = merge([Edit(2, 4, "x")], [Edit(0, 2, "a"), Edit(1, 3, "b"), Edit(3, 5, "c"), Edit(4, 6, "d")])
    assert edits == [Edit(0, 2, "a"), Edit(2, 4, "x"), Edit(4, 6, "d")]
    assert merge([], [Edit(0, 1, "a"), Edit(0, 1, "b")]) == [Edit(0, 1, "a")]


def test_where_edits_stand_in_the_spoken_text() -> None:
    edits = [Edit(0, 1, "one"), Edit(2, 3, ""), Edit(4, 5, "three")]
    assert apply("1 2 3", edits) == "one  three"
    assert spoken_places(edits) == [(0, 3), (4, 4), (5, 10)]


FIVE, SIX = Edit(4, 6, "five dollars"), Edit(10, 11, "six")


@pytest.mark.parametrize(
    ("changes", "spoken", "made"),
    [
        # Beside the edit; inside it; over its edge; two inside one; over two; between.
        ([Edit(0, 3, "PAY")], "PAY five dollars or six", [Edit(0, 3, "PAY", fixed=True), FIVE, SIX]),
        ([Edit(4, 8, "ten")], "pay ten dollars or six", [Edit(4, 6, "ten dollars", fixed=True), SIX]),
        ([Edit(0, 8, "give V")], "give V dollars or six", [Edit(0, 6, "give V dollars", fixed=True), SIX]),
        ([Edit(4, 8, "5"), Edit(9, 16, "V")], "pay 5 V or six", [Edit(4, 6, "5 V", fixed=True), SIX]),
        ([Edit(9, 23, "!")], "pay five !", [Edit(4, 11, "five !", fixed=True)]),
        ([Edit(17, 19, "and")], "pay five dollars and six", [FIVE, Edit(7, 9, "and", fixed=True), SIX]),
    ],
)
def test_what_is_spoken_can_be_rewritten(changes: list[Edit], spoken: str, made: list[Edit]) -> None:
    text, edits = "pay $5 or 6", [FIVE, SIX]
    assert rewrite(text, edits, changes) == made
    assert apply(text, made) == spoken


words = st.sampled_from(["a", "bc", "$5", "-", "d.e", "12"])


@st.composite
def edited_texts(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    text = draw(st.lists(words, max_size=8).map(" ".join))
    edges = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spoken = st.sampled_from(["", "x", " ", "x y", " x", "x ", ", ", " x y "])
    return text, [Edit(a, b, draw(spoken)) for a, b in zip(edges[::2], edges[1::2], strict=False)]


@examples(400)
@given(edited_texts())
@example(("a b", [Edit(0, 1, ""), Edit(2, 3, "")]))
def test_spans_are_in_order_and_cover_both_texts(edited: tuple[str, list[Edit]]) -> None:
    said = voiced(*edited)
    at = voiced_at = 0
    for span in said.spans:
        assert (span.first, span.voiced_first) == (at, voiced_at)
        assert span.last > span.first
        assert span.voiced_last >= span.voiced_first
        at, voiced_at = span.last, span.voiced_last
    assert at == len(said.written.split())
    assert voiced_at == (len(said.spoken.split()) if said.spans else 0)


@examples(400)
@given(edited_texts(), st.data())
def test_changes_of_what_is_spoken_do_what_they_say(
    edited: tuple[str, list[Edit]], data: st.DataObject
) -> None:
    text, edits = edited
    said = apply(text, edits)
    edges = sorted(data.draw(st.sets(st.integers(0, len(said)), max_size=6)))
    changes = [Edit(a, b, "N") for a, b in zip(edges[::2], edges[1::2], strict=False)]
    made = rewrite(text, edits, changes)
    assert apply(text, made) == apply(said, changes)
    assert all(one.end <= two.start for one, two in pairwise(made))


def test_written_words_are_heard_where_what_is_spoken_for_them_is() -> None:
    said = voiced(
        "pay $5 at 5 p.m. *now*", [Edit(4, 6, "five dollars"), Edit(10, 16, "5 PM"), Edit(17, 22, "")]
    )
    spoken = said.spoken.split()
    placed = [HeardWord(word, n * WORD, (n + 1) * WORD) for n, word in enumerate(spoken)]
    heard = written_places(said, placed)
    assert [word.text for word in heard] == said.written.split()
    assert [(word.start / WORD, word.end / WORD) for word in heard[:3]] == [(0, 1), (1, 3), (3, 4)]
    # Two for two: by how long each takes to say.
    five, pm = heard[3:5]
    assert (five.start, five.end, pm.end) == (4 * WORD, pm.start, 6 * WORD)
    # What is not spoken takes no time.
    assert (heard[5].start, heard[5].end) == (6 * WORD, 6 * WORD)
