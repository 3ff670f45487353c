"""The published endedReason of a call that a provider's failure ended (contract 6.5, appendix A).

Grammar: `pipeline-error-{vendor}-{fault}`. What runs on this machine, and whatever the contract has no name for, goes by the
contract's words for a customer's own.
"""

from __future__ import annotations

from typing import Final

LLM, TTS, STT = "llm", "tts", "stt"

# What routes are called, where that is not the reason's name of the vendor.
_NAMES: Final = {"elevenlabs": "eleven-labs", "11labs": "eleven-labs", "openai-speech": "openai"}
_MODELS: Final = frozenset(
    "openai azure-openai google xai baseten mistral minimax inflection-ai deep-seek groq cerebras anthropic anthropic-bedrock "
    "anthropic-vertex together-ai anyscale openrouter perplexity-ai deepinfra runpod custom-llm".split()
)
_VOICES: Final = frozenset(
    "openai cartesia deepgram eleven-labs playht lmnt azure rime-ai smallest-ai neuphonic hume sesame inworld minimax wellsaid "
    "xai microsoft".split()
)
_TRANSCRIBERS: Final = frozenset(
    "deepgram gladia speechmatics assembly-ai talkscriber azure-speech eleven-labs google openai soniox xai cartesia".split()
)
_FAULTS: Final = {
    "bad_request": "400-bad-request-validation-failed",
    "unknown_model": "400-bad-request-validation-failed",
    "unauthorized": "401-unauthorized",
    "bad_key": "401-unauthorized",
    "forbidden": "403-model-access-denied",
    "quota": "429-exceeded-quota",
    "rate_limited": "429-exceeded-quota",
    "failed": "500-server-error",
    "unavailable": "503-server-overloaded-error",
}


def of_failure(step: str, route: str = "", code: str = "") -> str:
    """step: llm, tts or stt. route: `provider` or `provider/model`; empty: nobody knows. code: of the ProviderError."""
    name = route.partition("/")[0]
    vendor = _NAMES.get(name, name)
    if step == TTS:
        return (
            f"pipeline-error-{vendor}-voice-failed"
            if vendor in _VOICES
            else "pipeline-error-custom-voice-failed"
        )
    if step == STT:
        own = vendor if vendor in _TRANSCRIBERS else "custom"
        return f"pipeline-error-{own}-transcriber-failed"
    if vendor not in _MODELS:
        return "pipeline-error-custom-llm-llm-failed"
    return f"pipeline-error-{vendor}-{_FAULTS.get(code, 'llm-failed')}"
