"""The receptionist without a model answers everything sensibly, shortly and always the same."""

from __future__ import annotations

import pytest

from aywa.adapters.local.rules import RuleLlm, answer
from aywa.ports.llm import ChatMessage, Finished, LlmRequest, TextDelta

FACTS = """You are the receptionist of Bright Dental.
Opening hours: Monday to Friday, nine to five.
- Prices: a check-up costs forty pounds.
Address: 12 High Street
"""


def talk(*said: str, system: str = FACTS) -> list[str]:
    """The answers to what a caller says."""
    messages = [ChatMessage("system", system)] if system else []
    answers = []
    for text in said:
        messages.append(ChatMessage("user", text))
        answers.append(answer(messages))
        messages.append(ChatMessage("assistant", answers[-1]))
    return answers


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("Hello?", "How can I help"),
        ("When are you open?", "Monday to Friday, nine to five."),
        ("What are your opening hours on Monday?", "nine to five"),
        ("How much does a check-up cost?", "forty pounds"),
        ("Where are you located?", "12 High Street."),
        ("Can I talk to a real person?", "colleague"),
        ("My number is four seven nine two.", "four seven nine two"),
        ("It's 4792.", "four seven nine two"),
        ("Thanks.", "welcome"),
        ("Goodbye.", "Goodbye"),
        ("Who are you?", "receptionist of Bright Dental"),
        ("What is the meaning of life?", "opening hours, prices"),
        ("", "say it again"),
        ("...", "say it again"),
    ],
)
def test_an_answer(said: str, part: str) -> None:
    assert part in talk(said)[0]


def test_a_booking() -> None:
    day, time, name, check, done = talk(
        "I'd like to book an appointment, please.", "Next Tuesday.", "Half past nine.", "Anna Smith.", "Yes."
    )
    assert "What day" in day
    assert "What time" in time
    assert "what name" in name
    assert check == "Thank you, Anna Smith. I have you down for Tuesday, half past nine. Is that right?"
    assert "anything else" in done


def test_a_booking_in_one_sentence() -> None:
    said = "My name is Bob and I want to book a table for Friday at seven."
    assert talk(said) == ["Thank you, Bob. I have you down for Friday, at seven. Is that right?"]


def test_a_question_in_between_does_not_end_a_booking() -> None:
    answers = talk("I want an appointment.", "What does it cost?", "Monday.", "Ten o'clock.")
    assert answers[1] == "Our prices: a check-up costs forty pounds. What day would suit you?"
    assert "what name" in answers[3]


def test_a_question_that_was_cut_short_is_still_open() -> None:
    messages = [
        ChatMessage("user", "I want an appointment."),
        ChatMessage("assistant", "I can help you with that. What day would"),
        ChatMessage("user", "Tuesday."),
    ]
    assert answer(messages) == "Tuesday is fine. What time would you like?"


def test_without_facts_nothing_is_invented() -> None:
    answers = talk("When are you open?", "What does it cost?", "What is the address?", system="")
    assert all("do not have" in said for said in answers)


def test_a_greeting_when_nobody_has_spoken() -> None:
    assert answer([ChatMessage("system", FACTS)]) == "Hello, this is Bright Dental. How can I help you?"
    assert answer([]) == "Hello, how can I help you?"


def test_what_was_said_can_be_said_again() -> None:
    first, again = talk("When are you open?", "Sorry, can you repeat that?")
    assert again == first


@pytest.mark.parametrize(
    "said", ["x" * 5000, "??? 12 !!", "um", "yes", "no", "12", "\u00e9\u00e8 \u4f60\u597d"]
)
def test_every_input_is_answered_shortly(said: str) -> None:
    for text in talk(said, said, said):
        assert 0 < len(text) < 200
        assert text.count(".") + text.count("?") + text.count("!") <= 3


async def test_it_streams_like_a_model() -> None:
    request = LlmRequest((ChatMessage("user", "Hello?"),))
    llm = RuleLlm()
    await llm.warm(request)
    deltas = [delta async for delta in llm.stream(request)]
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == answer(request.messages)
    assert isinstance(deltas[-1], Finished)
    assert deltas[-1].reason == "stop"
