"""Deepgram's own client against the simulator: what it accepts is what we imitate. Written for deepgram-sdk 7."""

from __future__ import annotations

import asyncio
import importlib
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np
import pytest

with warnings.catch_warnings():
    # The SDK imports what the websockets package has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    for version in ("v1", "v2"):
        importlib.import_module(f"deepgram.listen.{version}.client")
    from deepgram import AsyncDeepgramClient
    from deepgram.core.api_error import ApiError
    from deepgram.environment import DeepgramClientEnvironment
    from deepgram.listen.v1.types.listen_v1configure import ListenV1Configure
    from deepgram.listen.v1.types.listen_v1configure_success import ListenV1ConfigureSuccess
    from deepgram.listen.v1.types.listen_v1error import ListenV1Error
    from deepgram.listen.v1.types.listen_v1metadata import ListenV1Metadata
    from deepgram.listen.v1.types.listen_v1results import ListenV1Results
    from deepgram.listen.v1.types.listen_v1speech_started import ListenV1SpeechStarted
    from deepgram.listen.v1.types.listen_v1utterance_end import ListenV1UtteranceEnd
    from deepgram.listen.v2.types.listen_v2configure import ListenV2Configure
    from deepgram.listen.v2.types.listen_v2configure_success import ListenV2ConfigureSuccess
    from deepgram.listen.v2.types.listen_v2connected import ListenV2Connected
    from deepgram.listen.v2.types.listen_v2fatal_error import ListenV2FatalError
    from deepgram.listen.v2.types.listen_v2turn_info import ListenV2TurnInfo

from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from tests.testing.vendors.honest import KEY, is_honest

QUICK = {"partial_s": 0.02, "lag_s": 0.05, "finalize_s": 0.01, "final_s": 0.2}
SAID = Plan(extra={"sentences": ["Hello, this is Ann."], **QUICK})
FRAME = 160
TONE = pcm_to_mulaw((8000 * np.sin(np.arange(FRAME) * 2 * np.pi * 300 / 8000)).astype("<i2").tobytes())
QUIET = pcm_to_mulaw(bytes(2 * FRAME))


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with asyncio.timeout(20), SimulatedVendors() as one:
        one.plans.set("deepgram.listen", SAID)
        one.plans.set("deepgram.flux", SAID)
        yield one


@pytest.fixture
async def connect(vendors: SimulatedVendors) -> AsyncIterator[Callable[..., Any]]:
    async with httpx.AsyncClient() as http:

        def client(key: str = KEY) -> AsyncDeepgramClient:
            url = vendors.url.replace("http", "ws")
            where = DeepgramClientEnvironment(
                base=vendors.url, production=url, agent=url, agent_rest=vendors.url
            )
            return AsyncDeepgramClient(api_key=key, environment=where, httpx_client=http)

        yield client


async def speak(socket: Any, seconds: float, sound: bytes) -> None:
    for _ in range(round(seconds / 0.02)):
        await socket.send_media(sound)
        await asyncio.sleep(0.002)


