"""Where a stream of text is cut, and what of it is spoken."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aywa.core.clauses import FIRST_MAX_WORDS, FIRST_MIN_WORDS, NEXT_MAX_WORDS, ClauseCutter
from tests.core.feed import examples


def cut(*deltas: str) -> list[str]:
    cutter = ClauseCutter()
    clauses = [clause for delta in deltas for clause in cutter.feed(delta)]
    return clauses + cutter.finish()


def test_the_first_clause_ends_early_and_the_others_with_their_sentence() -> None:
    assert cut("Well then, we are open. On Sundays, however, we are not. ") == [
        "Well then,",
        "we are open.",
        "On Sundays, however, we are not.",
    ]


def test_one_word_and_a_comma_is_enough_to_begin_with() -> None:
    assert FIRST_MIN_WORDS == 1
    assert cut("Yes, we are, all day long.") == ["Yes,", "we are, all day long."]


@pytest.mark.parametrize("mark", [",", ";", "!", "?"])
def test_the_first_clause_does_not_wait_for_what_follows_its_mark(mark: str) -> None:
    cutter = ClauseCutter()
    assert cutter.feed("Well then") == []
    assert cutter.feed(mark) == [f"Well then{mark}"]
    assert cutter.feed(f" We are{mark}") == []


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("It costs 1,000 dollars, all in all.", ["It costs 1,000 dollars,", "all in all."]),
        ("Really?! Yes.", ["Really?", "Yes."]),
        ('He said "no, never", and left.', ['He said "no,', 'never", and left.']),
        ("Hello. Well, yes.", ["Hello.", "Well, yes."]),
    ],
)
def test_where_the_first_clause_ends(text: str, clauses: list[str]) -> None:
    assert cut(text) == clauses


def test_a_clause_is_given_as_soon_as_the_next_word_is_certain() -> None:
    cutter = ClauseCutter()
    assert cutter.feed("It is done.") == []
    assert cutter.feed(" Any") == ["It is done."]
    assert cutter.feed("thing else?") == []
    assert cutter.finish() == ["Anything else?"]
    assert cutter.finish() == []


@pytest.mark.parametrize(
    "text", ["Mr. Smith is in.", "Ask Dr. Who, e.g. at 5 p.m. today.", "It costs 3.50 now."]
)
def test_not_every_full_stop_ends_a_sentence(text: str) -> None:
    assert cut("Right. " + text) == ["Right.", text]


def test_closing_quotes_belong_to_the_sentence() -> None:
    assert cut('He said "no way!" Then he left.') == ['He said "no way!"', "Then he left."]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Sure**, I can.", "Sure, I can."),
        ("# Hours\nnine  to\tfive", "Hours\nnine to five"),
        ("# #5 of \n\n 7", "#5 of\n7"),
        ("_very_ `good`", "very good"),
        ("see [our page](https://example.com/a) now", "see our page now"),
        # What stands inside a word is the word's: an address and a product are read as they are written.
        ("write to jo_ann@example.com", "write to jo_ann@example.com"),
        ("2*3 is six", "2*3 is six"),
    ],
)
def test_markup_is_not_spoken(text: str, spoken: str) -> None:
    assert " ".join(cut(text)) == spoken


@pytest.mark.parametrize("text", ["", " ", "...", "***", "\n— —\n", "!? ... "])
def test_what_has_no_word_is_not_a_clause(text: str) -> None:
    assert cut(text) == []


def test_what_has_no_word_does_not_count_as_the_first_clause() -> None:
    assert cut("... Well then, we are open, too.") == ["Well then,", "we are open, too."]


@pytest.mark.parametrize("chopped", [True, False])
def test_text_without_a_stop_is_cut_by_length(*, chopped: bool) -> None:
    words = [f"w{n}" for n in range(FIRST_MAX_WORDS + NEXT_MAX_WORDS + 3)]
    text = " ".join(words)
    first, second, rest = cut(*text) if chopped else cut(text)
    assert first.split() == words[:FIRST_MAX_WORDS]
    assert second.split() == words[FIRST_MAX_WORDS : FIRST_MAX_WORDS + NEXT_MAX_WORDS]
    assert rest.split() == words[-3:]


def test_a_first_clause_without_a_stop_ends_before_a_joining_word() -> None:
    assert cut("The price of a cleaning is ninety dollars and a check-up is sixty dollars.") == [
        "The price of a cleaning is ninety dollars",
        "and a check-up is sixty dollars.",
    ]
    assert cut("You can come in and see us at any time you like to.") == [
        "You can come in and see us",
        "at any time you like to.",
    ]


pieces = st.sampled_from(
    'and to hello world, yes. no! why? e.g. Mr. 5 p.m. 3.50 okay; then: — … " ) * _x_ ** a_b [it](u) \n # > I'.split(
        " "
    )
)
texts = st.lists(pieces, max_size=120).map(" ".join) | st.text(max_size=80)


@st.composite
def chopped_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    text = draw(texts)
    at = sorted(draw(st.sets(st.integers(0, len(text)), max_size=20)))
    return text, [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


@examples(150)
@given(chopped_texts())
@example((" ".join("x" * 20) + ". end", list(" ".join("x" * 20) + ". end")))
def test_the_clauses_do_not_depend_on_how_the_text_came(chopped: tuple[str, list[str]]) -> None:
    text, deltas = chopped
    assert cut(*deltas) == cut(text) == cut(*text)


def letters(text: str) -> str:
    """Without white space, punctuation and markup."""
    return "".join(c for c in text if c.isalnum())


@examples(150)
@given(texts.filter(lambda text: "](" not in text))
def test_no_letter_is_lost_added_or_moved(text: str) -> None:
    clauses = cut(text)
    assert letters("".join(clauses)) == letters(text)
    assert all(clause == clause.strip() and not re.search(r"\s\s", clause) for clause in clauses)


@examples(150)
@given(texts)
def test_no_clause_is_longer_than_the_limit(text: str) -> None:
    clauses = cut(text)
    for limit, some in ((FIRST_MAX_WORDS, clauses[:1]), (NEXT_MAX_WORDS, clauses[1:])):
        assert all(0 < len(clause.split()) <= limit for clause in some)


def test_a_text_that_is_all_there_is_cut_at_its_sentences() -> None:
    cutter = ClauseCutter(early=False)
    assert cutter.feed("Hello, this is Robin. How can ") == ["Hello, this is Robin."]
    assert cutter.feed("I help?") == []
    assert cutter.finish() == ["How can I help?"]
