"""OpenAI's speech."""

from __future__ import annotations

from typing import Any

from aywa.adapters.tts.openai import OpenAiTts
from aywa.ports.tts import TtsOptions
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from tests.contracts.tts import KEY, OTHER, TEXT, TtsContract, sound


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

    async def test_what_it_asks_for(self, vendors: SimulatedVendors, tts: OpenAiTts) -> None:
        await self.say(tts, OTHER, TtsOptions(8000))
        extra = {
            "instructions": "Softly.",
            "speed": 9,
            "voiceId": "coral",
            "model": "gpt-4o-mini-tts-2025-12-15",
        }
        await self.say(tts, OTHER, TtsOptions(8000, extra=extra))
        usual, unusual = [asked.body for asked in vendors.world.asked(self.route)]
        assert usual == {
            "model": "gpt-4o-mini-tts",
            "input": OTHER,
            "voice": "alloy",
            "response_format": "pcm",
        }
        assert unusual == {
            "model": "gpt-4o-mini-tts-2025-12-15",
            "input": OTHER,
            "voice": "coral",
            "response_format": "pcm",
            "instructions": "Softly.",
            "speed": 4.0,
        }

    async def test_audio_is_at_its_own_rate_whatever_is_asked_for(self, tts: OpenAiTts) -> None:
        chunks = await self.say(tts, options=self.options(8000))
        assert {chunk.rate_hz for chunk in chunks} == {24000}
        assert sound(chunks) == self.made(TEXT, 24000)

    async def test_the_vendors_wish_to_be_left_alone_is_told(
        self, vendors: SimulatedVendors, tts: OpenAiTts
    ) -> None:
        trouble = Trouble(Break.REFUSE, status=429, retry_after_s=7)
        vendors.plans.next(self.route, Plan(trouble=trouble))
        assert (await self.fails(tts)).retry_after_s == 7
