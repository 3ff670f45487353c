"""Phrases that are there before they are needed."""

from __future__ import annotations

import pytest

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core import stock
from aywa.core.stock import MAX_PHRASES, Stock
from tests.core.feed import LEG, of, prepared


def test_all_are_asked_for_once_each_in_the_order_of_need() -> None:
    made = Stock(["One.", "Two.", "One.", "", "  "])
    assert made.prepare() == [do.PreparePhrase(0, "One."), do.PreparePhrase(1, "Two.")]
    assert made.prepare() == []


def test_there_is_a_limit_to_what_is_laid_in() -> None:
    made = Stock(f"Phrase {number}." for number in range(2 * MAX_PHRASES))
    assert [each.text for each in of(do.PreparePhrase, made.prepare())] == [
        f"Phrase {number}." for number in range(MAX_PHRASES)
    ]


def test_what_was_prepared_can_be_played() -> None:
    made = Stock(["One.", "Two words."])
    assert not made.has("Two words.")
    made.prepared(prepared(1, "Two words."))
    assert (made.has("Two words."), made.has("One.")) == (True, False)
    assert made.play("Two words.", LEG, 7) == do.PlayPhrase(LEG, 7, 1, "voice")
    clause = made.clause("Two words.", 7, 3)
    assert (clause.reply_id, clause.clause, clause.text) == (7, 3, "Two words.")
    assert [word.text for word in clause.words] == ["Two", "words."]


def test_the_assistants_own_voice_takes_the_place_of_the_runtimes() -> None:
    made = Stock(["One."])
    made.prepared(ev.PhrasePrepared(0, "One.", 500, (), "stock"))
    assert made.play("One.", LEG, 1) == do.PlayPhrase(LEG, 1, 0, "stock")
    made.prepared(ev.PhrasePrepared(0, "One.", 900, (), "voice"))
    assert made.play("One.", LEG, 1) == do.PlayPhrase(LEG, 1, 0, "voice")
    assert made.clause("One.", 1, 0).samples == 900


@pytest.mark.parametrize(
    "event",
    [ev.PhrasePrepared(0, "One.", 0), ev.PhrasePrepared(0, "Other.", 800), ev.PhrasePrepared(5, "", 800)],
)
def test_what_has_no_audio_or_was_not_asked_for_is_not_in_stock(event: ev.PhrasePrepared) -> None:
    made = Stock(["One."])
    made.prepared(event)
    assert not made.has(event.text)
    with pytest.raises(KeyError):
        made.clause(event.text, 1, 0)
    with pytest.raises(KeyError):
        made.play(event.text, LEG, 1)


def test_the_runtimes_own_phrases_are_whole_sentences() -> None:
    own = (stock.EXCUSE, stock.FAREWELL, stock.REPROMPT, stock.NOBODY_THERE, stock.TIME_IS_UP)
    assert len(set(own)) == len(own)
    assert all(text.endswith((".", "?")) for text in own)


def test_another_voices_stock_has_numbers_of_its_own() -> None:
    first = Stock(("One.", "Two."))
    second = Stock(("Two.", "Three."), first.after)
    assert [each.phrase_id for each in of(do.PreparePhrase, second.prepare())] == [2, 3]
    assert second.after == 4
    # What the last voice said of it is of no use to this one.
    second.prepared(prepared(1, "Two."))
    assert not second.has("Two.")
    second.prepared(prepared(2, "Two."))
    assert second.has("Two.")
