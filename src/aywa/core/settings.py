"""An assistant's settings as the machines use them, read from its document (contract sections 4, 9).

An absent turn-taking field is None: the machine then uses its adaptive default. A field that is sent has the
contract's meaning. This reads documents that were validated on the way in; what is malformed all the same counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ACKNOWLEDGEMENTS = (
    "i understand", "i see", "i got it", "i hear you", "im listening", "im with you", "right", "okay", "ok",
    "sure", "alright", "got it", "understood", "yeah", "yes", "uh-huh", "mm-hmm", "gotcha", "mhmm", "ah",
    "yeah okay", "yeah sure",
)  # fmt: skip
INTERRUPTIONS = (
    "stop", "shut", "up", "enough", "quiet", "silence", "but", "dont", "not", "no", "hold", "wait", "cut",
    "pause", "nope", "nah", "nevermind", "never", "bad", "actually",
)  # fmt: skip

# More than any setting may be: a number past it, below 0 or not finite is malformed.
_MOST = 1e9


class FirstMessageMode(StrEnum):
    """Who opens the conversation (contract 4.1)."""

    ASSISTANT_SPEAKS_FIRST = "assistant-speaks-first"
    MODEL_GENERATED = "assistant-speaks-first-with-model-generated-message"
    ASSISTANT_WAITS = "assistant-waits-for-user"


@dataclass(frozen=True, slots=True)
class TranscriptionWaits:
    """transcriptionEndpointingPlan: waits by how the transcript ends, in seconds after the last voice."""

    on_punctuation_s: float = 0.1
    on_no_punctuation_s: float = 1.5
    on_number_s: float = 0.5


@dataclass(frozen=True, slots=True)
class StartSpeaking:
    """startSpeakingPlan (9.1), and our own clocks. wait_s: a floor under every wait, measured from the last voice."""

    wait_s: float | None = None
    transcription: TranscriptionWaits | None = None
    finalize_after_s: float = 0.128
    unconfirmed_wait_s: float = 1.6
    speculation: bool = True
    speculation_attempts: int = 4


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """stopSpeakingPlan (9.2). None: our adaptive default."""

    num_words: int | None = None
    voice_s: float | None = None
    backoff_s: float | None = None
    acknowledgements: tuple[str, ...] = ACKNOWLEDGEMENTS
    interruptions: tuple[str, ...] = INTERRUPTIONS
    pause_after_voice_s: float = 0.064


@dataclass(frozen=True, slots=True)
class AssistantSettings:
    """All that the conversation goes by."""

    name: str = ""
    assistant_id: str = ""
    first_message: str = ""
    first_message_mode: FirstMessageMode = FirstMessageMode.ASSISTANT_SPEAKS_FIRST
    first_message_interruptible: bool = False
    end_call_phrases: tuple[str, ...] = ()
    end_call_message: str = ""
    silence_timeout_s: float = 30.0
    max_duration_s: float = 600.0
    prompt: tuple[Mapping[str, Any], ...] = ()
    start: StartSpeaking = field(default_factory=StartSpeaking)
    stop: StopSpeaking = field(default_factory=StopSpeaking)


def read_settings(document: Mapping[str, Any]) -> AssistantSettings:
    """Reads a resolved assistant document (templates already rendered)."""
    model = _mapping(document.get("model"))
    return AssistantSettings(
        name=_text(document.get("name")),
        assistant_id=_text(document.get("id")),
        first_message=_text(document.get("firstMessage")),
        first_message_mode=_mode(document.get("firstMessageMode")),
        first_message_interruptible=document.get("firstMessageInterruptionsEnabled") is True,
        end_call_phrases=_texts(document.get("endCallPhrases"), ()),
        end_call_message=_text(document.get("endCallMessage")),
        silence_timeout_s=_number(document.get("silenceTimeoutSeconds"), 30.0),
        max_duration_s=_number(document.get("maxDurationSeconds"), 600.0),
        prompt=_prompt(model),
        start=_start(_mapping(document.get("startSpeakingPlan")), model),
        stop=_stop(_mapping(document.get("stopSpeakingPlan"))),
    )


def _start(plan: Mapping[str, Any], model: Mapping[str, Any]) -> StartSpeaking:
    # A custom LLM is the customer's cost and may have side effects: no speculation unless it is asked for.
    by_default = model.get("provider") != "custom-llm"
    wanted = plan.get("speculationEnabled")
    return StartSpeaking(
        wait_s=_optional(plan.get("waitSeconds")),
        transcription=_waits(plan.get("transcriptionEndpointingPlan")),
        speculation=wanted if isinstance(wanted, bool) else by_default,
    )


def _waits(plan: Any) -> TranscriptionWaits | None:
    if not isinstance(plan, Mapping):
        return None
    return TranscriptionWaits(
        on_punctuation_s=_number(plan.get("onPunctuationSeconds"), 0.1),
        on_no_punctuation_s=_number(plan.get("onNoPunctuationSeconds"), 1.5),
        on_number_s=_number(plan.get("onNumberSeconds"), 0.5),
    )


def _stop(plan: Mapping[str, Any]) -> StopSpeaking:
    words = _optional(plan.get("numWords"))
    return StopSpeaking(
        num_words=None if words is None else int(words),
        voice_s=_optional(plan.get("voiceSeconds")),
        backoff_s=_optional(plan.get("backoffSeconds")),
        acknowledgements=_texts(plan.get("acknowledgementPhrases"), ACKNOWLEDGEMENTS),
        interruptions=_texts(plan.get("interruptionPhrases"), INTERRUPTIONS),
    )


def _prompt(model: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    messages = model.get("messages")
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        # model.systemPrompt is the older spelling (contract 4.1).
        old = _text(model.get("systemPrompt"))
        return ({"role": "system", "content": old},) if old else ()
    return tuple(
        {"role": _text(m.get("role")) or "system", "content": _text(m.get("content"))}
        for m in messages
        if isinstance(m, Mapping)
    )


def _mode(value: Any) -> FirstMessageMode:
    try:
        return FirstMessageMode(value)
    except ValueError:
        return FirstMessageMode.ASSISTANT_SPEAKS_FIRST


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return default
    return tuple(v for v in value if isinstance(v, str))


def _optional(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # Comparing comes first: an integer may be too long for a float.
    return float(value) if 0 <= value <= _MOST else None


def _number(value: Any, default: float) -> float:
    number = _optional(value)
    return default if number is None else number
