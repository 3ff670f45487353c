"""What a few words mean for the floor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import ACKNOWLEDGEMENTS, INTERRUPTIONS
from aywa.core.turns import phrases
from tests.core.feed import examples


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Uh-huh, I'm  WITH you!", "uh huh im with you"),
        ("It\u2019s 5.", "its 5"),
        ("\u2014 ...", ""),
        ("", ""),
    ],
)
def test_texts_are_compared_without_case_and_punctuation(text: str, plain: str) -> None:
    assert phrases.normalise(text) == plain
    assert phrases.words_of(text) == plain.split()


@pytest.mark.parametrize(
    "text",
    [
        "Mhm.",
        "mm-hmm",
        "uh-huh",
        "Yeah, okay.",
        "yes yes yes",
        "I see. Right.",
        "okay hmm sure",
        "Oh.",
        "I'm listening",
    ],
)
def test_acknowledgements(text: str) -> None:
    assert phrases.is_acknowledgement(text, ACKNOWLEDGEMENTS)
    assert phrases.floor_words(text, ACKNOWLEDGEMENTS) == 0


@pytest.mark.parametrize("text", ["", "...", "I see a problem", "yes but", "okay then what", "see"])
def test_no_acknowledgements(text: str) -> None:
    assert not phrases.is_acknowledgement(text, ACKNOWLEDGEMENTS)


def test_an_assistant_may_have_its_own_acknowledgements() -> None:
    assert phrases.is_acknowledgement("aha go on", ["go on", "", "Aha!"])
    assert not phrases.is_acknowledgement("yes", ["aha"])


def test_hums_never_count_as_words() -> None:
    assert phrases.floor_words("um what is uh that", ACKNOWLEDGEMENTS) == 3
    assert phrases.floor_words("", ACKNOWLEDGEMENTS) == 0


@pytest.mark.parametrize(
    ("text", "interrupts"),
    [("Stop!", True), ("no, I don't", True), ("unstoppable", False), ("north", False), ("", False)],
)
def test_interruptions_are_whole_words(text: str, *, interrupts: bool) -> None:
    assert phrases.has_interruption(text, INTERRUPTIONS) is interrupts
    assert not phrases.has_interruption(text, ["", "..."])


@pytest.mark.parametrize(
    "text",
    [
        "I want a",
        "because",
        "well...",
        "wait \u2026",
        "so -",
        "I need, um",
        "and",
        "as follows:",
    ],
)
def test_unfinished(text: str) -> None:
    assert phrases.is_unfinished(text)


@pytest.mark.parametrize(("text", "ends"), [("ten of clubs, ", True), ("ten, of clubs", False), ("", False)])
def test_a_trailing_comma(text: str, *, ends: bool) -> None:
    assert phrases.ends_in_comma(text) is ends


@pytest.mark.parametrize("text", ["", "I want a pizza.", "go ahead", "yes"])
def test_finished(text: str) -> None:
    assert not phrases.is_unfinished(text)


@pytest.mark.parametrize("text", ["it is 42", "five five", "a b c d", "call 555-12.", "double"])
def test_numbers(text: str) -> None:
    assert phrases.ends_in_number(text)


@pytest.mark.parametrize(
    "text", ["", "...", "number five please", "it is a", "so do I", "see b", "x", "a 12th"]
)
def test_no_numbers(text: str) -> None:
    assert not phrases.ends_in_number(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Yes.", True),
        ("no thank you", True),
        ("yes I would like", False),
        ("yes and", False),
        ("maybe", False),
        ("", False),
    ],
)
def test_short_answers(text: str, *, short: bool) -> None:
    assert phrases.is_short_answer(text) is short


@pytest.mark.parametrize(
    ("text", "ends"), [("Done. ", True), ("Done?", True), ("Done!", True), ("Done,", False), ("", False)]
)
def test_punctuation(text: str, *, ends: bool) -> None:
    assert phrases.ends_in_punctuation(text) is ends


def test_the_first_phrase_that_stands_in_the_text() -> None:
    assert phrases.contains_phrase("Well, good-bye now!", ["", "see you", "Good bye", "now"]) == "Good bye"
    assert phrases.contains_phrase("goodbyes", ["goodbye"]) is None


@pytest.mark.parametrize(("text", "ends"), [("I want,", True), ("So, ", True), ("a, b", False), ("", False)])
def test_a_last_comma(text: str, *, ends: bool) -> None:
    assert phrases.ends_in_comma(text) is ends


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("Hello!", True),
        ("good morning to you", False),
        ("Thank you very much.", True),
        ("so so so so so", False),
        ("", False),
    ],
)
def test_openings(text: str, *, opening: bool) -> None:
    assert phrases.is_opening(text) is opening


texts = st.lists(
    st.sampled_from("yes Okay um uh-huh I see stop no, 5 b ... - hello you and mhm".split()), max_size=8
).map(" ".join) | st.text(max_size=20)


@examples(150)
@given(texts)
def test_an_acknowledgement_never_takes_the_floor_and_words_are_never_more_than_were_said(text: str) -> None:
    count = phrases.floor_words(text, ACKNOWLEDGEMENTS)
    assert 0 <= count <= len(phrases.words_of(text))
    if phrases.is_acknowledgement(text, ACKNOWLEDGEMENTS):
        assert count == 0
        assert not phrases.has_interruption(text, INTERRUPTIONS)


@examples(150)
@given(texts)
def test_how_it_was_written_changes_nothing(text: str) -> None:
    plain = phrases.normalise(text)
    assert phrases.normalise(plain) == plain
    for list_ in (ACKNOWLEDGEMENTS, INTERRUPTIONS):
        assert phrases.is_acknowledgement(text, list_) == phrases.is_acknowledgement(plain, list_)
        assert phrases.has_interruption(text, list_) == phrases.has_interruption(plain, list_)
    assert phrases.ends_in_number(text) == phrases.ends_in_number(plain)


@pytest.mark.parametrize(
    ("language", "text", "known"),
    [
        ("de", "genau", True),
        ("de-AT", "doch", True),
        ("es_MX", "claro que sí", True),
        ("fr", "d'accord", True),
        ("fr", "genau", False),
        ("de", "Sounds good.", True),
        ("pl", "no", True),
        ("", "genau", True),
        ("multi", "d'accord, oui", True),
        ("", "no", False),
        ("en", "no", False),
        ("en", "claro", False),
        ("tlh", "claro", True),
        ("ja", "なるほど", True),
    ],
)
def test_acknowledgements_are_those_of_the_language_and_of_all_where_it_is_not_known(
    language: str, text: str, known: bool
) -> None:
    assert phrases.is_acknowledgement(text, phrases.acknowledgements(language)) is known


def test_the_contracts_acknowledgements_are_always_among_them() -> None:
    for language in ("", "de", "zh"):
        listed = phrases.acknowledgements(language)
        assert listed[: len(ACKNOWLEDGEMENTS)] == ACKNOWLEDGEMENTS
        assert not any(
            phrases.has_interruption(text, INTERRUPTIONS) for text in ("okay", "genau", "claro", "mhm")
        )


@pytest.mark.parametrize("text", ["uhm", "ahem", "haha", "tsk", "uhhm", "mhm mhm", "phew", "aha"])
def test_sounds_that_recognisers_write_down_are_no_words(text: str) -> None:
    assert phrases.floor_words(text, ()) == 0


@pytest.mark.parametrize("text", ["he", "ham", "choose", "ago"])
def test_words_that_look_like_sounds_are_words(text: str) -> None:
    assert phrases.floor_words(text, ()) == 1
