"""The custom-voice protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from aywa.adapters.tts.custom_voice import CustomVoice
from aywa.ports.errors import ProviderError
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.vendors.plan import Plan
from aywa.testing.vendors.server import SimulatedVendors
from tests.contracts.tts import KEY, OTHER, TEXT, TtsContract, comes_true, sound


class TestContract(TtsContract):
    route = "custom-voice"
    mulaw = False
    framed = False
    shared = False
    voice = ""
    knows_models = False

    def make(self, url: str, key: str = KEY, **settings: Any) -> CustomVoice:
        return CustomVoice(f"{url}/custom-voice", {"Authorization": f"Bearer {key}"}, **settings)

    async def test_what_it_asks_for(self, vendors: SimulatedVendors) -> None:
        call = {"call": {"id": "c"}, "assistant": {"name": "a"}, "type": "nonsense"}
        tts = CustomVoice(f"{vendors.url}/custom-voice", {"X-Vapi-Secret": KEY}, call)
        try:
            await self.say(tts, OTHER, TtsOptions(16000))
        finally:
            await tts.close()
        (asked,) = vendors.world.asked(self.route)
        message = asked.body["message"]
        assert message.pop("timestamp") == pytest.approx(time.time() * 1000, abs=5000)
        assert asked.body == {
            "message": {
                "call": {"id": "c"},
                "assistant": {"name": "a"},
                "type": "voice-request",
                "text": OTHER,
                "sampleRate": 16000,
            }
        }
        assert asked.key_right

    async def test_a_file_in_place_of_samples(self, vendors: SimulatedVendors, tts: CustomVoice) -> None:
        vendors.plans.next(self.route, Plan(extra={"wav": True}))
        error = await self.fails(tts)
        assert (error.code, error.retryable) == ("not_a_stream", False)
        assert "WAV" in str(error)
        assert "without a header" in error.mend

    async def test_half_a_sample_at_the_end_is_no_sound(
        self, vendors: SimulatedVendors, tts: CustomVoice
    ) -> None:
        vendors.plans.next(self.route, Plan(extra={"odd": True}))
        assert sound(await self.say(tts)) == self.made(TEXT)

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
    async def test_an_answer_that_is_not_audio(
        self, content_type: str, vendors: SimulatedVendors, tts: CustomVoice
    ) -> None:
        vendors.plans.next(self.route, Plan(extra={"type": content_type}))
        error = await self.fails(tts)
        assert (error.code, error.retryable) == ("not_a_stream", False)
        assert "server.url" in error.mend

    @pytest.mark.parametrize("content_type", ["audio/pcm", "audio/l16; rate=8000", "binary/octet-stream"])
    async def test_samples_by_another_name(
        self, content_type: str, vendors: SimulatedVendors, tts: CustomVoice
    ) -> None:
        vendors.plans.next(self.route, Plan(extra={"type": content_type}))
        assert sound(await self.say(tts)) == self.made(TEXT)


@asynccontextmanager
async def far_side(*pieces: bytes) -> AsyncIterator[CustomVoice]:
    """A server that sends these pieces, each when the one before has surely arrived."""

    running: set[asyncio.Task[None]] = set()

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % sum(map(len, pieces))
        )
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(send(reader, writer))
        running.add(task)
        await asyncio.wait([task])
        # The client may have left.
        _ = task.exception()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        running.discard(task)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        tts = CustomVoice(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/voice?a=b")
        try:
            yield tts
        finally:
            await tts.close()
            await comes_true(lambda: not running)


async def say(tts: CustomVoice) -> list[TtsChunk]:
    async with asyncio.timeout(2):
        return [chunk async for chunk in tts.synthesize("One.", TtsOptions(8000))]


async def test_samples_that_are_cut_in_the_middle_are_put_together() -> None:
    pcm = bytes(range(1, 12))
    async with far_side(*(pcm[n : n + 1] for n in range(len(pcm)))) as tts:
        chunks = await say(tts)
    assert sound(chunks) == pcm[:-1]
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)


async def test_less_than_a_files_head_is_sound_too() -> None:
    async with far_side(b"\1", b"\0") as tts:
        assert sound(await say(tts)) == b"\1\0"


async def test_a_file_is_known_by_its_first_bytes_however_they_come() -> None:
    async with far_side(b"RI", b"F", b"F0000WAVE") as tts:
        with pytest.raises(ProviderError) as caught:
            await say(tts)
    assert caught.value.code == "not_a_stream"


async def test_no_sound_at_all_is_an_error() -> None:
    async with far_side(b"") as tts:
        with pytest.raises(ProviderError) as caught:
            await say(tts)
    assert (caught.value.code, caught.value.retryable) == ("malformed", True)
