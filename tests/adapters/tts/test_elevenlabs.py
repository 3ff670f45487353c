"""ElevenLabs' wire."""

from __future__ import annotations

from typing import Any

from aywa.adapters.tts.elevenlabs import ElevenLabsTts
from aywa.testing.vendors.world import Asked
from tests.contracts.tts import KEY, TtsContract


class TestContract(TtsContract):
    route = "elevenlabs.stream"

    def make(self, url: str, key: str = KEY, **settings: Any) -> ElevenLabsTts:
        return ElevenLabsTts(key, url, **settings)

    def stopped(self, asked: Asked) -> bool:
        """The wire has nothing stronger than the end that every text is given."""
        return any(message.get("close_context") for message in asked.messages)
