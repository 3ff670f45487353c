"""A call changes processes in the middle: dialog, RTP and SRTP go on in another one, and baresip does not notice."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from aywa.testing.runtime import free_port
from aywa.testing.sound import read_wav
from tests.peers.baresip import Baresip
from tests.peers.conftest import wav_of

TONES_HZ = (500, 1100)


@asynccontextmanager
async def _half(
    which: str, port: int, state: Path, tone_hz: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.peers.takes_up", which, str(port), str(state), str(tone_hz),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("security", [pytest.param("", marks=pytest.mark.all), ";mediaenc=srtp-mand"])
async def test_the_far_side_does_not_notice(security: str, tmp_path: Path) -> None:
    port, state = free_port(), tmp_path / "state.json"
    phone = Baresip(tmp_path / "baresip", wav_of(tmp_path, 8000), codecs="PCMU/8000/1", account=security)
    async with phone.running():
        async with _half("first", port, state, TONES_HZ[0]) as before:
            await phone.command("dial", f"sip:somebody@127.0.0.1:{port}")
            await phone.event("CALL_ESTABLISHED")
            await asyncio.sleep(3.0)
            assert before.stdin is not None
            before.stdin.write(b"\n")
            assert await before.wait() == 0
        async with _half("second", port, state, TONES_HZ[1]) as after:
            assert after.stdout is not None
            assert await after.stdout.readline() == b"took it up\n"
            await asyncio.sleep(2.5)
            await phone.command("sndcode", "7")
            await asyncio.sleep(1.0)
            await phone.command("hangup")
            async with asyncio.timeout(10):
                told = json.loads(await after.stdout.readline())
                assert await after.wait() == 0
    assert (told["by"], told["keys"]) == ("remote", ["7"])
    assert told["received"] > 50
    heard = _seconds_of(phone.recordings()["heard"])
    assert heard[TONES_HZ[0]] >= 1.5
    assert heard[TONES_HZ[1]] >= 1.5


def _seconds_of(file: Path) -> dict[int, float]:
    """How long each tone was heard."""
    pcm = np.frombuffer(read_wav(file.read_bytes()).pcm(8000), "<i2").astype(np.float64)
    seconds = dict.fromkeys(TONES_HZ, 0.0)
    for at in range(0, pcm.size - 799, 800):
        spectrum = np.abs(np.fft.rfft(pcm[at : at + 800]))
        loudest = int(np.argmax(spectrum)) * 10
        if loudest in seconds and spectrum.max() > 1e5:
            seconds[loudest] += 0.1
    return seconds
