"""The custom-voice protocol."""

from __future__ import annotations

from typing import Any

from aywa.adapters.tts.custom_voice import CustomVoice
from tests.contracts.tts import KEY, TtsContract


class TestContract(TtsContract):
    route = "custom-voice"
    mulaw = False
    framed = False
    shared = False
    voice = ""
    knows_models = False

    def make(self, url: str, key: str = KEY, **settings: Any) -> CustomVoice:
        return CustomVoice(f"{url}/custom-voice", {"Authorization": f"Bearer {key}"}, **settings)
