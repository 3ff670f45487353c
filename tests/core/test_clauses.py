"""Where a stream of text is cut, and what of it is spoken."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aywa.core.clauses import (
    FIRST_MAX_WORDS,
    FIRST_MIN_WORDS,
    MIN_CHARACTERS,
    NEXT_MAX_WORDS,
    ClauseCutter,
)
from aywa.core.settings import ChunkPlan, FormatPlan
from tests.core.feed import examples


def cut(*deltas: str, plan: ChunkPlan | None = None) -> list[str]:
    cutter = ClauseCutter(plan=plan or ChunkPlan())
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
    (
        'and to hello world, yes. no! why? e.g. Mr. 5 p.m. 3.50 okay; then: — … " ) * _x_ ** a_b [it](u) \n # > I'
        " $1,200.50 May 5, 2024 No. (555) 123-4567 J. U.S. 1. www.example.com a.b@c.com km 7) 你好。 吗\uff1f"
    ).split(" ")
)
texts = st.lists(pieces, max_size=120).map(" ".join) | st.text(max_size=80)


@st.composite
def chopped_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    text = draw(texts)
    at = sorted(draw(st.sets(st.integers(0, len(text)), max_size=20)))
    return text, [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


plans = st.sampled_from(
    [
        ChunkPlan(),
        ChunkPlan(min_characters=20),
        ChunkPlan(boundaries=(".", ",", "。")),
        ChunkPlan(min_characters=5, boundaries=("!", "|", ")")),
    ]
)


@examples(400)
@given(chopped_texts(), plans)
@example((" ".join("x" * 20) + ". end", list(" ".join("x" * 20) + ". end")), ChunkPlan())
def test_the_clauses_do_not_depend_on_how_the_text_came(
    chopped: tuple[str, list[str]], plan: ChunkPlan
) -> None:
    text, deltas = chopped
    assert cut(*deltas, plan=plan) == cut(text, plan=plan) == cut(*text, plan=plan)


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


WHOLE = [
    "3.5", "$1,200.50", "5 p.m. tomorrow", "Dr. Smith", "e.g. this", "www.example.com", "the U.S. Army", "J. R. Tolkien",
    "a.b@example.com", "May 5, 2024", "555 123 4567", "(555) 123-4567", "No. 5", "St. John", "14:30", "2023-05-10",
    "Acme Inc. is",    "Jan. 5", "5, 6 and 7", "1,000,000", "https://a.io/b,c?d=e!f", "10:5", "ext. 204",
]  # fmt: skip


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize(
    "before", ["Sure. It is ", "It is ", "Well we all know that it is very nearly surely "]
)
def test_what_is_spoken_as_one_thing_stays_in_one_clause(before: str, whole: str) -> None:
    text = f"{before}{whole} you see."
    for clauses in (cut(text), cut(*text)):
        assert any(whole in clause for clause in clauses), clauses


@examples(150)
@given(
    st.sampled_from(["5", "555 123 4567", "May 5", "$ 5", "Dr. No", "5 km", "5 million"]),
    st.integers(0, 60),
    st.booleans(),
)
def test_a_long_text_is_not_cut_inside_a_number_or_a_name(whole: str, words: int, early: bool) -> None:
    text = "w " * words + whole + " w" * 50
    cutter = ClauseCutter(early=early)
    clauses = [*cutter.feed(text), *cutter.finish()]
    assert sum(whole in clause for clause in clauses) == 1
    assert all(len(clause.split()) <= NEXT_MAX_WORDS for clause in clauses)


def test_numbers_without_an_end_are_cut_all_the_same() -> None:
    clauses = cut("5 " * 200)
    assert len(clauses) > 4
    assert all(len(clause.split()) <= NEXT_MAX_WORDS for clause in clauses)


def test_no_is_an_answer_unless_a_number_follows() -> None:
    assert cut("Sure. No. 5 it is. No. We are not.") == ["Sure.", "No. 5 it is.", "No.", "We are not."]
    assert cut("Sure. Is it? No. ") == ["Sure.", "Is it?", "No."]


def test_the_lines_of_a_list_keep_their_numbers() -> None:
    assert cut("Here:\n1. Cleaning\n2. Whitening.\n\n3. More") == [
        "Here:",
        "1. Cleaning\n2. Whitening.",
        "3. More",
    ]


def test_scripts_without_spaces_are_cut_at_their_stops() -> None:
    assert cut("你好。你好吗\uff1f」好") == ["你好。", "你好吗\uff1f」", "好"]


def test_a_flush_gives_what_is_held_and_more_may_come() -> None:
    cutter = ClauseCutter()
    assert cutter.feed("Let me see") == []
    assert cutter.flush() == ["Let me see"]
    assert cutter.flush() == []
    assert cutter.feed(" what there is. We") == ["what there is."]
    assert cutter.finish() == ["We"]
    # Contract 4.3: it needs chunkPlan.enabled.
    raw = ClauseCutter(plan=ChunkPlan(enabled=False))
    assert (raw.feed("Let me see"), raw.flush(), raw.finish()) == ([], [], ["Let me see"])


def test_with_a_least_length_a_clause_goes_on_until_it_has_it() -> None:
    text = "Yes. We are open, all day long, on Sundays too. Come in. "
    assert cut(text, plan=ChunkPlan(min_characters=20)) == [
        "Yes. We are open, all day long,",
        "on Sundays too. Come in.",
    ]
    assert cut(text, plan=ChunkPlan(min_characters=1)) == [
        "Yes.", "We are open,", "all day long,", "on Sundays too.", "Come in.",
    ]  # fmt: skip
    assert cut("Yes, we are", plan=ChunkPlan(min_characters=80)) == ["Yes, we are"]


def test_with_boundaries_only_they_cut() -> None:
    text = "Yes, we are. Come in! It is open: all of the day, or so they say, I think. Bye"
    assert MIN_CHARACTERS == 30
    assert cut(text, plan=ChunkPlan(boundaries=(",",))) == [
        "Yes,",
        "we are. Come in! It is open: all of the day,",
        "or so they say, I think. Bye",
    ]
    assert cut(text, plan=ChunkPlan(boundaries=("!",), min_characters=1)) == [
        "Yes, we are. Come in!",
        "It is open: all of the day, or so they say, I think. Bye",
    ]
    assert cut("你好\uff0c吗。好", plan=ChunkPlan(boundaries=("\uff0c",), min_characters=1)) == [
        "你好\uff0c",
        "吗。好",
    ]


def test_without_chunks_the_cuts_are_ours() -> None:
    text = "Yes, _we_ are. Come in!"
    assert cut(text, plan=ChunkPlan(enabled=False, min_characters=80)) == ["Yes,", "_we_ are.", "Come in!"]


@pytest.mark.parametrize(
    "plan",
    [ChunkPlan(format=FormatPlan(enabled=False)), ChunkPlan(format=FormatPlan(formatters=("asterisk",)))],
)
def test_markup_stays_where_formatting_is_the_customers(plan: ChunkPlan) -> None:
    assert " ".join(cut("**Yes**, _we_ are.", plan=plan)) == "**Yes**, _we_ are."


def test_what_is_held_can_be_forgotten() -> None:
    cutter = ClauseCutter()
    assert cutter.feed("We are open today. And on Sun") == ["We are open today."]
    assert cutter.forget() == " And on Sun"
    assert cutter.finish() == []
    assert cutter.feed("From nine to five.") + cutter.finish() == ["From nine to five."]
