"""A reply that another model goes on with: it repeats no word, and none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.call.router.continued import GO_ON, LEAST_WORDS, Continued
from aywa.ports.llm import ChatMessage, LlmRequest

GIVEN = "We are open today. We close at five, but not on Sundays."
ASKED = LlmRequest((ChatMessage("user", "when?"),))


def whole(given_text: str, deltas: Sequence[str]) -> str:
    """What the caller hears of both."""
    continued = Continued(given_text)
    _ = continued.request(ASKED)
    return given_text + "".join(map(continued.feed, deltas)) + continued.finish()


def letters(text: str) -> list[str]:
    return list(text)


def by_words(text: str) -> list[str]:
    return [word + " " for word in text.split()]


def by_words_before(text: str) -> list[str]:
    return [" " + word for word in text.split()]


def at_once(text: str) -> list[str]:
    return [text]


CUTS = [letters, by_words, by_words_before, at_once]
any_cut = pytest.mark.parametrize("cut", CUTS)


def same(heard: str, wanted: str) -> bool:
    """By their words: blanks are nothing that is heard."""
    return heard.split() == wanted.split()


def test_the_request_holds_what_was_given_and_asks_to_go_on() -> None:
    assert Continued(GIVEN + " ").request(ASKED).messages == (
        ASKED.messages[0], ChatMessage("assistant", GIVEN), ChatMessage("system", GO_ON),
    )  # fmt: skip
    assert Continued("  ").request(ASKED) is ASKED


@any_cut
@pytest.mark.parametrize(
    "said",
    [
        "Anything else?",
        "We are closed then.",
        "Sundays are quiet.",
        "we",
        "We close at nine then.",
        "- so much for that.",
        "On Sundays we sleep.",
    ],
)
def test_one_that_goes_on_loses_no_word(cut: object, said: str) -> None:
    assert callable(cut)
    assert same(whole(GIVEN, cut(said)), f"{GIVEN} {said}")


@any_cut
@pytest.mark.parametrize(
    "said",
    [
        GIVEN,
        "We close at five, but not on Sundays.",
        "We CLOSE at five but not on sundays",
        "but not on Sundays.",
        "five, but - not on Sundays.",
        "We are open today - we close at five... but not on Sundays!",
    ],
)
def test_one_that_begins_anew_or_earlier_repeats_nothing(cut: object, said: str) -> None:
    assert callable(cut)
    assert same(whole(GIVEN, cut(said + " Anything else?")), GIVEN + " Anything else?")
    assert same(whole(GIVEN, cut(said)), GIVEN)


@any_cut
def test_less_than_can_be_told_from_intent_is_kept(cut: object) -> None:
    assert callable(cut)
    assert LEAST_WORDS > 2
    assert same(whole("It is very good", cut("very good indeed")), "It is very good very good indeed")


@any_cut
def test_of_a_text_that_repeats_itself_the_whole_is_known(cut: object) -> None:
    """Its beginning is also its end: one that begins anew must not be taken for one that repeats the end."""
    assert callable(cut)
    given_text = "no no no maybe no no no"
    assert same(whole(given_text, cut(given_text + " yes")), given_text + " yes")


@any_cut
def test_dashes_are_no_words(cut: object) -> None:
    assert callable(cut)
    given_text = "Well - that is - fine."
    assert same(whole(given_text, cut("Well, that is fine. Bye")), given_text + " Bye")
    assert same(whole(given_text, cut("Well — that — is — fine. Bye")), given_text + " Bye")


@any_cut
def test_with_nothing_given_nothing_is_held(cut: object) -> None:
    assert callable(cut)
    assert whole("", cut("Well then.")) == "".join(cut("Well then."))


def test_a_word_that_grows_is_waited_for() -> None:
    continued = Continued("one two three four")
    assert continued.feed("one two three four") == ""
    assert same("x" + continued.feed("teen and more"), "x one two three fourteen and more")


def test_nothing_more_than_needed_is_held() -> None:
    continued = Continued(GIVEN)
    assert continued.feed("We") == ""
    assert continued.feed(" will") == " We will"
    assert continued.feed(" see") == " see"
    assert continued.finish() == ""


@pytest.mark.parametrize("deltas", [[], [""], [" "], ["\n", " "], ["", "", "-"]])
def test_what_is_no_word_does_no_harm(deltas: list[str]) -> None:
    assert same(whole(GIVEN, deltas).rstrip(" -"), GIVEN)


# --- whatever is said ------------------------------------------------------------------------------------------------

OLD = st.lists(
    st.sampled_from(["a", "ab", "abc", "We", "we,", "don't", "is.", "-", "Yes!", "x"]), max_size=12
)
NEW = st.lists(st.sampled_from(["new", "newer", "then.", "q"]), min_size=1, max_size=8)


def cut_at(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def words(text: str) -> list[str]:
    bare = ("".join(c for c in word.casefold() if c.isalnum()) for word in text.split())
    return [word for word in bare if word]


@given(old=OLD, new=NEW, cuts=st.lists(st.integers(0, 200)), space=st.sampled_from(["", " "]))
def test_one_that_goes_on_properly_never_loses_a_word(
    old: list[str], new: list[str], cuts: list[int], space: str
) -> None:
    heard = whole(" ".join(old), cut_at(space + " ".join(new), cuts))
    assert words(heard) == words(" ".join((*old, *new)))


@given(old=OLD, new=NEW, cuts=st.lists(st.integers(0, 200)))
def test_one_that_begins_anew_never_doubles_a_word(old: list[str], new: list[str], cuts: list[int]) -> None:
    heard = whole(" ".join(old), cut_at(" ".join((*old, *new)), cuts))
    assert words(heard) == words(" ".join((*old, *new)))


@given(
    old=OLD,
    last=st.permutations(["the", "last", "one", "here"]),
    new=NEW,
    cuts=st.lists(st.integers(0, 200)),
)
def test_one_that_begins_with_the_last_sentence_never_doubles_a_word(
    old: list[str], last: list[str], new: list[str], cuts: list[int]
) -> None:
    heard = whole(" ".join((*old, *last)), cut_at(" ".join((*last, *new)), cuts))
    assert words(heard) == words(" ".join((*old, *last, *new)))


@given(given_text=st.text(max_size=40), deltas=st.lists(st.text(max_size=12), max_size=8))
def test_whatever_comes_what_is_said_ends_as_it_was_said(given_text: str, deltas: list[str]) -> None:
    said = "".join(deltas)
    heard = whole(given_text, deltas)[len(given_text) :]
    assert said.strip().endswith(heard.strip())