class Taker:
    """Takes every message as the SDK reads it, and holds it against the SDK's type."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.got: list[Any] = []
        self._task = asyncio.ensure_future(self._take())

    async def _take(self) -> None:
        async for message in self.socket:
            is_honest(message)
            self.got.append(message)

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.got if isinstance(message, kind)]

    async def until(self, met: Callable[[], Any]) -> Any:
        while not (found := met()):
            if self._task.done():
                self._task.result()
            await speak(self.socket, 0.02, QUIET)
        return found

    async def over(self) -> None:
        await self._task


V1 = {
    "model": "nova-3",
    "encoding": "mulaw",
    "sample_rate": 8000,
    "interim_results": True,
    "punctuate": True,
    "vad_events": True,
    "utterance_end_ms": 1000,
}
V2 = {"model": "flux-general-en", "encoding": "mulaw", "sample_rate": 8000}


async def test_everything_that_nova_says_is_understood(connect: Callable[..., Any]) -> None:
    async with connect().listen.v1.connect(**V1) as socket:
        taker = Taker(socket)
        await speak(socket, 1.5, TONE)
        (final, *_) = await taker.until(lambda: [r for r in taker.of(ListenV1Results) if r.is_final])
        assert final.channel.alternatives[0].transcript == "Hello, this is Ann."
        assert final.channel.alternatives[0].words[0].word == "hello"
        assert final.channel.alternatives[0].words[0].punctuated_word == "Hello,"
        assert (final.speech_final, final.from_finalize) == (True, False)
        assert any(r.is_final is False for r in taker.of(ListenV1Results))
        (started,) = taker.of(ListenV1SpeechStarted)
        assert started.timestamp == 0.0
        (ended,) = await taker.until(lambda: taker.of(ListenV1UtteranceEnd))
        assert ended.last_word_end == pytest.approx(1.5, abs=0.05)
        await speak(socket, 0.8, TONE)
        await socket.send_finalize()
        (asked,) = await taker.until(lambda: [r for r in taker.of(ListenV1Results) if r.from_finalize])
        assert asked.is_final is True
        assert asked.speech_final is False
        assert "Hello" in asked.channel.alternatives[0].transcript
        await socket.send_keep_alive()
        await socket.send_configure(ListenV1Configure(keyterms=["Ann"]))
        await taker.until(lambda: taker.of(ListenV1ConfigureSuccess))
        await socket._websocket.send('{"type": "Nonsense"}')
        (error,) = await taker.until(lambda: taker.of(ListenV1Error))
        assert error.variant == "SchemaError"
        await socket.send_close_stream()
        await taker.over()
        (metadata,) = taker.of(ListenV1Metadata)
        assert metadata.duration > 2.5


async def test_everything_that_flux_says_is_understood(connect: Callable[..., Any]) -> None:
    async with connect().listen.v2.connect(**V2, eager_eot_threshold=0.5) as socket:
        taker = Taker(socket)
        await taker.until(lambda: taker.of(ListenV2Connected))

        def events() -> list[str]:
            return [info.event for info in taker.of(ListenV2TurnInfo)]

        await speak(socket, 1.5, TONE)
        await taker.until(lambda: "EagerEndOfTurn" in events())
        await speak(socket, 0.3, TONE)
        await taker.until(lambda: "EndOfTurn" in events())
        for event in ("Update", "StartOfTurn", "TurnResumed"):
            assert event in events()
        last = next(info for info in taker.of(ListenV2TurnInfo) if info.event == "EndOfTurn")
        assert (last.transcript, last.trigger, last.turn_index) == ("Hello, this is Ann.", "model", 0)
        assert [word.word for word in last.words] == ["Hello,", "this", "is", "Ann."]
        assert [message.sequence_id for message in taker.got] == list(range(len(taker.got)))
        await speak(socket, 1.2, QUIET)
        await speak(socket, 0.7, TONE)
        await socket.send_force_end_turn()
        (forced,) = await taker.until(
            lambda: [info for info in taker.of(ListenV2TurnInfo) if info.trigger == "manual"]
        )
        assert forced.turn_index == 1
        await socket.send_configure(ListenV2Configure(keyterms=["Ann"]))
        await taker.until(lambda: taker.of(ListenV2ConfigureSuccess))
        await socket.send_close_stream()
        await taker.over()


async def test_an_order_that_flux_cannot_read_is_the_end(connect: Callable[..., Any]) -> None:
    async with connect().listen.v2.connect(**V2) as socket:
        taker = Taker(socket)
        await socket._websocket.send("no JSON")
        await taker.over()
        (error,) = taker.of(ListenV2FatalError)
        assert error.code == "UNPARSABLE_CLIENT_MESSAGE"


async def test_refusals_are_understood(vendors: SimulatedVendors, connect: Callable[..., Any]) -> None:
    for version, query, route in (("v1", V1, "deepgram.listen"), ("v2", V2, "deepgram.flux")):
        with pytest.raises(ApiError) as wrong_key:
            async with getattr(connect("nonsense").listen, version).connect(**query):
                pass
        assert wrong_key.value.status_code == 401
        vendors.plans.next(route, Plan(trouble=Trouble(Break.REFUSE, status=429)))
        with pytest.raises(ApiError) as too_many:
            async with getattr(connect().listen, version).connect(**query):
                pass
        assert too_many.value.status_code == 429
        with pytest.raises(ApiError) as unknown:
            async with getattr(connect().listen, version).connect(**{**query, "model": "tape"}):
                pass
        assert unknown.value.status_code == 400
