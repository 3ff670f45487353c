"""The rules' language: what is told of a value that breaks one, and that the schema says the same."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.service.rules import PROBLEMS_MAX, Choice, Flag, ListOf, Number, Obj, OneOf, Rule, Text, check
from aywa.service.validate import ASSISTANT, assistant_problems


@pytest.mark.parametrize(
    ("rule", "value", "problem"),
    [
        (Text(3), "abcd", 'p must be shorter than or equal to 3 characters, got "abcd"'),
        (Text(3, 2), "a", 'p must be longer than or equal to 2 characters, got "a"'),
        (Text(), 1, "p must be a string, got 1"),
        (Number(0, 5), 6, "p must not be greater than 5, got 6 (range 0 to 5)"),
        (Number(0, 5), -0.5, "p must not be less than 0, got -0.5 (range 0 to 5)"),
        (Number(), "1", 'p must be a number, got "1"'),
        (Number(), True, "p must be a number, got true"),
        (Number(whole=True), 1.5, "p must be an integer number, got 1.5"),
        (Flag(), "yes", 'p must be a boolean value, got "yes"'),
        (Choice(("a", "b")), "c", 'p must be one of the following values: a, b, got "c"'),
        (Choice(("a", "b")), ["a"], "p must be one of the following values: a, b, got an array of 1"),
        (ListOf(Flag()), {}, "p must be an array, got an object of 0"),
        (ListOf(Flag()), [True, 1], "p[1] must be a boolean value, got 1"),
        (ListOf(Flag(), 1), [True, True], "p must contain no more than 1 elements, got an array of 2"),
        (Obj({"a": Flag()}), [], "p must be an object, got an array of 0"),
        (Obj({"a": Flag()}, ("a",)), {}, "p.a is required, got null"),
        (
            Obj({"apiKey": Flag()}),
            {"apiKey": "sesame"},
            "p.apiKey must be a boolean value, got a hidden value",
        ),
        (OneOf((Obj({"n": Number(0)}), Choice(("off",)))), {"n": -1}, "p.n must not be less than 0, got -1"),
        (
            OneOf((Text(2), ListOf(Text(2)))),
            ["abc"],
            'p[0] must be shorter than or equal to 2 characters, got "abc"',
        ),
    ],
)
def test_a_problem_names_path_rule_and_value(rule: Rule, value: Any, problem: str) -> None:
    assert check(rule, value, "p") == [problem]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Number(0, 5), 0),
        (Number(0, 5, whole=True), 5.0),
        (Obj({"a": Flag()}), {"a": None, "b": object()}),
        (OneOf((Obj(), Choice(("off",)))), "off"),
        (Text(2, 2), "é" * 2),
    ],
)
def test_what_is_right_is_right(rule: Rule, value: Any) -> None:
    assert check(rule, value) == []


def test_long_values_are_cut_and_many_problems_are_not_all_told() -> None:
    (problem,) = check(Text(10), "x" * 5000, "p")
    assert len(problem) < 200
    assert len(check(ListOf(Flag()), [1] * 1000)) == PROBLEMS_MAX


def test_every_bound_is_in_the_schema() -> None:
    properties = ASSISTANT.schema()["properties"]
    assert properties["name"]["maxLength"] == 40
    assert (properties["maxDurationSeconds"]["minimum"], properties["maxDurationSeconds"]["maximum"]) == (
        10,
        43_200,
    )
    assert properties["model"]["required"] == ["provider"]
    assert None in properties["firstMessageMode"]["enum"]


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("maxDurationSeconds", (10, 43_200), (9, 43_201)),
        ("silenceTimeoutSeconds", (5, 3600), (4.9, 3601)),
        ("customerJoinTimeoutSeconds", (1, 60), (0, 61)),
        ("voicemailMessage", ("", "x" * 1000), ("x" * 1001,)),
        ("endCallMessage", ("x" * 1000,), ("x" * 1001,)),
        ("endCallPhrases", ([], ["ok"], ["x" * 140]), (["x"], ["x" * 141], "bye")),
        ("firstMessageMode", ("assistant-waits-for-user",), ("user-first", 1)),
        ("voicemailDetection", ("off", {"provider": "vapi"}), ("on", {"provider": "acme"}, {})),
        ("serverMessages", (['transcript[transcriptType="final"]'],), (["gossip"],)),
        ("startSpeakingPlan", ({"smartEndpointingEnabled": "livekit"},), ({"smartEndpointingEnabled": "x"},)),
    ],
)
def test_ranges_of_the_contract(field: str, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    for value in good:
        assert assistant_problems({field: value}) == []
    for value in bad:
        problems = assistant_problems({field: value})
        assert problems, value
        assert problems[0].startswith(field)
