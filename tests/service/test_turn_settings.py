"""Turn-taking settings that are refused: which field, what is wrong with it and where, and the value."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.service.rules import PROBLEMS_MAX
from aywa.service.validate import RULES_MAX, assistant_problems, call_problems

START, STOP = "startSpeakingPlan", "stopSpeakingPlan"
RULES = f"{START}.customEndpointingRules"


def rules(*given: dict[str, Any]) -> dict[str, Any]:
    return {START: {"customEndpointingRules": [{"timeoutSeconds": 1, **rule} for rule in given]}}


def hooks(*given: Any) -> dict[str, Any]:
    return {"hooks": list(given)}


def hook(on: str = "customer.speech.interrupted", *actions: Any, **fields: Any) -> dict[str, Any]:
    return {"on": on, "do": list(actions), **fields}


SAY = {"type": "say", "exact": "Hello?"}


@pytest.mark.parametrize(
    ("assistant", "problem"),
    [
        (
            {START: {"waitSeconds": 6}},
            f"{START}.waitSeconds must not be greater than 5, got 6 (range 0 to 5)",
        ),
        (
            {START: {"transcriptionEndpointingPlan": {"onNumberSeconds": -1}}},
            f"{START}.transcriptionEndpointingPlan.onNumberSeconds must not be less than 0, got -1 (range 0 to 3)",
        ),
        (
            {STOP: {"numWords": 11}},
            f"{STOP}.numWords must not be greater than 10, got 11 (range 0 to 10)",
        ),
        (
            {"costPlan": {"maxDollars": 0}},
            "costPlan.maxDollars must not be less than 0.001, got 0 (range 0.001 to 10000)",
        ),
        ({"costPlan": {"message": 5}}, "costPlan.message must be a string, got 5"),
        ({STOP: {"numWords": 1.5}}, f"{STOP}.numWords must be an integer number, got 1.5"),
        (
            {STOP: {"numWords": float("inf")}},
            f"{STOP}.numWords must be an integer number, got Infinity",
        ),
        ({STOP: {"voiceSeconds": float("nan")}}, f"{STOP}.voiceSeconds must be a number, got NaN"),
        (
            {STOP: {"voiceSeconds": 0.6}},
            f"{STOP}.voiceSeconds must not be greater than 0.5, got 0.6 (range 0 to 0.5)",
        ),
        (
            {STOP: {"backoffSeconds": 10.5}},
            f"{STOP}.backoffSeconds must not be greater than 10, got 10.5 (range 0 to 10)",
        ),
        (
            {"messagePlan": {"idleTimeoutSeconds": 0}},
            "messagePlan.idleTimeoutSeconds must not be less than 1, got 0 (range 1 to 1000)",
        ),
        (
            {"fillerPlan": {"afterSeconds": 4}},
            "fillerPlan.afterSeconds must not be greater than 3, got 4 (range 0.5 to 3)",
        ),
        (
            rules({"type": "customer", "regex": "a(b"}),
            (f"{RULES}[0].regex must be a JavaScript regular expression: the group is not closed at position 1,"
            ' got "a(b"'),
        ),
        (
            rules({"type": "customer", "regex": "a"}, {"type": "both", "customerRegex": "a"}),
            f"{RULES}[1].assistantRegex is required where type is both, got null",
        ),
        (
            rules({"type": "user"}),
            f"{RULES}[0].regex is required where type is user, got null",
        ),
        (
            rules({"type": "assistant", "regex": "a", "timeoutSeconds": 16}),
            f"{RULES}[0].timeoutSeconds must not be greater than 15, got 16 (range 0 to 15)",
        ),
        (
            rules(*[{"type": "customer", "regex": "a"}] * (RULES_MAX + 1)),
            f"{RULES} must contain no more than {RULES_MAX} elements, got an array of {RULES_MAX + 1}",
        ),
        (
            {START: {"smartEndpointingPlan": {"provider": "livekit", "waitFunction": "20 + 500 * y"}}},
            (f"{START}.smartEndpointingPlan.waitFunction must be a formula of x: 'y' is not known (known: x, pi, e,"
            " sqrt, exp, log, abs, min, max, pow, floor, ceil, round) at position 11, got \"20 + 500 * y\""),
        ),
        (
            hooks(hook("call.begins")),
            ("hooks[0].on must be one of the following values: call.ending, assistant.speech.interrupted,"
            " customer.speech.interrupted, customer.speech.timeout, session.created, call.timeElapsed,"
            " assistant.transcriber.endpointedSpeechLowConfidence, model.response.timeout, got \"call.begins\""),
        ),
        (
            hooks(hook("call.ending[confidence=0:1]")),
            ("hooks[0].on may only have [confidence=least:most], both 0 to 1, after"
            " assistant.transcriber.endpointedSpeechLowConfidence, got \"call.ending[confidence=0:1]\""),
        ),
        (
            hooks(hook("customer.speech.interrupted", SAY), hook("call.ending", SAY)),
            "hooks[1].do[0].type must be one of tool, message.add where on is call.ending, got \"say\"",
        ),
        (
            hooks(hook("session.created", {"type": "message.add", "message": {"content": "a"}})),
            "hooks[0].do[0].type must be one of tool where on is session.created, got \"message.add\"",
        ),
        (
            hooks(hook("call.timeElapsed", SAY)),
            ("hooks[0].options.seconds must be there: call.timeElapsed needs the seconds after the first audio,"
            " 1 to 3600, got null"),
        ),
        (
            hooks(hook("customer.speech.timeout", SAY, options={"timeoutSeconds": 0.5})),
            "hooks[0].options.timeoutSeconds must not be less than 1, got 0.5 (range 1 to 1000)",
        ),
        (
            hooks(hook("customer.speech.interrupted", {"type": "transfer"})),
            "hooks[0].do[0].type must be one of the following values: say, tool, message.add, got \"transfer\"",
        ),
        (
            hooks(hook("customer.speech.interrupted", {"type": "say", "exact": [" "]})),
            ("hooks[0].do[0] needs exact (a text, or an array of texts) or prompt (a text, or an array of messages),"
            " got an object of 2"),
        ),
        (
            hooks(hook("customer.speech.interrupted", {"type": "say", "prompt": [{}]})),
            ("hooks[0].do[0] needs exact (a text, or an array of texts) or prompt (a text, or an array of messages),"
            " got an object of 2"),
        ),
        (
            hooks(hook("customer.speech.interrupted", {"type": "tool"})),
            "hooks[0].do[0] needs one of tool and toolId, got an object of 1",
        ),
        (
            hooks(hook("customer.speech.interrupted", {"type": "tool", "tool": "endCall"})),
            "hooks[0].do[0].tool must be an object, got \"endCall\"",
        ),
        (
            hooks(hook("customer.speech.interrupted", {"type": "message.add", "message": "hi"})),
            "hooks[0].do[0].message.content must be a text, got null",
        ),
        (
            hooks(hook("call.ending", filters=[{"type": "oneOf", "key": "call.endedReason"}])),
            "hooks[0].filters[0].oneOf is required, got null",
        ),
        (hooks("odd"), 'hooks[0] must be an object, got "odd"'),
        (hooks({"do": []}), "hooks[0].on is required, got null"),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_field_the_rule_and_the_value(
    assistant: dict[str, Any], problem: str
) -> None:
    assert assistant_problems(assistant) == [problem]
    assert call_problems({"assistantOverrides": assistant}) == [f"assistantOverrides.{problem}"]


@pytest.mark.parametrize(
    "assistant",
    [
        {START: {"smartEndpointingPlan": {"provider": "livekit", "waitFunction": "200 + 8000 * x"}}},
        rules(
            {"type": "customer", "regex": r"(?<n>\d{3})-\k<n>", "regexOptions": [{"type": "whole-word"}]},
            {"type": "user", "regex": "a"},
            {"type": "both", "customerRegex": "", "assistantRegex": "(?<=a)b"},
        ),
        hooks(
            hook("customer.speech.timeout", SAY, {"type": "say", "prompt": "Ask."}),
            hook(
                "model.response.timeout", {"type": "say", "prompt": [{"role": "system", "content": "Ask."}]}
            ),
            hook("assistant.transcriber.endpointedSpeechLowConfidence", SAY),
            hook("assistant.transcriber.endpointedSpeechLowConfidence[confidence=0.2:0.4]", SAY),
            hook("session.created", {"type": "tool", "toolId": "t1"}, name="start"),
            hook(
                "call.ending",
                {"type": "tool", "tool": {"type": "endCall"}},
                {"type": "message.add", "message": {"role": "system", "content": "a"}},
                filters=[{"type": "oneOf", "key": "call.endedReason", "oneOf": ["pipeline-error"]}],
            ),
            hook("call.timeElapsed", {"type": "say", "exact": ["One.", "Two."]}, options={"seconds": 3600}),
        ),
        {"hooks": None, START: None, "fillerPlan": {"messages": []}},
        {"hooks": [{"on": "customer.speech.interrupted", "do": [], "ours": {"kept": True}}]},
    ],
)
def test_what_the_contract_knows_is_taken(assistant: dict[str, Any]) -> None:
    assert assistant_problems(assistant) == []


def test_very_many_bad_rules_are_a_short_answer() -> None:
    bad = rules(*[{"type": "customer", "regex": "("}] * RULES_MAX)
    many = {**bad, "endCallPhrases": ["x"] * 100}
    assert len(assistant_problems(many)) == PROBLEMS_MAX
