"""OpenAI's own client against the simulated transcription of files. Written for openai 3."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator

import openai
import pytest

from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from tests.testing.vendors.honest import KEY, is_honest

ROUTE = "openai.transcriptions"


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with asyncio.timeout(20), SimulatedVendors() as one:
        yield one


@pytest.fixture
async def client(vendors: SimulatedVendors) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{vendors.url}/v1", max_retries=0) as one:
        yield one


def sound(seconds: float = 1.0, rate_hz: int = 24_000) -> tuple[str, bytes]:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(bytes(2 * round(seconds * rate_hz)))
    return "said.wav", file.getvalue()


async def test_a_file_becomes_text(vendors: SimulatedVendors, client: openai.AsyncOpenAI) -> None:
    vendors.plans.set(ROUTE, Plan(text="My name is Ann."))
    said = await client.audio.transcriptions.create(model="gpt-4o-mini-transcribe", file=sound())
    assert said.text == "My name is Ann."
    assert said.usage is not None
    is_honest(said)
    plain = await client.audio.transcriptions.create(model="whisper-1", file=sound(), response_format="text")
    assert str(plain).strip() == "My name is Ann."
    long = await client.audio.transcriptions.create(
        model="whisper-1", file=sound(2.0), response_format="verbose_json"
    )
    is_honest(long)
    assert (long.text, long.duration, long.language) == ("My name is Ann.", 2.0, "english")
    assert vendors.world.asked(ROUTE)[0].body["model"] == "gpt-4o-mini-transcribe"


async def test_refusals_are_understood(vendors: SimulatedVendors, client: openai.AsyncOpenAI) -> None:
    transcribe = client.audio.transcriptions.create
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="sk-wrong").audio.transcriptions.create(
            model="whisper-1", file=sound()
        )
    with pytest.raises(openai.NotFoundError) as unknown:
        await transcribe(model="tape", file=sound())
    assert unknown.value.code == "model_not_found"
    vendors.plans.next(ROUTE, Plan(trouble=Trouble(Break.REFUSE, status=429, code="insufficient_quota")))
    with pytest.raises(openai.RateLimitError) as quota:
        await transcribe(model="whisper-1", file=sound())
    assert quota.value.code == "insufficient_quota"
    vendors.plans.next(ROUTE, Plan(trouble=Trouble(Break.CUT)))
    with pytest.raises(openai.APIConnectionError):
        await transcribe(model="whisper-1", file=sound())


async def test_silence_that_is_no_sound_has_no_words(client: openai.AsyncOpenAI) -> None:
    said = await client.audio.transcriptions.create(model="whisper-1", file=("x.wav", b"no sound"))
    assert said.text == ""
