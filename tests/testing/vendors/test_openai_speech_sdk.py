"""The vendor's own client accepts what the simulator of OpenAI's speech says."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError, RateLimitError

from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from aywa.testing.vendors.voice import spoken

TEXT = "Good morning, this is the clinic."
MODEL = "gpt-4o-mini-tts"


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as vendors:
        yield vendors


@pytest.fixture
async def client(vendors: SimulatedVendors) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="sim-key", base_url=f"{vendors.url}/v1", max_retries=0) as client:
        yield client


async def test_audio_is_streamed(vendors: SimulatedVendors, client: AsyncOpenAI) -> None:
    vendors.plans.next("openai.speech", Plan(realtime=50.0))
    async with client.audio.speech.with_streaming_response.create(
        input=TEXT, model=MODEL, voice="alloy", response_format="pcm", instructions="Softly.", speed=1.0
    ) as answer:
        assert answer.headers["content-type"] == "audio/pcm"
        pieces = [piece async for piece in answer.iter_bytes()]
    assert len(pieces) > 1
    assert b"".join(pieces) == spoken(TEXT, 24000)[0]
    assert vendors.world.asked("openai.speech")[0].body["instructions"] == "Softly."


async def test_a_wav_file(client: AsyncOpenAI) -> None:
    answer = await client.audio.speech.create(input=TEXT, model=MODEL, voice="alloy", response_format="wav")
    with wave.open(io.BytesIO(answer.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)
    assert answer.content.endswith(spoken(TEXT, 24000)[0])


async def test_errors(vendors: SimulatedVendors, client: AsyncOpenAI) -> None:
    async with AsyncOpenAI(api_key="wrong", base_url=f"{vendors.url}/v1", max_retries=0) as wrong:
        with pytest.raises(AuthenticationError) as caught:
            await wrong.audio.speech.create(input=TEXT, model=MODEL, voice="alloy")
        assert caught.value.code == "invalid_api_key"
    with pytest.raises(BadRequestError) as bad:
        await client.audio.speech.create(input=TEXT, model=MODEL, voice="nobody", response_format="pcm")
    assert (bad.value.code, bad.value.param) == ("invalid_value", "voice")
    with pytest.raises(NotFoundError) as unknown:
        await client.audio.speech.create(input=TEXT, model="unknown", voice="alloy")
    assert unknown.value.code == "model_not_found"
    vendors.plans.next(
        "openai.speech", Plan(trouble=Trouble(Break.REFUSE, status=429, code="insufficient_quota"))
    )
    with pytest.raises(RateLimitError) as quota:
        await client.audio.speech.create(input=TEXT, model=MODEL, voice="alloy")
    assert (quota.value.code, quota.value.type) == ("insufficient_quota", "insufficient_quota")
