"""OpenAI's speech."""

from __future__ import annotations

from typing import Any

from aywa.adapters.tts.openai import OpenAiTts
from tests.contracts.tts import KEY, TtsContract


class TestContract(TtsContract):
    route = "openai.speech"
    rates_hz = (24000,)
    mulaw = False
    framed = False
    shared = False
    voice = "alloy"
    quota_code = "insufficient_quota"

    def make(self, url: str, key: str = KEY, **settings: Any) -> OpenAiTts:
        return OpenAiTts(key, f"{url}/v1", **settings)
