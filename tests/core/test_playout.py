"""Which words left for the caller: those of which at least half of the samples did."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.events import ClauseSynthesized, HeardWord
from aywa.core.playout import Ledger, estimate_words
from tests.core.feed import WORD, clause, examples


def test_a_word_is_heard_from_its_middle_on() -> None:
    ledger = Ledger()
    ledger.add(clause(1, 0, "good morning"))
    assert ledger.heard(0) == ""
    assert ledger.heard(WORD // 2 - 1) == ""
    assert ledger.heard(WORD // 2) == "good"
    assert ledger.heard(WORD + WORD // 2 - 1) == "good"
    assert ledger.heard(WORD + WORD // 2) == "good morning"


def test_clauses_follow_one_another() -> None:
    ledger = Ledger()
    ledger.add(clause(1, 0, "good morning."))
    ledger.add(clause(1, 1, "how are you?"))
    assert (ledger.samples, ledger.text) == (5 * WORD, "good morning. how are you?")
    assert ledger.words_until(3 * WORD) == [
        HeardWord("good", 0, WORD),
        HeardWord("morning.", WORD, 2 * WORD),
        HeardWord("how", 2 * WORD, 3 * WORD),
    ]


def test_before_the_first_sample_nothing_was_heard() -> None:
    ledger = Ledger()
    ledger.add(
        ClauseSynthesized(1, 0, "hello you", WORD, (HeardWord("hello", 0, 0), HeardWord("you", 0, WORD)))
    )
    assert ledger.heard(0) == ""
    assert ledger.heard(1) == "hello"


def test_places_are_estimated_by_length_where_the_voice_tells_none() -> None:
    ledger = Ledger()
    ledger.add(ClauseSynthesized(1, 0, "a bcd", 600))
    ledger.add(ClauseSynthesized(1, 1, "yes.", 400))
    # Weights 2 and 4 of 600 samples; then the second clause alone.
    assert ledger.words_until(1000) == [
        HeardWord("a", 0, 200),
        HeardWord("bcd", 200, 600),
        HeardWord("yes.", 600, 1000),
    ]


@pytest.mark.parametrize("stop", [".", ",", "?", "!", ";", ":"])
def test_a_stop_counts_as_two_letters(stop: str) -> None:
    first, second = estimate_words(f"ab{stop} abcde", 12_000)
    assert (first.end, second.end) == (6_000, 12_000)


def test_no_words_need_no_places() -> None:
    assert estimate_words(" ", 100) == ()


words = st.text(st.characters(categories=["L"]), min_size=1, max_size=8)
texts = st.lists(words, min_size=1, max_size=6).map(" ".join)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    ledger = Ledger()
    for number, text in enumerate(draw(st.lists(texts, max_size=4))):
        samples = draw(st.integers(0, 5000))
        told: tuple[HeardWord, ...] = ()
        if draw(st.booleans()):
            edges = sorted(
                draw(st.lists(st.integers(0, samples), min_size=2 * len(text.split()), max_size=20))
            )
            told = tuple(
                HeardWord(w, edges[2 * i], edges[2 * i + 1]) for i, w in enumerate(text.split()[:10])
            )
        ledger.add(ClauseSynthesized(1, number, text, samples, told))
    return ledger


@examples(150)
@given(ledgers(), st.lists(st.integers(0, 25_000), min_size=2, max_size=8))
def test_what_was_heard_only_grows(ledger: Ledger, positions: list[int]) -> None:
    heard = [ledger.words_until(position) for position in sorted(positions)]
    assert all(more[: len(less)] == less for less, more in pairwise(heard))
    assert ledger.words_until(0) == []
    assert [ledger.heard(p) for p in sorted(positions)] == [" ".join(w.text for w in each) for each in heard]
    if ledger.samples:
        assert ledger.heard(ledger.samples + 1) == ledger.text


@examples(150)
@given(texts, st.integers(0, 10_000))
def test_estimated_places_fill_the_clause_without_a_gap(text: str, samples: int) -> None:
    placed = estimate_words(text, samples)
    assert [w.text for w in placed] == text.split()
    assert (placed[0].start, placed[-1].end) == (0, samples)
    assert all(a.end == b.start for a, b in pairwise(placed))
    assert all(w.start <= w.end for w in placed)
