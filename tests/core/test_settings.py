"""An assistant's document as the machines read it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import (
    ACKNOWLEDGEMENTS,
    ALWAYS_TOLD,
    CLIENT_MESSAGES,
    FINAL_TRANSCRIPT,
    IDLE_MESSAGES,
    INTERRUPTIONS,
    REPLACEMENT_MAX,
    REPLACEMENTS_MAX,
    AssistantSettings,
    ChunkPlan,
    EndpointingRule,
    Fillers,
    FirstMessageMode,
    FormatPlan,
    Hook,
    HookAction,
    Idle,
    KeypadPlan,
    Pattern,
    Replacement,
    StartSpeaking,
    StopSpeaking,
    TranscriptionWaits,
    read_chunk_plan,
    read_settings,
    split_hook_event,
)
from aywa.core.turns.wait_function import DEFAULT_WAIT_FUNCTION, read_wait_function
from tests.core.feed import examples


def test_an_empty_document_is_all_defaults() -> None:
    assert read_settings({}) == AssistantSettings()


@pytest.mark.parametrize(
    ("plan", "limit", "message"),
    [
        ({"maxDollars": 0.25, "message": "That is all."}, 0.25, "That is all."),
        ({"maxDollars": 1}, 1.0, ""),
        ({"maxDollars": 0}, None, ""),
        ({"maxDollars": "1", "message": 5}, None, ""),
        ("junk", None, ""),
    ],
)
def test_what_a_call_may_cost(plan: Any, limit: float | None, message: str) -> None:
    settings = read_settings({"costPlan": plan})
    assert (settings.max_dollars, settings.budget_message) == (limit, message)


@pytest.mark.parametrize(
    ("voice", "transcriber", "language"),
    [
        ({}, {}, "en"),
        ({"language": "de"}, {"language": "en"}, "de"),
        ({"voiceId": "x"}, {"language": "pt-BR"}, "pt-BR"),
        # Words that are no language: several, or whichever it is.
        ({"language": "multi"}, {"language": "auto"}, "en"),
        ({"language": "german"}, {"language": "zh_Hant"}, "zh_Hant"),
        ({"language": 5}, {"language": ["de"]}, "en"),
        ("junk", None, "en"),
    ],
)
def test_what_language_is_spoken(voice: Any, transcriber: Any, language: str) -> None:
    assert read_settings({"voice": voice, "transcriber": transcriber}).language == language


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
                "eagerness": "fast",
                "speculationMaxAttempts": 2,
                "speculationMaxTokens": 100,
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
        start=StartSpeaking(
            wait_s=0.4,
            transcription=TranscriptionWaits(0.2, 1.0, 0.6),
            speculation=False,
            eagerness="fast",
            speculation_attempts=2,
            speculation_tokens=100,
        ),
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


# --- when to speak -----------------------------------------------------------------------------------------------


def start(**plan: Any) -> StartSpeaking:
    return read_settings({"startSpeakingPlan": plan}).start


def test_rules_are_read_with_their_options() -> None:
    ignore, word, lines = (
        {"type": "ignore-case"},
        {"type": "whole-word", "enabled": True},
        {"type": "multi-line"},
    )
    off = {"type": "ignore-case", "enabled": False}
    rules = [
        {"type": "customer", "regex": "a", "regexOptions": [ignore], "timeoutSeconds": 1},
        {"type": "user", "regex": "b", "regexOptions": [word, off], "timeoutSeconds": 2},
        {"type": "assistant", "regex": "c", "regexOptions": [lines], "timeoutSeconds": 3},
        {
            "type": "both",
            "customerRegex": "d",
            "customerRegexOptions": [ignore],
            "assistantRegex": "e",
            "assistantRegexOptions": [word],
            "timeoutSeconds": 4,
        },
    ]
    assert start(customEndpointingRules=rules).rules == (
        EndpointingRule(1.0, said=Pattern("a", ignore_case=True)),
        EndpointingRule(2.0, said=Pattern("b", whole_word=True)),
        EndpointingRule(3.0, heard=Pattern("c", multi_line=True)),
        EndpointingRule(4.0, said=Pattern("d", ignore_case=True), heard=Pattern("e", whole_word=True)),
    )


@pytest.mark.parametrize(
    "rule",
    [
        None,
        "text",
        {"type": "customer", "regex": "a"},
        {"type": "customer", "regex": 5, "timeoutSeconds": 1},
        {"type": "assistant", "customerRegex": "a", "timeoutSeconds": 1},
        {"type": "both", "customerRegex": "a", "timeoutSeconds": 1},
        {"type": "both", "assistantRegex": "a", "timeoutSeconds": 1},
        {"type": "other", "regex": "a", "timeoutSeconds": 1},
    ],
)
def test_a_rule_that_is_not_whole_counts_as_absent(rule: Any) -> None:
    assert start(customEndpointingRules=[rule]).rules == ()


@pytest.mark.parametrize(
    ("plan", "formula"),
    [
        ({"smartEndpointingPlan": {"provider": "livekit"}}, DEFAULT_WAIT_FUNCTION),
        ({"smartEndpointingPlan": {"provider": "livekit", "waitFunction": "100 * x"}}, "100 * x"),
        ({"smartEndpointingPlan": {"provider": "livekit", "waitFunction": "100 *"}}, DEFAULT_WAIT_FUNCTION),
        ({"smartEndpointingEnabled": "livekit"}, DEFAULT_WAIT_FUNCTION),
    ],
)
def test_livekit_goes_by_the_wait_function(plan: dict[str, Any], formula: str) -> None:
    assert start(**plan).wait_function == read_wait_function(formula)


def test_a_smart_plan_goes_before_the_transcript() -> None:
    transcript = {"transcriptionEndpointingPlan": {"onNumberSeconds": 1}}
    for smart in (
        {"smartEndpointingPlan": {"provider": "vapi"}},
        {"smartEndpointingPlan": {"provider": "krisp"}},
        {"smartEndpointingEnabled": True},
    ):
        assert start(**smart, **transcript) == StartSpeaking()
    assert start(smartEndpointingEnabled=False, **transcript).transcription is not None
    newer = start(smartEndpointingEnabled="livekit", smartEndpointingPlan={"provider": "vapi"})
    assert newer.wait_function is None


def test_the_customers_model_has_a_second_or_less() -> None:
    custom = {"provider": "custom-endpointing-model"}
    assert start(smartEndpointingPlan=custom) == StartSpeaking(asks_model=True, model_deadline_s=1.0)
    short = start(smartEndpointingPlan=custom | {"server": {"timeoutSeconds": 0.5}})
    long = start(smartEndpointingPlan=custom | {"server": {"timeoutSeconds": 20}})
    assert (short.model_deadline_s, long.model_deadline_s) == (0.5, 1.0)


def test_the_fields_of_2024_are_read_under_their_newer_names() -> None:
    # Contract 4.1.
    old = {"responseDelaySeconds": 0.7, "llmRequestDelaySeconds": 0.3, "numWordsToInterruptAssistant": 3}
    settings = read_settings(old | {"llmRequestNonPunctuatedDelaySeconds": 2})
    assert settings.start == StartSpeaking(wait_s=0.7, transcription=TranscriptionWaits(0.3, 2.0, 0.5))
    assert settings.stop.num_words == 3
    newer = read_settings(
        old
        | {
            "startSpeakingPlan": {
                "waitSeconds": 0.1,
                "transcriptionEndpointingPlan": {"onPunctuationSeconds": 0.2},
            },
            "stopSpeakingPlan": {"numWords": 0},
        }
    )
    assert newer.start == StartSpeaking(wait_s=0.1, transcription=TranscriptionWaits(0.2, 1.5, 0.5))
    assert newer.stop.num_words == 0


# --- prompts, fillers, hooks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "idle"),
    [
        (None, Idle(10.0, IDLE_MESSAGES, 2, reset_on_speech=True)),
        ({"silenceTimeoutMessage": "Bye."}, Idle(10.0, IDLE_MESSAGES, 2, reset_on_speech=True)),
        ({"idleTimeoutSeconds": 6}, Idle(6.0, IDLE_MESSAGES, 2, reset_on_speech=True)),
        ({"idleTimeoutSeconds": 0}, Idle(1.0, IDLE_MESSAGES, 2, reset_on_speech=True)),
        ({"idleMessageResetCountOnUserSpeechEnabled": False}, Idle(10.0, IDLE_MESSAGES, 2)),
        ({"idleMessages": []}, Idle()),
        ({"idleMessages": ["Hello?"]}, Idle(10.0, ("Hello?",), 3)),
        (
            {
                "idleMessages": ["Hello?"],
                "idleTimeoutSeconds": 5,
                "idleMessageMaxSpokenCount": 1,
                "idleMessageResetCountOnUserSpeechEnabled": True,
            },
            Idle(5.0, ("Hello?",), 1, reset_on_speech=True),
        ),
    ],
)
def test_prompts_of_a_caller_who_says_nothing(plan: Any, idle: Idle) -> None:
    settings = read_settings({"messagePlan": plan})
    assert settings.idle == idle
    assert settings.silence_timeout_message == ("Bye." if plan == {"silenceTimeoutMessage": "Bye."} else "")


def test_a_hook_takes_the_place_of_the_prompts() -> None:
    hook = {"on": "customer.speech.timeout", "do": [{"type": "say", "exact": "Hello?"}]}
    settings = read_settings({"messagePlan": {"idleMessages": ["Still there?"]}, "hooks": [hook]})
    assert settings.idle.messages == ()
    assert settings.hooks == (
        Hook("customer.speech.timeout", actions=(HookAction("say", texts=("Hello?",)),)),
    )


@pytest.mark.parametrize(
    ("plan", "fillers"),
    [
        ({}, Fillers()),
        ({"enabled": False}, Fillers(enabled=False)),
        ({"messages": []}, Fillers(enabled=False, texts=())),
        (
            {"messages": ["Hm."], "afterSeconds": 1, "repeatAfterSeconds": 2},
            Fillers(True, 1.0, ("Hm.",), 2.0),
        ),
        ({"afterSeconds": 0, "repeatAfterSeconds": 0}, Fillers(after_s=0.5, repeat_after_s=1.0)),
    ],
)
def test_fillers(plan: dict[str, Any], fillers: Fillers) -> None:
    assert read_settings({"fillerPlan": plan}).fillers == fillers


def test_every_field_of_a_hook_is_read() -> None:
    hooks = [
        {
            "on": "customer.speech.timeout",
            "name": "prompt",
            "options": {"timeoutSeconds": 5, "triggerMaxCount": 2, "triggerResetMode": "onUserSpeech"},
            "do": [
                {"type": "say", "exact": ["One?", "Two?"]},
                {"type": "say", "prompt": "Ask whether they are there."},
                {"type": "say", "prompt": [{"role": "user", "content": "Ask."}]},
                {"type": "message.add", "message": {"content": "Quiet."}, "triggerResponseEnabled": False},
                {"type": "message.add", "message": {"role": "user", "content": "Hm."}},
                {"type": "tool", "tool": {"type": "endCall"}},
                {"type": "tool", "toolId": "t1"},
            ],
        },
        {
            "on": "call.ending",
            "filters": [
                {"type": "oneOf", "key": "call.endedReason", "oneOf": ["pipeline-error"]},
                {"type": "other", "key": "call.endedReason", "oneOf": ["x"]},
                {"type": "oneOf", "key": "call.endedReason", "oneOf": ["hangup"]},
            ],
            "do": [{"type": "say", "exact": "not here"}, {"type": "tool", "toolId": "t2"}],
        },
        {"on": "call.timeElapsed", "options": {"seconds": 300}, "do": []},
        {"on": "assistant.transcriber.endpointedSpeechLowConfidence[confidence=0.1:0.35]", "do": []},
    ]
    assert read_settings({"hooks": hooks}).hooks == (
        Hook(
            "customer.speech.timeout",
            "prompt",
            5.0,
            2,
            reset_on_speech=True,
            actions=(
                HookAction("say", texts=("One?", "Two?")),
                HookAction("say", prompt=({"role": "system", "content": "Ask whether they are there."},)),
                HookAction("say", prompt=({"role": "user", "content": "Ask."},)),
                HookAction("message.add", role="system", content="Quiet.", trigger_response=False),
                HookAction("message.add", role="user", content="Hm."),
                HookAction("tool", tool={"type": "endCall"}),
                HookAction("tool", tool={"toolId": "t1"}),
            ),
        ),
        Hook(
            "call.ending",
            ended_reasons=("pipeline-error", "hangup"),
            actions=(HookAction("tool", tool={"toolId": "t2"}),),
        ),
        Hook("call.timeElapsed", elapsed_s=300.0),
        Hook("assistant.transcriber.endpointedSpeechLowConfidence", confidence=(0.1, 0.35)),
    )


@pytest.mark.parametrize(
    "hook",
    [
        None,
        {},
        {"on": "call.begins", "do": []},
        {"on": "call.timeElapsed", "do": []},
        {"on": "call.timeElapsed", "options": {"seconds": 0}, "do": []},
        {"on": "assistant.transcriber.endpointedSpeechLowConfidence[confidence=.:1]", "do": []},
    ],
)
def test_a_hook_that_cannot_be_used_counts_as_absent(hook: Any) -> None:
    assert read_settings({"hooks": [hook]}).hooks == ()


@pytest.mark.parametrize(
    "action",
    [
        None,
        {"type": "transfer"},
        {"type": "say"},
        {"type": "say", "exact": []},
        {"type": "say", "prompt": []},
        {"type": "tool"},
    ],
)
def test_an_action_that_cannot_be_done_counts_as_absent(action: Any) -> None:
    [hook] = read_settings({"hooks": [{"on": "customer.speech.interrupted", "do": [action]}]}).hooks
    assert hook.actions == ()


@pytest.mark.parametrize(
    ("on", "event", "band"),
    [
        ("call.ending", "call.ending", None),
        ("x[confidence=0:1]", "x", (0.0, 1.0)),
        ("x[confidence=0.2:0.4]y", "x[confidence=0.2:0.4]y", None),
        ("x[confidence=0.2.1:0.4]", "x[confidence=0.2.1:0.4]", None),
    ],
)
def test_a_hooks_event_may_carry_a_band(on: str, event: str, band: tuple[float, float] | None) -> None:
    assert split_hook_event(on) == (event, band)


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
            "customEndpointingRules": junk
            | st.lists(
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["customer", "assistant", "both"])},
                    optional={"regex": junk, "timeoutSeconds": junk, "regexOptions": junk},
                )
            ),
            "smartEndpointingPlan": junk
            | st.fixed_dictionaries(
                {"provider": st.sampled_from(["livekit", "custom-endpointing-model"])},
                optional={"waitFunction": junk, "server": junk},
            ),
            "smartEndpointingEnabled": junk,
            "eagerness": junk,
            "speculationMaxAttempts": junk,
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
FORMAT = st.fixed_dictionaries(
    {},
    optional={
        "numberToDigitsCutoff": junk,
        "formattersEnabled": junk,
        "replacements": junk
        | st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["exact", "regex"])},
                optional=dict.fromkeys(("key", "value", "regex", "options"), junk),
            )
        ),
    },
)
CHUNKS = st.fixed_dictionaries(
    {}, optional={"formatPlan": junk | FORMAT, "minCharacters": junk, "punctuationBoundaries": junk}
)
PLANS |= {
    "voice": st.fixed_dictionaries({}, optional={"chunkPlan": junk | CHUNKS, "cachingEnabled": junk}),
    "messagePlan": st.dictionaries(
        st.sampled_from(["idleMessages", "idleTimeoutSeconds", "idleMessageMaxSpokenCount"]), junk
    ),
    "fillerPlan": st.dictionaries(st.sampled_from(["enabled", "messages", "afterSeconds"]), junk),
    "hooks": st.lists(
        st.fixed_dictionaries(
            {"on": st.sampled_from(["call.ending", "customer.speech.timeout"]), "do": junk},
            optional={"options": junk, "filters": junk},
        )
    ),
}
TOP = ["id", "name", "firstMessage", "firstMessageMode", "endCallPhrases", "endCallMessage", *PLANS]
TOP += ["responseDelaySeconds", "llmRequestDelaySeconds", "numWordsToInterruptAssistant"]
TOP += ["silenceTimeoutSeconds", "maxDurationSeconds", "firstMessageInterruptionsEnabled"]


@examples(150)
@given(st.fixed_dictionaries({}, optional={name: junk | PLANS.get(name, junk) for name in TOP}))
def test_no_document_breaks_the_reader(document: dict[str, Any]) -> None:
    settings = read_settings(document)
    assert 0 <= settings.silence_timeout_s < float("inf")
    assert 0 <= settings.max_duration_s < float("inf")
    assert isinstance(settings.first_message, str)
    assert settings.stop.num_words is None or settings.stop.num_words >= 0


def chunks(**plan: Any) -> ChunkPlan:
    return read_settings({"voice": {"provider": "11labs", "chunkPlan": plan}}).chunks


def test_without_a_chunk_plan_the_defaults_are_ours() -> None:
    settings = read_settings({})
    assert settings.chunks == ChunkPlan() == read_chunk_plan(None)
    assert (settings.chunks.min_characters, settings.chunks.boundaries, settings.chunks.format.cutoff) == (
        None,
    ) * 3
    assert settings.caches_sentences
    assert not read_settings({"voice": {"cachingEnabled": False}}).caches_sentences


def test_a_chunk_plan_that_is_sent_counts() -> None:
    assert chunks(minCharacters=12.0, punctuationBoundaries=[".", "x", "||"]) == ChunkPlan(
        min_characters=12, boundaries=(".", "||")
    )
    # Nowhere to cut is no wish.
    assert chunks(punctuationBoundaries=[]).boundaries is None
    assert chunks(enabled=False) == ChunkPlan(enabled=False, format=FormatPlan(enabled=False))


def test_a_format_plan_is_read() -> None:
    plan = chunks(
        formatPlan={
            "numberToDigitsCutoff": 300,
            "formattersEnabled": ["email", "nonsense"],
            "replacements": [
                {"type": "exact", "key": "a", "value": "b"},
                {"type": "exact", "key": "a", "value": "", "replaceAllEnabled": True},
                {"type": "regex", "regex": "x+", "value": "$&", "options": [{"type": "ignore-case"}]},
            ],
        }
    ).format
    assert plan == FormatPlan(
        cutoff=300.0,
        formatters=("email",),
        replacements=(
            Replacement("b", "a"),
            Replacement("", "a", everywhere=True),
            Replacement("$&", pattern=Pattern("x+", ignore_case=True), everywhere=True),
        ),
    )
    assert chunks(formatPlan={"enabled": False}).format == FormatPlan(enabled=False)
    assert chunks(formatPlan={"formattersEnabled": []}).format.formatters == ()


@pytest.mark.parametrize(
    "replacement",
    [
        "a",
        {"type": "exact", "value": "b"},
        {"type": "exact", "key": "a"},
        {"type": "exact", "key": "a" * (REPLACEMENT_MAX + 1), "value": "b"},
        {"type": "exact", "key": "a", "value": "b" * (REPLACEMENT_MAX + 1)},
        {"type": "regex", "key": "a", "value": "b"},
        {"key": "a", "value": "b"},
    ],
)
def test_a_replacement_that_cannot_be_used_counts_as_absent(replacement: Any) -> None:
    assert chunks(formatPlan={"replacements": [replacement]}).format.replacements == ()


def test_there_may_be_so_many_replacements() -> None:
    many = [{"type": "exact", "key": "a", "value": "b"}] * (REPLACEMENTS_MAX + 1)
    assert len(chunks(formatPlan={"replacements": many}).format.replacements) == REPLACEMENTS_MAX


def test_what_is_told_is_what_a_client_or_a_server_wants() -> None:
    quiet = read_settings({"clientMessages": []})
    assert (quiet.tells("status-update"), quiet.tells("hang")) == (True, False)
    wanted = read_settings({"clientMessages": []}, frozenset(("hang", FINAL_TRANSCRIPT)))
    assert wanted.tells("hang")
    assert (wanted.tells("transcript"), wanted.tells("transcript", final=True)) == (False, True)
    assert not wanted.tells("speech-update", final=True)


def test_what_a_client_is_told() -> None:
    assert read_settings({}).client_messages == CLIENT_MESSAGES
    assert read_settings({"clientMessages": "all"}).client_messages == CLIENT_MESSAGES
    assert read_settings({"clientMessages": []}).client_messages == ALWAYS_TOLD
    assert read_settings({"clientMessages": ["transcript", 7]}).client_messages == ALWAYS_TOLD | {
        "transcript"
    }


@pytest.mark.parametrize(
    ("plan", "keypad"),
    [
        (None, KeypadPlan()),
        ({"enabled": True}, KeypadPlan(True, 2.0, frozenset())),
        ({"enabled": "yes", "delimiters": 5, "timeoutSeconds": "x"}, KeypadPlan()),
        ({"enabled": True, "timeoutSeconds": 0, "delimiters": "#"}, KeypadPlan(True, 0.0, frozenset("#"))),
        ({"enabled": True, "delimiters": ["*", "#", "1", 5]}, KeypadPlan(True, 2.0, frozenset("#*"))),
        ({"enabled": True, "delimiters": ""}, KeypadPlan(True, 2.0, frozenset())),
    ],
)
def test_the_keypad(plan: Any, keypad: KeypadPlan) -> None:
    assert read_settings({"keypadInputPlan": plan}).keypad == keypad


def test_tools_that_are_run_here() -> None:
    tools = read_settings({"model": {"tools": [{"type": "endCall"}, {"type": "code"}]}}).tools
    assert [tool.name for tool in tools] == ["endCall"]
