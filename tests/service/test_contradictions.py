"""Settings that are each right and do not go together: each is named, with what counts."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.boot.receptionist import DOCUMENT
from aywa.service.contradictions import settings_warnings
from aywa.service.inert import INERT_TOOLS
from aywa.service.validate import assistant_problems

START, STOP = "startSpeakingPlan", "stopSpeakingPlan"
LIVEKIT = {"provider": "livekit"}
CUSTOM = {"provider": "custom-endpointing-model"}
SILENT = {"on": "customer.speech.timeout", "do": [{"type": "say", "exact": "Hello?"}]}
RULE = {"type": "customer", "regex": "a", "timeoutSeconds": 2}
OVER_SMART = f"{START}.transcriptionEndpointingPlan has no effect beside smart endpointing, which goes first"
PLACE = f"{START}.smartEndpointingPlan"
ELAPSED = {"on": "call.timeElapsed", "options": {"seconds": 600}, "do": []}
NOTHING_FIRST = "firstMessageInterruptionsEnabled has no effect: there is no first message to interrupt"

CASES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {
            "model": {
                "provider": "openai",
                "tools": [
                    {"type": "endCall"},
                    {"type": "sms"},
                    {"type": "endCall"},
                    {"type": "code", "code": "x", "function": {"name": "f"}},
                    {"type": "mcp", "server": {"url": "https://x.example"}},
                    {"type": "apiRequest", "name": "weather", "method": "GET", "url": "https://x.example"},
                    {"type": "function", "function": {"name": "weather"}},
                ],
            }
        },
        [
            "model.tools[1] (sms) is not offered to the model: there is no carrier for text messages",
            "model.tools[2] has no effect: another tool is called endCall",
            "model.tools[3] (code) is not offered to the model: " + INERT_TOOLS["code"],
            "model.tools[6] has no effect: another tool is called weather",
        ],
    ),
    (
        # Without names of their own, each is called after whom it leads to.
        {
            "model": {
                "provider": "openai",
                "tools": [
                    {"type": "handoff", "destinations": [{"type": "assistant", "assistantName": name}]}
                    for name in ("Booking", "Billing")
                ],
            }
        },
        [],
    ),
    ({"keypadInputPlan": {"enabled": True, "timeoutSeconds": 1}}, []),
    ({"keypadInputPlan": {"enabled": False}}, []),
    ({"keypadInputPlan": {"delimiters": "#"}}, ["keypadInputPlan has no effect: enabled is not true"]),
    (
        {"keypadInputPlan": {"enabled": False, "delimiters": "#"}},
        ["keypadInputPlan has no effect: enabled is not true"],
    ),
    (
        {STOP: {"numWords": 2, "voiceSeconds": 0.3}},
        [f"{STOP}.voiceSeconds has no effect while numWords is 2: words are counted, not voice"],
    ),
    (
        {"numWordsToInterruptAssistant": 2, STOP: {"voiceSeconds": 0.3}},
        [
            "numWordsToInterruptAssistant is read as stopSpeakingPlan.numWords, its newer name",
            f"{STOP}.voiceSeconds has no effect while numWords is 2: words are counted, not voice",
        ],
    ),
    ({START: {"smartEndpointingPlan": LIVEKIT, "transcriptionEndpointingPlan": {"onNumberSeconds": 1}}}, [OVER_SMART]),
    ({START: {"smartEndpointingEnabled": "livekit", "transcriptionEndpointingPlan": {"a": 1}}}, [OVER_SMART]),
    (
        {START: {"smartEndpointingPlan": LIVEKIT, "smartEndpointingEnabled": True}},
        [f"{START}.smartEndpointingEnabled has no effect beside smartEndpointingPlan"],
    ),
    (
        {START: {"smartEndpointingPlan": {"provider": "vapi", "waitFunction": "x", "server": {"url": "u"}}}},
        [
            f"{PLACE}.waitFunction has no effect: its provider is vapi, not livekit",
            f"{PLACE}.server has no effect: its provider is vapi, not custom-endpointing-model",
        ],
    ),
    (
        {START: {"smartEndpointingPlan": CUSTOM}},
        [f"{PLACE} has no effect: neither it nor the assistant has a server.url; the adaptive wait decides"],
    ),
    (
        {STOP: {"acknowledgementPhrases": ["no problem", "aha"], "interruptionPhrases": ["No"]}},
        [f"{STOP}.acknowledgementPhrases: 'no problem' is or holds one of interruptionPhrases: it interrupts"],
    ),
    (
        {STOP: {"interruptionPhrases": ["okay"]}},
        [
            f"{STOP}.acknowledgementPhrases: 'okay' is or holds one of interruptionPhrases: it interrupts",
            f"{STOP}.acknowledgementPhrases: 'yeah okay' is or holds one of interruptionPhrases: it interrupts",
        ],
    ),
    ({"firstMessageInterruptionsEnabled": True}, [NOTHING_FIRST]),
    (
        {
            "firstMessage": "Hi",
            "firstMessageMode": "assistant-waits-for-user",
            "firstMessageInterruptionsEnabled": True,
        },
        ["firstMessage is not spoken: firstMessageMode is assistant-waits-for-user", NOTHING_FIRST],
    ),
    (
        {"messagePlan": {"idleMessages": ["Hello?"], "idleTimeoutSeconds": 10}, "silenceTimeoutSeconds": 10},
        ["messagePlan.idleTimeoutSeconds 10 is not reached: silenceTimeoutSeconds 10 ends the call first"],
    ),
    (
        {"messagePlan": {"idleTimeoutSeconds": 40}},
        ["messagePlan.idleTimeoutSeconds 40 is not reached: silenceTimeoutSeconds 30 ends the call first"],
    ),
    (
        {"messagePlan": {"idleMessages": ["Hello?"]}, "hooks": [SILENT]},
        [
            "messagePlan.idleMessages has no effect beside a customer.speech.timeout hook, which takes its place",
        ],
    ),
    (
        {"hooks": [SILENT | {"options": {"timeoutSeconds": 60}}]},
        ["hooks[0].options.timeoutSeconds 60 is not reached: silenceTimeoutSeconds 30 ends the call first"],
    ),
    (
        {"hooks": [ELAPSED]},
        ["hooks[0].options.seconds is not reached: maxDurationSeconds 600 ends the call"],
    ),
    (
        {START: {"waitSeconds": 3, "customEndpointingRules": [RULE]}},
        [
            (f"{START}.customEndpointingRules[0].timeoutSeconds 2 is below {START}.waitSeconds 3,"
            " which is a floor under every wait")
        ],
    ),
    (
        {START: {"customEndpointingRules": [RULE | {"timeoutSeconds": 10}]}, "silenceTimeoutSeconds": 10},
        [
            (f"{START}.customEndpointingRules[0].timeoutSeconds 10 is not reached:"
            " silenceTimeoutSeconds 10 ends the call")
        ],
    ),
    (
        {START: {"speculationEnabled": False, "speculationMaxTokens": 9}},
        [f"{START}.speculationMaxTokens has no effect while speculationEnabled is false"],
    ),
    (
        {"responseDelaySeconds": 1, START: {"waitSeconds": 0.5}},
        ["responseDelaySeconds has no effect beside startSpeakingPlan.waitSeconds, its newer name"],
    ),
    (
        {"llmRequestDelaySeconds": 1, "interruptionsEnabled": False, "fillersEnabled": True},
        [
            ("llmRequestDelaySeconds is read as startSpeakingPlan.transcriptionEndpointingPlan.onPunctuationSeconds,"
            " its newer name"),
            "interruptionsEnabled has no effect: stopSpeakingPlan.numWords says what it takes to interrupt",
            "fillersEnabled has no effect: fillerPlan.enabled says whether waits are filled",
        ],
    ),
    (
        {"fillerPlan": {"enabled": True, "messages": []}},
        ["fillerPlan.enabled has no effect while messages is empty"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("assistant", "warnings"), CASES)
def test_each_contradiction_is_named_and_none_is_refused(
    assistant: dict[str, Any], warnings: list[str]
) -> None:
    assert settings_warnings(assistant) == warnings
    assert assistant_problems(assistant) == []


@pytest.mark.parametrize(
    "assistant",
    [
        {},
        DOCUMENT,
        {STOP: {"numWords": 0, "voiceSeconds": 0.3}},
        {STOP: {"acknowledgementPhrases": ["aha"], "interruptionPhrases": ["halt"]}},
        {START: {"smartEndpointingPlan": CUSTOM}, "server": {"url": "https://desk.example/"}},
        {START: {"smartEndpointingPlan": CUSTOM}, "serverUrl": "https://desk.example/"},
        {
            START: {
                "smartEndpointingPlan": LIVEKIT | {"waitFunction": "x"},
                "customEndpointingRules": [RULE],
                "waitSeconds": 2,
            }
        },
        {START: {"smartEndpointingEnabled": False, "transcriptionEndpointingPlan": {"onNumberSeconds": 1}}},
        {"firstMessage": "Hi", "firstMessageInterruptionsEnabled": True},
        {
            "firstMessageMode": "assistant-speaks-first-with-model-generated-message",
            "firstMessageInterruptionsEnabled": True,
        },
        {"messagePlan": {"idleMessages": []}, "hooks": [SILENT]},
        {"hooks": [ELAPSED], "maxDurationSeconds": 900},
        {START: "odd", STOP: [], "hooks": {}, "messagePlan": 5},
    ],
)
def test_what_goes_together_is_left_in_peace(assistant: dict[str, Any]) -> None:
    assert settings_warnings(assistant) == []
