"""Lines of a call's words, and what stands for a text that is too long."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.core.transcript import TranscriptPlan, read_transcript_plan, shortened, transcript_of

SAID = [
    {"role": "bot", "message": "Hello."},
    {"role": "system", "message": "be brief"},
    {"role": "user", "message": "Good morning."},
]


def test_the_two_parties_have_the_contract_s_names() -> None:
    assert transcript_of(SAID) == "AI: Hello.\nUser: Good morning."


def test_an_assistant_may_name_them() -> None:
    plan = read_transcript_plan(
        {"artifactPlan": {"transcriptPlan": {"assistantName": "Robin", "userName": "Caller"}}}
    )
    assert plan.enabled
    assert transcript_of(SAID, plan) == "Robin: Hello.\nCaller: Good morning."


@pytest.mark.parametrize(
    "assistant",
    [
        {},
        {"artifactPlan": "none"},
        {"artifactPlan": {"transcriptPlan": []}},
        {"artifactPlan": {"transcriptPlan": {"assistantName": "", "userName": 7, "enabled": None}}},
    ],
)
def test_what_is_no_plan_is_the_contract_s(assistant: dict[str, Any]) -> None:
    assert read_transcript_plan(assistant) == TranscriptPlan()


def test_a_name_is_not_longer_than_a_name() -> None:
    plan = read_transcript_plan({"artifactPlan": {"transcriptPlan": {"userName": "x" * 9000}}})
    assert plan.user_name == "x" * 100


def test_a_transcript_can_be_switched_off() -> None:
    assert not read_transcript_plan({"artifactPlan": {"transcriptPlan": {"enabled": False}}}).enabled


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    assert shortened("abc", 3) == "abc"
    short = shortened("a" * 50 + "b" * 100, 30)
    assert short == "a" * 10 + "\n[...]\n" + "b" * 20
