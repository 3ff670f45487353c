"""Cartesia's wire."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from aywa.adapters.tts import cartesia
from aywa.adapters.tts.cartesia import VERSION, CartesiaTts
from aywa.ports.errors import ProviderError
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from tests.contracts.tts import KEY, OTHER, TEXT, VOICE, TtsContract, sound

PCM = b"\x01\x00" * 1600


class TestContract(TtsContract):
    route = "cartesia.websocket"

    def make(self, url: str, key: str = KEY, **settings: Any) -> CartesiaTts:
        return CartesiaTts(key, url, **settings)

    async def test_a_reply_is_one_context_with_an_end_for_each_clause(
        self, vendors: SimulatedVendors, tts: CartesiaTts
    ) -> None:
        extra = {"generationConfig": {"volume": 9, "emotion": "calm"}, "pronunciationDictId": "d"}
        options = TtsOptions(8000, VOICE, "de-DE", 1.2, "reply", True, extra)
        await self.say(tts, TEXT, options)
        await self.say(tts, OTHER, options)
        (asked,) = vendors.world.asked(self.route)
        first, flush, second, again = asked.messages
        assert first == {
            "model_id": "sonic-3",
            "voice": {"mode": "id", "id": VOICE},
            "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
            "add_timestamps": True,
            "use_normalized_timestamps": False,
            "max_buffer_delay_ms": 0,
            "language": "de",
            "generation_config": {"speed": 1.2, "volume": 2.0, "emotion": "calm"},
            "pronunciation_dict_id": "d",
            "context_id": first["context_id"],
            "transcript": TEXT + " ",
            "continue": True,
        }
        assert flush == {**first, "transcript": "", "flush": True}
        assert second == {**first, "transcript": OTHER + " "}
        assert again == flush
        (connected,) = vendors.world.asked("cartesia.connect")
        assert connected.headers["cartesia-version"] == VERSION
        assert connected.key_right

    async def test_what_stands_alone_is_a_context_that_ends(
        self, vendors: SimulatedVendors, tts: CartesiaTts
    ) -> None:
        await self.say(tts)
        (asked,) = vendors.world.asked(self.route)
        (message,) = asked.messages
        assert (message["transcript"], message["continue"]) == (TEXT, False)
        assert asked.ended == "whole"

    async def test_an_expired_context_is_not_continued(
        self, vendors: SimulatedVendors, tts: CartesiaTts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cartesia, "CONTINUE_WITHIN_S", 0.01)
        options = self.options(context="reply", more=True)
        await self.say(tts, TEXT, options)
        await asyncio.sleep(0.02)
        chunks = await self.say(tts, OTHER, options)
        assert sound(chunks) == self.made(OTHER)
        first, second = vendors.world.asked(self.route)
        assert first.messages[0]["context_id"] != second.messages[0]["context_id"]
        # Nothing waits for the first to expire by itself.
        assert first.messages[-1] == {"cancel": True}

    async def test_a_handshake_that_is_refused_says_why(
        self, vendors: SimulatedVendors, tts: CartesiaTts
    ) -> None:
        vendors.plans.next("cartesia.connect", Plan(trouble=Trouble(Break.REFUSE, status=402)))
        assert (await self.fails(tts)).code == "quota"
        vendors.plans.next("cartesia.connect", Plan(trouble=Trouble(Break.REFUSE, status=503)))
        assert (await self.fails(tts)).retryable
        vendors.plans.next("cartesia.connect", Plan(trouble=Trouble(Break.HTML)))
        assert (await self.fails(tts)).code == "refused"

    async def test_a_rate_that_it_has_not(self, tts: CartesiaTts) -> None:
        assert (await self.fails(tts, options=self.options(11025))).code == "bad_request"

    async def test_no_voice(self, tts: CartesiaTts) -> None:
        error = await self.fails(tts, options=TtsOptions(8000))
        assert error.code == "unknown_voice"


Answer = Callable[[dict[str, Any], Callable[[dict[str, Any]], Awaitable[None]]], Awaitable[None]]


@asynccontextmanager
async def far_side(answer: Answer) -> AsyncIterator[CartesiaTts]:
    """A vendor that answers each input as the test says."""

    async def talk(socket: websockets.ServerConnection) -> None:
        async for raw in socket:
            message = json.loads(raw)

            async def tell(told: dict[str, Any], to: str = message["context_id"]) -> None:
                await socket.send(json.dumps({"context_id": to, "status_code": 206, "done": False} | told))

            await answer(message, tell)

    async with websockets.serve(talk, "127.0.0.1", 0) as server:
        tts = CartesiaTts(KEY, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", voice=VOICE)
        try:
            yield tts
        finally:
            await tts.close()


def chunk(pcm: bytes = PCM) -> dict[str, Any]:
    return {"type": "chunk", "data": base64.b64encode(pcm).decode()}


def times(*words: tuple[str, float, float]) -> dict[str, Any]:
    names, starts, ends = zip(*words, strict=True)
    return {"type": "timestamps", "word_timestamps": {"words": names, "start": starts, "end": ends}}


async def say(tts: CartesiaTts, text: str = "One two.", **more: Any) -> list[TtsChunk]:
    async with asyncio.timeout(2):
        return [chunk async for chunk in tts.synthesize(text, TtsOptions(16000, **more))]


async def test_times_that_begin_anew_with_each_flush_are_understood_too() -> None:
    async def answer(message: dict[str, Any], tell: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if message["transcript"]:
            await tell(times(("One", 0.0, 0.04), ("two.", 0.05, 0.09)))
            await tell(chunk())
        else:
            await tell({"type": "flush_done", "flush_done": True, "flush_id": 1})

    async with far_side(answer) as tts:
        for _ in range(2):
            chunks = await say(tts, context="reply", more=True)
            assert [(word.start_s, word.end_s) for word in chunks[0].words] == [(0.0, 0.04), (0.05, 0.09)]


async def test_words_that_come_after_their_audio_are_not_lost() -> None:
    async def answer(message: dict[str, Any], tell: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        await tell(chunk())
        await tell(times(("One", 0.01, 0.04)))
        await tell(chunk())
        await tell(times(("two.", 0.12, 9.0)))
        await tell({"type": "phoneme_timestamps"})
        await tell({"type": "something new"})
        await tell({"type": "done", "done": True})

    async with far_side(answer) as tts:
        chunks = await say(tts)
    assert [len(chunk.words) for chunk in chunks] == [0, 1, 1]
    assert chunks[-1].pcm == b""
    # A vendor's word does not last longer than its audio.
    assert chunks[-1].words[0].end_s == 0.2


@pytest.mark.parametrize("last", [{"type": "done", "done": True}, {"type": "error", "status_code": 400}])
async def test_a_context_that_expires_under_a_text_is_made_again(last: dict[str, Any]) -> None:
    began: list[str] = []

    async def answer(message: dict[str, Any], tell: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if not message["transcript"]:
            await tell({"type": "flush_done", "flush_done": True, "flush_id": 1})
        elif message["context_id"] in began:
            await tell(last)
        else:
            began.append(message["context_id"])
            await tell(chunk())

    async with far_side(answer) as tts:
        for _ in range(2):
            assert sound(await say(tts, context="reply", more=True)) == PCM
        assert len(began) == 2
        assert tts.connections == 1


@pytest.mark.parametrize(
    "told",
    [
        {"type": "chunk", "data": "%%%"},
        {"type": "chunk", "data": 7},
        {"type": "chunk"},
        {"type": "timestamps", "word_timestamps": {"words": ["a"], "start": [], "end": []}},
        {"type": "timestamps", "word_timestamps": {"words": ["a"], "start": ["x"], "end": [1]}},
        {"type": "timestamps", "word_timestamps": []},
        {"type": "done", "done": True},
    ],
)
async def test_messages_of_another_shape(told: dict[str, Any]) -> None:
    async def answer(message: dict[str, Any], tell: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if "cancel" not in message:
            await tell(told)

    async with far_side(answer) as tts:
        with pytest.raises(ProviderError) as caught:
            await say(tts)
    assert (caught.value.code, caught.value.retryable) == ("malformed", True)


@pytest.mark.parametrize(
    ("told", "code", "retryable"),
    [
        ({"error_code": "voice_not_found", "status_code": 404}, "unknown_voice", False),
        ({"error_code": "new_code", "status_code": 401}, "unauthorized", False),
        ({"error_code": None, "status_code": 400}, "bad_request", False),
        ({"error_code": None, "status_code": 500}, "failed", True),
        ({}, "failed", True),
        ({"status_code": "x"}, "failed", True),
    ],
)
async def test_error_events(told: dict[str, Any], code: str, retryable: bool) -> None:
    async def answer(message: dict[str, Any], tell: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        await tell({"type": "error", "done": True, "status_code": None, "message": TEXT} | told)

    async with far_side(answer) as tts:
        with pytest.raises(ProviderError) as caught:
            await say(tts)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert TEXT not in str(caught.value)


async def test_an_error_that_is_nobodys_is_everybodys() -> None:
    async def answer(message: dict[str, Any], tell: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if message["transcript"] == "Fail.":
            await tell({"type": "error", "status_code": 429, "context_id": None})

    async with far_side(answer) as tts:
        both = await asyncio.gather(say(tts), say(tts, "Fail."), return_exceptions=True)
        assert [getattr(error, "code", None) for error in both] == ["rate_limited", "rate_limited"]
        assert tts.connections == 1
