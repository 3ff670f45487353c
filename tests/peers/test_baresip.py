"""baresip talks with `aywa dev`: codecs, SRTP, transports, keys, hold; what each side heard is checked by its sound and words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from aywa.testing.sound import read_wav
from tests.peers.baresip import Baresip
from tests.peers.conftest import SPOKEN_WORDS, wav_of
from tests.peers.runtime import PhoneRuntime

# What a person hears well; the runtime's voice is at about 3,500 of 32,768.
LOUD = 500.0


def _loud_seconds(file: Path) -> int:
    """Seconds of a recording in which somebody speaks."""
    pcm = np.frombuffer(read_wav(file.read_bytes()).pcm(8000), "<i2").astype(np.float64)
    seconds = [pcm[at : at + 8000] for at in range(0, pcm.size - 7999, 8000)]
    return sum(float(np.sqrt(np.mean(second**2))) > LOUD for second in seconds)


LINES = (
    ("PCMU/8000/1", "", "udp"),
    ("PCMA/8000/1", "", "tcp"),
    ("G722/16000/1", "", "udp"),
    ("opus/48000/2", "", "udp"),
    ("PCMU/8000/1", ";mediaenc=srtp-mand", "udp"),
    ("opus/48000/2", ";mediaenc=srtp-mand", "tcp"),
)


async def _talks(runtime: PhoneRuntime, folder: Path, codec: str, account: str, transport: str) -> str:
    """What is wrong with the call; empty when nothing is."""
    _, rate, channels = codec.split("/")
    speech = wav_of(folder, int(rate), int(channels))
    phone = Baresip(folder / "baresip", speech, codecs=codec, account=account, transport=transport)
    async with phone.running():
        await phone.command("dial", f"{runtime.uri};transport={transport}")
        told = await phone.event("CALL_ESTABLISHED")
        await runtime.until_said(await runtime.id_of(str(told["id"])), bot=2, user=1)
        await phone.command("hangup")
        call = await runtime.call_of(str(told["id"]))
    heard = " ".join(m["message"] for m in call["messages"] if m["role"] == "user").lower()
    said = [m["role"] for m in call["messages"]].count("bot")
    loud = _loud_seconds(phone.recordings()["heard"])
    good = call["endedReason"] == "customer-ended-call" and loud >= 3 and said >= 2
    good = good and any(word in heard for word in SPOKEN_WORDS)
    return (
        "" if good else f"{call['endedReason']}, {loud} s heard, {said} messages said, understood {heard!r}"
    )


async def test_speech_goes_both_ways_in_every_codec(runtime: PhoneRuntime, tmp_path: Path) -> None:
    outcomes = await asyncio.gather(
        *(_talks(runtime, tmp_path / str(number), *line) for number, line in enumerate(LINES))
    )
    failed = {line: told for line, told in zip(LINES, outcomes, strict=True) if told}
    assert not failed, failed


async def test_keys_arrive_once_each(runtime: PhoneRuntime, tmp_path: Path) -> None:
    phone = Baresip(tmp_path / "baresip", wav_of(tmp_path, 8000))
    async with phone.running():
        await phone.command("dial", runtime.uri)
        told = await phone.event("CALL_ESTABLISHED")
        call_id = await runtime.id_of(str(told["id"]))
        for times, key in enumerate("1#", 1):
            await phone.command("sndcode", key)
            await runtime.until_happened(call_id, "DtmfReceived", times)
        await phone.command("hangup")
        keys = await runtime.events_of(str(told["id"]), "DtmfReceived")
    assert [key["digit"] for key in keys] == ["1", "#"]


async def test_a_call_to_baresip(runtime: PhoneRuntime, tmp_path: Path) -> None:
    phone = Baresip(tmp_path / "baresip", wav_of(tmp_path, 8000), answers=True)
    async with phone.running():
        credential, number = await runtime.trunk(phone.port)
        try:
            call_id = await runtime.dial(number, {"sipUri": phone.uri})
            await phone.event("CALL_ESTABLISHED")
            await runtime.until_said(call_id, bot=1)
            await phone.command("hangup")
            call = await runtime.ended(call_id)
        finally:
            await runtime.forget(credential, number)
    assert call["endedReason"] == "customer-ended-call"
    assert _loud_seconds(phone.recordings()["heard"]) >= 1


@pytest.mark.all
async def test_hold_and_back(runtime: PhoneRuntime, tmp_path: Path) -> None:
    phone = Baresip(tmp_path / "baresip", wav_of(tmp_path, 8000, silence_s=6.0))
    async with phone.running():
        await phone.command("dial", runtime.uri)
        told = await phone.event("CALL_ESTABLISHED")
        await asyncio.sleep(1.0)
        await phone.command("hold")
        await asyncio.sleep(1.5)
        await phone.command("resume")
        await runtime.until_said(await runtime.id_of(str(told["id"])), user=1)
        await phone.command("hangup")
        call = await runtime.call_of(str(told["id"]))
    assert call["endedReason"] == "customer-ended-call"
    assert [m["role"] for m in call["messages"]].count("user") >= 1
