"""The simulated recognisers' ear, pace and real recogniser; the vendors' words for it are in the SDKs' tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest

from aywa.ports.stt import SttResult
from aywa.testing.scripted_providers import ScriptedStt
from aywa.testing.vendors.hearing import Ear, Pace
from aywa.testing.vendors.openai_transcriptions import transcribed
from aywa.testing.vendors.plan import Plan
from aywa.testing.vendors.server import SimulatedVendors

RATE_HZ = 8000


def tone(seconds: float, amplitude: float = 8000) -> bytes:
    t = np.arange(round(RATE_HZ * seconds)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * 300 * t)).astype("<i2").tobytes()


def texts(ear: Ear, count: int) -> list[str]:
    return [word.text for word in ear.words[:count]]


# --- the ear -----------------------------------------------------------------------------------------------------


def test_words_come_with_voice_and_not_before() -> None:
    ear = Ear(RATE_HZ, ["one two three", "four"])
    ear.hear(bytes(2 * RATE_HZ))
    ear.hear(tone(1.0, 10))
    assert (ear.words, ear.voiced) == ([], False)
    ear.hear(tone(0.7))
    assert ear.voiced
    assert ear.voice_began_s == pytest.approx(2.0)
    assert texts(ear, ear.said()) == ["one", "two"]
    assert texts(ear, ear.shown(0.25)) == ["one"]
    # The voice ends before its last word was due: then that is said too.
    ear.hear(bytes(round(2 * RATE_HZ * 0.06)))
    assert not ear.voiced
    assert texts(ear, ear.said()) == ["one", "two", "three"]
    assert ear.words[-1].end_s == pytest.approx(2.7)


def test_a_pause_ends_no_sentence_and_a_long_one_begins_the_next() -> None:
    timed = [("one", 0.0, 0.4), ("two", 0.9, 1.3)]
    ear = Ear(RATE_HZ, [timed, "three"])
    ear.hear(tone(0.4) + bytes(2 * round(RATE_HZ * 0.5)) + tone(0.4))
    assert texts(ear, len(ear.words)) == ["one", "two"]
    ear.hear(bytes(2 * RATE_HZ) + tone(0.4))
    assert texts(ear, ear.said()) == ["one", "two", "three"]
    ear.hear(bytes(2 * RATE_HZ) + tone(0.4))
    assert texts(ear, ear.said())[3:] == ["one"]


def test_audio_may_come_in_pieces_of_any_size() -> None:
    whole, pieces = Ear(RATE_HZ, ["one two"]), Ear(RATE_HZ, ["one two"])
    sound = bytes(RATE_HZ) + tone(0.5) + bytes(RATE_HZ)
    whole.hear(sound)
    for at in range(0, len(sound), 34):
        pieces.hear(sound[at : at + 34])
    assert pieces.words == whole.words
    assert pieces.heard_s == pytest.approx(whole.heard_s)


def test_words_may_stand_in_the_audio_already() -> None:
    ear = Ear.of(RATE_HZ, Plan(extra={"words": [["one", 0.1, 0.4], ["two", 0.5, 0.9]]}), "not this")
    ear.hear(bytes(2 * round(RATE_HZ * 0.5)))
    assert texts(ear, ear.said()) == ["one"]
    assert Pace.of({"lag_s": 0.1, "other": 1}) == Pace(lag_s=0.1)


# --- its pace, on a clock of its own -----------------------------------------------------------------------------


@asynccontextmanager
async def nova(vendors: SimulatedVendors) -> AsyncIterator[tuple[Any, list[tuple[float, Any]]]]:
    """A connection, and what came over it, each with the time."""
    loop = asyncio.get_running_loop()
    told: list[tuple[float, Any]] = []
    url = f"{vendors.url}/v1/listen?model=nova-3&encoding=linear16&sample_rate={RATE_HZ}&interim_results=true"
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, headers={"Authorization": "Token sim-x"}) as socket,
    ):

        async def take() -> None:
            async for message in socket:
                told.append((loop.time(), json.loads(message.data)))  # noqa: PERF401 - each with its time

        taking = asyncio.ensure_future(take())
        yield socket, told
        await socket.close()
        await taking


async def feed(socket: Any, pcm: bytes) -> None:
    step = round(RATE_HZ * 0.02) * 2
    for at in range(0, len(pcm), step):
        await socket.send_bytes(pcm[at : at + step])
        await asyncio.sleep(0.02)


def said(message: Any) -> str:
    return str(message["channel"]["alternatives"][0]["transcript"])


@pytest.mark.virtual_time
async def test_partials_lag_and_finals_follow_the_voice() -> None:
    loop = asyncio.get_running_loop()
    async with SimulatedVendors() as vendors:
        words = [[f"w{i}", i * 0.3, i * 0.3 + 0.3] for i in range(8)]
        vendors.plans.set("deepgram.listen", Plan(extra={"sentences": [words]}))
        async with nova(vendors) as (socket, told):
            began_s = loop.time()
            await feed(socket, tone(2.4) + bytes(2 * RATE_HZ))
        partials = [(at - began_s, said(m)) for at, m in told if not m["is_final"]]
        (final,) = [(at - began_s, m) for at, m in told if m["is_final"]]
        for at_s, text in partials:
            # Each word is over since 0.25 s.
            assert at_s >= len(text.split()) * 0.3 + 0.25 - 0.02
        assert 4 <= len(partials) <= 10
        assert said(final[1]) == " ".join(f"w{i}" for i in range(8))
        assert final[0] == pytest.approx(2.4 + 0.3, abs=0.06)
        assert final[1]["speech_final"] is True


@pytest.mark.virtual_time
async def test_asked_in_the_middle_it_keeps_the_rest() -> None:
    loop = asyncio.get_running_loop()
    async with SimulatedVendors() as vendors:
        words = [[f"w{i}", i * 0.3, i * 0.3 + 0.3] for i in range(8)]
        vendors.plans.set("deepgram.listen", Plan(extra={"sentences": [words]}))
        async with nova(vendors) as (socket, told):
            await feed(socket, tone(1.2))
            asked_s = loop.time()
            await socket.send_str('{"type": "Finalize"}')
            await feed(socket, tone(1.2) + bytes(2 * RATE_HZ))
        first, second = [(at, m) for at, m in told if m["is_final"]]
        assert first[1]["from_finalize"] is True
        assert said(first[1]) == "w0 w1 w2 w3"
        assert first[0] - asked_s == pytest.approx(0.1, abs=0.03)
        assert (said(second[1]), second[1]["from_finalize"]) == ("w4 w5 w6 w7", False)


@pytest.mark.virtual_time
async def test_nothing_new_may_go_unanswered() -> None:
    for extra, answers in (({}, 1), ({"finalize_empty": "silent"}, 0)):
        async with SimulatedVendors() as vendors:
            vendors.plans.set("deepgram.listen", Plan(extra=extra))
            async with nova(vendors) as (socket, told):
                await feed(socket, bytes(RATE_HZ))
                await socket.send_str('{"type": "Finalize"}')
                await feed(socket, bytes(RATE_HZ))
            assert [said(m) for _, m in told] == [""] * answers


@pytest.mark.virtual_time
async def test_a_connection_that_nothing_comes_over_is_closed() -> None:
    loop = asyncio.get_running_loop()
    async with SimulatedVendors() as vendors, nova(vendors) as (socket, _):
        began_s = loop.time()
        await socket.send_str('{"type": "KeepAlive"}')
        while not socket.closed:  # noqa: ASYNC110 - it will be
            await asyncio.sleep(0.5)
        assert socket.close_code == 1011
        assert 15 < loop.time() - began_s < 25


# --- a real recogniser behind it ---------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_a_real_recogniser_is_heard_over_the_vendors_wire() -> None:
    stt = ScriptedStt()
    async with SimulatedVendors(stt=stt) as vendors, nova(vendors) as (socket, told):
        await feed(socket, tone(0.5))
        stt.stream.say("hello")
        await feed(socket, tone(0.1))
        stt.stream.say("there")
        await socket.send_str('{"type": "Finalize"}')
        await feed(socket, bytes(RATE_HZ))
        stt.stream.say("again")
        stt.stream._results.put_nowait(SttResult("again", is_final=True))
        await feed(socket, bytes(RATE_HZ))
        assert [(said(m), m["is_final"], m["from_finalize"]) for _, m in told] == [
            ("hello", False, False),
            ("hello there", False, False),
            ("hello there", True, True),
            ("again", False, False),
            ("again", True, False),
        ]
        assert stt.stream.finalized == 1
    assert stt.stream.closed


async def test_a_file_is_heard_by_a_real_recogniser() -> None:
    stt = ScriptedStt()

    async def speak() -> None:
        while not stt.streams:  # noqa: ASYNC110 - it is about to be opened
            await asyncio.sleep(0)

    speaking = asyncio.ensure_future(speak())
    assert await transcribed(stt, bytes(48_000), 24_000) == ""
    await speaking
    assert stt.stream.closed
