"""An assistant's document as the machines read it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import (
    ACKNOWLEDGEMENTS,
    INTERRUPTIONS,
    AssistantSettings,
    FirstMessageMode,
    StartSpeaking,
    StopSpeaking,
    TranscriptionWaits,
    read_settings,
)
from tests.core.feed import examples


def test_an_empty_document_is_all_defaults() -> None:
    assert read_settings({}) == AssistantSettings()


def test_every_field_is_read() -> None:
    settings = read_settings(
        {
            "id": "a1",
            "name": "Desk",
            "firstMessage": "Hello.",
            "firstMessageMode": "assistant-waits-for-user",
            "firstMessageInterruptionsEnabled": True,
            "endCallPhrases": ["goodbye now"],
            "endCallMessage": "Bye.",
            "silenceTimeoutSeconds": 12,
            "maxDurationSeconds": 120,
            "model": {"messages": [{"role": "system", "content": "Be brief."}]},
            "startSpeakingPlan": {
                "waitSeconds": 0.4,
                "speculationEnabled": False,
                "transcriptionEndpointingPlan": {
                    "onPunctuationSeconds": 0.2,
                    "onNoPunctuationSeconds": 1,
                    "onNumberSeconds": 0.6,
                },
            },
            "stopSpeakingPlan": {
                "numWords": 2,
                "voiceSeconds": 0.3,
                "backoffSeconds": 0.5,
                "acknowledgementPhrases": ["aha"],
                "interruptionPhrases": ["halt"],
            },
        }
    )
    assert settings == AssistantSettings(
        name="Desk",
        assistant_id="a1",
        first_message="Hello.",
        first_message_mode=FirstMessageMode.ASSISTANT_WAITS,
        first_message_interruptible=True,
        end_call_phrases=("goodbye now",),
        end_call_message="Bye.",
        silence_timeout_s=12.0,
        max_duration_s=120.0,
        prompt=({"role": "system", "content": "Be brief."},),
        start=StartSpeaking(wait_s=0.4, transcription=TranscriptionWaits(0.2, 1.0, 0.6), speculation=False),
        stop=StopSpeaking(2, 0.3, 0.5, ("aha",), ("halt",)),
    )


def test_a_plan_that_is_sent_has_the_contracts_defaults() -> None:
    # Contract 9.1.
    plan = read_settings({"startSpeakingPlan": {"transcriptionEndpointingPlan": {}}}).start.transcription
    assert plan == TranscriptionWaits(on_punctuation_s=0.1, on_no_punctuation_s=1.5, on_number_s=0.5)


def test_a_customers_own_model_is_not_asked_early_unless_wished() -> None:
    custom = {"model": {"provider": "custom-llm"}}
    assert read_settings({"model": {"provider": "openai"}}).start.speculation
    assert not read_settings(custom).start.speculation
    assert read_settings(custom | {"startSpeakingPlan": {"speculationEnabled": True}}).start.speculation


def test_the_older_spelling_of_the_prompt() -> None:
    assert read_settings({"model": {"systemPrompt": "Be old."}}).prompt == (
        {"role": "system", "content": "Be old."},
    )


@pytest.mark.parametrize("value", [True, "5", None, [], float("nan"), float("inf"), -1, 10**400])
def test_what_is_no_number_of_seconds_counts_as_absent(value: Any) -> None:
    settings = read_settings(
        {
            "silenceTimeoutSeconds": value,
            "stopSpeakingPlan": {"numWords": value, "voiceSeconds": value},
            "startSpeakingPlan": {"waitSeconds": value},
        }
    )
    assert settings == AssistantSettings()


@pytest.mark.parametrize("value", ["text", 5, None, {}])
def test_what_is_no_list_of_texts_counts_as_absent(value: Any) -> None:
    plan = {"acknowledgementPhrases": value, "interruptionPhrases": value}
    stop = read_settings({"stopSpeakingPlan": plan, "endCallPhrases": value}).stop
    assert (stop.acknowledgements, stop.interruptions) == (ACKNOWLEDGEMENTS, INTERRUPTIONS)


def test_an_empty_list_that_is_sent_is_meant() -> None:
    stop = read_settings(
        {"stopSpeakingPlan": {"acknowledgementPhrases": [], "interruptionPhrases": [5]}}
    ).stop
    assert (stop.acknowledgements, stop.interruptions) == ((), ())


def test_messages_that_are_none_are_left_out() -> None:
    model = {"messages": ["text", {"content": "hello"}, {"role": 5, "content": None}]}
    assert read_settings({"model": model}).prompt == (
        {"role": "system", "content": "hello"},
        {"role": "system", "content": ""},
    )
    assert read_settings({"model": {"messages": "text"}}).prompt == ()


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PLANS: dict[str, Any] = {
    "model": st.fixed_dictionaries({}, optional={"messages": junk, "systemPrompt": junk, "provider": junk}),
    "startSpeakingPlan": st.fixed_dictionaries(
        {},
        optional={
            "waitSeconds": junk,
            "speculationEnabled": junk,
            "transcriptionEndpointingPlan": st.dictionaries(
                st.sampled_from(["onPunctuationSeconds", "onNoPunctuationSeconds", "onNumberSeconds"]), junk
            ),
        },
    ),
    "stopSpeakingPlan": st.dictionaries(
        st.sampled_from(
            ["numWords", "voiceSeconds", "backoffSeconds", "acknowledgementPhrases", "interruptionPhrases"]
        ),
        junk,
    ),
}
TOP = ["id", "name", "firstMessage", "firstMessageMode", "endCallPhrases", "endCallMessage", *PLANS]
TOP += ["silenceTimeoutSeconds", "maxDurationSeconds", "firstMessageInterruptionsEnabled"]


@examples(150)
@given(st.fixed_dictionaries({}, optional={name: junk | PLANS.get(name, junk) for name in TOP}))
def test_no_document_breaks_the_reader(document: dict[str, Any]) -> None:
    settings = read_settings(document)
    assert 0 <= settings.silence_timeout_s < float("inf")
    assert 0 <= settings.max_duration_s < float("inf")
    assert isinstance(settings.first_message, str)
    assert settings.stop.num_words is None or settings.stop.num_words >= 0
