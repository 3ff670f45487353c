from __future__ import annotations

import pytest

from aywa.core.ended_reasons import of_failure


@pytest.mark.parametrize(
    ("step", "route", "code", "reason"),
    [
        ("llm", "openai/gpt-4.1", "unauthorized", "pipeline-error-openai-401-unauthorized"),
        ("llm", "openai", "rate_limited", "pipeline-error-openai-429-exceeded-quota"),
        ("llm", "anthropic/claude", "unavailable", "pipeline-error-anthropic-503-server-overloaded-error"),
        ("llm", "groq/x", "deadline", "pipeline-error-groq-llm-failed"),
        ("llm", "custom-llm/own", "bad_key", "pipeline-error-custom-llm-401-unauthorized"),
        ("llm", "custom-llm", "cut_short", "pipeline-error-custom-llm-llm-failed"),
        ("llm", "local-rules", "failed", "pipeline-error-custom-llm-llm-failed"),
        ("llm", "", "empty_reply", "pipeline-error-custom-llm-llm-failed"),
        ("tts", "elevenlabs/voice", "quota", "pipeline-error-eleven-labs-voice-failed"),
        ("tts", "openai-speech", "", "pipeline-error-openai-voice-failed"),
        ("tts", "local-hibari", "", "pipeline-error-custom-voice-failed"),
        ("stt", "deepgram", "", "pipeline-error-deepgram-transcriber-failed"),
        ("stt", "custom-transcriber", "", "pipeline-error-custom-transcriber-failed"),
        ("stt", "", "", "pipeline-error-custom-transcriber-failed"),
    ],
)
def test_the_reason_names_who_failed_and_how(step: str, route: str, code: str, reason: str) -> None:
    assert of_failure(step, route, code) == reason
