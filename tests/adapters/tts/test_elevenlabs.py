"""ElevenLabs' wire."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from aywa.adapters.tts import contexts
from aywa.adapters.tts.elevenlabs import ElevenLabsTts
from aywa.ports.errors import ProviderError
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.fault_proxy import FaultProxy
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from aywa.testing.vendors.world import Asked
from tests.contracts.tts import KEY, OTHER, TEXT, VOICE, TtsContract, comes_true, sound

PCM = b"\x01\x00" * 1600
LENGTH_S = 0.1


class TestContract(TtsContract):
    route = "elevenlabs.stream"

    def make(self, url: str, key: str = KEY, **settings: Any) -> ElevenLabsTts:
        return ElevenLabsTts(key, url, **settings)

    def stopped(self, asked: Asked) -> bool:
        """The wire has nothing stronger than the end that every text is given."""
        return any(message.get("close_context") for message in asked.messages)

    async def test_a_clause_is_a_context_that_is_flushed_and_closed(
        self, vendors: SimulatedVendors, tts: ElevenLabsTts
    ) -> None:
        extra = {
            "stability": 0.3,
            "similarityBoost": 2,
            "style": 0.1,
            "useSpeakerBoost": False,
            "speed": 1.1,
            "enableSsmlParsing": True,
            "autoMode": True,
        }
        await self.say(tts, TEXT, TtsOptions(8000, VOICE, "de-DE", 1.0, "reply", True, extra))
        (asked,) = vendors.world.asked(self.route)
        begin, text, close = asked.messages
        context_id = begin["context_id"]
        assert begin == {
            "text": " ",
            "context_id": context_id,
            "voice_settings": {
                "stability": 0.3,
                "similarity_boost": 1.0,
                "style": 0.1,
                "use_speaker_boost": False,
                "speed": 1.1,
            },
        }
        assert text == {"text": TEXT + " ", "context_id": context_id, "flush": True}
        assert close == {"context_id": context_id, "close_context": True}
        (connected,) = vendors.world.asked("elevenlabs.connect")
        assert connected.path == f"/v1/text-to-speech/{VOICE}/multi-stream-input"
        assert connected.query == {
            "model_id": "eleven_flash_v2_5",
            "output_format": "ulaw_8000",
            "auto_mode": "true",
            "sync_alignment": "true",
            "inactivity_timeout": "180",
            "language_code": "de",
            "enable_ssml_parsing": "true",
        }

    async def test_models_that_refuse_to_be_told_are_not_told_the_language(
        self, vendors: SimulatedVendors, tts: ElevenLabsTts
    ) -> None:
        await self.say(
            tts, OTHER, self.options(16000, extra={"model": "eleven_multilingual_v2", "autoMode": False})
        )
        (connected,) = vendors.world.asked("elevenlabs.connect")
        assert "language_code" not in connected.query
        assert (connected.query["output_format"], connected.query["auto_mode"]) == ("pcm_16000", "false")
        assert vendors.world.asked(self.route)[0].messages[0] == {
            "text": " ",
            "context_id": vendors.world.asked(self.route)[0].messages[0]["context_id"],
        }

    async def test_five_contexts_are_on_a_connection_and_the_sixth_on_another(
        self, vendors: SimulatedVendors, proxy: FaultProxy, tts: ElevenLabsTts
    ) -> None:
        vendors.plans.set(self.route, Plan(first_s=0.05))
        said = await asyncio.gather(*(self.say(tts, f"{OTHER} {n}") for n in range(6)))
        assert [sound(chunks) for chunks in said] == [self.made(f"{OTHER} {n}") for n in range(6)]
        assert proxy.connections == 2
        await asyncio.gather(*(self.say(tts, f"{OTHER} {n}") for n in range(6)))
        assert proxy.connections == 2

    async def test_a_place_that_was_given_up_is_free_when_the_vendor_says_so(
        self, vendors: SimulatedVendors, proxy: FaultProxy, tts: ElevenLabsTts
    ) -> None:
        vendors.plans.next(self.route, *[Plan(realtime=10.0)] * 5)
        left = [tts.synthesize(TEXT, self.options()) for _ in range(5)]
        for chunks in left:
            await anext(chunks)
            await chunks.aclose()
        assert sound(await self.say(tts, OTHER)) == self.made(OTHER)
        assert proxy.connections == 2
        await comes_true(lambda: all(a.ended == "whole" for a in vendors.world.asked(self.route)))
        # And the message has arrived.
        await self.say(tts, OTHER)
        await asyncio.gather(*(self.say(tts, OTHER) for _ in range(10)))
        # And one that is spare.
        assert (proxy.connections, tts.waited) == (3, 1)

    async def test_a_connection_that_never_lets_go_of_a_context_is_left(
        self,
        vendors: SimulatedVendors,
        proxy: FaultProxy,
        tts: ElevenLabsTts,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(contexts, "LET_GO_S", 0.05)
        vendors.plans.next(self.route, Plan(trouble=Trouble(Break.STALL, after=1)))
        chunks = tts.synthesize(TEXT, self.options())
        await anext(chunks)
        await chunks.aclose()
        await asyncio.wait_for(proxy.lines[0].client_left.wait(), 1)
        assert sound(await self.say(tts, OTHER)) == self.made(OTHER)
        assert proxy.connections == 2

    async def test_a_connection_that_waited_too_long_is_replaced(
        self, vendors: SimulatedVendors, tts: ElevenLabsTts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aywa.adapters.tts.elevenlabs.INACTIVITY_S", 0.05)
        await self.say(tts, OTHER)
        await asyncio.sleep(0.1)
        assert sound(await self.say(tts, OTHER)) == self.made(OTHER)
        assert tts.waited == tts.connections == 2

    async def test_one_that_waited_too_long_is_replaced_before_it_is_needed(
        self, tts: ElevenLabsTts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aywa.adapters.wire.reserve.AGAIN_S", 0.01)
        monkeypatch.setattr("aywa.adapters.tts.elevenlabs.INACTIVITY_S", 0.05)
        await self.say(tts, OTHER)
        await comes_true(lambda: tts.connections == 2)
        assert tts.waited == 1

    async def test_a_connection_beyond_need_goes_when_it_was_idle_long_enough(
        self,
        vendors: SimulatedVendors,
        tts: ElevenLabsTts,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        vendors.plans.set(self.route, Plan(first_s=0.02))
        await asyncio.gather(*(self.say(tts, OTHER) for _ in range(6)))
        await self.say(tts, OTHER)
        await comes_true(lambda: vendors.open_connections == 2)
        monkeypatch.setattr(contexts, "KEEP_S", 0.0)
        await self.say(tts, OTHER)
        # Of late six were in use, and who knows.
        assert vendors.open_connections == 2
        monkeypatch.setattr("aywa.adapters.wire.reserve.PEAK_S", 0.0)
        await self.say(tts, OTHER)
        await comes_true(lambda: vendors.open_connections == 1)
        await self.say(tts, OTHER)
        assert (tts.connections, vendors.open_connections) == (2, 1)

    async def test_a_model_without_contexts(self, tts: ElevenLabsTts) -> None:
        assert (
            await self.fails(tts, options=self.options(extra={"model": "eleven_v3"}))
        ).code == "unknown_model"

    async def test_a_rate_that_it_has_not(self, tts: ElevenLabsTts) -> None:
        assert (await self.fails(tts, options=self.options(11025))).code == "bad_request"
        await tts.warm(self.options(11025))

    async def test_no_voice(self, tts: ElevenLabsTts) -> None:
        assert (await self.fails(tts, options=TtsOptions(8000))).code == "unknown_voice"


Script = Callable[
    [str, Callable[[dict[str, Any]], Awaitable[None]], websockets.ServerConnection], Awaitable[None]
]


@asynccontextmanager
async def far_side(script: Script) -> AsyncIterator[ElevenLabsTts]:
    """A vendor that answers each closed context as the test says."""

    async def talk(socket: websockets.ServerConnection) -> None:
        async for raw in socket:
            message = json.loads(raw)
            if message.get("close_context"):
                context_id = message["context_id"]

                async def tell(told: dict[str, Any], to: str = context_id) -> None:
                    await socket.send(json.dumps({"contextId": to} | told))

                await script(context_id, tell, socket)

    async with websockets.serve(talk, "127.0.0.1", 0) as server:
        tts = ElevenLabsTts(KEY, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", voice=VOICE)
        try:
            yield tts
        finally:
            await tts.close()


def audio(alignment: dict[str, Any] | None = None, pcm: bytes = PCM) -> dict[str, Any]:
    return {"audio": base64.b64encode(pcm).decode(), "isFinal": None, "alignment": alignment}


def spelled(text: str, step_ms: int, at_ms: int = 0) -> dict[str, Any]:
    """Characters that last as long as each other."""
    return {
        "chars": list(text),
        "charStartTimesMs": [at_ms + n * step_ms for n in range(len(text))],
        "charDurationsMs": [step_ms] * len(text),
    }


async def say(tts: ElevenLabsTts, text: str = "One two.") -> list[TtsChunk]:
    async with asyncio.timeout(2):
        return [chunk async for chunk in tts.synthesize(text, TtsOptions(16000))]


async def words_of(*told: dict[str, Any]) -> list[tuple[str, float, float]]:
    async def script(context_id: str, tell: Any, socket: Any) -> None:
        for message in told:
            await tell(message)
        await tell({"isFinal": True})

    async with far_side(script) as tts:
        chunks = await say(tts)
    assert sound(chunks) == PCM * len(told)
    return [(w.text, round(w.start_s, 3), round(w.end_s, 3)) for chunk in chunks for w in chunk.words]


async def test_a_word_may_be_spelled_across_messages() -> None:
    words = await words_of(audio(spelled("One t", 20)), audio(spelled("wo.", 20)))
    assert words == [("One", 0.0, 0.06), ("two.", 0.08, 0.16)]


async def test_messages_without_an_alignment_take_their_time() -> None:
    words = await words_of(audio(spelled("One ", 25)), audio(), audio(spelled("two.", 25)))
    assert words == [("One", 0.0, 0.075), ("two.", 0.2, 0.3)]


async def test_characters_that_come_for_all_with_the_first_audio() -> None:
    words = await words_of(
        audio(spelled("One two three four five. ", 30)), *[audio()] * 7, audio(spelled("Six.", 20))
    )
    assert words[:2] == [("One", 0.0, 0.09), ("two", 0.12, 0.21)]
    # The next piece begins when the first is over, as its characters say.
    assert words[-1][:2] == ("Six.", 0.8)


async def test_the_normalized_alignment_serves_where_there_is_no_other() -> None:
    words = await words_of(audio() | {"normalizedAlignment": spelled("One two.", 10)})
    assert [word for word, _, _ in words] == ["One", "two."]


@pytest.mark.parametrize(
    "told",
    [
        {"audio": "%%%"},
        {"audio": 7},
        audio({"chars": ["a"], "charStartTimesMs": [], "charDurationsMs": []}),
        audio({"chars": ["a"], "charStartTimesMs": ["x"], "charDurationsMs": [1]}),
        audio({"chars": ["a"]}),
        {"alignment": 7},
        {"isFinal": True},
    ],
)
async def test_messages_of_another_shape(told: dict[str, Any]) -> None:
    async def script(context_id: str, tell: Any, socket: Any) -> None:
        await tell(told)

    async with far_side(script) as tts:
        with pytest.raises(ProviderError) as caught:
            await say(tts)
    assert (caught.value.code, caught.value.retryable) == ("malformed", True)


@pytest.mark.parametrize(
    ("reason", "code", "retryable"),
    [
        ("This request exceeds your quota limit.", "quota", False),
        ("Invalid API key", "unauthorized", False),
        ("A voice with voice_id x does not exist.", "unknown_voice", False),
        ("Maximum simultaneous contexts per WebSocket connection exceeded (5).", "busy", True),
        ("Something else", "closed", True),
    ],
)
async def test_a_close_without_an_error_before_it(reason: str, code: str, retryable: bool) -> None:
    async def script(context_id: str, tell: Any, socket: websockets.ServerConnection) -> None:
        await socket.close(1008, reason)

    async with far_side(script) as tts:
        with pytest.raises(ProviderError) as caught:
            await say(tts)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert reason not in str(caught.value)


async def test_an_unknown_error_is_the_vendors() -> None:
    async def script(context_id: str, tell: Any, socket: websockets.ServerConnection) -> None:
        await socket.send(json.dumps({"message": TEXT, "error": "new_code", "code": 1008}))

    async with far_side(script) as tts:
        with pytest.raises(ProviderError) as caught:
            await say(tts)
    assert (caught.value.code, caught.value.retryable) == ("failed", True)
    assert TEXT not in str(caught.value)


async def test_audio_that_nobody_takes_is_bounded_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contexts, "MOST_UNREAD_BYTES", 20_000)

    async def script(context_id: str, tell: Any, socket: websockets.ServerConnection) -> None:
        for _ in range(50):
            await tell(audio())
        await tell({"isFinal": True})

    async with far_side(script) as tts:
        slow = tts.synthesize("One two.", TtsOptions(16000))
        await anext(slow)
        monkeypatch.setattr(contexts, "MOST_UNREAD_BYTES", 8 << 20)
        assert len(await say(tts)) == 50
        with pytest.raises(ProviderError) as caught:
            _ = [chunk async for chunk in slow]
        assert caught.value.code == "overlong"
