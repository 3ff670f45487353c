"""Full-text search: the passage that answers comes first, and nothing is too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import search
from aywa.core.search import PASSAGE_CHARACTERS, Index, passages, terms
from tests.core.feed import examples

HOURS = ("hours.txt", "We are open from nine to five on weekdays.\n\nOn Saturdays the shop opens at ten.")
RETURNS = ("returns.md", "Returned goods are refunded within fourteen days. Keep the receipt.")


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("When do you open on Saturday?", "hours.txt"),
        ("refund", "returns.md"),
        ("REFUNDING receipts", "returns.md"),
    ],
)
def test_the_passage_with_the_rarest_words_comes_first(query: str, source: str) -> None:
    best = Index([HOURS, RETURNS]).search(query)[0]
    assert best.passage.source == source
    assert best.score > 0


def test_nothing_in_common_is_nothing_found() -> None:
    index = Index([HOURS, RETURNS])
    assert index.search("zebra") == index.search("") == []
    assert Index([]).search("open") == []


def test_a_long_text_is_cut_where_sentences_end() -> None:
    sentence = "A sentence of some length stands here. "
    pieces = list(passages(sentence * 100))
    assert all(len(piece) <= PASSAGE_CHARACTERS for piece in pieces)
    assert all(piece.endswith(".") for piece in pieces)
    assert list(passages("x" * 2000)) == ["x" * 800, "x" * 800, "x" * 400]
    assert list(passages(" \n ")) == []


def test_more_than_can_be_kept_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PASSAGES_MAX", 3)
    index = Index([("a", "x" * 9000), ("b", "zebra")])
    assert len(index.search("xxxxxx", 99)) == 3
    assert index.search("zebra") == []


@examples(100)
@given(st.lists(st.text(max_size=300), max_size=5), st.text(max_size=40))
def test_what_is_found_holds_a_word_that_was_looked_for(texts: list[str], query: str) -> None:
    documents = [(str(n), text) for n, text in enumerate(texts)]
    hits = Index(documents).search(query)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert set(terms(hit.passage.text)) & set(terms(query))
