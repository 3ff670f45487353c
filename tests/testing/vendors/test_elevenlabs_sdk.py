"""The vendor's own client accepts what the simulator of ElevenLabs says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
import websockets
from elevenlabs import (
    AudioOutputMulti,
    CloseContext,
    FinalOutputMulti,
    FlushContext,
    InitializeConnectionMulti,
    RealtimeVoiceSettings,
    SendTextMulti,
    VoiceSettings,
)
from elevenlabs.client import AsyncElevenLabs, ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.core.pydantic_utilities import parse_obj_as

from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from aywa.testing.vendors.voice import spoken

KEY = "sim-key"
TEXT = "Good morning, this is the clinic."


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors() as vendors:
        yield vendors


@pytest.fixture
async def client(vendors: SimulatedVendors) -> AsyncIterator[AsyncElevenLabs]:
    client = AsyncElevenLabs(api_key=KEY, base_url=vendors.url)
    yield client
    await client._client_wrapper.httpx_client.httpx_client.aclose()


async def test_a_text_over_http(client: AsyncElevenLabs) -> None:
    for name, rate_hz, mulaw in (("pcm_16000", 16000, False), ("ulaw_8000", 8000, True)):
        pieces = client.text_to_speech.stream(
            "sim-voice", text=TEXT, output_format=name, model_id="eleven_flash_v2_5"
        )
        audio = b"".join([piece async for piece in pieces])
        pcm, _ = spoken(TEXT, rate_hz)
        assert audio == (pcm_to_mulaw(pcm) if mulaw else pcm)


async def test_what_a_key_check_asks(client: AsyncElevenLabs) -> None:
    assert [voice.voice_id for voice in (await client.voices.get_all()).voices] == ["sim-voice"]
    assert (await client.user.get()).subscription.tier == "creator"
    assert (await client.user.subscription.get()).character_limit == 100_000


async def test_errors_over_http(vendors: SimulatedVendors, client: AsyncElevenLabs) -> None:
    wrong = AsyncElevenLabs(api_key="wrong", base_url=vendors.url)
    try:
        with pytest.raises(ApiError) as caught:
            await wrong.voices.get_all()
        assert (caught.value.status_code, caught.value.body["detail"]["status"]) == (401, "invalid_api_key")
    finally:
        await wrong._client_wrapper.httpx_client.httpx_client.aclose()
    vendors.plans.next(
        "elevenlabs.speech", Plan(trouble=Trouble(Break.REFUSE, status=401, code="quota_exceeded"))
    )
    with pytest.raises(ApiError) as caught:
        _ = [
            piece
            async for piece in client.text_to_speech.stream("sim-voice", text=TEXT, output_format="pcm_16000")
        ]
    assert caught.value.body["detail"]["status"] == "quota_exceeded"
    with pytest.raises(ApiError) as caught:
        _ = [
            piece
            async for piece in client.text_to_speech.stream("unknown", text=TEXT, output_format="pcm_16000")
        ]
    assert caught.value.body["detail"]["status"] == "voice_id_does_not_exist"


# The client looks at how the connection was closed in a way that its own library advises against.
@pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated:DeprecationWarning")
async def test_text_as_it_is_written_over_one_stream(vendors: SimulatedVendors) -> None:
    client = ElevenLabs(api_key=KEY, base_url=vendors.url)
    realtime: Any = client.text_to_speech
    # The client always asks for TLS.
    realtime._ws_base_url = vendors.url.replace("http", "ws")

    def words() -> Iterator[str]:
        yield from (f"{word} " for word in TEXT.split())

    def speak() -> bytes:
        return b"".join(
            realtime.convert_realtime(
                "sim-voice",
                text=words(),
                model_id="eleven_flash_v2_5",
                output_format="pcm_16000",
                voice_settings=VoiceSettings(stability=0.5),
            )
        )

    try:
        assert await asyncio.to_thread(speak) == spoken(TEXT, 16000)[0]
    finally:
        client._client_wrapper.httpx_client.httpx_client.close()


async def test_contexts_in_the_clients_own_types(vendors: SimulatedVendors) -> None:
    url = (
        vendors.url.replace("http", "ws")
        + "/v1/text-to-speech/sim-voice/multi-stream-input?model_id=eleven_flash_v2_5&output_format=ulaw_8000&sync_alignment=true"
    )
    texts = {"one": TEXT, "two": "Please hold the line."}
    heard = dict.fromkeys(texts, b"")
    letters = dict.fromkeys(texts, "")
    ended: list[str] = []
    async with websockets.connect(url, additional_headers={"xi-api-key": KEY}) as socket:
        for name, text in texts.items():
            settings = RealtimeVoiceSettings(stability=0.4, similarity_boost=0.8)
            for message in (
                InitializeConnectionMulti(text=" ", context_id=name, voice_settings=settings),
                SendTextMulti(text=text + " ", context_id=name),
                FlushContext(context_id=name, flush=True),
                CloseContext(context_id=name, close_context=True),
            ):
                await socket.send(message.json(exclude_none=True))
        while len(ended) < len(texts):
            raw = json.loads(await socket.recv())
            if raw.get("isFinal"):
                final = parse_obj_as(FinalOutputMulti, raw)
                assert final.is_final
                assert final.context_id is not None
                ended.append(final.context_id)
                continue
            output = parse_obj_as(AudioOutputMulti, raw)
            assert output.context_id is not None
            heard[output.context_id] += base64.b64decode(output.audio)
            if (alignment := output.alignment) is not None:
                assert alignment.chars is not None
                assert alignment.char_start_times_ms is not None
                assert alignment.char_durations_ms is not None
                assert len(alignment.chars) == len(alignment.char_start_times_ms)
                assert len(alignment.chars) == len(alignment.char_durations_ms)
                letters[output.context_id] += "".join(alignment.chars)
        await socket.send(json.dumps({"close_socket": True}))
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
    assert heard == {name: pcm_to_mulaw(spoken(text, 8000)[0]) for name, text in texts.items()}
    assert {name: said.split() for name, said in letters.items()} == {
        name: text.split() for name, text in texts.items()
    }


@pytest.mark.parametrize(
    ("key", "voice", "code"),
    [("wrong", "sim-voice", "invalid_api_key"), (KEY, "unknown", "voice_id_does_not_exist")],
)
async def test_errors_are_messages_before_a_close(
    vendors: SimulatedVendors, key: str, voice: str, code: str
) -> None:
    url = vendors.url.replace("http", "ws") + f"/v1/text-to-speech/{voice}/multi-stream-input"
    async with websockets.connect(url, additional_headers={"xi-api-key": key}) as socket:
        with suppress(websockets.ConnectionClosed):
            await socket.send(json.dumps({"text": " ", "context_id": "one"}))
        error = json.loads(await socket.recv())
        assert (error["error"], error["code"]) == (code, 1008)
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008
