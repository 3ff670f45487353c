"""The assistant's and the call's documented fields, their types and ranges (contract 4, 6.1, 9, 10, 13).

What is not named here is kept and echoed. Where sources disagree the wider range counts (contract 18).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aywa.core.retention import DAYS_MOST
from aywa.core.settings import (
    BOUNDARIES,
    EAGERNESS,
    FORMATTERS,
    REPLACEMENT_MAX,
    REPLACEMENTS_MAX,
    Pattern,
)
from aywa.core.turns import js_pattern, wait_function
from aywa.service.credential_rules import CREDENTIAL
from aywa.service.hook_rules import HOOK_LIST
from aywa.service.rules import (
    Also,
    Anything,
    Choice,
    Flag,
    ListOf,
    Number,
    Obj,
    OneOf,
    Problems,
    Rule,
    Text,
    join,
)
from aywa.service.server_rules import SERVER
from aywa.service.tool_rules import SQUAD_REF, TOOL_REF

FIRST_MESSAGE_MODES = (
    "assistant-speaks-first",
    "assistant-speaks-first-with-model-generated-message",
    "assistant-waits-for-user",
)
MODEL_PROVIDERS = (
    "openai", "anthropic", "anthropic-bedrock", "google", "groq", "xai", "cerebras", "deep-seek", "deepinfra",
    "together-ai", "openrouter", "perplexity-ai", "anyscale", "inflection-ai", "minimax", "vapi", "custom-llm",
)  # fmt: skip
VOICE_PROVIDERS = (
    "azure", "cartesia", "custom-voice", "deepgram", "11labs", "hume", "inworld", "lmnt", "microsoft", "minimax",
    "neuphonic", "openai", "playht", "rime-ai", "sesame", "smallest-ai", "tavus", "vapi", "wellsaid", "xai",
)  # fmt: skip
TRANSCRIBER_PROVIDERS = (
    "assembly-ai", "azure", "cartesia", "custom-transcriber", "deepgram", "11labs", "gladia", "google", "openai",
    "soniox", "speechmatics", "talkscriber", "xai", "vapi",
)  # fmt: skip
CLIENT_MESSAGES = (
    "conversation-update", "function-call", "hang", "model-output", "speech-update", "status-update",
    "transfer-update", "transcript", "tool-calls", "user-interrupted", "voice-input", "workflow.node.started",
    "assistant.started", "assistant.speechStarted", "function-call-result", "language-changed", "metadata",
    "tool-calls-result", "tool.completed",
)  # fmt: skip
SERVER_MESSAGES = (
    "conversation-update", "end-of-call-report", "function-call", "hang", "speech-update", "status-update",
    "tool-calls", "transfer-destination-request", "handoff-destination-request", "user-interrupted",
    "assistant.started", "assistant.speechStarted", "language-changed", "language-change-detected", "model-output",
    "phone-call-control", "transcript", 'transcript[transcriptType="final"]', "transfer-update", "voice-input",
    "chat.created", "chat.deleted", "session.created", "session.updated", "session.deleted", "call.deleted",
    "call.delete.failed", "call.artifact.upload",
)  # fmt: skip

TOOLS_MAX = 1_000
"""Tools that one assistant may name; how many of them it uses is another limit (core.tools)."""

TOGGLE = Obj({"enabled": Flag()})
MODEL_MESSAGES = ListOf(Obj({"role": Text(), "content": OneOf((Text(), ListOf(Anything())))}))
MODEL = Obj(
    {
        "provider": Choice(MODEL_PROVIDERS),
        "model": Text(),
        "messages": MODEL_MESSAGES,
        "systemPrompt": Text(),
        "tools": ListOf(TOOL_REF, TOOLS_MAX),
        "toolIds": ListOf(Text(), TOOLS_MAX),
        "temperature": Number(0, 2, default=0.5),
        "maxTokens": Number(50, 10_000, default=250),
        "url": Text(),
        "timeoutSeconds": Number(0, 300),
        "headers": Obj(),
        "metadataSendMode": Choice(("off", "variable", "destructured")),
        "emotionRecognitionEnabled": Flag(),
        "numFastTurns": Number(0),
    },
    ("provider",),
)


def _check_regex(value: Any, path: str, problems: Problems) -> None:
    try:
        _ = js_pattern.translate(Pattern(value))
    except js_pattern.PatternError as error:
        problems.add(path, f"must be a JavaScript regular expression: {error}", value)


def _check_replacement(value: Any, path: str, problems: Problems) -> None:
    name = "key" if value["type"] == "exact" else "regex"
    if not value.get(name):
        problems.add(join(path, name), f"is required where type is {value['type']}", value.get(name))


_REGEX = Also(Text(js_pattern.LENGTH_MAX), _check_regex, "^[a-z0-9 ]{0,100}$")
_REGEX_OPTIONS = ListOf(Obj({"type": Choice(("ignore-case", "whole-word", "multi-line")), "enabled": Flag()}))
CHUNK_PLAN = Obj(
    {
        "enabled": Flag(),
        "minCharacters": Number(1, 80, default=30),
        "punctuationBoundaries": ListOf(Choice(BOUNDARIES)),
        "formatPlan": Obj(
            {
                "enabled": Flag(),
                "numberToDigitsCutoff": Number(0, default=2025),
                "formattersEnabled": ListOf(Choice(FORMATTERS)),
                "replacements": ListOf(
                    Also(
                        Obj(
                            {
                                "type": Choice(("exact", "regex")),
                                "key": Text(REPLACEMENT_MAX),
                                "replaceAllEnabled": Flag(),
                                "regex": _REGEX,
                                "options": _REGEX_OPTIONS,
                                "value": Text(REPLACEMENT_MAX),
                            },
                            ("type", "value"),
                        ),
                        _check_replacement,
                    ),
                    REPLACEMENTS_MAX,
                ),
            }
        ),
    }
)
VOICE = Obj(
    {
        "provider": Choice(VOICE_PROVIDERS),
        "voiceId": Text(),
        "cachingEnabled": Flag(),
        "chunkPlan": CHUNK_PLAN,
        "server": SERVER,
        "fallbackPlan": Obj(
            {
                "voices": ListOf(
                    Obj(
                        {"provider": Choice(VOICE_PROVIDERS), "voiceId": Text(), "chunkPlan": CHUNK_PLAN},
                        ("provider",),
                    )
                )
            }
        ),
    },
    ("provider",),
)
TRANSCRIBER = Obj(
    {
        "provider": Choice(TRANSCRIBER_PROVIDERS),
        "model": Text(),
        "language": Text(),
        "server": SERVER,
        "confidenceThreshold": Number(0, 1, default=0.4),
        "eotThreshold": Number(0.5, 0.9),
        "fallbackPlan": Obj(
            {"transcribers": ListOf(Obj({"provider": Choice(TRANSCRIBER_PROVIDERS)}, ("provider",)))}
        ),
    },
    ("provider",),
)


def _check_wait_function(value: Any, path: str, problems: Problems) -> None:
    try:
        _ = wait_function.read_wait_function(value)
    except wait_function.FormulaError as error:
        problems.add(path, f"must be a formula of x: {error}", value)


def _check_endpointing_rule(value: Any, path: str, problems: Problems) -> None:
    for name in ("assistantRegex", "customerRegex") if value["type"] == "both" else ("regex",):
        if value.get(name) is None:
            problems.add(join(path, name), f"is required where type is {value['type']}", None)


RULES_MAX = 100
START_SPEAKING_PLAN = Obj(
    {
        "waitSeconds": Number(0, 5, default=0.4),
        "smartEndpointingEnabled": OneOf((Flag(), Choice(("livekit",)))),
        "smartEndpointingPlan": Obj(
            {
                "provider": Choice(("vapi", "livekit", "custom-endpointing-model", "krisp")),
                "waitFunction": Also(
                    Text(wait_function.LENGTH_MAX),
                    _check_wait_function,
                    "^[1-9][0-9]{0,3} [+] [1-9][0-9]{0,3} [*] x$",
                ),
                "server": SERVER,
            },
            ("provider",),
        ),
        "transcriptionEndpointingPlan": Obj(
            {
                "onPunctuationSeconds": Number(0, 3, default=0.1),
                "onNoPunctuationSeconds": Number(0, 3, default=1.5),
                "onNumberSeconds": Number(0, 3, default=0.5),
            }
        ),
        "customEndpointingRules": ListOf(
            Also(
                Obj(
                    {
                        "type": Choice(("assistant", "customer", "both", "user")),
                        "regex": _REGEX,
                        "assistantRegex": _REGEX,
                        "customerRegex": _REGEX,
                        "regexOptions": _REGEX_OPTIONS,
                        "assistantRegexOptions": _REGEX_OPTIONS,
                        "customerRegexOptions": _REGEX_OPTIONS,
                        "timeoutSeconds": Number(0, 15),
                    },
                    ("type", "timeoutSeconds"),
                ),
                _check_endpointing_rule,
            ),
            RULES_MAX,
        ),
        # Our own.
        "eagerness": Choice(EAGERNESS, "balanced"),
        "speculationEnabled": Flag(),
        "speculationMaxAttempts": Number(0, 20, whole=True, default=4),
        "speculationMaxTokens": Number(0, 100_000, whole=True, default=600),
    }
)
STOP_SPEAKING_PLAN = Obj(
    {
        "numWords": Number(0, 10, whole=True, default=0),
        "voiceSeconds": Number(0, 0.5, default=0.2),
        "backoffSeconds": Number(0, 10, default=1),
        "acknowledgementPhrases": ListOf(Text(240)),
        "interruptionPhrases": ListOf(Text(240)),
    }
)
VOICEMAIL_DETECTION = OneOf(
    (
        Obj(
            {
                "provider": Choice(("vapi", "google", "openai", "twilio")),
                "type": Choice(("audio", "transcript")),
                "beepMaxAwaitSeconds": Number(0, 60, default=30),
                "backoffPlan": Obj(
                    {
                        "startAtSeconds": Number(0, default=5),
                        "frequencySeconds": Number(2.5, default=5),
                        "maxRetries": Number(1, 10, default=6),
                    }
                ),
                "machineDetectionTimeout": Number(3, 59),
                "machineDetectionSpeechThreshold": Number(1000, 6000),
                "machineDetectionSpeechEndThreshold": Number(500, 5000),
                "machineDetectionSilenceTimeout": Number(2000, 10_000),
            },
            ("provider",),
        ),
        Choice(("off",)),
    )
)
_LLM_STEP = Obj({"enabled": Flag(), "messages": ListOf(Obj()), "timeoutSeconds": Number(1, 60, default=5)})
ANALYSIS_PLAN = Obj(
    {
        "minMessagesThreshold": Number(0, default=2),
        "summaryPlan": _LLM_STEP,
        "structuredDataPlan": _LLM_STEP,
        "structuredDataMultiPlan": ListOf(Obj({"key": Text(), "plan": _LLM_STEP}, ("key", "plan"))),
        "successEvaluationPlan": Obj(
            {
                "enabled": Flag(),
                "rubric": Choice(
                    (
                        "NumericScale",
                        "DescriptiveScale",
                        "Checklist",
                        "Matrix",
                        "PercentageScale",
                        "LikertScale",
                        "AutomaticRubric",
                        "PassFail",
                    )
                ),
                "timeoutSeconds": Number(1, 60, default=5),
            }
        ),
    }
)
ARTIFACT_PLAN = Obj(
    {
        "recordingEnabled": Flag(),
        "recordingFormat": Choice(("wav;l16", "mp3"), "wav;l16"),
        "videoRecordingEnabled": Flag(),
        "fullMessageHistoryEnabled": Flag(),
        "pcapEnabled": Flag(),
        "loggingEnabled": Flag(),
        # Our own: after so many days nothing of the call is kept; 0: as soon as its report is delivered.
        "retentionDays": Number(0, DAYS_MOST, whole=True),
        "transcriptPlan": Obj({"enabled": Flag(), "assistantName": Text(), "userName": Text()}),
    }
)
# Our own: what is said while no reply has sounded yet.
FILLER_PLAN = Obj(
    {
        "enabled": Flag(),
        "afterSeconds": Number(0.5, 3, default=1.8),
        "repeatAfterSeconds": Number(1, 3, default=2.4),
        "messages": ListOf(Text(240, 1), 20),
    }
)
# Our own: what a call may cost before it is ended, and what is said then.
COST_PLAN = Obj({"maxDollars": Number(0.001, 10_000), "message": Text(1000)})
_LEGACY: dict[str, Rule] = {
    "silenceTimeoutSeconds": Number(5, 3600, default=30),
    "messagePlan": Obj(
        {
            "idleMessages": ListOf(Text(), 100),
            "idleTimeoutSeconds": Number(1, 1000, default=10),
            "idleMessageMaxSpokenCount": Number(0, 100, whole=True, default=3),
            "idleMessageResetCountOnUserSpeechEnabled": Flag(),
            "silenceTimeoutMessage": Text(),
        }
    ),
    "customerJoinTimeoutSeconds": Number(1, 60, default=15),
    "serverUrl": Text(),
    "serverUrlSecret": Text(),
    "endCallFunctionEnabled": Flag(),
    "recordingEnabled": Flag(),
    "backgroundDenoisingEnabled": Flag(),
    "responseDelaySeconds": Number(0, 20),
    "llmRequestDelaySeconds": Number(0, 20),
    "llmRequestNonPunctuatedDelaySeconds": Number(0, 20),
    "numWordsToInterruptAssistant": Number(0, 10, whole=True),
    "interruptionsEnabled": Flag(),
    "backchannelingEnabled": Flag(),
    "fillersEnabled": Flag(),
}
ASSISTANT = Obj(
    {
        "name": Text(40, example="Front desk"),
        "model": MODEL,
        "voice": VOICE,
        "transcriber": TRANSCRIBER,
        "firstMessage": Text(example="Hello, how can I help you?"),
        "firstMessageMode": Choice(FIRST_MESSAGE_MODES, FIRST_MESSAGE_MODES[0]),
        "firstMessageInterruptionsEnabled": Flag(),
        "voicemailDetection": VOICEMAIL_DETECTION,
        "voicemailMessage": Text(1000),
        "endCallMessage": Text(1000),
        "endCallPhrases": ListOf(Text(140, 2)),
        "maxDurationSeconds": Number(10, 43_200, default=600),
        "backgroundSound": Text(),
        "clientMessages": ListOf(Choice(CLIENT_MESSAGES)),
        "serverMessages": ListOf(Choice(SERVER_MESSAGES)),
        "server": SERVER,
        "modelOutputInMessagesEnabled": Flag(),
        "credentials": ListOf(CREDENTIAL, 100),
        "credentialIds": ListOf(Text()),
        "hooks": HOOK_LIST,
        "fillerPlan": FILLER_PLAN,
        "costPlan": COST_PLAN,
        "startSpeakingPlan": START_SPEAKING_PLAN,
        "stopSpeakingPlan": STOP_SPEAKING_PLAN,
        "analysisPlan": ANALYSIS_PLAN,
        "artifactPlan": ARTIFACT_PLAN,
        "monitorPlan": Obj({"listenEnabled": Flag(), "controlEnabled": Flag()}),
        "compliancePlan": Obj({"hipaaEnabled": Flag(), "pciEnabled": Flag()}),
        "keypadInputPlan": Obj(
            {
                "enabled": Flag(),
                "timeoutSeconds": Number(0, 10, default=2),
                "delimiters": OneOf((Text(), ListOf(Text()))),
            }
        ),
        "backgroundSpeechDenoisingPlan": Obj({"smartDenoisingPlan": TOGGLE, "fourierDenoisingPlan": TOGGLE}),
        "metadata": Obj(),
        **_LEGACY,
    },
    example={
        "name": "Front desk",
        "firstMessage": "Hello, how can I help you?",
        "model": {
            "provider": "custom-llm",
            "model": "default",
            "messages": [{"role": "system", "content": "You answer the phone of {{company}}. Be brief."}],
        },
        "endCallPhrases": ["goodbye"],
        "maxDurationSeconds": 600,
    },
)
OVERRIDES = Obj({**ASSISTANT.rules, "variableValues": Obj(), "tools:append": ListOf(TOOL_REF, TOOLS_MAX)})


@dataclass(frozen=True, slots=True)
class _Loose:
    """What is there is checked; the sub-objects need not be whole, because they are merged into another."""

    rule: Obj

    def check(self, value: Any, path: str, problems: Problems) -> None:
        if isinstance(value, dict):
            _check_loosely(self.rule, value, path, problems)
        else:
            problems.add(path, "must be an object", value)

    def schema(self) -> dict[str, Any]:
        return _loose_schema(self.rule.schema())


def _loose_schema(schema: dict[str, Any]) -> dict[str, Any]:
    loose = {name: value for name, value in schema.items() if name not in ("required", "example")}
    if "properties" in loose:
        loose["properties"] = {name: _loose_schema(inner) for name, inner in loose["properties"].items()}
    return loose


LOOSE_OVERRIDES = _Loose(OVERRIDES)
AUDIO_FORMAT = Obj(
    {
        "format": Choice(("pcm_s16le", "mulaw"), "pcm_s16le"),
        "container": Choice(("raw",), "raw"),
        "sampleRate": Number(8000, 48_000, whole=True),
    }
)
TRANSPORT = Obj({"provider": Text(), "audioFormat": AUDIO_FORMAT})
CALL = Obj(
    {
        "name": Text(40),
        "assistantId": Text(),
        "assistant": ASSISTANT,
        "assistantOverrides": LOOSE_OVERRIDES,
        "squadId": Text(),
        "squad": SQUAD_REF,
        "squadOverrides": LOOSE_OVERRIDES,
        "transport": TRANSPORT,
        "customer": Obj({"number": Text(40, 3), "name": Text(40), "email": Text(40), "externalId": Text(40)}),
        "metadata": Obj(),
    },
    example={
        "assistant": {"firstMessage": "Hello, {{company}}, how can I help you?"},
        "transport": {
            "provider": "vapi.websocket",
            "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16_000},
        },
        "assistantOverrides": {"variableValues": {"company": "Aywa"}},
    },
)
WEB_CALL = Obj(CALL.rules, example={"assistant": {"firstMessage": "Hello, how can I help you?"}})
CALL_CHANGE = Obj({"name": Text(40)}, example={"name": "Order 1042"})


def assistant_problems(body: Any) -> list[str]:
    """What is wrong with an assistant, or with some of its fields."""
    return _problems(ASSISTANT, body)


def call_problems(body: Any) -> list[str]:
    """What is wrong with a request for a call, field by field."""
    return _problems(CALL, body)


def _check_loosely(rule: Obj, value: dict[str, Any], path: str, problems: Problems) -> None:
    """Checks what is there; the sub-objects need not be whole, because they are merged into another."""
    for name, item in value.items():
        inner = rule.rules.get(name)
        if inner is None or item is None:
            continue
        if isinstance(inner, Obj) and isinstance(item, dict):
            _check_loosely(inner, item, join(path, name), problems)
        else:
            inner.check(item, join(path, name), problems)


def _problems(rule: Rule, value: Any) -> list[str]:
    problems = Problems()
    rule.check(value, "", problems)
    return problems.found
