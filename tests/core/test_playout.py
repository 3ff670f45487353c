"""Which words left for the caller: those of which at least half of the samples did."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.events import ClauseSynthesized, HeardWord
from aywa.core.playout import Ledger, estimate_words, place_words
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


def test_places_are_estimated_where_the_voice_tells_none() -> None:
    ledger = Ledger()
    ledger.add(ClauseSynthesized(1, 0, "hello you", 600))
    ledger.add(ClauseSynthesized(1, 1, "yes.", 400))
    hello, you, yes = ledger.words_until(1000)
    assert (hello.start, hello.end, you.end) == (0, you.start, 600)
    assert hello.end > 300
    assert yes == HeardWord("yes.", 600, 1000)


@pytest.mark.parametrize("stop", [".", ",", "?", "!", ";", ":"])
def test_a_stop_takes_its_time(stop: str) -> None:
    plain, _ = estimate_words("ab ab", 12_000)
    before, after = estimate_words(f"ab{stop} ab", 12_000)
    assert plain.end == 6_000
    assert (before.end > 7_000, after.end) == (True, 12_000)


def test_what_is_written_in_digits_takes_longer_than_its_letters() -> None:
    year, word = estimate_words("2025 door", 12_000)
    assert year.end - year.start > 2 * (word.end - word.start)


def test_no_words_need_no_places() -> None:
    assert estimate_words(" ", 100) == ()
    assert place_words(" ", [HeardWord("uh", 0, 10)], 100) == ()


def test_a_word_without_sound_is_heard_with_the_last_sample() -> None:
    ledger = Ledger()
    ledger.add(ClauseSynthesized(1, 0, "yes —", 100, (HeardWord("yes", 0, 100), HeardWord("—", 100, 100))))
    assert (ledger.heard(99), ledger.heard(100)) == ("yes", "yes —")


# --- what voices tell ----------------------------------------------------------------------------------------


def placed(text: str, *told: tuple[str, int, int], samples: int = 1000) -> list[tuple[str, int, int]]:
    words = [HeardWord(*word) for word in told]
    return [(w.text, w.start, w.end) for w in place_words(text, words, samples, lambda: even(text, samples))]


def even(text: str, samples: int) -> list[HeardWord]:
    """A guess that gives each word the same time."""
    words = text.split()
    return [
        HeardWord(w, samples * n // len(words), samples * (n + 1) // len(words)) for n, w in enumerate(words)
    ]


def test_words_may_come_bare_and_in_another_case() -> None:
    told = (("HELLO", 10, 100), ("cafe", 150, 200))
    assert placed('"Hello," Café!', *told) == [('"Hello,"', 10, 100), ("Café!", 150, 200)]


def test_a_number_that_was_read_out_is_the_written_one() -> None:
    told = (("in", 0, 100), ("twenty", 100, 300), ("twenty", 300, 500), ("five", 500, 600), ("yes", 700, 800))
    assert placed("in 2025, yes", *told) == [("in", 0, 100), ("2025,", 100, 600), ("yes", 700, 800)]


def test_words_that_are_not_written_belong_to_the_one_before() -> None:
    told = (("uh", 0, 50), ("5", 100, 200), ("percent", 200, 400), ("off", 400, 500))
    assert placed("5% off", *told) == [("5%", 100, 400), ("off", 400, 500)]


def test_two_that_were_read_in_another_way_share_the_time_as_guessed() -> None:
    told = (
        ("at", 0, 100),
        *((w, 100 * n, 100 * n + 100) for n, w in enumerate("half past ten tonight".split(), 1)),
    )
    # The guess: 200 samples each of 200 to 600.
    assert placed("at 10:30 p.m.", *told, samples=600) == [
        ("at", 0, 100),
        ("10:30", 100, 300),
        ("p.m.", 300, 500),
    ]


def test_letters_make_words() -> None:
    text = "Hi, you all."
    told = [(letter, 10 * n, 10 * n + 10) for n, letter in enumerate(text)]
    expected = [("Hi,", 0, 20), ("you", 40, 70), ("all.", 80, 110)]
    assert placed(text, *told) == expected
    assert placed(text, *(letter for letter in told if letter[0] != " ")) == expected


def test_pieces_make_words_whether_or_not_they_carry_spaces() -> None:
    expected = [("hello", 0, 100), ("you", 100, 130), ("all", 130, 200)]
    assert (
        placed("hello you all", ("hel", 0, 60), ("lo", 60, 100), ("you", 100, 130), ("all", 130, 200))
        == expected
    )
    assert (
        placed("hello you all", ("hel", 0, 60), ("lo ", 60, 100), ("you ", 100, 130), ("all", 130, 200))
        == expected
    )
    assert placed("hello you all", ("hello", 0, 100), (" you", 100, 130), (" all", 130, 200)) == expected


def test_several_words_in_one_piece_share_its_time() -> None:
    assert placed("of the day", ("of the", 0, 60), ("day", 60, 100)) == [
        ("of", 0, 20), ("the", 30, 60), ("day", 60, 100),
    ]  # fmt: skip


def test_a_word_in_two_and_two_words_in_one_are_found_by_their_letters() -> None:
    told = (("good", 0, 40), ("bye", 40, 80), ("andthanks", 100, 190), ("now", 200, 300))
    assert placed("goodbye and thanks now", *told) == [
        ("goodbye", 0, 80), ("and", 100, 130), ("thanks", 130, 190), ("now", 200, 300),
    ]  # fmt: skip


def test_the_order_is_that_of_time() -> None:
    told = (("all", 60, 70), ("hello", 0, 40), ("you", 50, 60))
    assert placed("hello you all", *told) == [("hello", 0, 40), ("you", 50, 60), ("all", 60, 70)]


def test_missing_words_lie_where_the_guess_has_them_between_those_that_are_known() -> None:
    # The guess: 250 samples each. "b" lies between 100 and 700 as it lies between 250 and 750 there.
    assert placed("a b c d", ("a", 0, 100), ("d", 700, 900)) == [
        ("a", 0, 100), ("b", 100, 400), ("c", 400, 700), ("d", 700, 900),
    ]  # fmt: skip
    assert placed("a b c d", ("b", 300, 500)) == [
        ("a", 0, 300), ("b", 300, 500), ("c", 500, 750), ("d", 750, 1000),
    ]  # fmt: skip


def test_missing_words_share_what_room_there_is_where_the_guess_has_none() -> None:
    guess = [HeardWord("a", 0, 500), HeardWord("b", 500, 500), HeardWord("c", 500, 1000)]
    words = place_words("a b c", [HeardWord("a", 0, 300), HeardWord("c", 600, 900)], 1000, lambda: guess)
    assert words[1] == HeardWord("b", 400, 500)


@pytest.mark.parametrize(
    "told",
    [
        [],
        [("", 0, 10)],
        [("hello", 0, 0), ("you", 0, 0)],
        [("hello", 0, 300_000), ("you", 300_000, 500_000)],
        [("hello", 2000, 3000), ("you", 3000, 5000)],
        [("—", 0, 500)],
    ],
    ids=["none", "empty", "no lengths", "another unit", "another clause", "no letters"],
)
def test_times_of_no_account_leave_the_guess(told: list[tuple[str, int, int]]) -> None:
    assert placed("hello you", *told) == [("hello", 0, 500), ("you", 500, 1000)]


def test_words_do_not_overlap_and_lie_within_the_audio() -> None:
    told = (("a", -50, 400), ("b", 300, 250), ("c", 600, 9000))
    assert placed("a b c", *told) == [("a", 0, 300), ("b", 300, 300), ("c", 600, 1000)]


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


READ_AS = {"2025": "twenty twenty five", "$4.50": "four dollars fifty", "Dr.": "doctor", "10%": "ten percent"}
spoken_words = st.sampled_from(["hello,", "you", "there.", "we", "open", "café", *READ_AS])
sentences = st.lists(spoken_words, min_size=1, max_size=12)


@st.composite
def true_places(draw: st.DrawFn) -> list[HeardWord]:
    """The words of a sentence with a true place for each."""
    at, placed = 0, []
    for word in draw(sentences):
        start = at + draw(st.integers(0, 300))
        at = start + draw(st.integers(200, 5000))
        placed.append(HeardWord(word, start, at))
    return placed


@examples(100)
@given(true_places(), st.data())
def test_words_told_in_any_of_their_ways_are_found(truth: list[HeardWord], data: st.DataObject) -> None:
    text, samples = " ".join(w.text for w in truth), truth[-1].end
    told: list[HeardWord] = []
    kept: list[HeardWord] = []
    for word in truth:
        way = data.draw(st.sampled_from(["written", "bare", "read", "letters", "missing"]))
        if way == "missing":
            continue
        if way != "read" or word.text not in READ_AS:
            kept.append(word)
        parts = {
            "bare": [word.text.strip(",.").upper()],
            "read": READ_AS.get(word.text, word.text).split(),
            "letters": [c for c in word.text if c.isalnum()] if word.text not in READ_AS else [word.text],
        }.get(way, [word.text])
        length = word.end - word.start
        told += [
            HeardWord(
                part, word.start + length * n // len(parts), word.start + length * (n + 1) // len(parts)
            )
            for n, part in enumerate(parts)
        ]
    told = data.draw(st.permutations(told))
    words = place_words(text, told, samples)
    assert [w.text for w in words] == text.split()
    assert all(0 <= w.start <= w.end <= samples for w in words)
    assert all(a.end <= b.start for a, b in pairwise(words))
    if len(kept) == len(truth):
        assert list(words) == truth


@examples(100)
@given(
    texts,
    st.lists(
        st.builds(HeardWord, st.text(max_size=6), st.integers(-99, 9999), st.integers(-99, 9999)), max_size=12
    ),
    st.integers(0, 5000),
)
def test_nothing_that_a_voice_tells_breaks_the_ledger(text: str, told: list[HeardWord], samples: int) -> None:
    ledger = Ledger()
    ledger.add(ClauseSynthesized(1, 0, text, samples, tuple(told)))
    assert ledger.text == text
    assert ledger.heard(0) == ""
    if samples:
        assert ledger.heard(samples) == text
