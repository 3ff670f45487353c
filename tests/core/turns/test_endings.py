"""How a text ends, by its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.turns.endings import Ending, ending_of
from tests.core.feed import examples


@pytest.mark.parametrize(
    ("ending", "texts"),
    [
        (Ending.NOTHING, ["", "...", " "]),
        (
            Ending.OPEN,
            [
                "I want a", "so", "and so", "um", "the bill says um", "wait -", "because", "let me see",
                "it is about the thing is", "I was told that", "when do you", "are you still", "is breakfast", "are the rooms",
                "could you tell me",
                "what time does the", "I would like", "my name is", "it was", "he",
                "I think I left it in", "it should arrive on", "mail me at gmail", "anna dot", "can you still",
                "I called and", "like",
            ],
        ),
        (
            Ending.LOOSE,
            [
                "I would like to make", "how much", "the letter says", "a check before", "if it rains tomorrow",
                "and if it rains", "could you please send", "I need", "because of the rain", "do you have anything",
            ],
        ),
        (
            Ending.GROUP,
            [
                "four one five", "my number is 5", "it is 42", "five five", "double", "5551", "B R A", "W", "twenty one two",
                "that's double five", "spelled K", "it's spelled", "my email is anna", "write to anna", "anna dot smith",
                "triple six",
            ],
        ),
        (
            Ending.WHOLE_GROUP,
            ["five five five one two three four", "555 123 4567", "the name is brandt b r a n d t", "eighty 55 555"],
        ),
        (Ending.OPENING, ["Hello!", "good morning", "thank you very much"]),
        (Ending.ANSWER, ["yes", "No thank you."]),
        (
            Ending.ASKED,
            [
                "when do you open", "hello can you hear me", "and what about crowns", "I'd like a table please",
                "where does it come from", "where is it from", "what does it look like", "who do I talk to", "when are you open",
                "what does he wait for",
            ],
        ),
        (
            Ending.CLAUSE,
            [
                "I called yesterday", "hello this is Mark", "I have a question about my bill", "the line is dead",
                "my last name is schmidt", "yes I think I am", "I know that", "I do", "it was on 5 may", "the third of may",
            ],
        ),
        (
            Ending.STATED,
            [
                "you know who to ask for it", "the heating in our room is off", "my parcel was supposed to arrive on Saturday",
                "good morning the lights in the hall went out", "we were told to bring our passports along",
            ],
        ),
        (
            Ending.SETTLED,
            [
                "I'd really like to see the garden view room",
                "we are still looking for a flat in town", "the bus was late but we came on time",
                "I would like to book a table", "tomorrow", "at nine",
                "so do I", "turn it on", "please come in", "anna at web dot com", "anna@web.com.",
                "anna.smith@web.co.uk", "two people", ],
        ),
    ],
)  # fmt: skip
def test_endings(ending: Ending, texts: list[str]) -> None:
    assert {text: ending_of(text) for text in texts} == dict.fromkeys(texts, ending)


words = st.lists(
    st.sampled_from(
        "yes I a the is at dot com double five 55 b what when do you may in like please if that tell me um so".split()
    ),
    max_size=9,
)


@examples(300)
@given(words)
def test_every_text_has_an_ending_and_marks_and_capitals_do_not_change_it(said: list[str]) -> None:
    text = " ".join(said)
    assert (ending_of(text) is Ending.NOTHING) is (not said)
    assert ending_of(text.upper() + ".") is ending_of(text)
