"""Settings of how text is spoken that are refused: which field, what is wrong with it and where, and the value."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.core.settings import BOUNDARIES, FORMATTERS, REPLACEMENT_MAX, REPLACEMENTS_MAX
from aywa.service.validate import assistant_problems, call_problems

PLAN = "voice.chunkPlan"
FORMAT = f"{PLAN}.formatPlan"


def voice(**plan: Any) -> dict[str, Any]:
    return {"voice": {"provider": "11labs", "chunkPlan": plan}}


def formats(**plan: Any) -> dict[str, Any]:
    return voice(formatPlan=plan)


def replacements(*given: Any) -> dict[str, Any]:
    return formats(replacements=list(given))


@pytest.mark.parametrize(
    ("assistant", "problem"),
    [
        (voice(minCharacters=0), f"{PLAN}.minCharacters must not be less than 1, got 0 (range 1 to 80)"),
        (voice(minCharacters=81), f"{PLAN}.minCharacters must not be greater than 80, got 81 (range 1 to 80)"),
        (voice(minCharacters="30"), f'{PLAN}.minCharacters must be a number, got "30"'),
        (voice(enabled="yes"), f'{PLAN}.enabled must be a boolean value, got "yes"'),
        (
            voice(punctuationBoundaries=[".", "x"]),
            f"{PLAN}.punctuationBoundaries[1] must be one of the following values: {', '.join(BOUNDARIES)}, got \"x\"",
        ),
        (formats(numberToDigitsCutoff=-1), f"{FORMAT}.numberToDigitsCutoff must not be less than 0, got -1"),
        (formats(enabled=1), f"{FORMAT}.enabled must be a boolean value, got 1"),
        (
            formats(formattersEnabled=["emails"]),
            f"{FORMAT}.formattersEnabled[0] must be one of the following values: {', '.join(FORMATTERS)}, got \"emails\"",
        ),
        (
            replacements({"type": "fuzzy", "value": ""}),
            f'{FORMAT}.replacements[0].type must be one of the following values: exact, regex, got "fuzzy"',
        ),
        (
            replacements({"type": "exact", "key": "a"}),
            f"{FORMAT}.replacements[0].value is required, got null",
        ),
        (
            replacements({"type": "exact", "key": "", "value": "b"}),
            f'{FORMAT}.replacements[0].key is required where type is exact, got ""',
        ),
        (
            replacements({"type": "exact", "key": "a", "value": ""}, {"type": "regex", "value": "b"}),
            f"{FORMAT}.replacements[1].regex is required where type is regex, got null",
        ),
        (
            replacements({"type": "regex", "regex": "a(b", "value": "b"}),
            (f"{FORMAT}.replacements[0].regex must be a JavaScript regular expression: the group is not closed at"
             ' position 1, got "a(b"'),
        ),
        (
            replacements({"type": "regex", "regex": "a", "value": "b", "options": [{"type": "global"}]}),
            (f"{FORMAT}.replacements[0].options[0].type must be one of the following values: ignore-case, whole-word,"
             ' multi-line, got "global"'),
        ),
        (
            replacements(*[{"type": "exact", "key": "a", "value": "b"}] * (REPLACEMENTS_MAX + 1)),
            (f"{FORMAT}.replacements must contain no more than {REPLACEMENTS_MAX} elements,"
             f" got an array of {REPLACEMENTS_MAX + 1}"),
        ),
        (
            replacements({"type": "exact", "key": "a", "value": "b" * (REPLACEMENT_MAX + 1)}),
            (f"{FORMAT}.replacements[0].value must be shorter than or equal to {REPLACEMENT_MAX} characters,"
             f' got "{"b" * 80}"... ({REPLACEMENT_MAX + 1} characters)'),
        ),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_field_the_rule_and_the_value(
    assistant: dict[str, Any], problem: str
) -> None:
    assert assistant_problems(assistant) == [problem]
    assert call_problems({"assistantOverrides": assistant}) == [f"assistantOverrides.{problem}"]


def test_a_voice_to_fall_back_to_is_checked_too() -> None:
    fallback = {"provider": "openai", "chunkPlan": {"minCharacters": 99}}
    [problem] = assistant_problems({"voice": {"provider": "11labs", "fallbackPlan": {"voices": [fallback]}}})
    assert problem.startswith(
        "voice.fallbackPlan.voices[0].chunkPlan.minCharacters must not be greater than 80"
    )


@pytest.mark.parametrize(
    "assistant",
    [
        voice(enabled=True, minCharacters=1, punctuationBoundaries=list(BOUNDARIES)),
        formats(numberToDigitsCutoff=0, formattersEnabled=list(FORMATTERS), enabled=None),
        replacements(
            {"type": "exact", "key": "Aywa", "value": "", "replaceAllEnabled": True},
            {"type": "regex", "regex": r"(?<n>\d)", "value": "$<n>", "options": [{"type": "whole-word", "enabled": True}]},
        ),
        # What only a vendor knows goes through to it.
        {"voice": {"provider": "11labs", "pronunciationDictionaryLocators": [{"pronunciationDictionaryId": "p"}]}},
    ],
)  # fmt: skip
def test_what_the_contract_knows_is_taken(assistant: dict[str, Any]) -> None:
    assert assistant_problems(assistant) == []
