"""The vendor's own client accepts what the simulator of Cartesia says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from cartesia import AsyncCartesia, AuthenticationError, NotFoundError, RateLimitError

from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from aywa.testing.vendors.voice import spoken

KEY = "sim-key"
TEXT = "Good morning, this is the clinic."
OTHER = "Please hold the line."
TELEPHONE: Any = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}
PCM: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as vendors:
        yield vendors


def client_of(vendors: SimulatedVendors, key: str = KEY) -> AsyncCartesia:
    socket_url = vendors.url.replace("http", "ws")
    return AsyncCartesia(api_key=key, base_url=vendors.url, websocket_base_url=socket_url, max_retries=0)


@pytest.fixture
async def client(vendors: SimulatedVendors) -> AsyncIterator[AsyncCartesia]:
    async with client_of(vendors) as client:
        yield client


async def test_texts_of_a_context_with_flushes_between_them(client: AsyncCartesia) -> None:
    async with client.tts.websocket_connect() as connection:
        context = connection.context(
            model_id="sonic-3", voice={"id": "sim-voice"}, output_format=TELEPHONE, add_timestamps=True
        )
        await context.push(TEXT + " ")
        await context.push("", flush=True)
        await context.push(OTHER)
        await context.no_more_inputs()
        audio: dict[int, bytes] = {}
        words: list[str] = []
        starts: list[float] = []
        kinds: list[str] = []
        async for event in context.receive():
            kinds.append(event.type)
            if event.type == "chunk":
                assert event.flush_id is not None
                assert event.audio is not None
                audio[event.flush_id] = audio.get(event.flush_id, b"") + event.audio
            elif event.type == "timestamps":
                assert event.word_timestamps is not None
                words += event.word_timestamps.words
                starts += event.word_timestamps.start
            elif event.type == "flush_done":
                assert (event.flush_id, event.flush_done, event.done) == (1, True, False)
    assert kinds[-1] == "done"
    assert kinds.count("flush_done") == 1
    assert audio == {
        1: pcm_to_mulaw(spoken(TEXT, 8000)[0]),
        2: pcm_to_mulaw(spoken(OTHER, 8000)[0]),
    }
    assert words == f"{TEXT} {OTHER}".split()
    assert starts == sorted(starts)


async def test_contexts_at_once_and_a_cancelled_one(vendors: SimulatedVendors, client: AsyncCartesia) -> None:
    vendors.plans.next("cartesia.websocket", Plan(realtime=1.0))
    async with client.tts.websocket_connect() as connection:
        settings: Any = {"model_id": "sonic-3", "voice": "sim-voice", "output_format": PCM}
        left = connection.context(**settings)
        other = connection.context(**settings)
        await left.push(TEXT)
        await other.push(OTHER)
        await other.no_more_inputs()
        await left.cancel()
        audio = b""
        async for event in other.receive():
            if event.type == "chunk":
                audio += event.audio or b""
        assert audio == spoken(OTHER, 16000)[0]
    assert vendors.world.asked("cartesia.websocket")[0].ended == "left"


async def test_an_error_event(client: AsyncCartesia) -> None:
    async with client.tts.websocket_connect() as connection:
        context = connection.context(model_id="sonic-3", voice={"id": "unknown"}, output_format=PCM)
        await context.push(TEXT)
        events = [event async for event in context.receive()]
    error = events[-1]
    assert error.type == "error"
    assert (error.error_code, error.status_code, error.done) == ("voice_not_found", 404, True)
    assert error.title
    assert error.request_id


async def test_bytes_and_voices(client: AsyncCartesia) -> None:
    answer = await client.tts.generate(
        model_id="sonic-3", voice={"id": "sim-voice"}, output_format=PCM, transcript=TEXT
    )
    assert await answer.read() == spoken(TEXT, 16000)[0]
    assert [voice.id async for voice in client.voices.list()] == ["sim-voice"]


async def test_errors_over_http(vendors: SimulatedVendors, client: AsyncCartesia) -> None:
    async with client_of(vendors, "wrong") as wrong:
        with pytest.raises(AuthenticationError) as caught:
            await wrong.voices.list()
        assert caught.value.status_code == 401
    vendors.plans.next("cartesia.bytes", Plan(trouble=Trouble(Break.REFUSE, status=429)))
    with pytest.raises(RateLimitError):
        await client.tts.generate(
            model_id="sonic-3", voice={"id": "sim-voice"}, output_format=PCM, transcript=TEXT
        )
    with pytest.raises(NotFoundError):
        await client.tts.generate(
            model_id="unknown", voice={"id": "sim-voice"}, output_format=PCM, transcript=TEXT
        )
